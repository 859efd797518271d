"""Sets that give the same numbers as others on this data, and near misses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from clearhead.check.compare.comparison import Comparison, claims_by_line, compare
from clearhead.check.compare.slips import are_slips, slips_of
from clearhead.check.fit.candidate import rewritten
from clearhead.check.fit.evaluation import Evaluation
from clearhead.check.results import Finding, NearMiss
from clearhead.check.search.hypotheses import Chosen, Hypotheses
from clearhead.check.search.plans import Plans, written
from clearhead.check.search.search import TooMany
from clearhead.check.search.separation import Arrays, Indistinguishable, predictions, same_numbers
from clearhead.check.search.table import Table
from clearhead.claim import Claim
from clearhead.errors import ClearheadError
from clearhead.trace import Trace
from clearhead.working import Working

MAX_NEAR = 5
"""How many near misses are reported."""


def run(working: Working, arrays: Arrays) -> Trace:
    """A rewritten working on the arrays that it still needs."""
    return working.run({given.name: arrays[given.name] for given in working.givens})


def groups(
    findings: Sequence[Finding], claims: tuple[Claim, ...], arrays: Arrays, plans: Plans
) -> Iterator[Indistinguishable]:
    """The findings that give the same numbers, and those that only have further invisible deviations."""
    seen: list[tuple[Arrays, dict[tuple[str, ...], Working]]] = []
    for finding in findings:
        numbers = predictions(claims, run(finding.working, arrays))
        group = next((group for known, group in seen if same_numbers(known, numbers)), None)
        if group is None:
            seen.append((numbers, {finding.deviations: finding.working}))
        else:
            group[finding.deviations] = finding.working
    for index, (numbers, group) in enumerate(seen):
        hidden = dict(_hidden(findings[0], claims, arrays, plans, numbers)) if index == 0 else {}
        if len(group) + len(hidden) > 1:
            yield Indistinguishable(claims, group | hidden, len(group))


def _hidden(
    finding: Finding, claims: tuple[Claim, ...], arrays: Arrays, plans: Plans, numbers: Arrays
) -> Iterator[tuple[tuple[str, ...], Working]]:
    """Sets with one more deviation, which is invisible on this data."""
    trace = run(finding.working, arrays)
    evaluation = Evaluation(claims, finding.working, {**arrays, **{name: trace.numpy(name) for name in trace}})
    for number, applied in enumerate(plans.deviations):
        if applied.id in finding.ids or not plans.touches[number].any():
            continue
        working = rewritten(finding.working, (applied,)) or rewritten(plans.base, (applied, *finding.applied))
        # A deviation without effect next to others, such as the eps of a norm that is left out, is not hidden by data.
        if working is None or working == finding.working:
            continue
        values = evaluation.lines(working)
        if values is not None and all(name in working.names for name in numbers):
            lines = {name: np.asarray(values[name]) for name in numbers}
            if same_numbers(lines, numbers):
                yield (*finding.deviations, written(applied)), working


def near_misses(hypotheses: Hypotheses, arrays: Arrays, claims: tuple[Claim, ...], size: int) -> Iterator[NearMiss]:
    """The sets of at most this size that come nearest to all claims."""
    if size < 1:
        return
    try:
        table = Table(hypotheses, arrays, size, claims_by_line(claims, hypotheses.working))
    except TooMany:
        return
    for chosen in _without_more(table.nearest(claims, 4 * MAX_NEAR))[:MAX_NEAR]:
        working = hypotheses.rewritten(chosen)
        try:
            found = None if working is None else compare(claims, run(working, arrays))
        except ClearheadError:
            continue
        if found is not None and found.differing:
            yield _near_miss(hypotheses.texts(chosen), found)


def _without_more(sets: Sequence[Chosen]) -> list[Chosen]:
    """The sets without those that contain an earlier one and are no nearer."""
    kept: list[Chosen] = []
    for each in sets:
        if not any(set(less) < set(each) for less in kept):
            kept.append(each)
    return kept


def _near_miss(deviations: tuple[str, ...], found: Comparison) -> NearMiss:
    first = found.differing[0]
    off, claimed = (
        sum(len(each.wrong) for each in found.lines),
        sum(int(each.claim.claimed.sum()) for each in found.lines),
    )
    few = found.differing if are_slips(off, claimed) else ()
    slips = tuple(slip for each in few for slip in slips_of(each.claim, each.where_wrong, each.expected, each.first))
    return NearMiss(deviations, first.claim.line, len(first.wrong), int(first.claim.claimed.sum()), off, claimed, slips)
