"""Each claimed line held against the lines claimed before it: an error that is carried forward counts once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.axes import head_axis
from clearhead.brief import Brief
from clearhead.check.compare.comparison import claims_by_line, expected_of
from clearhead.check.compare.slips import Slip, are_slips, slips_of
from clearhead.check.fit.candidate import Candidate, fitted_or_matched, in_order, without_repeats
from clearhead.check.fit.evaluation import Evaluation
from clearhead.check.precision.propagation import as_slack, hand_noise, part_of, reach
from clearhead.check.search.chance import WEAK, digits_of
from clearhead.check.search.hypotheses import Chosen, Hypotheses
from clearhead.check.search.plans import plans_for, written
from clearhead.check.search.roundings import roundings
from clearhead.check.search.search import TooMany, search
from clearhead.claim import Claim, differing
from clearhead.deviations import Applied
from clearhead.line import split_head
from clearhead.trace import Trace
from clearhead.working import Working

Arrays = dict[str, np.ndarray[Any, Any]]

LARGEST = 2
"""The largest sets of deviations that are tried between one claimed line and the next."""

MAX_WRONG = 4
"""With more lines than these that do not follow, no causes are looked for line by line."""

MAX_CAUSES, MAX_CONFIRMED = 5, 40
"""How many sets are reported for a line, and how many of those that the search finds are looked at."""


class Judged(Brief, frozen=True):
    """A claimed line by itself: whether it follows from the lines claimed before it, and if not, by which deviations.

    It also follows if it agrees with the working as it is: who made a slip in writing a line down may have gone on with
    the right one. A cell follows within the rounding in which it was written and what the rounding of the earlier
    lines can do to it.

    Attributes:
        line: its full name.
        claims: what is claimed of it.
        right: how many cells of each claim follow.
        causes: sets of deviations with which it would follow.
        slips: the cells that do not follow, where nearly all do.
        carried: whether cells follow that do not agree with the working as it is.
    """

    line: str
    claims: tuple[Claim, ...]
    right: tuple[int, ...]
    causes: tuple[tuple[Applied, ...], ...] = ()
    slips: tuple[Slip, ...] = ()
    carried: bool = False

    @property
    def cells(self) -> tuple[int, ...]:
        """How many cells each claim on the line has."""
        return tuple(int(claim.claimed.sum()) for claim in self.claims)

    @property
    def explained_by(self) -> tuple[tuple[str, ...], ...]:
        """The causes as text."""
        return tuple(tuple(map(written, each)) for each in self.causes)

    @property
    def follows(self) -> bool:
        """Whether every claimed cell follows."""
        return self.right == self.cells


class _Step(Struct, frozen=True):
    """A claimed line, and the working entered at the lines that are claimed in full before it."""

    name: str
    claims: list[Claim]
    working: Working
    arrays: Arrays
    slack: Arrays
    by_hand: bool = False


def judge(claims: Sequence[Claim], trace: Trace, arrays: Arrays, *, by_hand: bool = False) -> tuple[Judged, ...]:
    """Holds each claimed line against the lines claimed before it.

    Args:
        claims: what is claimed.
        trace: the working as it is.
        arrays: its given arrays.
        by_hand: whether steps between two claimed lines may be rounded too, to the decimals of the claims.
    """
    return tuple(_judged(replace(step, by_hand=by_hand), trace) for step in _steps(claims, trace, arrays))


def follows_by_hand(claims: Sequence[Claim], trace: Trace, arrays: Arrays) -> bool:
    """Whether each claimed line follows from those before it, if every step on the way is rounded by hand."""
    return all(_judged(replace(step, by_hand=True), trace).follows for step in _steps(claims, trace, arrays))


def judge_with_causes(
    claims: Sequence[Claim], trace: Trace, arrays: Arrays, *, largest: int = LARGEST, by_hand: bool = False
) -> tuple[Judged, ...]:
    """As `judge`, with the deviations, sets of ``largest`` at most, by which the lines that do not follow would."""
    steps = [replace(step, by_hand=by_hand) for step in _steps(claims, trace, arrays)]
    judged = [_judged(step, trace) for step in steps]
    if sum(not each.follows for each in judged) > MAX_WRONG:
        return tuple(judged)
    # Where nothing else is claimed, what was tried for all claims was tried for this line.
    return tuple(
        each if each.follows or len(steps) == 1 else replace(each, causes=_causes(step, largest))
        for each, step in zip(judged, steps, strict=True)
    )


def _steps(claims: Sequence[Claim], trace: Trace, arrays: Arrays) -> Iterator[_Step]:
    working = trace.working
    by_line = claims_by_line(claims, working)
    complete: Arrays = {}
    slack: Arrays = {}
    for line in working.lines:
        if line.name not in by_line:
            continue
        mine = by_line[line.name]
        entered = _entered(working, tuple(complete), line.name)
        values = {**arrays, **complete}
        yield _Step(line.name, mine, entered, {given.name: values[given.name] for given in entered.givens}, dict(slack))
        whole = _filled(trace, line.name, mine, "values")
        if whole is not None:
            complete[line.name] = whole
            slack[line.name] = _slack(whole, trace.numpy(line.name), _filled(trace, line.name, mine, "half_units"))


def _slack(
    claimed: np.ndarray[Any, Any], known: np.ndarray[Any, Any], half_units: np.ndarray[Any, Any] | None
) -> np.ndarray[Any, Any]:
    """How far each claimed number may be from the one that was carried on.

    One that agrees was carried on as it is written or as it is; of any other no more is known than how it is written.
    """
    written = np.zeros(claimed.shape) if half_units is None else half_units
    with np.errstate(invalid="ignore"):
        off = np.abs(claimed - known)
    return np.where(np.isfinite(claimed), np.where(off <= written, off, written), 0.0)


@lru_cache(maxsize=512)
def _entered(working: Working, complete: tuple[str, ...], name: str) -> Working:
    """The working entered at lines that are known, unless a line could not be computed then."""
    entered = working.starting_at(*complete) if complete else working
    return entered if name in entered.names else working


def _judged(step: _Step, known: Trace) -> Judged:
    exact = [_wrong(claim, known) for claim in step.claims]
    if not any(wrong.any() for wrong in exact):
        return Judged(step.name, tuple(step.claims), _right(step.claims, exact))
    loose, trace = _held(step)
    wrong = [one & _wrong(claim, trace) for one, claim in zip(exact, loose, strict=True)]
    right = _right(step.claims, wrong)
    cells = sum(int(claim.claimed.sum()) for claim in step.claims)
    slips: tuple[Slip, ...] = ()
    if are_slips(cells - sum(right), cells):
        slips = tuple(
            slip
            for claim, where in zip(step.claims, wrong, strict=True)
            for slip in slips_of(claim, where, expected_of(claim, trace)[1], trace.working.label_base)
        )
    carried = any((one & ~each).any() for one, each in zip(exact, wrong, strict=True))
    return Judged(step.name, tuple(step.claims), right, slips=slips, carried=carried)


def _held(step: _Step) -> tuple[list[Claim], Trace]:
    """The claims with the slack that earlier lines give them, and the step computed from these lines."""
    trace = step.working.run(step.arrays, keep=(step.name,))
    if not step.by_hand and not any(array.any() for name, array in step.slack.items() if name in step.arrays):
        return list(step.claims), trace
    far = reach(step.working, step.arrays, step.slack, step.name)
    if step.by_hand:
        half_unit = max(claim.tolerance for claim in step.claims)
        far = far + hand_noise(step.working, step.arrays, half_unit, step.name)
    return [
        replace(claim, slack=as_slack(part_of(claim, step.working, step.name, far))) for claim in step.claims
    ], trace


def _wrong(claim: Claim, trace: Trace) -> np.ndarray[Any, Any]:
    """Which cells of a claim differ from a trace, which may hold no more than the claimed line."""
    return differing(claim, expected_of(claim, trace)[1])


def _right(claims: Sequence[Claim], wrong: Sequence[np.ndarray[Any, Any]]) -> tuple[int, ...]:
    return tuple(int((claim.claimed & ~cells).sum()) for claim, cells in zip(claims, wrong, strict=True))


def _causes(step: _Step, largest: int) -> tuple[tuple[Applied, ...], ...]:
    """The smallest sets of deviations with which a step gives its claims, beyond what chance would."""
    claims, _ = _held(step)
    trace = step.working.run(step.arrays)
    values = {name: trace.numpy(name) for name in trace}
    evaluation = Evaluation(tuple(claims), step.working, values)
    shapes = {name: array.shape for name, array in values.items()}
    plans = plans_for(step.working, tuple((name, array.shape) for name, array in step.arrays.items()))
    hypotheses = Hypotheses(plans, roundings(step.working, claims, shapes, brief=True))
    for size in range(1, largest + 1):
        try:
            sets = search(hypotheses, step.arrays, claims, size).sets[:MAX_CONFIRMED]
        except TooMany:
            sets = ()
        found = [each for chosen in sets if (each := _confirmed(hypotheses, chosen, evaluation)) is not None]
        if size == 1 and not any(each.plain for each in found):
            found += fitted_or_matched(evaluation)
        sure = [each for each in without_repeats(found) if _beyond_chance(each, evaluation, len(hypotheses.candidates))]
        if sure:
            return tuple(each.applied for each in sure[:MAX_CAUSES])
    return ()


def _confirmed(hypotheses: Hypotheses, chosen: Chosen, evaluation: Evaluation) -> Candidate | None:
    """A set as a candidate, if the step, rewritten for the whole set, gives what is claimed."""
    working = hypotheses.rewritten(chosen)
    values = None if working is None else evaluation.lines(working)
    if working is None or values is None or not evaluation.agrees(evaluation.parts(working, values)):
        return None
    return Candidate(in_order(evaluation.working, working, [hypotheses.candidates[each] for each in chosen]), working)


def _beyond_chance(candidate: Candidate, evaluation: Evaluation, tried: int) -> bool:
    """Whether few of as many unrelated sets would give the claims."""
    base = evaluation.parts(evaluation.working, evaluation.values) or []
    digits = 0.0
    for claim, part in zip(evaluation.claims, base, strict=False):
        wrong = differing(claim, part)
        digits += digits_of(claim.values[wrong], part[wrong], claim.tolerances[wrong])
    return bool(tried ** len(candidate.applied) * candidate.values * 10.0**-digits <= WEAK)


def _filled(trace: Trace, name: str, claims: Sequence[Claim], what: str) -> np.ndarray[Any, Any] | None:
    """The values, or half units, of all cells of a line; None unless every cell of it is claimed."""
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
    return array if filled.all() else None
