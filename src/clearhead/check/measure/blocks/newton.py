"""Constants of a working, fitted to what a function gave by Gauss-Newton steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from clearhead.check.calls.task import Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Computed
from clearhead.check.measure.blocks.trials import Trial
from clearhead.check.measure.parts import Array
from clearhead.working import Working

STEPS, STEP = 10, 1e-6
"""The most steps of a fit, and the change of a constant for slopes."""

GIVE_UP, HALVED = 0.98, 4
"""Steps that leave more than this part of the error are tried with half their length, up to this number of times."""

CLOSE, EXACT = 1e-6, 1e-13
"""The error of what is fitted, as the largest and as one that no step makes smaller."""


def fitted(
    task: Task, make: Callable[[Array], Working | None], start: Array, held: Sequence[Trial]
) -> tuple[float, ...] | None:
    """The constants that bring outputs nearest to the function's; None where no steps lead there.

    Args:
        task: what the function takes and returns.
        make: the working with these constants; None where it is none.
        start: the constants of the right working.
        held: the trials to fit to.
    """
    at = np.asarray(start, float)
    off = _off(task, make(at), held)
    for _ in range(STEPS):
        left = np.inf if off is None else float(np.linalg.norm(off))
        if off is None or left < EXACT:
            break
        columns = [_off(task, make(at + STEP * move), held) for move in np.eye(len(at))]
        slope = np.stack([(each - off) / STEP for each in columns if each is not None], -1)
        if slope.shape[-1] < len(at):
            return None
        step = np.linalg.lstsq(slope, off, rcond=1e-9)[0]
        tries = (at - step * 0.5**halved for halved in range(HALVED))
        better = ((moved, found) for moved in tries if (found := _off(task, make(moved), held)) is not None
                  and np.linalg.norm(found) <= GIVE_UP * left)  # fmt: skip
        at, off = next(better, (at, None if left > CLOSE else off))
    return tuple(map(snapped, at)) if off is not None and np.abs(off).max() < CLOSE else None


def _off(task: Task, working: Working | None, held: Sequence[Trial]) -> Array | None:
    """How far outputs of a working are from the function's, relative to the largest."""
    if working is None:
        return None
    run = Computed(task, working)
    try:
        off = [(run(each.arrays)[-1] - each.y[-1]).reshape(-1) / max(float(np.abs(each.y[-1]).max()), 1e-30)
               for each in held if each.y]  # fmt: skip
    except Refused:
        return None
    found = np.concatenate(off)
    return found if np.isfinite(found).all() else None


def snapped(value: float) -> float:
    """A number with few digits, where these are near enough."""
    short = float(f"{value:.3g}")
    return short if abs(short - value) < CLOSE * abs(value) else float(value)
