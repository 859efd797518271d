"""The deviations by which a claimed line that does not follow would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache

import numpy as np
from msgspec.structs import replace

from clearhead.check.fit.candidate import Candidate, fitted_or_matched, in_order, without_repeats
from clearhead.check.fit.evaluation import Evaluation
from clearhead.check.judge.steps import Step, any_of, both, wrong
from clearhead.check.search.alone import ways_to
from clearhead.check.search.chance import WEAK, digits_of
from clearhead.check.search.hypotheses import Chosen, Hypotheses
from clearhead.check.search.plans import Plans, plans_for
from clearhead.check.search.roundings import roundings
from clearhead.check.search.search import TooMany, search
from clearhead.claim import Claim, differing
from clearhead.deviations import Applied
from clearhead.errors import ClearheadError
from clearhead.working import Working

LEFT_BY_NOISE = 0.5
"""The largest part of the cells that rounding each step may leave off by a unit, if a deviation is the cause."""

MAX_CAUSES, MAX_CONFIRMED = 5, 40
"""How many sets are reported for a line, and how many of the search's results are examined."""


def causes_of_step(step: Step, largest: int, *, fits: bool) -> tuple[tuple[Applied, ...], ...]:
    """The smallest sets of deviations with which a step gives its claims, beyond what chance would."""
    claims = step.loosened()
    trace = step.working.run(step.arrays)
    values = {name: trace.numpy(name) for name in trace}
    evaluation = Evaluation(tuple(claims), step.working, values)
    shapes = {name: array.shape for name, array in values.items()}
    plans = plans_for(step.working, tuple((name, array.shape) for name, array in step.arrays.items()))
    hypotheses = _hypotheses(plans, roundings(step.working, claims, shapes, brief=True))
    ways = ways_to(hypotheses, step.name)
    for size in range(1, largest + 1):
        found = [
            each
            for sought, chosen in _sets(hypotheses, step, claims, size)
            if (each := _confirmed(sought, chosen, evaluation)) is not None
        ]
        if fits and size == 1 and not any(each.plain for each in found):
            found += fitted_or_matched(evaluation)
        sure = [each for each in without_repeats(found) if _beyond_chance(each, evaluation, len(hypotheses.candidates))]
        if sure:
            return tuple(each.applied for each in sure[:MAX_CAUSES])
    if not step.by_hand:
        return ()
    changing = [number for number in range(len(plans.deviations)) if number in ways.ends]
    return tuple((plans.deviations[each],) for each in changing if _given_by_hand(step, plans.working((each,))))


@lru_cache(maxsize=64)
def _hypotheses(plans: Plans, tried: tuple[Applied, ...]) -> Hypotheses:
    return Hypotheses(plans, tried)


@lru_cache(maxsize=64)
def _telling(hypotheses: Hypotheses, name: str) -> Hypotheses:
    """Those of the hypotheses that show in a line: what changes it alone, or what such a one changes, on the way to it.

    Beside others the rest leave the line as it is: sets with them say nothing that sets without them do not.
    """
    plans, ends = hypotheses.plans, ways_to(hypotheses, name).ends
    known = len(plans.deviations)
    alone = np.isin(np.arange(known), [*ends])
    found = [plans.plan((int(each),)) or () for each in np.flatnonzero(alone)]
    last = max(
        (slot for plan in found for slot, lines in enumerate(plan) if name in {each.name for each in lines}), default=0
    )
    touched = plans.touches[alone].any(axis=0) & (np.arange(plans.touches.shape[1]) <= last)
    kept = [int(each) for each in np.flatnonzero(alone | (plans.touches & touched).any(axis=1))]
    workings = [plans.working((each,)) or plans.base for each in kept]
    fewer = Plans(plans.base, [plans.deviations[each] for each in kept], workings)
    return Hypotheses(fewer, tuple(hypotheses.candidates[each] for each in sorted(ends) if each >= known))


def _sets(
    hypotheses: Hypotheses, step: Step, claims: Sequence[Claim], size: int
) -> Iterator[tuple[Hypotheses, Chosen]]:
    """The sets of a size that give the claims, each with the hypotheses that its numbers stand for."""
    if size == 1:
        ways = ways_to(hypotheses, step.name)
        yield from ((hypotheses, (each,)) for each in ways.fitting(step.arrays, claims)[:MAX_CONFIRMED])
        return
    telling = _telling(hypotheses, step.name)
    with suppress(TooMany):
        yield from ((telling, each) for each in search(telling, step.arrays, claims, size).sets[:MAX_CONFIRMED])


def _shape(step: Step) -> tuple[int, ...] | None:
    """The shape of the line of a step; None where a rewritten working lacks it."""
    given = {each.name: step.arrays[each.name].shape for each in step.working.givens}
    return step.working.shapes(given).get(step.name)


def _given_by_hand(step: Step, working: Working | None) -> bool:
    """Whether a step with a deviation in its working, each number on the way rounded, gives the claims.

    The noise of rounding is another than that of the step as it should be.
    """
    if working is None:
        return False
    try:
        deviating = replace(step, working=working)
        if _shape(deviating) != _shape(step):
            return False
        missed = deviating.missed_by_hand()
        if sum(each.sum() for each in missed) > LEFT_BY_NOISE * sum(int(claim.claimed.sum()) for claim in step.claims):
            return False
        trace = deviating.run()
        return not (any_of(missed) and any_of(both(missed, [wrong(claim, trace) for claim in deviating.loosened()])))
    except ClearheadError:
        return False


def _confirmed(hypotheses: Hypotheses, chosen: Chosen, evaluation: Evaluation) -> Candidate | None:
    """A set as a candidate, if the step, rewritten for the whole set, gives the claims."""
    working = hypotheses.rewritten(chosen)
    values = None if working is None else evaluation.lines(working)
    if working is None or values is None or not evaluation.agrees(evaluation.parts(working, values)):
        return None
    return Candidate(in_order(evaluation.working, working, [hypotheses.candidates[each] for each in chosen]), working)


def _beyond_chance(candidate: Candidate, evaluation: Evaluation, tried: int) -> bool:
    """Whether only few of the same number of unrelated sets would give the claims."""
    base = evaluation.parts(evaluation.working, evaluation.values) or []
    digits = 0.0
    for claim, part in zip(evaluation.claims, base, strict=False):
        wrong = differing(claim, part)
        numbers = claim.values[wrong], part[wrong], claim.tolerances[wrong]
        digits += digits_of(*numbers, fitted=candidate.values > 1)
    return bool(tried ** len(candidate.applied) * candidate.values * 10.0**-digits <= WEAK)
