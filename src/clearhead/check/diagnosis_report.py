"""A diagnosis as a document to read, and as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clearhead.check.comparison import Compared, compare
from clearhead.check.report import precision_of
from clearhead.check.separation import Separation
from clearhead.deviations import Deviation, deviation, parse_deviation
from clearhead.document import Arithmetic, Document, Equation, Heading, Matrix, Panels, Part, Prose, Remark
from clearhead.expr import number, text
from clearhead.line import equation
from clearhead.working import Working

if TYPE_CHECKING:
    from clearhead.check.diagnosis import Finding, Report

DECIMALS = 3
MOST_SHOWN = 3
"""Explanations beyond these are only named."""

MOST_NAMED = 8
"""Sets beyond these are only counted."""

KINDS = {"mistake": "a mistake", "convention": "a convention that others follow", "rounding": "rounding"}


def diagnosis_document(report: Report, *, title: str) -> Document:
    """What a diagnosis found: the verdict, each deviation with its evidence and remedy, what cannot be told apart."""
    parts: list[Part] = list(_verdict(report))
    for finding in _different(report)[:MOST_SHOWN]:
        parts += _finding(report, finding)
    parts += _groups(report)
    if report.verdict == "unexplained":
        parts += _unexplained(report)
    if report.verdict != "agrees":
        parts.append(Prose(_ruled_out(report)))
    precise = max((each.claim.precision or 0 for each in report.comparison.differing), default=0)
    return Document(title, parts, max(DECIMALS, min(precise, 8)))


def _verdict(report: Report) -> Iterator[Part]:
    count = len(report.comparison.lines)
    if not count:
        yield Remark("Nothing is claimed, so there is nothing to explain.", "note")
    elif report.verdict == "agrees":
        yield Remark("The numbers agree with the working, at the precision they were written in.", "good")
    elif report.verdict == "unexplained":
        yield Remark(_unexplained_verdict(report), "warning")
    else:
        yield Remark(_explained_verdict(report), "good" if report.convincing else "note")
        if not report.convincing:
            yield Remark(_doubt(report), "warning")


def _explained_verdict(report: Report) -> str:
    different = _different(report)
    if len(different) > 1:
        return f"{report.fitting} sets of deviations of the smallest size would explain the numbers."
    names = " and ".join(different[0].deviations)
    lines = "the one claim" if len(report.comparison.lines) == 1 else f"all {len(report.comparison.lines)} claims"
    return f"The numbers are explained: with {names} the working gives {lines}."


def _doubt(report: Report) -> str:
    worst = max(each.fit.by_chance for each in report.findings)
    return (
        f"This may be chance: by estimate {number(worst, 2) if worst < 100 else 'many'} unrelated deviations would fit "
        f"as well. Claim more lines, or more digits, to be sure."
    )


def _unexplained_verdict(report: Report) -> str:
    sets = f"none of the {report.tried:,} sets of up to {report.largest} known deviations gives them"
    if report.first_wrong_line is None:
        return f"The numbers are not explained: {sets}."
    where = report.first_wrong_line
    return f"The numbers are not explained: {sets}. The first line that does not follow from those before is {where}."


def _different(report: Report) -> list[Finding]:
    """The findings without those that give the same numbers as an earlier one."""
    same = {each for group in report.indistinguishable for each in group.sets[1 : group.smallest]}
    return [finding for finding in report.findings if finding.deviations not in same]


def _finding(report: Report, finding: Finding) -> list[Part]:
    parts: list[Part] = []
    shown: set[str] = set()
    for written, kind, evidence in zip(finding.deviations, finding.kinds, finding.fit.evidence, strict=True):
        about = deviation(written.partition(":")[0])
        parts += [Heading(written, aside=f"({KINDS[kind]})"), Prose(about.does)]
        parts += _formulas(report.trace.working, written)
        if evidence.line and evidence.line not in shown:
            parts += _evidence(report, finding, evidence.line)
            shown.add(evidence.line)
        parts.append(Prose(_remedy(about)))
    return parts


def _remedy(about: Deviation) -> str:
    if about.kind == "convention":
        return f"This is a convention, not a mistake. To follow the working here: {about.remedy}"
    return f"To mend it: {about.remedy}"


def _formulas(working: Working, written: str) -> Iterator[Part]:
    """The formulas of the lines that a deviation changes, as the working has them and as rewritten."""
    rewritten = parse_deviation(written).rewrite(working)
    old = [line for line in working.lines if line not in rewritten.lines]
    new = [line for line in rewritten.lines if line not in working.lines]
    for said, lines, source in (("The working has", old, working), ("The numbers follow", new, rewritten)):
        if lines:
            yield Prose(f"{said}:")
            yield from (Equation(*equation(line, source.axes), working.first) for line in lines[:MOST_SHOWN])


def _evidence(report: Report, finding: Finding, line: str) -> list[Part]:
    """Claimed, expected and explained numbers of a line."""
    differing = [each for each in report.comparison.lines if each.claim.line == line]
    arrays = {given.name: report.trace.numpy(given.name) for given in finding.working.givens}
    found = compare([each.claim for each in differing], finding.working.run(arrays, tokens=report.trace.tokens))
    parts: list[Part] = []
    for one, other in zip(differing, found.lines, strict=True):
        if one.expected.ndim == 2:
            parts += [Prose(f"{line}, claimed {precision_of(one)}:"), _panels(one, other)]
        else:
            parts.append(Prose(_cells(one, other)))
    return parts


def _panels(one: Compared, other: Compared) -> Panels:
    rows, columns = one.labels
    marked = frozenset((cell[0], cell[1]) for cell in one.wrong)
    unknown = frozenset((int(row), int(column)) for row, column in np.argwhere(~one.claim.claimed))
    return Panels(
        (
            Matrix("claimed", rows, columns, one.claimed, marked=marked, unknown=unknown),
            Matrix("the working", rows, columns, one.expected, marked=marked),
            Matrix("explained", rows, columns, other.expected),
        )
    )


def _cells(one: Compared, other: Compared) -> str:
    cell = one.wrong[0] if one.wrong else tuple(int(i) for i in np.argwhere(one.claim.claimed)[0])
    decimals = None if one.claim.precision is None else one.claim.precision + 2
    values = [float(each[cell]) for each in (one.claimed, one.expected, other.expected)]
    claimed, expected, explained = (number(value, decimals) for value in values)
    where = f"{one.claim.line}{list(one.claim.cell or cell)}"
    return f"{where} is claimed to be {claimed}; the working gives {expected}, and with the deviation {explained}."


def _groups(report: Report) -> Iterator[Part]:
    for group in report.indistinguishable:
        first, *others = group.sets
        alike = [" and ".join(each) for each in others[: group.smallest - 1]]
        hidden = [" and ".join(name for name in each if name not in first) for each in others[group.smallest - 1 :]]
        if alike:
            yield Prose(f"These give the same numbers on this data, and may be the cause instead: {_some(alike)}.")
        if hidden:
            yield Prose(
                f"These cannot be seen on this data, and may be there besides: {_some(hidden)}. "
                f"report.separate() has data that would show them."
            )


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return "; ".join(names[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _unexplained(report: Report) -> Iterator[Part]:
    for each in report.judged:
        if not each.follows and each.explained_by:
            yield Prose(f"{each.line} by itself would follow with {' and '.join(each.explained_by[0])}.")
    if report.first_wrong_line is not None:
        yield from (Arithmetic(each.explanation) for each in _at(report) if each.explanation is not None)
    if report.near_misses:
        told = [
            f"{' and '.join(each.deviations) or 'the working as it is'} (fails at {each.line}, "
            f"{each.wrong} of {each.cells} cells)"
            for each in report.near_misses[:MOST_SHOWN]
        ]
        yield Prose(f"What came nearest: {'; '.join(told)}.")


def _at(report: Report) -> list[Compared]:
    return [each for each in report.comparison.differing if each.claim.line == report.first_wrong_line][:1]


def _ruled_out(report: Report) -> str:
    if report.verdict == "unexplained":
        return "The cause is none that clearhead knows, or more of them than were tried together."
    size = report.largest - 1
    smaller = (
        f"No set of {'one' if size == 1 else f'up to {size}'} fits" if size else "The working as it is does not fit"
    )
    return f"Ruled out: {smaller}. {report.tried:,} sets of up to {report.largest} were tried; {report.fitting} fit."


def diagnosis_data(report: Report) -> dict[str, Any]:
    """A diagnosis as plain data for JSON."""
    return {
        "verdict": report.verdict,
        "convincing": report.convincing if report.findings else None,
        "findings": [_finding_data(each) for each in report.findings],
        "indistinguishable": [[list(each) for each in group.sets] for group in report.indistinguishable],
        "first_wrong_line": report.first_wrong_line,
        "near_misses": [
            {"deviations": list(each.deviations), "line": each.line, "wrong": each.wrong, "cells": each.cells}
            for each in report.near_misses
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


def plain_text(report: Report) -> str:
    """The document as bare text, without its matrices: for messages."""
    document = diagnosis_document(report, title="")
    return "\n".join(line for part in document.parts for line in _plain(part, document.decimals))


def _plain(part: Part, decimals: int | None) -> Iterator[str]:
    match part:
        case Prose(words) | Remark(words):
            yield words
        case Heading():
            yield f"{part.text} {part.aside}".rstrip()
        case Equation():
            yield f"  {text(part.left)} = {text(part.right, decimals=decimals, first=part.first)}"
        case Arithmetic(explanation):
            yield f"  {explanation}"


def separation_document(separation: Separation, *, title: str) -> Document:
    """Data that tells sets apart: the arrays, and what each set predicts."""
    parts: list[Part] = [Prose(f"On these arrays {separation.line} tells the sets apart.")]
    parts += [Prose(f"{name}: {array.tolist()}") for name, array in separation.arrays.items()]
    for chosen, values in separation.predictions.items():
        parts.append(Prose(f"{' and '.join(chosen)}: {np.round(values, DECIMALS).tolist()}"))
    return Document(title, parts, DECIMALS)
