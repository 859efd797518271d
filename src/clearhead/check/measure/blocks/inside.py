"""Weights inside a function: the one array with which all numbers are right is solved for, and compared with the given.

Outputs are smooth functions of an array, and nearly linear where tokens are small. So a few Gauss-Newton steps from
the given array find the one that is used instead.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from clearhead.axes import Axes
from clearhead.check.calls.drawing import draw
from clearhead.check.calls.starting import Start
from clearhead.check.calls.task import Arrays, Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Run
from clearhead.check.measure.blocks.match import related
from clearhead.check.measure.blocks.outline import tokens_taken
from clearhead.check.measure.parts import Array
from clearhead.errors import ClearheadError

MAX_SOLVED = 600
"""Arrays with more numbers than this are not solved for."""

SMALL = 0.05
"""The size of tokens for which outputs are nearly linear in weights."""

STEPS = 8
STEP = 1e-6
"""The most steps, and the change of an entry for slopes."""

BATCH, SEEDS = 9, 2
"""How many examples an input has, and how many inputs there are. Slopes are taken on the first."""

GIVE_UP = 0.5
"""Steps that leave more than this part of the error do not converge."""

ROUGH = 1e-4
"""The error, relative to the outputs, up to which an array is compared with the given ones."""

SOLVED = 1e-6
"""The error, relative to the outputs, up to which an array counts as found."""


Held = tuple[Arrays, tuple[Array, ...]]
"""Inputs, and what the function gave on them."""


class Solved(Struct, frozen=True, eq=False):
    """An array with which all numbers are right: the given one, the one used, and how it follows from given arrays."""

    name: str
    axes: Axes
    given: Array
    found: Array
    says: str = ""


def solved(begun: Start, f: Run, near: float) -> Solved | None:
    """The one array whose replacement makes all numbers right; one that follows from given arrays is preferred."""
    task = begun.caller.task
    sizes = {**begun.sizes, "batch": BATCH}
    inputs = [draw(task, sizes, 200 + seed, batch=begun.form.batch).arrays for seed in range(SEEDS)]
    tokens = tokens_taken(task)
    small = [{name: SMALL * x if name in tokens else x for name, x in each.items()} for each in inputs]
    try:
        held = [(each, f(each)) for each in (*small, *inputs)]
    except Refused:
        return None
    found = []
    for name in sorted(task.fixed, key=lambda name: task.fixed[name].size):
        array = task.fixed[name]
        if array.dtype.kind != "f" or array.size > MAX_SOLVED or name not in _used(task):
            continue
        each = _Solving(task, name, held[: len(small)], held[len(small) :], max(SOLVED, near)).solved()
        if each and each.says:
            return each
        found += [each] if each else []
    return found[0] if found else None


def _used(task: Task) -> set[str]:
    return {each.name for each in task.working.givens}


class _Solving:
    """The search for one array."""

    def __init__(self, task: Task, name: str, small: list[Held], large: list[Held], near: float) -> None:
        self.task = task
        self.name = name
        self.small = small
        self.large = large
        self.near = near

    def solved(self) -> Solved | None:
        """The array that is used in its place; None if no array there makes all numbers right."""
        given = self.task.fixed[self.name]
        found = self._closer(given, self.small, ROUGH)
        if found is None:
            return None
        axes = self.task.whole.axes[self.name]
        others = {name: array for name, array in self.task.fixed.items() if name != self.name}
        for start in (found, self._closer(found, self.large, self.near)):
            for array, says in related(start, given, axes, others) if start is not None else ():
                if self._right(array):
                    return Solved(self.name, axes, given, array, says)
        return Solved(self.name, axes, given, start) if start is not None and self._right(start) else None

    def _right(self, array: Array) -> bool:
        off = self._off(array, self.large)
        return off is not None and self._left(off, self.large) < self.near

    def _closer(self, array: Array, held: list[Held], near: float) -> Array | None:
        """The array after steps on these inputs; None if they do not converge."""
        before = np.inf
        for _ in range(STEPS):
            off = self._off(array, held)
            left = self._left(off, held) if off is not None else np.inf
            if off is None or left < near:
                return array
            if left > GIVE_UP * before:
                return None
            before, step = left, self._step(array, off, held)
            if step is None:
                return None
            array = step
        return array

    def _off(self, array: Array, held: list[Held]) -> Array | None:
        """How far outputs with this array are from the function's."""
        fixed, parts = {**self.task.fixed, self.name: array}, []
        for arrays, y in held:
            given = {**fixed, **arrays}
            try:
                trace = self.task.working.run({each.name: given[each.name] for each in self.task.working.givens},
                                              keep=self.task.returns)  # fmt: skip
            except ClearheadError:
                return None
            parts += [trace.numpy(n) - mine for n, mine in zip(self.task.returns, y, strict=True)]
        off = np.concatenate([each.reshape(-1) for each in parts])
        return off if np.isfinite(off).all() else None

    def _left(self, off: Array, held: list[Held]) -> float:
        return float(np.abs(off).max() / max(np.abs(out).max() for _, y in held for out in y))

    def _step(self, array: Array, off: Array, held: list[Held]) -> Array | None:
        """The array after one step: how outputs follow each of its entries, and least squares."""
        columns = []
        for at in range(array.size):
            moved = array.copy()
            moved.reshape(-1)[at] += STEP
            after = self._off(moved, held[:1])
            if after is None:
                return None
            columns.append(after)
        first = off[: len(columns[0])]
        slope = np.stack([each - first for each in columns], -1) / STEP
        change, *_ = np.linalg.lstsq(slope, first, rcond=1e-9)
        return np.asarray(array - change.reshape(array.shape))
