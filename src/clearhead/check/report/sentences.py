"""Sentences of long and short reports: the verdict, each cause with its remedy, what follows and what does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from clearhead.check.compare.comparison import Compared
from clearhead.check.report.comparison import until_they_differ
from clearhead.check.results import Finding, NearMiss, Outcome
from clearhead.deviations import Deviation, deviation, parse_deviation
from clearhead.document import Heading, Part, Prose, Remark
from clearhead.expr import number

DECIMALS = 3

KINDS = {"mistake": "a mistake", "convention": "a convention that others follow", "rounding": "rounding"}


def decimals_of(report: Outcome) -> int:
    """The decimals of a report: those of the claims that differ, from 3 to 8."""
    precise = max((each.claim.precision or 0 for each in report.comparison.differing), default=0)
    return max(DECIMALS, min(precise, 8))


def verdict_of(report: Outcome) -> Iterator[Part]:
    """The verdict, with the cause in a sentence, and a warning where it may be chance."""
    count = len(report.comparison.lines)
    if not count:
        yield Remark("Nothing is claimed, so there is nothing to explain.", "note")
    elif report.precision is not None and not report.findings:
        yield Remark(str(report.precision), "note" if report.precision.overflowed else "good")
    elif report.verdict == "agrees":
        yield Remark("The numbers agree with the working, at the precision they were written in.", "good")
    elif report.verdict == "unexplained":
        yield Remark(_unexplained_verdict(report), "warning")
    else:
        mistaken = all("mistake" in each.kinds for each in different(report))
        yield Remark(_explained_verdict(report), "warning" if mistaken and report.convincing else "note")
        if not report.convincing:
            yield Remark(_doubt(report), "warning")


def _explained_verdict(report: Outcome) -> str:
    distinct = different(report)
    finding = distinct[0]
    by_hand = set(finding.kinds) == {"rounding"}
    if len(distinct) > 1 and not by_hand:
        return f"{report.fitting} sets of deviations of the smallest size would explain the numbers."
    lines = "the one claim" if len(report.comparison.lines) == 1 else f"all {len(report.comparison.lines)} claims"
    kind = _NOT_WRONG.get(frozenset(finding.kinds), "")
    if report.line_by_line:
        rounded = ", if every step is rounded" if report.precision is not None else ""
        return (
            f"The numbers are explained line by line{kind}: with {' and '.join(finding.deviations)} each line follows "
            f"from the lines claimed before it{rounded}."
        )
    digits = "" if report.precision is None else ", within what the digits of the given arrays allow"
    return (
        f"The numbers are explained{kind}: with {' and '.join(finding.deviations)} the working gives {lines}{digits}."
    )


_NOT_WRONG = {
    frozenset({"convention"}): ", and not wrong, but by another convention",
    frozenset({"rounding"}): ", by rounding alone",
    frozenset({"convention", "rounding"}): ", and not wrong, by another convention and rounding",
}
"""The first words on explanations without a mistake."""


def _doubt(report: Outcome) -> str:
    if all(set(each.kinds) == {"rounding"} for each in different(report)):
        return "It may have been rounded in another way: too little is claimed to say which."
    worst = max(each.fit.by_chance for each in report.findings)
    many = f"about {worst:,.0f}" if worst >= 1 else f"perhaps one ({number(worst, 2)} by estimate)"
    return (
        f"This may be chance: so little is claimed that of the deviations that have nothing to do with it {many} would "
        f"fit as well. Claim more lines, more cells or more digits to be sure."
    )


def _unexplained_verdict(report: Outcome) -> str:
    slip = slipped(report)
    if slip is not None:
        agree = f"all but {slip.off} of the {slip.claimed} claimed cells agree with {named(slip.deviations)}"
        return f"The numbers are not explained as a whole, but nearly: {agree}."
    sets = f"none of the {report.tried:,} sets of up to {report.largest} known deviations gives them"
    if report.symptom:
        return f"The numbers are not explained. {report.symptom}"
    if report.first_wrong_line is None:
        return f"The numbers are not explained: {sets}."
    where = report.first_wrong_line
    return f"The numbers are not explained: {sets}. The first line that does not follow from those before is {where}."


def slipped(report: Outcome) -> NearMiss | None:
    """The near miss that misses only possible slips of the pen."""
    return next((each for each in report.near_misses if each.slips), None)


def named(deviations: Sequence[str]) -> str:
    """A set of deviations as text."""
    return " and ".join(deviations) or "the working as it is"


def different(report: Outcome) -> list[Finding]:
    """The findings without those that give the same numbers as an earlier one."""
    same = {each for group in report.indistinguishable for each in group.sets[1 : group.smallest]}
    return [finding for finding in report.findings if finding.deviations not in same]


def causes_of(finding: Finding, evidence: Callable[[str, str], Iterable[Part]]) -> Iterator[Part]:
    """Each deviation of a finding: what it does, its evidence, and the remedy.

    Args:
        finding: what explains the claims.
        evidence: the parts between, from the text of a deviation and the line that it is seen in ("" if in none).
    """
    for written, kind, seen in zip(finding.deviations, finding.kinds, finding.fit.evidence, strict=True):
        about = deviation(written.partition(":")[0])
        yield Heading(written, aside=f"({KINDS[kind]})")
        yield Prose(does(written))
        yield from evidence(written, seen.line or "")
        yield Prose(remedy_of(about))


def does(written: str) -> str:
    """What a deviation does, from its text; a number below 1 by which it divides is said as a factor."""
    applied = parse_deviation(written)
    about, values = deviation(applied.id), dict(applied.parameters)
    said = [
        f"Here {each.divides} are {'doubled' if value == 0.5 else f'multiplied by {1 / value:.6g}'}: "
        f"they are divided by {value:g}."
        for each in about.parameters
        if each.divides and 0 < (value := float(values[each.name])) < 1
    ]
    own = (dict(each.says).get(str(values[each.name])) for each in about.parameters)
    return " ".join([next(filter(None, own), about.does), *said])


def remedy_of(about: Deviation) -> str:
    """How to fix it, in a sentence; for a convention, how to follow the working."""
    if about.kind == "convention":
        return f"Others do this on purpose; your spec does not. To follow the spec: {about.remedy}"
    return f"To fix it: {about.remedy}"


def cells_beside(one: Compared, other: Compared) -> str:
    """The first differing cell that is explained: claimed, in the working, and in the explanation, if it is one."""
    explains = [cell for cell in one.wrong if cell not in set(other.wrong)]
    cell = next(iter((*explains, *one.wrong)), tuple(int(i) for i in np.argwhere(one.claim.claimed)[0]))
    claimed, expected = until_they_differ(float(one.claimed[cell]), float(one.expected[cell]), one.claim.precision)
    explained = number(float(other.expected[cell]), None if one.claim.precision is None else one.claim.precision + 2)
    labels = one.claim.cell or tuple(index + one.first for index in cell)
    where = f"{one.claim.line}[{','.join(map(str, labels))}]" if labels else one.claim.line
    beside = f", and with the deviation {explained}" if cell not in other.wrong else ""
    return f"{where} is claimed to be {claimed}; the working gives {expected}{beside}."


def following(report: Outcome) -> Iterator[Part]:
    """The claimed lines that follow from those before them, where others do not."""
    follow = [each.line for each in report.judged if each.follows]
    if 0 < len(follow) < len(report.judged):
        yield Prose(f"These follow from the lines before them: {', '.join(follow)}.")


def explained_alone(report: Outcome) -> Iterator[Part]:
    """A sentence on each line that deviations explain by itself."""
    for judged in report.judged:
        if judged.explained_by:
            yield Prose(f"{judged.line} by itself would follow with {named(judged.explained_by[0])}.")


def missed(miss: NearMiss) -> str:
    """A near miss as text: its deviations, and how many cells it leaves unexplained."""
    return f"{named(miss.deviations)}, which misses {miss.off} of {miss.claimed} cells, first in {miss.line}"


def first_wrong(report: Outcome) -> list[Compared]:
    """The first claim that differs on the first wrong line."""
    judged = [each for each in report.judged if each.line == report.first_wrong_line]
    claims = [claim for each in judged for claim in each.claims]
    return [each for each in report.comparison.differing if each.claim in claims][:1]
