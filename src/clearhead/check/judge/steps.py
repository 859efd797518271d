"""The way to each claimed line: the working entered at the lines that are claimed before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.axes import head_axis
from clearhead.check.compare.comparison import claims_by_line, expected_of
from clearhead.check.judge.by_parts import by_parts
from clearhead.check.precision.propagation import as_slack, hand_noise, part_of, reach, worked_by_hand
from clearhead.claim import Claim, differing
from clearhead.line import split_head
from clearhead.trace import Trace
from clearhead.working import Working

Arrays = dict[str, np.ndarray[Any, Any]]

Cells = list[np.ndarray[Any, Any]]
"""For each claim which of its cells are meant."""


class Step(Struct, frozen=True):
    """A claimed line, and the working entered at the lines that are claimed before it."""

    name: str
    claims: list[Claim]
    working: Working
    arrays: Arrays
    slack: Arrays
    by_hand: bool = False
    other: Step | None = None
    """Another way to the line, from parts of it that are claimed."""

    def run(self) -> Trace:
        """The line as it follows from the lines before it."""
        return self.working.run(self.arrays, keep=(self.name,))

    @property
    def half_unit(self) -> float:
        """Half a unit of the last digit that is written."""
        return max(claim.tolerance for claim in self.claims)

    def loosened(self) -> list[Claim]:
        """The claims with the slack that the rounding of earlier lines gives them."""
        if not self.by_hand and not any(array.any() for name, array in self.slack.items() if name in self.arrays):
            return list(self.claims)
        far = reach(self.working, self.arrays, self.slack, self.name)
        if self.by_hand:
            far = far + hand_noise(self.working, self.arrays, self.half_unit, self.name)
        return [claim.with_slack(as_slack(part_of(claim, self.working, self.name, far))) for claim in self.claims]

    def missed_by_hand(self) -> Cells:
        """Which cells of the claims are not what the step gives if each number on the way is rounded."""
        line = worked_by_hand(self.working, self.arrays, self.half_unit, self.name)
        return [differing(claim, part_of(claim, self.working, self.name, line)) for claim in self.claims]

    def missed(self, trace: Trace, doubted: Cells) -> tuple[list[Claim], Cells]:
        """Which of the doubted cells do not follow, and the claims with the slack by which that was judged.

        The slack is computed only for what does not follow without it.
        """
        claims, left = self.claims, both(doubted, [wrong(claim, trace) for claim in self.claims])
        if self.by_hand and any_of(left):
            left = both(left, self.missed_by_hand())
        if any_of(left):
            claims = self.loosened()
            left = both(left, [wrong(claim, trace) for claim in claims])
        if self.other is not None and any_of(left):
            other = replace(self.other, by_hand=self.by_hand)
            left = other.missed(other.run(), left)[1]
        return claims, left


def both(one: Cells, other: Cells) -> Cells:
    """The cells that are in both."""
    return [mine & theirs for mine, theirs in zip(one, other, strict=True)]


def any_of(cells: Cells) -> bool:
    """Whether there are such cells."""
    return any(each.any() for each in cells)


def wrong(claim: Claim, trace: Trace) -> np.ndarray[Any, Any]:
    """Which cells of a claim differ from a trace, which may hold only the claimed line."""
    return differing(claim, expected_of(claim, trace)[1])


def steps(claims: Sequence[Claim], trace: Trace, arrays: Arrays) -> Iterator[Step]:
    """The step to each claimed line, in the order of the working."""
    working = trace.working
    by_line = claims_by_line(claims, working)
    complete: Arrays = {}
    slack: Arrays = {}
    differs = False
    for line in working.lines:
        if line.name not in by_line:
            continue
        mine = by_line[line.name]
        entered = _entered(working, tuple(complete), line.name)
        values = {**arrays, **complete}
        parts = by_parts(working, tuple(complete), line.name)
        step, *others = (
            Step(line.name, mine, each, {given.name: values[given.name] for given in each.givens}, dict(slack))
            for each in (entered, *(() if parts is None else (_entered(parts, tuple(complete), line.name),)))
        )
        step = replace(step, other=others[0]) if others else step
        yield step
        written, claimed = _filled(trace, line.name, mine, "values")
        half_units, _ = _filled(trace, line.name, mine, "half_units")
        differs = differs or any(wrong(claim, trace).any() for claim in mine)
        own = _slack(written, None if differs else trace.numpy(line.name), half_units)
        rest, far = _unclaimed(step) if not claimed.all() else (written, own)
        complete[line.name] = np.where(claimed, written, rest)
        slack[line.name] = np.where(claimed, own, far)


def _unclaimed(step: Step) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A line as it follows from what was claimed before it, for cells not claimed, and how far it may be off."""
    line = step.run().numpy(step.name)
    if not any(array.any() for name, array in step.slack.items() if name in step.arrays):
        return line, np.zeros(line.shape)
    return line, reach(step.working, step.arrays, step.slack, step.name)


def _slack(
    claimed: np.ndarray[Any, Any], known: np.ndarray[Any, Any] | None, half_units: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """How far each claimed number may be from the number that was carried on.

    A number that agrees was carried on as written or exact (``known``). Once a line differs, of its numbers and those
    behind it only the written form is known: what looks right may come from another number.
    """
    with np.errstate(invalid="ignore"):
        off = half_units if known is None else np.minimum(np.abs(claimed - known), half_units)
    return np.where(np.isfinite(claimed), off, 0.0)


@lru_cache(maxsize=512)
def _entered(working: Working, complete: tuple[str, ...], name: str) -> Working:
    """The working entered at known lines, unless a line could then not be computed."""
    entered = working.starting_at(*complete) if complete else working
    return entered if name in entered.names else working


def _filled(
    trace: Trace, name: str, claims: Sequence[Claim], what: str
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The values, or half units, of the claimed cells of a line, NaN elsewhere; and which cells are claimed."""
    array = np.full(trace.numpy(name).shape, np.nan)
    filled = np.zeros(array.shape, dtype=bool)
    first = trace.working.label_base
    for claim in claims:
        _, label = split_head(claim.line)
        axis = head_axis(trace.working.axes[name])
        heads: Any = ... if label is None or axis is None else (..., label - first, *[slice(None)] * (-1 - axis))
        cell = () if claim.cell is None else tuple(each - first for each in claim.cell)
        part, there = array[heads], filled[heads]
        part[cell or ...] = np.where(claim.claimed, getattr(claim, what), part[cell or ...])
        there[cell or ...] |= claim.claimed
    return array, filled
