"""What is added to tokens whatever they are: which row of the table of positions each token gets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clearhead.check.calls.task import Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Run
from clearhead.check.measure.blocks.trials import Trial
from clearhead.check.measure.parts import Array

LONGER = 3
"""How many times more rows of positions are compared with than there are tokens."""

NONE, OTHER = -1, -2
"""In the place of a row: nothing is added; something is added that is no row of the table."""

FEWEST = 3
"""The fewest tokens of which rows are said."""


def added(f: Run, expected: Run, task: Task, ran: Sequence[Trial]) -> tuple[int, ...]:
    """The row of positions that each token gets, from 0; () if more differs than what is added, or nothing does.

    NONE stands for no position, OTHER for no known row.
    """
    if not _adds_positions(task):
        return ()
    known = [each for each in ran if each.y is not None and each.kind == "ordinary"]
    found: dict[int, tuple[int, ...]] = {}
    for trial in known:
        ((name, array),) = trial.arrays.items()
        tokens = array.shape[-2]
        try:
            mine = f.last({name: np.zeros_like(array)}).reshape(-1, *array.shape[-2:])[0]
            table = _table(expected, name, array)
        except Refused:
            return ()
        bound = trial.near * max(1.0, float(np.abs(trial.expected[-1]).max()))
        off = np.asarray(trial.y)[-1] - trial.expected[-1] - (mine - table[:tokens])
        if not np.isfinite(off).all() or np.abs(off).max() > bound:
            return ()
        found[tokens] = tuple(_row(each, table, at, bound) for at, each in enumerate(mine))
    longest = max(found, default=0)
    rows = found.get(longest, ())
    if longest < FEWEST or rows == tuple(range(longest)) or all(row == OTHER for row in rows):
        return ()
    return rows


def _adds_positions(task: Task) -> bool:
    """Whether the task is the sum of its argument and of computed positions."""
    roles = [line.operation.role for line in task.working.lines]
    words = [task.axes(name) for name in (*task.takes, *task.returns)]
    return roles == ["position", "sum"] and words == [("token", "model")] * 2


def _table(expected: Run, name: str, array: Array) -> Array:
    """The rows of positions from 0 on, more of them than there are tokens."""
    shape = (*array.shape[:-2], LONGER * array.shape[-2], array.shape[-1])
    return np.asarray(expected.last({name: np.zeros(shape)}).reshape(-1, *shape[-2:])[0])


def _row(row: Array, table: Array, at: int, bound: float) -> int:
    """Which row of the table it is: its own where several are alike."""
    if np.abs(row).max() <= bound:
        return NONE
    near = np.abs(table - row).max(-1) <= max(bound, 1e-6)
    return at if near[at] else int(np.argmax(near)) if near.any() else OTHER
