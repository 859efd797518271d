"""How claimed numbers differ from those of a working where no cause is known: where, and by one number or factor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from clearhead.check.compare.comparison import Compared
from clearhead.expr import number

Array = np.ndarray[Any, Any]

MIN_CELLS = 4
"""Of fewer cells than this nothing is said: by chance they may have something in common."""

CLOSE = 1e-4
"""The relative tolerance of differences and factors that count as one."""

SINGLE = 1e-6
"""How far numbers in single precision may be off, relative to the largest."""

MAX_NAMED = 6
"""The most entries of an axis that are named."""

ROW_SUM = 1e-3
"""How far from 1 a row of weights may sum."""


def pattern(one: Compared) -> Iterator[str]:
    """Sentences on what the differing cells of a line have in common; none where there is nothing."""
    off = one.where_wrong & _far(one)
    if off.ndim < 1 or off.sum() < MIN_CELLS:
        return
    mine, expected = one.claimed[off], one.expected[off]
    if where := " and ".join(_only(one, off)):
        yield f"All {off.sum()} cells of {one.claim.line} that differ, beyond rounding, are in {where}."
    if _sees_nothing(one, off):
        yield (
            "No key is left to these queries, and still their weights add up to 1: so it is with masked scores that "
            "are finite, such as -10000, where minus infinity is due. Decide what a query without keys is to give."
        )
    elif said := _by_one_number(mine, expected):
        yield f"Each cell of {one.claim.line} that differs is claimed to be {said} than the working gives."
    elif said := _by_one_factor(mine, expected):
        yield f"Each cell of {one.claim.line} that differs is claimed to be {said} times what the working gives."


def _far(one: Compared) -> Array:
    """Which cells are off by more than numbers in single precision may be."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(one.claimed - one.expected)
    sizes = np.abs(one.expected)[np.isfinite(one.expected)]
    return np.asarray(~(gap <= SINGLE * float(sizes.max(initial=0.0))))


def _only(one: Compared, off: Array) -> Iterator[str]:
    """The entries of axes with cells that differ, where others of the axis have none."""
    for axis, word in enumerate(one.axes[-off.ndim :]):
        others = tuple(each for each in range(off.ndim) if each != axis)
        claimed, wrong = (each.any(others) for each in (one.claim.claimed, off))
        if (claimed & ~wrong).any():
            entries = np.nonzero(wrong)[0]
            more = f" and {len(entries) - MAX_NAMED} more" if len(entries) > MAX_NAMED else ""
            yield f"{word} {', '.join(str(each + one.first) for each in entries[:MAX_NAMED])}{more}"


def _sees_nothing(one: Compared, off: Array) -> bool:
    """Whether the rows that differ are those of queries without any key, with weights that add up to 1."""
    rows = off.any(-1)
    if one.axes[-2:] != ("query", "key") or one.claim.line.split(".")[-1].partition("@")[0] != "weights":
        return False
    empty = np.nan_to_num(one.expected[rows]) == 0
    return bool(empty.all() and np.allclose(one.claimed[rows].sum(-1), 1, atol=ROW_SUM))


def _by_one_number(mine: Array, expected: Array) -> str:
    """How much more or less each cell is; "" if not by one number."""
    if not (np.isfinite(mine).all() and np.isfinite(expected).all()):
        return ""
    gap = mine - expected
    by = float(np.median(gap))
    near = CLOSE * max(abs(by), float(np.abs(expected).max()) * CLOSE)
    if not by or np.abs(gap - by).max() > near or np.ptp(expected) <= near:
        return ""
    return f"{_short(abs(by))} {'more' if by > 0 else 'less'}"


def _by_one_factor(mine: Array, expected: Array) -> str:
    """The factor between the cells; "" if there is not one."""
    if not (np.isfinite(mine).all() and np.isfinite(expected).all() and expected.all()):
        return ""
    ratio = mine / expected
    by = float(np.median(ratio))
    if not by or np.abs(ratio - by).max() > CLOSE * abs(by) or np.ptp(np.abs(expected)) <= CLOSE:
        return ""
    return _short(by)


def _short(value: float) -> str:
    return number(float(f"{value:.5g}"), None)
