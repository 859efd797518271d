"""Why a function's numbers differ: an explanation found on one input and confirmed on all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from clearhead.check.calls.calling import Symptom
from clearhead.check.calls.observing import Seen
from clearhead.check.calls.task import Task
from clearhead.check.compare.comparison import compare
from clearhead.check.diagnosis import Report, diagnose
from clearhead.check.fit.candidate import READABLE
from clearhead.check.measure.naming import Named
from clearhead.check.results import Finding, NearMiss
from clearhead.check.search.chance import Evidence, Fit
from clearhead.check.search.separation import Indistinguishable
from clearhead.claim import significant_of
from clearhead.deviations import deviation
from clearhead.errors import ClearheadError
from clearhead.working import Working

MAX_DEVIATIONS = 3
"""The largest sets of deviations that are tried."""

LONG, MAX_LONG = 24, 2
"""For workings with more lines than this only smaller sets are tried."""


def explain(
    task: Task, seen: Sequence[Seen], *, max_deviations: int = MAX_DEVIATIONS, rough: bool = True
) -> tuple[Report, tuple[Symptom, ...]]:
    """The report on all inputs together, from sets of up to ``max_deviations``; and how precise the numbers are.

    ``rough``: whether a deviation may give the numbers in single precision only. It may not where the arithmetic was
    measured to be in double precision.
    """
    seen = [each for each in seen if each.outputs]
    if agree(task, seen):
        return _diagnosed(task, seen[0], 1), ()
    if all(agrees_with(task.working, task, each, single=True) for each in seen):
        # Something differs by less than single precision can show: a small eps, or a step in single precision. A number
        # that nobody writes is the expected one, rounded: 0.3 as float32 keeps it.
        report = _fitting(task, seen, 1)
        if any(_is_readable(finding) for finding in report.findings):
            return report, ()
        return _diagnosed(task, seen[0], 1, single=True), (SINGLE,)
    report = _fitting(task, seen, 1)
    if report.verdict == "explained":
        return report, ()
    if rough and any(out.dtype == np.float64 for out in seen[0].outputs):
        loose = _fitting(task, seen, 1, single=True)
        # A fitted number that nobody writes may be what is right to some digits only, not the arithmetic.
        if loose.verdict == "explained" and any(_is_readable(finding) for finding in loose.findings):
            return loose, (SINGLE,)
    largest = min(max_deviations, MAX_LONG) if len(task.working.lines) > LONG else max_deviations
    return (_fitting(task, seen, largest) if largest > 1 else report), ()


def _is_readable(finding: Finding) -> bool:
    """Whether people would write the parameters of a finding's deviations."""
    numbers = (value for each in finding.applied for _, value in each.parameters if isinstance(value, float))
    return all(significant_of(repr(value)) <= READABLE for value in numbers)


def agree(task: Task, seen: Sequence[Seen]) -> bool:
    """Whether the working gives the function's numbers, on every input for which there are any."""
    full = [each for each in seen if each.outputs]
    return bool(full) and all(agrees_with(task.working, task, each) for each in full)


SINGLE = Symptom(
    "precision",
    "With float64 the numbers are right to some six digits only, as if a step inside were computed in float32.",
    "If float64 is meant to count, look for .float(), dtype=float32, or a softmax that converts.",
)
"""That a report holds in single precision only."""


def _diagnosed(task: Task, seen: Seen, max_deviations: int, *, single: bool = False) -> Report:
    claims = seen.claims(single=single)
    rounded = None if max_deviations == 1 and not single else ()
    return diagnose(claims, task.working.run(seen.inputs.given(task)), max_deviations=max_deviations, rounded=rounded)


def agrees_with(working: Working, task: Task, seen: Seen, *, single: bool = False) -> bool:
    """Whether a working gives the function's numbers."""
    if not seen.outputs:
        return False
    given = seen.inputs.given(task)
    try:
        trace = working.run({each.name: given[each.name] for each in working.givens})
        return compare(seen.claims(single=single), trace).agrees
    except ClearheadError:
        return False


def _fitting(task: Task, seen: Sequence[Seen], max_deviations: int, *, single: bool = False) -> Report:
    """A report whose findings, found on the first input that differs, hold on every input."""
    first = next(each for each in seen if each.outputs and not agrees_with(task.working, task, each, single=single))
    report = _diagnosed(task, first, max_deviations, single=single)
    if report.verdict != "explained":
        return report
    rest = [each for each in seen if each is not first]
    holding = {
        finding.deviations: finding
        for finding in report.findings
        if all(agrees_with(finding.working, task, each, single=single) for each in rest)
    }
    if not holding:
        return unconfirmed(report)
    groups = [_restricted(task, group, rest, single=single) for group in report.indistinguishable]
    return replace(
        report,
        findings=tuple(holding.values()),
        indistinguishable=tuple(each for each in groups if each is not None),
        fitting=len(holding),
    )


def reported(report: Report, named: Sequence[Named]) -> Report:
    """The report with sets of deviations that give the function's numbers at every size, all alike."""
    findings = tuple(
        Finding(
            tuple(map(str, each.deviations)),
            each.working,
            Fit(tuple(Evidence(str(applied), "", 0, 0.0) for applied in each.deviations), 0.0),
            tuple(deviation(applied.id).kind for applied in each.deviations),
            each.deviations,
        )
        for each in named
    )
    claims = tuple(line.claim for line in report.comparison.lines)
    workings = {each.deviations: each.working for each in findings}
    alike = (Indistinguishable(claims, workings, len(findings)),) if len(findings) > 1 else ()
    return replace(report, verdict="explained", findings=findings, indistinguishable=alike, fitting=len(findings))


def unconfirmed(report: Report) -> Report:
    """The report of an explanation that fails on other inputs: no explanation."""
    line = report.comparison.lines[0].claim.line
    cells = int(report.comparison.lines[0].claim.claimed.sum())
    misses = tuple(NearMiss(each.deviations, line, cells, cells, cells, cells) for each in report.findings[:3])
    return replace(report, verdict="unexplained", findings=(), indistinguishable=(), near_misses=misses, fitting=0)


def _restricted(
    task: Task, group: Indistinguishable, rest: Sequence[Seen], *, single: bool
) -> Indistinguishable | None:
    """The members of a group that other inputs do not separate either."""
    held = {
        chosen: working
        for chosen, working in group.workings.items()
        if all(agrees_with(working, task, each, single=single) for each in rest)
    }
    smallest = sum(chosen in held for chosen in group.sets[: group.smallest])
    return Indistinguishable(group.claims, held, smallest) if len(held) > 1 and smallest else None
