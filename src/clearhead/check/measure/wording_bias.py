"""Sentences for what is added to scores: slopes over distance, tables by distance, or anything else."""

# ruff: noqa: E501 - sentences are kept whole

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clearhead.check.measure.laws import written
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.wording_lists import MAX_NAMED, numbers, of_heads

SEEN, DUST = 1e-3, 1e-12
"""Biases that are further apart than the first are different; those below the second are 0."""


def bias(part: Part) -> Iterator[str]:
    """What is added to scores, by head and distance or by key, beside what should be."""
    if all_slopes := _slopes(part):
        yield from _other_slopes(*all_slopes)
        return
    head = (part.where.get("head") or (0,))[0]
    mine, expected = (tables[head] for tables in part.details["distance"])
    if mine and expected:
        mirrored = {r for r in expected if -r in mine and r in mine}
        flips = len(mirrored) > 2 and np.ptp([mine[r] - expected[-r] for r in mirrored if -r in expected]) < 1e-3
        if flips and any(expected[r] for r in mirrored):
            yield f"The bias of scores{of_heads(part)} is that of the opposite distance: its sign (query - key for key - query) is inverted."
        elif by := _shifted(mine, expected):
            yield from _other_distances(part, by)
        elif not any(abs(value) > SEEN for value in expected.values()):
            yield f"Scores{of_heads(part)} have a bias by distance, where none is expected."
        else:
            yield f"The bias of scores by distance{of_heads(part)} is not the expected one."
        slopes = [_slope(each) for each in (mine, expected)]
        if slopes[0] is not None and slopes[1] is not None:
            yield f"In head {head} it falls by {written(slopes[0])} a token, where {written(slopes[1])} is expected."
        else:
            yield f"In head {head} by distance (key - query): measured {_table(mine)}; expected {_table(expected)}."
        return
    gap = part.details["gap"][head]
    column = np.nanmax(np.abs(np.nan_to_num(gap - np.nanmean(np.where(np.isfinite(gap), gap, 0.0), 0))))
    yield f"Something is added to scores{of_heads(part)} that should not be, or left out."
    if column < 1e-3 * max(float(np.nanmax(np.abs(gap))), 1e-9):
        row = next(row for row in gap if np.isfinite(row).all())
        yield f"It is the same for all queries; by key, minus the median: {[round(float(x - np.median(row)), 4) for x in row]}."
    else:
        yield f"Measured minus expected, up to a constant of each query, in head {head}: {np.round(gap, 3).tolist()}."


def _shifted(mine: dict[int, float], expected: dict[int, float]) -> int | None:
    """By how many tokens distances are off, where each has the bias of another; None where that is not so."""
    for by in sorted(range(-max(map(abs, mine)), max(map(abs, mine)) + 1), key=abs):
        both = [at for at in mine if at + by in expected]
        wanted = np.array([expected[at + by] for at in both])
        if by and len(both) > 1 and np.ptp(wanted) > SEEN and np.ptp([mine[at] for at in both] - wanted) < SEEN:
            return by
    return None


def _other_distances(part: Part, by: int) -> Iterator[str]:
    """Where each distance has the bias of another one, and what that is when it is the length of the cache."""
    says = f"Scores{of_heads(part)} have the bias of another distance, {abs(by)} token{'s' if abs(by) > 1 else ''} {'later' if by > 0 else 'earlier'}"
    cache = " (the length of the cache): queries are counted from 0, where they stand behind the cached tokens"
    yield f"{says}{cache if by == part.sizes[0].get('past') else ''}."


def _slope(table: dict[int, float]) -> float | None:
    """The slope of a bias per token of distance, if it is the same on both sides."""
    falls = [-value / abs(at) for at, value in table.items() if at]
    return float(np.mean(falls)) if falls and np.ptp(falls) < 1e-3 * max(1e-9, np.abs(falls).max()) else None


def _table(table: dict[int, float]) -> str:
    return ", ".join(
        f"{at:+d}: {value if abs(value) > DUST else 0:.4g}" for at, value in list(table.items())[: 2 * MAX_NAMED]
    )


def _slopes(part: Part) -> tuple[Array, Array] | None:
    """The slopes of all heads, measured and expected; None where a head has none, or there is one head."""
    tables = part.details["distance"]
    if len(tables[0]) < 2 or not all(each for side in tables for each in side):
        return None
    mine, expected = ([_slope(each) for each in side] for side in tables)
    if None in mine or None in expected or not any(expected):
        return None
    return np.array(mine, float), np.array(expected, float)


def _other_slopes(mine: Array, expected: Array) -> Iterator[str]:
    heads = np.arange(1, len(mine) + 1)
    more = 1 << (len(mine) - 1).bit_length()
    rules = {
        f"They are the first {len(mine)} of the slopes for {more} heads.": 2.0 ** (-8 * heads / more),
        "They are 2**(-8*h/heads) of all heads, the rule for powers of two.": 2.0 ** (-8 * heads / len(mine)),
        "They begin at 1: the exponent is that of the head before.": 2.0 ** (-8 * (heads - 1) / len(mine)),
        "They are the expected ones from the last head to the first.": expected[::-1],
        "All heads have the same slope.": np.full(len(mine), mine[0]),
        f"They are {written(float(mine[0] / expected[0]))} times the expected ones.": expected
        * (mine[0] / expected[0]),
    }
    rule = next((says for says, each in rules.items() if np.allclose(mine, each, rtol=1e-4)), "")
    yield " ".join(filter(None, ("The slopes by which scores fall with distance are others than expected.", rule)))
    yield f"By head, measured {numbers(mine)}, expected {numbers(expected)}."
