"""Why numbers differ: the smallest sets of deviations with which the working gives what was claimed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

import clearhead.doors as doors
from clearhead.check.compare.comparison import Comparison, claims_by_line, claims_of, compare, trace_of
from clearhead.check.compare.slips import are_slips, slips_of
from clearhead.check.judge.first_wrong import judge_with_causes
from clearhead.check.report.diagnosis import diagnosis_data, diagnosis_document, plain_text
from clearhead.check.report.summary import summary_document
from clearhead.check.results import Finding, NearMiss, Outcome
from clearhead.check.search.chance import fit_of
from clearhead.check.search.hypotheses import Chosen, Hypotheses
from clearhead.check.search.plans import plans_for, written
from clearhead.check.search.roundings import roundings
from clearhead.check.search.search import Found, TooMany, search
from clearhead.check.search.separation import Indistinguishable, predictions, same_numbers
from clearhead.check.search.table import Table
from clearhead.claim import Claim
from clearhead.deviations import Applied, deviation
from clearhead.document import Document
from clearhead.errors import ClearheadError, require
from clearhead.trace import Trace, to_numpy
from clearhead.working import Working

Arrays = dict[str, np.ndarray[Any, Any]]

MAX_FINDINGS = 40
"""Sets that fit beyond these are only counted: so many mean that too little is claimed to tell them apart."""

MAX_CONFIRMED = 200
"""Sets that the search finds beyond these are not run once more as a whole."""

MAX_NEAR = 5
"""How many near misses are told."""

MAX_PAIRS = 2
"""Up to this size every rounding is tried; in larger sets only the usual ones."""


class Report(Outcome, frozen=True, eq=False):
    """What a diagnosis found, which tells itself: as a document, as data for JSON, and as text."""

    def summary(self, *, title: str = "Diagnosis") -> Document:
        """What matters first, on one screen: verdict, cause, claimed beside expected, what to change, how sure."""
        return summary_document(self, title=title)

    def document(self, *, title: str = "Diagnosis") -> Document:
        """The report to read: render it with `clearhead.show.lower`."""
        return diagnosis_document(self, title=title)

    def data(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return diagnosis_data(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows: the report to read."""
        return doors.document_bundle(self.document())

    def __str__(self) -> str:
        return plain_text(self)


def diagnose(
    claims: Iterable[Claim],
    trace: Trace,
    *,
    max_deviations: int = 3,
    rounded: Sequence[Applied] | None = None,
) -> Report:
    """Finds the smallest sets of deviations with which the working gives the claimed numbers.

    Args:
        claims: what somebody got, for any lines, heads or cells.
        trace: how it should be computed. Its given arrays are run once more, in float64.
        max_deviations: the largest sets to try. Sets of one are tried first, then of two, and so on.
        rounded: the roundings to try; if None, those that the claims leave room for. Code has none: ``()``.

    Raises:
        ClearheadError: as `compare`; or a given array was not kept in the trace.
    """
    claims = claims_of(claims)
    trace = _in_float64(trace_of(trace))
    arrays = {name: trace.numpy(name) for name in trace.given}
    comparison = compare(claims, trace)
    if comparison.agrees:
        return Report("agrees", comparison, trace)
    return _Diagnosis(claims, trace, arrays, comparison, rounded).report(max_deviations)


def _in_float64(trace: Trace) -> Trace:
    """The same given arrays, run as NumPy arrays of float64."""
    given = {name: to_numpy(array) for name, array in trace.given.items()}
    exact = {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in given.items()}
    return trace.working.run(exact, tokens=trace.tokens)


class _Diagnosis:
    """One diagnosis in the making."""

    def __init__(
        self,
        claims: tuple[Claim, ...],
        trace: Trace,
        arrays: Arrays,
        comparison: Comparison,
        rounded: Sequence[Applied] | None,
    ) -> None:
        self.claims = claims
        self.rounded = rounded
        self.trace = trace
        self.arrays = arrays
        self.comparison = comparison
        self.working = trace.working
        self.values = {name: trace.numpy(name) for name in trace}
        self.shapes = {name: array.shape for name, array in self.values.items()}
        self.plans = plans_for(self.working, tuple((name, self.shapes[name]) for name in arrays))

    def report(self, max_deviations: int) -> Report:
        """Tries sets of growing size until some explain."""
        found, largest = Found((), 1), 0
        for size, tried in self._tries(max_deviations):
            try:
                found, largest = search(tried, self.arrays, self.claims, size), size
            except TooMany:
                break
            likely = sorted(found.sets, key=self._unlikely)
            sets = [each for each in likely[:MAX_CONFIRMED] if self._explains(tried, each)]
            if sets:
                more = max(len(likely) - MAX_CONFIRMED, 0)
                return self._explained(tried, sets, replace(found, sets=()), largest, len(sets) + more)
        return self._unexplained(found, largest)

    def _unlikely(self, chosen: tuple[int, ...]) -> int:
        """How many roundings are in a set: with these more can be fitted than with anything else."""
        return sum(each >= len(self.plans.deviations) for each in chosen)

    def _tries(self, max_deviations: int) -> Iterator[tuple[int, Hypotheses]]:
        for size in range(1, max_deviations + 1):
            if size in (1, MAX_PAIRS + 1):
                hypotheses = self._hypotheses(brief=size > MAX_PAIRS)
            yield size, hypotheses

    def _hypotheses(self, *, brief: bool) -> Hypotheses:
        tries = self.rounded
        if tries is None:
            tries = roundings(self.working, self.claims, self.shapes, values=self.values, brief=brief)
        return Hypotheses(self.plans, tries)

    def _explains(self, hypotheses: Hypotheses, chosen: tuple[int, ...]) -> bool:
        """Whether the whole working, rewritten for the whole set, gives what is claimed."""
        working = hypotheses.rewritten(chosen)
        try:
            return working is not None and compare(self.claims, self._run(working)).agrees
        except ClearheadError:
            return False

    def _run(self, working: Working) -> Trace:
        return working.run({given.name: self.arrays[given.name] for given in working.givens})

    def _explained(
        self, hypotheses: Hypotheses, sets: list[tuple[int, ...]], found: Found, largest: int, fitting: int
    ) -> Report:
        findings = tuple(self._finding(hypotheses, chosen) for chosen in sets[:MAX_FINDINGS])
        return Report(
            "explained",
            self.comparison,
            self.trace,
            findings,
            tuple(self._groups(hypotheses, findings, sets)),
            self.comparison.differing[0].claim.line,
            near_misses=tuple(self._near_misses(largest - 1)),
            tried=found.tried,
            largest=largest,
            fitting=fitting,
        )

    def _finding(self, hypotheses: Hypotheses, chosen: tuple[int, ...]) -> Finding:
        working = hypotheses.rewritten(chosen)
        assert working is not None  # noqa: S101 - it explains, so it ran
        without = {}
        for each in chosen:
            rest = hypotheses.rewritten(tuple(other for other in chosen if other != each))
            if rest is not None:
                without[written(hypotheses.candidates[each])] = self._run(rest)
        fit = fit_of(self.claims, without, len(hypotheses.candidates))
        applied = [hypotheses.candidates[each] for each in chosen]
        return Finding(tuple(map(written, applied)), working, fit, tuple(deviation(each.id).kind for each in applied))

    def _groups(
        self, hypotheses: Hypotheses, findings: Sequence[Finding], sets: list[tuple[int, ...]]
    ) -> Iterator[Indistinguishable]:
        """The findings that give the same numbers, together with those that only have more that cannot be seen."""
        seen: list[tuple[Arrays, dict[tuple[str, ...], Working]]] = []
        for finding in findings:
            numbers = predictions(self.claims, self._run(finding.working))
            group = next((group for known, group in seen if same_numbers(known, numbers)), None)
            if group is None:
                seen.append((numbers, {finding.deviations: finding.working}))
            else:
                group[finding.deviations] = finding.working
        for index, (numbers, group) in enumerate(seen):
            hidden = dict(self._hidden(hypotheses, sets[0], numbers)) if index == 0 else {}
            if len(group) + len(hidden) > 1:
                yield Indistinguishable(self.claims, group | hidden, len(group))

    def _hidden(
        self, hypotheses: Hypotheses, chosen: tuple[int, ...], numbers: Arrays
    ) -> Iterator[tuple[tuple[str, ...], Working]]:
        """Sets with one deviation more, that cannot be seen on this data."""
        ids = {hypotheses.candidates[each].id for each in chosen}
        alone = hypotheses.rewritten(chosen)
        for number, applied in enumerate(self.plans.deviations):
            if applied.id in ids or not self.plans.touches[number].any():
                continue
            together = tuple(sorted((*chosen, number)))
            working = hypotheses.rewritten(together)
            # What changes nothing beside the others, such as the eps of a norm that is left out, is not hidden by data.
            if working is not None and working != alone and self._same(working, numbers):
                yield hypotheses.texts(together), working

    def _same(self, working: Working, numbers: Arrays) -> bool:
        try:
            return same_numbers(predictions(self.claims, self._run(working)), numbers)
        except ClearheadError:
            return False

    def _unexplained(self, found: Found, largest: int) -> Report:
        judged = judge_with_causes(self.claims, self.trace, self.arrays)
        wrong = next((each.line for each in judged if not each.follows and not each.explained_by), None)
        return Report(
            "unexplained",
            self.comparison,
            self.trace,
            first_wrong_line=wrong,
            near_misses=tuple(self._near_misses(min(largest, MAX_PAIRS))),
            judged=judged,
            tried=found.tried,
            largest=largest,
        )

    def _near_misses(self, size: int) -> Iterator[NearMiss]:
        """The sets of at most this size that come nearest to all claims."""
        if size < 1:
            return
        lines = claims_by_line(self.claims, self.working)
        hypotheses = self._hypotheses(brief=True)
        try:
            table = Table(hypotheses, self.arrays, size, lines)
        except TooMany:
            return
        for chosen in _without_more(table.nearest(self.claims, 4 * MAX_NEAR))[:MAX_NEAR]:
            rewritten = hypotheses.rewritten(chosen)
            try:
                told = None if rewritten is None else compare(self.claims, self._run(rewritten))
            except ClearheadError:
                continue
            if told is not None and told.differing:
                yield _near_miss(hypotheses.texts(chosen), told)


def _without_more(sets: Sequence[Chosen]) -> list[Chosen]:
    """The sets without those that hold an earlier one and come no nearer."""
    kept: list[Chosen] = []
    for each in sets:
        if not any(set(less) < set(each) for less in kept):
            kept.append(each)
    return kept


def _near_miss(deviations: tuple[str, ...], told: Comparison) -> NearMiss:
    first = told.differing[0]
    off, claimed = (
        sum(len(each.wrong) for each in told.lines),
        sum(int(each.claim.claimed.sum()) for each in told.lines),
    )
    few = told.differing if are_slips(off, claimed) else ()
    slips = tuple(slip for each in few for slip in slips_of(each.claim, each.where_wrong, each.expected, each.first))
    return NearMiss(deviations, first.claim.line, len(first.wrong), int(first.claim.claimed.sum()), off, claimed, slips)


def assert_agrees(actual: Any, expected: Trace, line: str | None = None, *, decimals: int | None = None) -> None:
    """Makes sure, in a test, that numbers agree with a trace; if not, the message says why they do not.

    Args:
        actual: an array, or arrays by the name of their line.
        expected: a trace of how it should be.
        line: the line that a single array is of; the last of the working, if None.
        decimals: how many decimals count; None for what the arrays' type can tell.

    Raises:
        AssertionError: with the diagnosis.
        WrongType: ``expected`` is no trace, such as an array of it.
    """
    __tracebackhide__ = True
    remedy = 'Give the whole trace, and the line by its name: assert_agrees(mine, trace, "weights").'
    require(expected, Trace, "expected", remedy)
    lines = actual if isinstance(actual, Mapping) else {line or expected.working.lines[-1].name: actual}
    claims = [claim_of(name, numbers, decimals) for name, numbers in lines.items()]
    report = diagnose(claims, expected)
    if report.verdict != "agrees":
        raise AssertionError(f"\n{report}")


def claim_of(line: str, numbers: Any, decimals: int | None = None) -> Claim:
    """A claim of computed numbers, as `Claim.computed`."""
    return Claim.computed(line, numbers, decimals=decimals)
