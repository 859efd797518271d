"""How many cells of a claimed line chance alone would make right: numbers without any work behind them get none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from clearhead.claim import Claim

Numbers = np.ndarray[Any, Any]

MAX_SAMPLE = 64
"""With more numbers in a line than these, only some of them are looked at, at equal distances."""


def chance_of(
    right: int, claims: Sequence[Claim], accepted: Sequence[Sequence[Numbers]], open_: Sequence[Numbers] | None = None
) -> float:
    """How likely at least ``right`` cells would be right if each held some other number of the same line.

    Args:
        right: how many cells are right.
        claims: what is claimed of a line, with its slack.
        accepted: for each claim the arrays of which any number makes a cell right.
        open_: for each claim which of its claimed cells count; all, if None.
    """
    counted = [claim.claimed for claim in claims] if open_ is None else open_
    numbers = np.concatenate(
        [claim.values[where & np.isfinite(claim.values)] for claim, where in zip(claims, counted, strict=True)]
    )
    sample = numbers[:: 1 + len(numbers) // MAX_SAMPLE]
    if not len(sample):
        return 0.0
    hits = [_hits(*each, sample) for each in zip(claims, accepted, counted, strict=True)]
    cells = sum(map(len, hits))
    return at_least(right, cells, float(np.concatenate(hits).mean()))


def _hits(claim: Claim, accepted: Sequence[Numbers], counted: Numbers, sample: Numbers) -> Numbers:
    """For each cell that counts the share of these numbers, but its own, that would be right there."""
    near = np.zeros((int(counted.sum()), len(sample)), dtype=bool)
    for array in accepted:
        expected, tolerance = array[counted].reshape(-1, 1), claim.tolerances[counted].reshape(-1, 1)
        with np.errstate(invalid="ignore"):
            near |= np.abs(sample - expected) <= tolerance
    own = np.zeros(len(near), dtype=bool)
    for array in accepted:
        with np.errstate(invalid="ignore"):
            own |= np.abs(claim.values[counted] - array[counted]) <= claim.tolerances[counted]
    return np.asarray(np.maximum(near.sum(axis=1) - own, 0) / max(len(sample) - 1, 1))


def at_least(right: int, cells: int, each: float) -> float:
    """The probability that at least ``right`` of these cells are right, each of which is with this probability.

    >>> round(at_least(2, 3, 0.5), 3)
    0.5
    """
    if each >= 1 or right <= 0:
        return 1.0
    if each <= 0:
        return 0.0
    counts = np.arange(right, cells + 1)
    ways = np.array([math.lgamma(cells + 1) - math.lgamma(n + 1) - math.lgamma(cells - n + 1) for n in counts])
    return float(min(np.exp(ways + counts * math.log(each) + (cells - counts) * math.log1p(-each)).sum(), 1.0))
