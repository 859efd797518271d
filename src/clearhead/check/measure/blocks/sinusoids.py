"""Sinusoidal positions alone: whether each column is a sine or a cosine, and of which frequency."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from clearhead.check.calls.task import Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Run
from clearhead.check.measure.blocks.trials import Trial
from clearhead.check.measure.parts import Array

STEPS = 2.0 ** np.arange(-24, 17)
"""The positions from which frequencies are read, the smallest first."""

BENT = 0.5
"""How far from 0 a sine may be, or a cosine from 1, for its angle to be read from it."""

CLOSE = 1e-6


class Waves(Struct, frozen=True, eq=False):
    """The columns of a table of positions: which are sines, and the frequency of each."""

    sines: Array
    frequencies: Array

    def __call__(self, index: Array) -> Array:
        """The table for these positions."""
        angle = index[:, None] * self.frequencies
        return np.asarray(np.where(self.sines, np.sin(angle), np.cos(angle)))


def waves(f: Run, task: Task, base: Trial, ran: Sequence[Trial] = ()) -> Waves | None:
    """The columns of a function of positions; None if they are no sinusoids, or do not give the results of trials."""
    if len(task.takes) != 1 or task.axes(task.takes[0]) != ("token",) or base.arrays[task.takes[0]].ndim != 1:
        return None
    (name,), tokens = task.takes, len(base.arrays[task.takes[0]])
    at = np.array([0.0, *STEPS])
    chunks = np.split(np.concatenate([at, np.zeros(-len(at) % tokens)]), -(-len(at) // tokens))
    try:
        rows = np.concatenate([f.last({name: chunk}) for chunk in chunks])[: len(at)]
    except (Refused, ValueError):
        return None
    start, y = rows[0], rows[1:]
    if y.ndim != 2 or not np.isfinite(y).all():
        return None
    sines = np.abs(start) < BENT
    if not np.allclose(start, np.where(sines, 0.0, 1.0), atol=CLOSE):
        return None
    near = np.logical_and.accumulate(np.where(sines, np.abs(y) < BENT, y > BENT), axis=0)
    last = np.maximum(near.sum(0) - 1, 0)
    wave = np.clip(np.take_along_axis(y, last[None], 0)[0], -1, 1)
    angle = np.where(sines, np.arcsin(wave), np.arccos(wave))
    found = Waves(sines, angle / STEPS[last])
    gives = all(
        np.allclose(found(each.arrays[name]), each.y[-1], atol=1e-3 * max(1.0, float(np.abs(each.arrays[name]).max())))
        for each in ran
        if each.y is not None
    )
    return found if near[0].all() and gives else None


def reading(mine: Array, expected: Array) -> str:
    """How frequencies follow from those that are expected, one for each pair; "" if in no known way."""
    width, pairs = 2 * len(mine), np.arange(len(mine))
    if len(mine) < 2 or not (mine[1:] > 0).all() or np.allclose(mine, expected, rtol=CLOSE):
        return ""
    if np.allclose(mine, 1 / expected, rtol=1e-5):
        return (
            "they are the reciprocals of the expected ones: positions are divided by what they should be multiplied by"
        )
    base = expected[1] ** (-width / 2)
    if np.allclose(mine[1:], (2 * pairs[1:] / width) ** (1 / base), rtol=1e-5):
        return f"a power and its base are exchanged: (2*i/d) ** (1/{base:g}), where (1/{base:g}) ** (2*i/d) is expected"
    ratio = mine[1:] / mine[:-1]
    if np.ptp(ratio) > 1e-4 * ratio.max() or abs(mine[0] - 1) > CLOSE:
        return ""
    if np.allclose(mine, expected**2, rtol=1e-5):
        return (
            f"they are the squares of the expected ones: the exponent is counted twice, as {base:g}**2 for a base does"
        )
    step = -float(np.log(ratio[0]))
    if round(step) and abs(step - round(step)) < CLOSE:
        rate = "a whole number for a rate: look for a division that is rounded down, //"
        return f"they are exp(-{round(step)}*i) for pair i, with {rate}"
    return ""


def reading_of_columns(mine: Array, expected: Array) -> str:
    """The base of frequencies that fall from column to column, and not from pair to pair; "" if they do not so."""
    width = len(mine)
    if width < 3 or not (mine > 0).all() or abs(mine[0] - 1) > CLOSE:
        return ""
    ratio = mine[1:] / mine[:-1]
    if np.ptp(ratio) > 1e-4 * ratio.max() or abs(ratio[0] - 1) < CLOSE:
        return ""
    base, due = float(ratio[0]) ** -width, float(expected[2]) ** (-width / 2)
    asked = f"{due:.6g} ** (-2*(c//2)/d), one for both columns of a pair"
    return f"that of column c is {base:.6g} ** (-c/d), and should be {asked}"
