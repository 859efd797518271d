"""A diagnosis as a document to read, and as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import to_builtins

from clearhead.axes import Cell
from clearhead.check.compare.comparison import Compared, compare
from clearhead.check.report.comparison import precision_of, until_they_differ
from clearhead.check.results import Finding, NearMiss, Outcome
from clearhead.check.search.separation import Indistinguishable, Separation
from clearhead.deviations import Deviation, deviation, parse_deviation
from clearhead.document import Arithmetic, Document, Equation, Heading, Matrix, Panels, Part, Prose, Remark
from clearhead.expr import number, text
from clearhead.line import equation
from clearhead.working import Working

DECIMALS = 3
MAX_SHOWN = 3
"""Explanations beyond these are only named."""

MAX_PREDICTED = 3
"""Of more sets that data tells apart the numbers are left to `Report.separate`."""

MAX_NAMED = 8
"""Sets beyond these are only counted."""

MAX_INLINE = 24
"""Matrices of more numbers are not told on a line."""

KINDS = {"mistake": "a mistake", "convention": "a convention that others follow", "rounding": "rounding"}


def diagnosis_document(report: Outcome, *, title: str) -> Document:
    """What a diagnosis found: the verdict, each deviation with its evidence and remedy, what cannot be told apart."""
    precise = max((each.claim.precision or 0 for each in report.comparison.differing), default=0)
    parts = [*_told(report), *_apart(report)]
    return Document(title, parts, max(DECIMALS, min(precise, 8)))


def _told(report: Outcome) -> Iterator[Part]:
    """All but the data that would tell apart."""
    yield from verdict_of(report)
    for finding in different(report)[:MAX_SHOWN]:
        yield from _finding(report, finding)
    for group in report.indistinguishable:
        yield from _alike(group)
    if report.verdict == "unexplained":
        yield from _unexplained(report)
    if report.verdict != "agrees":
        yield Prose(_ruled_out(report))


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
        yield Remark(_explained_verdict(report), "good" if report.convincing else "note")
        if not report.convincing:
            yield Remark(_doubt(report), "warning")


def _explained_verdict(report: Outcome) -> str:
    distinct = different(report)
    if len(distinct) > 1:
        return f"{report.fitting} sets of deviations of the smallest size would explain the numbers."
    finding = distinct[0]
    lines = "the one claim" if len(report.comparison.lines) == 1 else f"all {len(report.comparison.lines)} claims"
    told = _KINDS_TOLD.get(frozenset(finding.kinds), "")
    return f"The numbers are explained{told}: with {' and '.join(finding.deviations)} the working gives {lines}."


_KINDS_TOLD = {
    frozenset({"convention"}): ", and not wrong, but by another convention",
    frozenset({"rounding"}): ", by rounding alone",
    frozenset({"convention", "rounding"}): ", and not wrong, by another convention and rounding",
}
"""What is said first of explanations without a mistake."""


def _doubt(report: Outcome) -> str:
    worst = max(each.fit.by_chance for each in report.findings)
    many = f"about {worst:,.0f}" if worst >= 1 else f"perhaps one ({number(worst, 2)} by estimate)"
    return (
        f"This may be chance: so little is claimed that of the deviations that have nothing to do with it {many} would "
        f"fit as well. Claim more lines, more cells or more digits to be sure."
    )


def _unexplained_verdict(report: Outcome) -> str:
    slip = slipped(report)
    if slip is not None:
        agree = f"all but {slip.off} of the {slip.claimed} claimed cells agree with {_named(slip.deviations)}"
        return f"The numbers are not explained as a whole, but nearly: {agree}."
    sets = f"none of the {report.tried:,} sets of up to {report.largest} known deviations gives them"
    if report.symptom:
        return f"The numbers are not explained. {report.symptom}"
    if report.first_wrong_line is None:
        return f"The numbers are not explained: {sets}."
    where = report.first_wrong_line
    return f"The numbers are not explained: {sets}. The first line that does not follow from those before is {where}."


def slipped(report: Outcome) -> NearMiss | None:
    """The near miss that misses only what may be slips of the pen."""
    return next((each for each in report.near_misses if each.slips), None)


def _named(deviations: Sequence[str]) -> str:
    return " and ".join(deviations) or "the working as it is"


def different(report: Outcome) -> list[Finding]:
    """The findings without those that give the same numbers as an earlier one."""
    same = {each for group in report.indistinguishable for each in group.sets[1 : group.smallest]}
    return [finding for finding in report.findings if finding.deviations not in same]


def _finding(report: Outcome, finding: Finding) -> list[Part]:
    parts: list[Part] = []
    shown: set[str] = set()
    for written, kind, evidence in zip(finding.deviations, finding.kinds, finding.fit.evidence, strict=True):
        about = deviation(written.partition(":")[0])
        parts += [Heading(written, aside=f"({KINDS[kind]})"), Prose(about.does)]
        parts += formulas(report.trace.working, written)
        if evidence.line and evidence.line not in shown:
            parts += _evidence(report, finding, evidence.line)
            shown.add(evidence.line)
        parts.append(Prose(remedy_of(about)))
    return parts


def remedy_of(about: Deviation) -> str:
    """How to mend it, in a sentence; of a convention, how to follow the working."""
    if about.kind == "convention":
        return f"Others do this on purpose; your spec does not. To follow the spec: {about.remedy}"
    return f"To mend it: {about.remedy}"


def formulas(working: Working, written: str) -> Iterator[Part]:
    """The formulas of the lines that a deviation changes, as the working has them and as rewritten."""
    rewritten = parse_deviation(written).rewrite(working)
    old = [line for line in working.lines if line not in rewritten.lines]
    new = [line for line in rewritten.lines if line not in working.lines]
    for said, lines, source in (("The working has", old, working), ("The numbers follow", new, rewritten)):
        if lines:
            yield Prose(f"{said}:")
            first = working.label_base
            yield from (Equation(*equation(line, source.axes, first), first) for line in lines[:MAX_SHOWN])


def _evidence(report: Outcome, finding: Finding, line: str) -> list[Part]:
    """Claimed, expected and explained numbers of a line."""
    differing = [each for each in report.comparison.lines if each.claim.line == line]
    arrays = {given.name: report.trace.numpy(given.name) for given in finding.working.givens}
    found = compare([each.claim for each in differing], finding.working.run(arrays, tokens=report.trace.tokens))
    parts: list[Part] = []
    for one, other in zip(differing, found.lines, strict=True):
        if one.expected.ndim < 2:
            parts.append(Prose(cells_beside(one, other)))
        else:
            lead = (one.wrong or ((0,) * one.expected.ndim,))[0][:-2]
            name = f"{line}@{','.join(str(each + one.first) for each in lead)}" if lead else line
            parts += [Prose(f"{name}, claimed {precision_of(one)}:"), _panels(one, other, lead)]
    return parts


def _panels(one: Compared, other: Compared, lead: Cell) -> Panels:
    """The matrices at an index of the axes in front of the last two."""
    rows, columns = one.labels[-2:]
    marked = frozenset((cell[-2], cell[-1]) for cell in one.wrong if cell[:-2] == lead)
    unknown = frozenset((int(row), int(column)) for row, column in np.argwhere(~one.claim.claimed[lead]))
    return Panels(
        (
            Matrix("claimed", rows, columns, one.claimed[lead], marked=marked, unknown=unknown),
            Matrix("the working", rows, columns, _readable(one, one.expected[lead]), marked=marked),
            Matrix("explained", rows, columns, _readable(one, other.expected[lead])),
        )
    )


def _readable(one: Compared, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Numbers with two decimals more than are claimed."""
    return values if one.claim.precision is None else np.round(values, one.claim.precision + 2)


def cells_beside(one: Compared, other: Compared) -> str:
    """The first differing cell as it is claimed, as the working has it, and as the explanation has it."""
    cell = one.wrong[0] if one.wrong else tuple(int(i) for i in np.argwhere(one.claim.claimed)[0])
    claimed, expected = until_they_differ(float(one.claimed[cell]), float(one.expected[cell]), one.claim.precision)
    explained = number(float(other.expected[cell]), None if one.claim.precision is None else one.claim.precision + 2)
    labels = one.claim.cell or tuple(index + one.first for index in cell)
    where = f"{one.claim.line}[{','.join(map(str, labels))}]"
    return f"{where} is claimed to be {claimed}; the working gives {expected}, and with the deviation {explained}."


def _alike(group: Indistinguishable) -> Iterator[Part]:
    """The sets that give the same numbers, and what could be there unseen."""
    alike = [" and ".join(each) for each in group.sets[1 : group.smallest]]
    if alike:
        yield Prose(f"These give the same numbers on this data, and may be the cause instead: {_some(alike)}.")
    hidden = [name for each in group.sets[group.smallest :] for name in each if name not in group.sets[0]]
    if hidden:
        yield Prose(f"These cannot be seen on this data, and may be there besides: {_some(_by_reason(hidden))}.")


def _apart(report: Outcome) -> Iterator[Part]:
    """Data that tells apart what this data does not, where that matters: between causes, or for unseen mistakes."""
    arrays = {given.name: report.trace.numpy(given.name) for given in report.trace.working.givens}
    for group in report.indistinguishable:
        separation = group.separate(arrays)
        if separation is None:
            if group.smallest > 1:
                yield Prose("No data was found that tells these apart: they may be the same thing said twice.")
            continue
        names = {name for chosen in separation.predictions for name in chosen}
        if group.smallest > 1 or any(_is_mistake(name) for name in names.difference(group.sets[0])):
            yield from _separation(separation, report.trace.working.label_base)


def _is_mistake(written: str) -> bool:
    return deviation(written.partition(":")[0]).kind == "mistake"


def _by_reason(hidden: Sequence[str]) -> list[str]:
    """Deviations that cannot be seen, together with others that cannot for the same reason."""
    reasons: dict[str, list[str]] = {}
    for name in dict.fromkeys(hidden):
        reasons.setdefault(_uncapital(deviation(name.partition(":")[0]).invisible), []).append(name)
    return [f"{', '.join(names)} ({reason})" for reason, names in reasons.items()]


def _uncapital(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _separation(separation: Separation, first: int) -> Iterator[Part]:
    """Data that tells sets apart: the arrays, and what each set predicts."""
    yield Heading("What would tell", aside=f"({separation.line}, computed for these numbers)")
    yield from (_as_panels(name, array, first) for name, array in separation.arrays.items())
    known, *others = separation.predictions
    for chosen in [known, *others][:MAX_PREDICTED]:
        more = [name for name in chosen if name not in known]
        besides = more and set(known) < set(chosen)
        yield Prose(f"With {_named(more)} besides:" if besides else f"With {_named(chosen)}:")
        yield _as_panels(separation.line, np.round(separation.predictions[chosen], DECIMALS), first)
    if len(others) >= MAX_PREDICTED:
        left = len(others) - MAX_PREDICTED + 1
        yield Prose("One more set predicts other numbers." if left == 1 else f"{left} more sets predict other numbers.")


def _as_panels(name: str, array: np.ndarray[Any, Any], first: int) -> Panels:
    """An array as matrices, one for each index of the axes in front of the last two."""
    array = array.astype(np.float64).reshape((1,) * (2 - array.ndim) + array.shape)
    rows, columns = (tuple(str(index + first) for index in range(size)) for size in array.shape[-2:])

    def title(lead: tuple[int, ...]) -> str:
        return name + (f"@{','.join(str(index + first) for index in lead)}" if lead else "")

    return Panels(tuple(Matrix(title(lead), rows, columns, array[lead]) for lead in np.ndindex(array.shape[:-2])))


def _some(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return "; ".join(names[:MAX_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _unexplained(report: Outcome) -> Iterator[Part]:
    slip = slipped(report)
    if slip is not None:
        yield from (Prose(f"{each}.") for each in slip.slips)
    for judged in report.judged:
        if judged.slips and slip is None:
            said = "; ".join(map(str, judged.slips))
            yield Prose(
                f"All but {len(judged.slips)} of the {sum(judged.cells)} cells of {judged.line} follow: {said}."
            )
        if judged.explained_by:
            yield Prose(f"{judged.line} by itself would follow with {_named(judged.explained_by[0])}.")
    following = [each.line for each in report.judged if each.follows]
    if 0 < len(following) < len(report.judged):
        yield Prose(f"These follow from the lines before them: {', '.join(following)}.")
    if slip is None:
        yield from (Arithmetic(each.explanation) for each in first_wrong(report) if each.explanation is not None)
    if report.near_misses and slip is None:
        yield Prose(f"What came nearest: {'; '.join(map(missed, report.near_misses[:MAX_SHOWN]))}.")


def missed(miss: NearMiss) -> str:
    """A near miss in words: its deviations, and how many cells it leaves unexplained."""
    return f"{_named(miss.deviations)}, which misses {miss.off} of {miss.claimed} cells, first in {miss.line}"


def first_wrong(report: Outcome) -> list[Compared]:
    """The first claim that differs on the line that is first to be wrong."""
    judged = [each for each in report.judged if each.line == report.first_wrong_line]
    claims = [claim for each in judged for claim in each.claims]
    return [each for each in report.comparison.differing if each.claim in claims][:1]


def _ruled_out(report: Outcome) -> str:
    if report.verdict == "unexplained":
        if slipped(report) is not None:
            return f"None of the {report.tried:,} sets of up to {report.largest} known deviations gives all of them."
        return "The cause is none that clearhead knows, or more of them than were tried together."
    if not report.findings:
        return f"{report.tried:,} sets of up to {report.largest} known deviations were tried besides."
    size = report.largest - 1
    fit = "1 fits" if report.fitting == 1 else f"{report.fitting} fit"
    tried = f"{report.tried:,} sets of up to {report.largest} were tried; {fit}."
    if not size:
        return f"Ruled out: the working as it is. {tried}"
    nearest = f" The nearest is {missed(report.near_misses[0])}." if report.near_misses else ""
    smaller = "every deviation alone" if size == 1 else f"every set of up to {size}"
    return f"Ruled out: the working as it is, and {smaller}.{nearest} {tried}"


def diagnosis_data(report: Outcome) -> dict[str, Any]:
    """A diagnosis as plain data for JSON."""
    return {
        "verdict": report.verdict,
        "convincing": report.convincing if report.findings else None,
        "findings": [_finding_data(each) for each in report.findings],
        "indistinguishable": [[list(each) for each in group.sets] for group in report.indistinguishable],
        "first_wrong_line": report.first_wrong_line,
        "near_misses": [
            {
                "deviations": list(each.deviations),
                "line": each.line,
                "wrong": each.wrong,
                "cells": each.cells,
                "wrong_in_all": each.off,
                "claimed": each.claimed,
                "slips": [to_builtins(slip) for slip in each.slips],
            }
            for each in report.near_misses
        ],
        "lines": [
            {
                "line": each.line,
                "follows": each.follows,
                "right": sum(each.right),
                "cells": sum(each.cells),
                "explained_by": [list(chosen) for chosen in each.explained_by],
            }
            for each in report.judged
        ],
        "tried": report.tried,
        "largest": report.largest,
        "fitting": report.fitting,
    }


def _finding_data(finding: Finding) -> dict[str, Any]:
    return {
        "deviations": list(finding.deviations),
        "kinds": list(finding.kinds),
        "fit": {
            "by_chance": finding.fit.by_chance,
            "convincing": finding.fit.convincing,
            "evidence": [
                {"deviation": each.deviation, "line": each.line, "cells": each.cells, "digits": each.digits}
                for each in finding.fit.evidence
            ],
        },
        "remedies": [deviation(each).remedy for each in finding.ids],
    }


def plain_text(report: Outcome) -> str:
    """The report as bare text, small matrices on a line each: for messages."""
    precise = max((each.claim.precision or 0 for each in report.comparison.differing), default=0)
    return "\n".join(line for part in _told(report) for line in lines_of(part, max(DECIMALS, min(precise, 8))))


def lines_of(part: Part, decimals: int | None) -> Iterator[str]:
    """A part as bare lines; of large matrices only how large they are."""
    match part:
        case Prose(words) | Remark(words):
            yield words
        case Heading():
            yield f"{part.text} {part.aside}".rstrip()
        case Equation():
            yield f"  {text(part.left)} = {text(part.right, decimals=decimals, first=part.first)}"
        case Arithmetic(explanation):
            yield f"  {explanation}"
        case Panels(matrices):
            yield from (f"  {matrix.title}: {_inline(matrix.values, decimals)}" for matrix in matrices)


def _inline(values: np.ndarray[Any, Any], decimals: int | None) -> str:
    """A matrix on one line, or how many numbers it has."""
    if values.size > MAX_INLINE:
        return f"{values.size} numbers"
    rows = (", ".join(number(float(value), decimals) for value in row) for row in np.atleast_2d(values))
    return f"[{'; '.join(rows)}]"
