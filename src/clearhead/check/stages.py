"""One diagnosis, stage by stage: the simplest explanations first; the first stage that explains the claims ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from clearhead.backward import GRAD
from clearhead.check.alike import groups, near_misses, run
from clearhead.check.compare.comparison import Comparison, compare, expected_of
from clearhead.check.fit.candidate import (
    Candidate,
    fitted_or_matched,
    fitted_or_matched_pairs,
    in_order,
    rewritten,
    rounded_by_hand,
    without_repeats,
    without_restated,
)
from clearhead.check.fit.evaluation import Evaluation
from clearhead.check.fit.factors import is_factor, one_factor
from clearhead.check.fit.within import within_givens
from clearhead.check.judge.first_wrong import Judged, judge, judgement
from clearhead.check.precision.arithmetic import (
    CODE,
    FLOAT32,
    TYPES,
    Precision,
    arithmetic,
    loosened,
    measured,
    noise_of,
    of_givens,
    printed_by_code,
    suggested,
)
from clearhead.check.precision.inputs import of_rounded_inputs
from clearhead.check.results import Finding, NearMiss, Outcome
from clearhead.check.search.chance import fit_of
from clearhead.check.search.hypotheses import Hypotheses
from clearhead.check.search.plans import Plans, plans_for, written
from clearhead.check.search.roundings import roundings
from clearhead.check.search.search import TooMany, search
from clearhead.check.search.separation import Arrays
from clearhead.claim import Claim
from clearhead.deviations import Applied, deviation
from clearhead.errors import ClearheadError
from clearhead.trace import Trace
from clearhead.working import Working

MAX_FINDINGS = 40
"""Further sets that fit are only counted: too little is claimed to separate them."""

MAX_CONFIRMED = 200
"""Further sets of the search are not run again as a whole."""

MAX_PAIRS = 2
"""Up to this size every rounding is tried; in larger sets only the usual ones."""

FEW = 10.0
"""A fitted value is named only if at most about this many others would fit by chance; the report says how many."""

TRUNCATED = ("truncate", "shown-truncated")
"""The deviations that cut digits off."""

MIN_DEGENERATE = 4
"""Fewer equal numbers than these may be right numbers that are equal."""


class Stages:
    """One diagnosis in progress.

    Attributes:
        claims: the claims, with the slack of arithmetic in their type.
        trace: the working as it is.
        arrays: its given arrays.
        comparison: the claims compared with the trace, digit for digit.
    """

    def __init__(
        self,
        claims: tuple[Claim, ...],
        trace: Trace,
        arrays: Arrays,
        comparison: Comparison,
        rounded: Sequence[Applied] | None,
    ) -> None:
        self.claims = claims
        self.trace = trace
        self.arrays = arrays
        self.comparison = comparison
        self.working = trace.working
        self.code = printed_by_code(claims)
        self.rounded = rounded
        self.values = {name: trace.numpy(name) for name in trace}
        self.shapes = {name: array.shape for name, array in self.values.items()}
        self.plans: Plans = plans_for(self.working, tuple((name, self.shapes[name]) for name in arrays))
        self.tried, self.largest, self.exhausted = 1, 0, False
        self.judged: tuple[Judged, ...] = ()

    def outcome(self, max_deviations: int) -> Outcome:
        """The findings of the first stage that explains the claims."""
        stages: tuple[Callable[[int], Outcome | None], ...] = (
            self._degenerate, self._like_suggested, self._alone, self._in_single, self._givens, self._rounded_inputs,
            self._like_others, self._one_within_givens, self._written_steps, self._together, self._line_by_line,
        )  # fmt: skip
        for stage in stages:
            found = stage(max_deviations)
            if found is not None:
                return found
        return self._unexplained()

    # --- precision -----------------------------------------------------------------------------------------------

    def _degenerate(self, _: int) -> Outcome | None:
        """Numbers that are all the same show nothing about a cause."""
        differing = [each.claim for each in self.comparison.differing]
        numbers = np.concatenate([claim.values[self._reached(claim)].reshape(-1) for claim in differing])
        equal = len(numbers) >= MIN_DEGENERATE and (numbers == numbers[0]).all()
        if not (equal or (numbers.size and np.isnan(numbers).all())):
            return None
        what = "NaN" if np.isnan(numbers[0]) else f"{numbers[0]:g}"
        lines = ", ".join(dict.fromkeys(claim.line for claim in differing))
        zeros = len(numbers) < sum(int(claim.claimed.sum()) for claim in differing)
        beside = ", but for zeros where no gradient comes," if zeros else ""
        symptom = f"All numbers claimed for {lines}{beside} are {what}, which is a symptom: many causes give it."
        return replace(self._outcome("unexplained"), symptom=symptom, first_wrong_line=differing[0].line)

    def _reached(self, claim: Claim) -> np.ndarray[Any, Any]:
        """The claimed cells, without those of a gradient that are 0, as they should be: nothing comes there."""
        if GRAD not in claim.line:
            return claim.claimed
        expected = expected_of(claim, self.trace)[1]
        return np.asarray(claim.claimed & ~((claim.values == 0) & (expected == 0)))

    def _like_suggested(self, _: int) -> Outcome | None:
        found = arithmetic(self.claims, self.trace, self.arrays, undeclared=False)
        if found is None:
            # From here on claims are compared at the precision of their type.
            declared = {claim.dtype for claim in self.claims} - {None}
            for kind in TYPES:
                if kind.name in declared or (kind is FLOAT32 and suggested(kind, self.claims, CODE)):
                    self.claims = loosened(self.claims, self.working, noise_of(kind, self.working, self.arrays), kind)
        return self._right(found)

    def _like_others(self, _: int) -> Outcome | None:
        return self._right(arithmetic(self.claims, self.trace, self.arrays, undeclared=True))

    def _givens(self, _: int) -> Outcome | None:
        return self._right(of_givens(self.claims, self.trace, self.arrays))

    def _rounded_inputs(self, max_deviations: int) -> Outcome | None:
        found = of_rounded_inputs(self.claims, self.trace, self.arrays) if max_deviations else None
        return None if found is None else replace(self._outcome("explained"), precision=found)

    def _one_within_givens(self, max_deviations: int) -> Outcome | None:
        """One deviation of the table, where the given arrays look rounded: right within what their digits allow."""
        if max_deviations < 1 or self.code:
            return None
        found = list(within_givens(self._evaluation(), self.plans.deviations, self.arrays))
        if not found:
            return None
        loose = Stages(found[0].claims, self.trace, self.arrays, self.comparison, ())
        outcome = loose._convincing([each.candidate for each in found])
        return outcome and replace(outcome, precision=found[0].precision, tried=self.tried, largest=1)

    def _right(self, precision: Precision | None) -> Outcome | None:
        if precision is None:
            return None
        verdict = "explained" if precision.overflowed else "agrees"
        return replace(self._outcome(verdict), precision=precision)

    def _written_steps(self, _: int) -> Outcome | None:
        """Every line follows from those before it as they were written: rounded at each step."""
        if self.rounded is not None or self.code:
            return None
        judged = judge(self.claims, self.trace, self.arrays, by_hand=True)
        if not all(each.follows for each in judged):
            return None
        precision = measured(self.claims, self.trace, {}, "steps")
        if not precision.digits:
            return None
        return replace(self._outcome("explained"), precision=precision, judged=judged)

    # --- causes --------------------------------------------------------------------------------------------------

    def _alone(self, max_deviations: int) -> Outcome | None:
        """One deviation: of the table, with a fitted parameter, or rounding of every line."""
        if max_deviations < 1:
            return None
        hypotheses = self._hypotheses(brief=False)
        candidates = self._searched(hypotheses, 1)
        evaluation = self._evaluation()
        if not any(each.plain for each in candidates):
            fits = without_restated(fitted_or_matched(evaluation), candidates, evaluation)
            candidates += [
                each for each in fits if self._finding(each, len(hypotheses.candidates)).fit.by_chance <= FEW
            ]
        if self.rounded is None:
            candidates += rounded_by_hand(evaluation)
        found = self._explained(candidates, len(hypotheses.candidates))
        if found is not None and found.findings[0].ids[0] in TRUNCATED and not found.convincing:
            # Where the numbers do not decide, rounding at each step is likelier than cutting digits off.
            return self._written_steps(max_deviations) or found
        return found

    def _in_single(self, max_deviations: int) -> Outcome | None:
        """The same in single precision, where numbers overflow that do not in double."""
        odd = [
            (claim.claimed & ~np.isfinite(claim.values) & np.isfinite(expected_of(claim, self.trace)[1])).any()
            for claim in self.claims
        ]
        if not any(odd) or self.trace[self.working.lines[-1].name].dtype == np.float32:
            return None
        arrays = {name: a.astype(np.float32) if a.dtype.kind == "f" else a for name, a in self.arrays.items()}
        claims = loosened(self.claims, self.working, noise_of(FLOAT32, self.working, self.arrays))
        single = Stages(
            claims,
            self.working.run(arrays, tokens=self.trace.tokens, key_tokens=self.trace.key_tokens),
            arrays,
            self.comparison,
            (),
        )
        return single._alone(max_deviations)

    def _together(self, max_deviations: int) -> Outcome | None:
        """Several deviations: one with rounding of every line, then sets of two and of three."""
        evaluation = self._evaluation()
        if self.rounded is None and not self.code and max_deviations > 1:
            alone = [Candidate((each,), each.rewrite(self.working)) for each in self.plans.deviations]
            found = self._convincing(rounded_by_hand(evaluation, alone))
            if found is not None:
                return found
        for size in range(2, max_deviations + 1):
            if size > MAX_PAIRS and (self.exhausted or self._nearly()):
                return None
            hypotheses = self._hypotheses(brief=size > MAX_PAIRS)
            found = self._explained(self._searched(hypotheses, size), len(hypotheses.candidates))
            if found is None and self.exhausted and self.working.backward_of is not None:
                found = self._with_backward()
            if found is None and size == MAX_PAIRS and not self.exhausted:
                found = self._convincing(fitted_or_matched_pairs(evaluation, self.plans.deviations))
            if found is not None:
                return found
        return None

    def _with_backward(self) -> Outcome | None:
        """Pairs with a deviation of the backward pass, where all pairs are too many to try."""
        tried, largest = self.tried, self.largest
        hypotheses = Hypotheses(self.plans, (), across=True)
        found = self._explained(self._searched(hypotheses, MAX_PAIRS), len(hypotheses.candidates))
        self.exhausted = True
        if found is None:
            backward = [each for each in self.plans.deviations if deviation(each.id).of == "backward"]
            found = self._convincing(fitted_or_matched_pairs(self._evaluation(), backward))
        if found is None:
            self.tried, self.largest = tried, largest
        return found

    def _convincing(self, candidates: Sequence[Candidate]) -> Outcome | None:
        """Findings together with one of the table's deviations, if chance would hardly fit as well."""
        found = self._explained(candidates, len(self.plans.deviations))
        return found if found is not None and all(each.fit.convincing for each in found.findings) else None

    def _nearly(self) -> bool:
        """Whether all but a few cells, slips of the pen, are explained by less."""
        misses = near_misses(self._hypotheses(brief=True), self.arrays, self.claims, 1)
        return any(each.slips for each in misses)

    def _hypotheses(self, *, brief: bool) -> Hypotheses:
        tries = self.rounded
        if tries is None:
            tries = roundings(self.working, self.claims, self.shapes, values=self.values, brief=brief or self.code)
        return Hypotheses(self.plans, tries, rare=not brief)

    def _evaluation(self) -> Evaluation:
        return Evaluation(self.claims, self.working, self.values)

    def _searched(self, hypotheses: Hypotheses, size: int) -> list[Candidate]:
        """The sets of this size that the search finds, run once more as a whole."""
        try:
            found = search(hypotheses, self.arrays, self.claims, size)
        except TooMany:
            self.exhausted = True
            return []
        self.exhausted = not found.larger
        self.tried, self.largest = found.tried, size
        likely = sorted(found.sets, key=lambda chosen: sum(each >= len(hypotheses.plans.deviations) for each in chosen))
        candidates = []
        for chosen in likely[:MAX_CONFIRMED]:
            working = hypotheses.rewritten(chosen)
            if working is not None and self._explains(working):
                applied = tuple(hypotheses.candidates[each] for each in chosen)
                candidates.append(Candidate(in_order(self.working, working, applied), working))
        return candidates

    def _explains(self, working: Working) -> bool:
        """Whether the whole working, rewritten, gives the claims."""
        try:
            return compare(self.claims, run(working, self.arrays)).agrees
        except ClearheadError:
            return False

    def _explained(self, candidates: Sequence[Candidate], tried: int) -> Outcome | None:
        if not candidates:
            return None
        kept = without_repeats(candidates)
        findings = tuple(self._finding(each, tried) for each in kept[:MAX_FINDINGS])
        size = len(findings[0].deviations)
        return replace(
            self._outcome("explained"),
            findings=findings,
            indistinguishable=tuple(groups(findings, self.claims, self.arrays, self.plans)),
            first_wrong_line=self.comparison.differing[0].claim.line,
            near_misses=tuple(self._near(size - 1)) if size > 1 else (),
            largest=max(self.largest, size),
            fitting=len(kept),
        )

    def _finding(self, candidate: Candidate, tried: int) -> Finding:
        without = {}
        for each in candidate.applied:
            rest = [other for other in candidate.applied if other != each]
            working = rewritten(self.working, rest)
            if working is not None:
                without[written(each)] = run(working, self.arrays)
        values = max(candidate.values, 1.0)
        one = (
            values > 1
            and one_factor(self.claims, self.trace)
            and not is_factor(self.claims, candidate.working, self.trace)
        )
        fit = fit_of(self.claims, without, int(tried * values), fitted=values > 1, one=one)
        return Finding(
            candidate.texts, candidate.working, fit, candidate.kinds, candidate.applied, dict(candidate.readings)
        )

    # --- what is left --------------------------------------------------------------------------------------------

    def _line_by_line(self, _: int) -> Outcome | None:
        """A separate cause for each line that does not follow from those before it, with rounding by hand if needed."""
        self.judged = judgement(self.claims, self.trace, self.arrays).with_causes()
        found = self._causes_of(self.judged)
        if found is None and self.rounded is None and not self.code:
            judged = judgement(self.claims, self.trace, self.arrays, by_hand=True).with_causes(every=True)
            found = self._causes_of(judged)
            return found and replace(found, precision=measured(self.claims, self.trace, {}, "steps"))
        return found

    def _causes_of(self, judged: tuple[Judged, ...]) -> Outcome | None:
        wrong = [each for each in judged if not each.follows]
        if not wrong or not all(each.causes for each in wrong):
            return None
        applied = tuple(dict.fromkeys(cause for each in wrong for cause in each.causes[0]))
        working = rewritten(self.working, applied)
        if working is None:
            return None
        return replace(self._explained([Candidate(applied, working)], 1) or self._outcome("explained"), judged=judged)

    def _unexplained(self) -> Outcome:
        wrong = next((each.line for each in self.judged if not each.follows and not each.explained_by), None)
        return replace(
            self._outcome("unexplained"),
            first_wrong_line=wrong,
            near_misses=tuple(self._near(min(self.largest, MAX_PAIRS))),
            judged=self.judged,
        )

    def _near(self, size: int) -> Iterator[NearMiss]:
        return near_misses(self._hypotheses(brief=True), self.arrays, self.claims, size)

    def _outcome(self, verdict: Any) -> Outcome:
        return Outcome(verdict, self.comparison, self.trace, tried=self.tried, largest=self.largest)
