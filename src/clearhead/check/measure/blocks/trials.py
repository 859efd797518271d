"""Trials: inputs of many sizes, small and large, with halves switched off, and a function's results."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from time import process_time

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.calls.calling import Symptom
from clearhead.check.calls.drawing import Sizes, draw, fits, sizes_of
from clearhead.check.calls.starting import Start
from clearhead.check.calls.task import Arrays
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Outputs, Run
from clearhead.check.measure.blocks.outline import halves, numbers_taken
from clearhead.check.measure.parts import Array

SIZES: tuple[Sizes, ...] = (
    {}, {"token": 1}, {"token": 2, "model": 8}, {"token": 3, "model": 5, "hidden": 6},
    {"token": 9, "model": 16, "depth": 8}, {"token": 12, "model": 9, "depth": 6},
)  # fmt: skip
"""The sizes that are tried, as far as the task leaves them open."""

SLOW, FEW = 0.3, 2
"""A function that needs more seconds than this at a new size is tried at FEW sizes."""

SMALL, HALF = (1e-3, 1e-6), (0.1,)
"""How small arrays are made, with arithmetic of single precision and more, and of less."""

ROUGH = 2.0**-20
"""Arithmetic with larger units than this is half precision, in which small numbers vanish."""

NOISE = 16
"""The tolerance of outputs, in multiples of the effect of rounded inputs."""

FLOOR = 1e-9


class Trial(Struct, frozen=True, eq=False):
    """Inputs, and what a function gave on them.

    Attributes:
        kind: ``"ordinary"``, ``"small"`` with one array near 0, or ``"off"`` with halves switched off.
        of: the arrays that are small, or the halves that are off.
        sizes: the size of each axis.
        arrays: the inputs.
        expected: what the working gives.
        y: what the function gave; None if it was refused.
        near: the tolerance for numbers of the function's precision, relative to the largest.
        refused: why there is no result.
    """

    kind: str
    of: tuple[str, ...]
    sizes: Sizes
    arrays: Arrays
    expected: Outputs
    y: Outputs | None = None
    near: float = FLOOR
    refused: Symptom | None = None

    @property
    def agrees(self) -> bool:
        """Whether the function gave what the working gives."""
        return self.holds(self.expected)

    @property
    def off(self) -> float:
        """The largest difference, relative to the largest number that is expected."""
        return max(
            (_off(mine, expected) for mine, expected in zip(self.y or (), self.expected, strict=True)), default=0.0
        )

    def holds(self, given: Outputs) -> bool:
        """Whether the function gave these numbers."""
        return self.y is not None and all(
            _off(y, expected) <= self.near for y, expected in zip(self.y, given, strict=True)
        )


def _off(y: Array, expected: Array) -> float:
    """The largest difference, relative to the largest number; infinity for other shapes, or other places of NaN."""
    if y.shape != expected.shape or (np.isfinite(y) != np.isfinite(expected)).any():
        return np.inf
    known = np.isfinite(expected)
    if not known.any():
        return 0.0
    return float(np.abs(y - expected)[known].max() / max(np.abs(expected[known]).max(), 1e-30))


def trials(begun: Start, f: Run, expected: Run, eps: float) -> tuple[Trial, ...]:
    """All trials that the working takes, with what the function gives."""
    found: list[Trial] = []
    slow = False
    for each in _inputs(begun, expected, eps):
        if slow and each.kind == "ordinary" and len(found) >= FEW:
            continue
        clock = process_time()
        found.append(_tried(each, f, expected, eps))
        slow = process_time() - clock > SLOW
    return tuple(found)


def _inputs(begun: Start, expected: Run, eps: float) -> Iterator[Trial]:
    sized = [_drawn(begun, expected, chosen, seed) for seed, chosen in enumerate(SIZES)]
    ordinary = [each for each in sized if each]
    yield from ordinary
    if not ordinary:
        return
    base = ordinary[0]
    for name in numbers_taken(begun.caller.task):
        for factor in HALF if eps > ROUGH else SMALL:
            yield from _changed(base, expected, "small", (name,), {name: factor * base.arrays[name]})
    parts = halves(begun.caller.task)
    for count in range(1, len(parts) + 1):
        for chosen in combinations(parts, count):
            zero = {name: 0 * base.arrays[name] for half in chosen for name in half.off}
            yield from _changed(base, expected, "off", tuple(half.name for half in chosen), zero)


def _drawn(begun: Start, expected: Run, chosen: Sizes, seed: int) -> Trial | None:
    """Random inputs of given sizes; None where the working does not take them."""
    task, batch = begun.caller.task, begun.form.batch
    chosen = begun.near(chosen)
    if begun.tied and begun.tied[0] in {**begun.sizes, **chosen}:
        first = chosen.get(begun.tied[0], begun.sizes[begun.tied[0]])
        chosen = {**chosen, **dict.fromkeys(begun.tied, first)}
    sizes = sizes_of(task, chosen)
    inputs = draw(task, sizes, 100 + seed, batch=batch)
    if not fits(task, inputs):
        return None
    used = {word: sizes[word] for name in (*task.takes, *task.returns) for word in task.axes(name) if word in sizes}
    try:
        return Trial("ordinary", (), used, inputs.arrays, expected(inputs.arrays))
    except Refused:
        return None


def _changed(base: Trial, expected: Run, kind: str, of: tuple[str, ...], arrays: Arrays) -> Iterator[Trial]:
    changed = {**base.arrays, **arrays}
    try:
        yield Trial(kind, of, base.sizes, changed, expected(changed))
    except Refused:
        return


def _tried(trial: Trial, f: Run, expected: Run, eps: float) -> Trial:
    """What the function gives, and how much rounding may change it."""
    trial = within(trial, expected, eps)
    try:
        return replace(trial, y=f(trial.arrays))
    except Refused as refused:
        return replace(trial, refused=refused.symptom or Symptom("shape", str(refused)))


def within(trial: Trial, expected: Run, eps: float) -> Trial:
    """The trial in this relative precision: how far numbers may be off, from what rounding the inputs does."""
    rng = np.random.default_rng(0)
    rounded = {
        name: array if array.dtype.kind != "f" else array * (1 + eps * rng.choice([-1.0, 1.0], array.shape))
        for name, array in trial.arrays.items()
    }
    moved = max(_off(a, b) for a, b in zip(expected(rounded), trial.expected, strict=True))
    return replace(trial, near=max(FLOOR, NOISE * eps, NOISE * moved))


PRECISIONS = (7, 10, 16, 23, 35, 45)
"""After how many bits a change of the inputs is tried."""

ALL = 52
"""The bits of double precision."""


def precision_of(begun: Start, f: Run, expected: Run) -> float:
    """The relative precision of the numbers: the coarsest of outputs, of inputs, and of what is rounded in between.

    An input counts only if the working keeps it whole.
    """
    task = begun.caller.task
    inputs = draw(task, begun.sizes, 99, batch=begun.form.batch)
    rng = np.random.default_rng(0)
    base = {name: x if x.dtype.kind != "f" else _coarse(x) for name, x in inputs.arrays.items()}
    try:
        y = f(base)
        least = min(_bits(out) for out in f(inputs.arrays))
        for name in numbers_taken(task):
            kept = _kept(f, base, name, y, rng)
            if kept < min(least, ALL) and _kept(expected, base, name, expected(base), rng) == ALL:
                least = kept
        smooth = {name: x for name, x in inputs.arrays.items() if name in numbers_taken(task)}
        rounded = [bits for bits, (step, reach) in ROUNDED.items() if _bend(f, inputs.arrays, smooth, step) > reach]
    except Refused:
        return 2.0**-50
    least = min([least, *rounded])
    return float(2.0 ** -min(least, 50))


ROUNDED = {23: (1e-7, 2.0**-31), 10: (1e-4, 2.0**-14), 7: (1e-4, 2.0**-8)}
"""By bits that are kept of numbers in between: by how much all inputs are moved, once and twice, and how far
outputs are then from following in a straight line. What is smooth is far nearer to one."""


def _bend(f: Run, arrays: Arrays, smooth: Arrays, step: float) -> float:
    """The deviation of outputs from a linear function of these inputs, relative to the largest."""
    rng = np.random.default_rng(0)
    moves = {name: step * x * rng.normal(size=x.shape) for name, x in smooth.items() if x.dtype.kind == "f"}
    moved = [f({**arrays, **{name: arrays[name] + times * move for name, move in moves.items()}}) for times in range(3)]
    return max(
        float(np.abs(np.nan_to_num(one - 2 * two + three)).max() / max(np.abs(np.nan_to_num(one)).max(), 1e-30))
        for one, two, three in zip(*moved, strict=True)
    )


def _kept(f: Run, base: Arrays, name: str, y: Outputs, rng: np.random.Generator) -> int:
    """How many bits of an array are kept: a change after this many bits still changes an output."""
    for bits in reversed(PRECISIONS):
        moved = base[name] * (1 + 2.0**-bits * rng.uniform(0.5, 0.9, base[name].shape))
        out = f({**base, name: moved})
        if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(out, y, strict=True)):
            return bits if bits < max(PRECISIONS) else ALL
    return ALL


def _coarse(x: Array) -> Array:
    """Numbers with so few bits that all types hold them exactly."""
    fraction, exponent = np.frexp(x)
    return np.asarray(np.ldexp(np.round(fraction * 32) / 32, exponent))


def _bits(y: Array) -> int:
    """The fewest bits that hold all outputs."""
    single = y.astype(np.float32)
    brain = (single.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    with np.errstate(over="ignore"):
        tries = ((7, brain), (10, y.astype(np.float16)), (23, single))
    return next((bits for bits, kept in tries if np.array_equal(kept.astype(np.float64), y, equal_nan=True)), ALL)
