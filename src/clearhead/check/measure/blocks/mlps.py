"""An MLP by itself: one hidden cell as a function of its gate and its other factor, named where it is known."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from clearhead.check.calls.calling import Symptom
from clearhead.check.calls.drawing import Sizes, draw, known_sizes, sizes_of
from clearhead.check.calls.task import Arrays, Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Run
from clearhead.check.measure.blocks.curves import Formula, cells, formula_of
from clearhead.check.measure.blocks.outline import halves, lines_of
from clearhead.check.measure.laws import written
from clearhead.check.measure.parts import Array
from clearhead.errors import ClearheadError
from clearhead.ops.textbook import linear

NONE = np.zeros(())

SHIFT = 0.8
"""The size of a bias while its use is measured."""

TIMES = (1.0, 2.0, 0.5, -1.0)
"""How often a bias may be added to its product."""

CLOSE, NOISE = 1e-3, 30
"""How near a shifted curve must be to one that is known, relative to its largest value."""


THROUGH = {"bias", "sum", "scale"}
"""Only lines of these roles may follow the last product of an MLP that is measured in a block."""


class MlpArrays(Struct, frozen=True):
    """What an MLP takes, alone or as a half of a block.

    Attributes:
        source: the line that its first products read.
        up: the weight of the first product.
        gate: the weight of the gate; "" in one without.
        output: the weight of the last product.
        biases: the biases of its products.
        off: arrays that switch the rest of a block off when they are 0.
    """

    source: str
    up: str
    gate: str
    output: str
    biases: tuple[str, ...]
    off: tuple[str, ...]

    @property
    def is_alone(self) -> bool:
        """Whether the function is this MLP and nothing else."""
        return not self.off


def mlp_arrays(task: Task) -> MlpArrays | None:
    """The arrays of the one MLP in a task, if its function takes all of them; None of others."""
    products = {line.operands[1].rpartition(".")[0].rpartition(".")[2]: line for line in lines_of(task, "product")
                if line.operation is linear.matmul and "hidden" in task.whole.axes[line.operands[1]]}  # fmt: skip
    if len(list(lines_of(task, "activation"))) != 1 or not {"up", "output"} <= products.keys() <= {*ROLES}:
        return None
    up, gate, output = (products[role].operands[1] if role in products else "" for role in ROLES)
    after = [line for line in task.working.lines if _follows(task, line.name, products["output"].name)]
    if not {line.operation.role for line in after} <= THROUGH:
        return None
    own = {line.name for line in products.values()}
    biases = tuple(line.operands[1] for line in lines_of(task, "bias") if line.operands[0] in own)
    off = tuple(name for half in halves(task) if half.weight != output for name in half.off)
    needed = {up, output, *biases, *([gate] if gate else [])}
    if not needed <= set(task.takes) or {"model", "hidden"} & known_sizes(task).keys():
        return None
    return MlpArrays(products["up"].operands[0], up, gate, output, biases, off)


ROLES = ("up", "gate", "output")
"""The products of an MLP."""


def _follows(task: Task, name: str, other: str) -> bool:
    """Whether a line reads another, or one that does."""
    operands = {line.name: line.operands for line in task.working.lines}
    return name != other and any(each == other or (each in operands and _follows(task, each, other))
                                 for each in operands.get(name, ()))  # fmt: skip


class MlpSeen(Struct, frozen=True, eq=False):
    """What was measured of an MLP.

    Attributes:
        curve: the results of hidden cells, for all pairs of gates and other factors, without biases.
        biases: how each bias is used: ``"x+b"`` of its product, ``"h+b"`` after the activation, or of the output,
            ``"x"`` where it is not used, ``"h+2b"`` where it is added twice, ``"?"`` for others.
        formula: the formula of the curve, with its name; None where it has none.
        is_linear: whether outputs are proportional to the last weight; nothing else is known where they are not.
    """

    curve: Array
    biases: dict[str, str]
    formula: Formula | None
    is_linear: bool = True


MAX_LOST = 0.25
"""The largest share of cells that may be lost while the others are right."""


def lost_cells(mine: Array, expected: Array, near: float) -> tuple[int, ...]:
    """The hidden cells that give 0 where all others are right; none where this is not what differs."""
    bound = near * max(float(np.abs(expected).max()), 1e-30)
    off = np.abs(mine - expected) > bound
    lost = off & (np.abs(mine) <= bound)
    return tuple(map(int, np.nonzero(lost)[0])) if (off == lost).all() and 0 < lost.mean() < MAX_LOST else ()


def is_certain(task: Task, names: MlpArrays, mine: MlpSeen, expected: MlpSeen) -> bool:
    """Whether another curve is the MLP's own, where what reaches it may be off by a factor."""
    one, other = mine.formula, expected.formula
    if names.source in task.takes or not mine.is_linear or lost_cells(mine.curve, expected.curve, CLOSE):
        return True
    if one is None or other is None:
        return False
    if (one.act, one.inner, one.outer, one.note) != (other.act, other.inner, other.outer, other.note):
        return True
    times = one.times / other.times
    if np.allclose([times, one.factor], 1, rtol=CLOSE):
        return bool(times == one.factor == 1)
    if one.is_homogeneous:
        return times == 1
    reached = one.factor if one.outer else 1.0  # what a factor on all that is read would leave
    return one.factor == 1 or not np.isclose(times, reached, rtol=CLOSE)


def measure_mlp(f: Run, names: MlpArrays, sizes: Sizes, eps: float) -> MlpSeen | None:
    """Measures an MLP whose numbers have this relative precision; None where it does not run."""
    try:
        cell = _Cell(f, names, sizes)
        curve = cell.curve({})
        bound = max(CLOSE, NOISE * eps) * max(float(np.abs(curve).max()), 1e-30)
        if np.abs(cell.curve({}, 0.5) - 0.5 * curve).max() > bound:
            return MlpSeen(curve, {}, None, is_linear=False)
        formula = formula_of(curve, gated=bool(names.gate), eps=eps)
        biases = {name: _bias(cell, name, formula) for name in names.biases} if formula else {}
        return MlpSeen(curve, biases, formula)
    except Refused:
        return None


class _Cell:
    """Hidden cells that are each alone in a row of the hidden layer, and read separately.

    The rest of a block is off. What reaches the MLP is known from the working, so weights can be chosen that make any
    numbers of it.
    """

    def __init__(self, f: Run, names: MlpArrays, sizes: Sizes) -> None:
        self.f = f
        self.names = names
        n = len(cells()[0])
        task, batch = f.task, f.caller.form.batch
        chosen = {word: size for word, size in sizes.items() if word not in ("head*depth", "query", "key")}
        drawn = draw(task, sizes_of(task, {**chosen, "token": 1, "model": n, "hidden": n, "batch": 1}), 5, batch=batch)
        zero = dict.fromkeys((*names.off, *names.biases), 0.0)
        self.arrays = {name: zero.get(name, 1.0) * array for name, array in drawn.arrays.items()}
        self.reads = self._reached().reshape(-1)[:, None]
        self.rest = f.last({**self.arrays, names.output: 0 * self.arrays[names.output]})

    def _reached(self) -> Array:
        """What the first products read."""
        if self.names.source in self.arrays:
            return self.arrays[self.names.source]
        given = {**self.f.task.fixed, **self.arrays}
        working = self.f.task.working
        try:
            trace = working.run({each.name: given[each.name] for each in working.givens}, keep=[self.names.source])
        except ClearheadError as error:
            raise Refused(Symptom("raises", str(error))) from None
        return np.asarray(trace.numpy(self.names.source))

    def curve(self, shift: dict[str, float], strength: float = 1.0) -> Array:
        """The results of all cells, times ``strength``; ``shift`` has biases that are not 0, the same in all cells."""
        (gate, up), names = cells(), self.names
        wanted = {names.up: up, **({names.gate: gate} if names.gate else {})}
        weights = {name: self.reads / (self.reads**2).sum() * values for name, values in wanted.items()}
        biases = {name: np.full(len(up), shift.get(name, 0.0)) for name in names.biases}
        given = {**self.arrays, **weights, **biases}
        out = self.f.last({**given, names.output: strength * np.eye(len(up))})
        if out.size != len(up):
            raise Refused(None, out.shape)
        return np.asarray((out - self.rest).reshape(-1))


def _bias(cell: _Cell, name: str, formula: Formula) -> str:
    """How one bias is used, from a shift of the curve of this formula."""
    moved, (gate, up) = cell.curve({name: SHIFT}), cells()
    bound = CLOSE * max(float(np.abs(moved).max()), 1.0)
    role = next((role for role in ("gate", "up", "output") if role in name.split(".")), "")
    off = float(np.median(moved - formula(gate, up))) / SHIFT
    uses = {"x": formula(gate, up), _counted(off, "h"): formula(gate, up) + off * SHIFT}
    for times in TIMES if role != "output" else ():
        shifted = [x + times * SHIFT if role == which else x for which, x in (("gate", gate), ("up", up))]
        uses[_counted(times, "x")] = formula(*shifted)
    return next((use for use, given in uses.items() if np.abs(given - moved).max() < bound), "?")


def _counted(times: float, to: str) -> str:
    return f"{to}+b" if np.isclose(times, 1, rtol=CLOSE) else f"{to}+{written(times)}b"


def _use(use: str, bias: Array, to: str) -> Array | float:
    """What a bias adds to products (``"x"``) or to hidden cells (``"h"``)."""
    start, _, times = use.removesuffix("b").partition("+")
    return float(times or 1) * bias if start == to and use != "x" else 0.0


def rebuilt(seen: MlpSeen, names: MlpArrays, arrays: Arrays) -> Array | None:
    """The MLP that was measured, on other tokens; None where a part of it is unknown."""
    if seen.formula is None or "?" in seen.biases.values():
        return None
    x = arrays[names.source]

    def product(weight: str) -> Array:
        bias = weight.removesuffix("weight") + "bias"
        return x @ arrays[weight] + _use(seen.biases.get(bias, "x"), arrays.get(bias, NONE), "x")

    up = product(names.up)
    hidden = seen.formula(product(names.gate) if names.gate else up, up)
    last = names.output.removesuffix("weight") + "bias"
    for name, use in seen.biases.items():
        hidden = hidden + _use(use, arrays[name], "h") if name != last else hidden
    return np.asarray(hidden @ arrays[names.output] + _use(seen.biases.get(last, "x"), arrays.get(last, NONE), "h"))
