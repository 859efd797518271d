"""A diagnosis in full, as a document to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from clearhead.axes import Cell
from clearhead.check.compare.comparison import Compared, compare
from clearhead.check.report.comparison import precision_of
from clearhead.check.report.pattern import pattern
from clearhead.check.report.plain import lines_of
from clearhead.check.report.sentences import (
    DECIMALS,
    causes_of,
    cells_beside,
    decimals_of,
    different,
    explained_alone,
    first_wrong,
    following,
    missed,
    named,
    slipped,
    verdict_of,
)  # fmt: skip
from clearhead.check.results import Finding, Outcome
from clearhead.check.search.separation import Indistinguishable, Separation
from clearhead.deviations import deviate, deviation
from clearhead.document import Arithmetic, Document, Equation, Heading, Matrix, Panels, Part, Prose
from clearhead.errors import SpecError
from clearhead.line import Line, equation
from clearhead.working import Working

MAX_SHOWN = 3
"""Further explanations are only named."""

MAX_PREDICTED = 3
"""The most sets whose numbers on separating data are shown; `Report.separate` has all."""

MAX_NAMED = 8
"""Further sets are only counted."""


def diagnosis_document(report: Outcome, *, title: str) -> Document:
    """The result of a diagnosis: the verdict, each deviation with evidence and remedy, and what cannot be separated."""
    return Document(title, [*_findings(report), *_apart(report)], decimals_of(report))


def _findings(report: Outcome) -> Iterator[Part]:
    """All except the data on which equal causes would differ."""
    yield from verdict_of(report)
    for finding in different(report)[:MAX_SHOWN]:
        yield from _finding(report, finding)
    for group in report.indistinguishable:
        yield from _alike(group)
    if report.verdict == "unexplained":
        yield from _unexplained(report)
    if report.verdict != "agrees":
        yield Prose(_ruled_out(report))


def _finding(report: Outcome, finding: Finding) -> Iterator[Part]:
    shown: set[str] = set()

    def evidence(written: str, line: str) -> Iterator[Part]:
        yield from formulas(report.trace.working, written, finding.deviations)
        if line and line not in shown:
            shown.add(line)
            yield from _evidence(report, finding, line)

    return causes_of(finding, evidence)


def formulas(working: Working, written: str, among: Sequence[str] = ()) -> Iterator[Part]:
    """The formulas of the lines that a deviation changes, before and after.

    One that does not apply to the working alone is shown after those that stand before it in ``among``.
    """
    try:
        rewritten = deviate(working, written)
    except SpecError:
        working = deviate(working, *among[: among.index(written)])
        rewritten = deviate(working, written)
    old = [line for line in working.lines if line not in rewritten.lines]
    new = [line for line in rewritten.lines if line not in working.lines]
    for said, lines, source in (("The working has", old, working), ("The numbers follow", new, rewritten)):
        if lines:
            yield Prose(f"{said}:")
            first = working.label_base
            yield from (Equation(*equation(line, source.axes, first), first) for line in lines[:MAX_SHOWN])
    yield from map(Prose, _read_elsewhere(old, new))


def _read_elsewhere(old: Sequence[Line], new: Sequence[Line]) -> Iterator[str]:
    """What lines read in place of something else, where that leaves their formulas as they are, as a size does."""
    after = {line.name: line for line in new}
    for line in old:
        other = after.get(line.name)
        if other is None or (other.operation, other.parameters) != (line.operation, line.parameters):
            continue
        operands = zip(line.formula.roles, line.operands, other.operands, strict=True)
        moved = [(role, mine, theirs) for role, mine, theirs in operands if mine != theirs]
        if moved and not {role for role, *_ in moved} & set(line.formula.read):
            _, mine, theirs = moved[0]
            yield f"The size in {line.name} is of {theirs} there, and of {mine} in the working."


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
            Matrix("the working", rows, columns, one.expected[lead], marked=marked),
            Matrix("explained", rows, columns, other.expected[lead]),
        )
    )


def _alike(group: Indistinguishable) -> Iterator[Part]:
    """The sets that give the same numbers, and deviations that would be invisible."""
    alike = [" and ".join(each) for each in group.sets[1 : group.smallest]]
    if alike:
        yield Prose(f"These give the same numbers on this data, and may be the cause instead: {_some(alike)}.")
    hidden = [name for each in group.sets[group.smallest :] for name in each if name not in group.sets[0]]
    if hidden:
        yield Prose(f"These cannot be seen on this data, and may be there besides: {_some(_by_reason(hidden))}.")


def _apart(report: Outcome) -> Iterator[Part]:
    """Data that separates causes, or invisible mistakes, that this data does not."""
    arrays = {given.name: report.trace.numpy(given.name) for given in report.trace.working.givens}
    for group in report.indistinguishable:
        separation = group.separate(arrays)
        if separation is None:
            if group.smallest > 1:
                yield Prose("No data was found on which these differ: they may be the same.")
            continue
        names = {name for chosen in separation.predictions for name in chosen}
        if group.smallest > 1 or any(_is_mistake(name) for name in names.difference(group.sets[0])):
            yield from _separation(separation, report.trace.working.label_base)


def _is_mistake(written: str) -> bool:
    return deviation(written.partition(":")[0]).kind == "mistake"


def _by_reason(hidden: Sequence[str]) -> list[str]:
    """Invisible deviations, grouped by the reason."""
    reasons: dict[str, list[str]] = {}
    for name in dict.fromkeys(hidden):
        reasons.setdefault(_uncapital(deviation(name.partition(":")[0]).invisible), []).append(name)
    return [f"{', '.join(names)} ({reason})" for reason, names in reasons.items()]


def _uncapital(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _separation(separation: Separation, first: int) -> Iterator[Part]:
    """Data on which sets differ: the arrays, and what each set predicts."""
    yield Heading("What would tell", aside=f"({separation.line}, computed for these numbers)", more=True)
    yield from (_as_panels(name, array, first) for name, array in separation.arrays.items())
    known, *others = separation.predictions
    for chosen in [known, *others][:MAX_PREDICTED]:
        more = [name for name in chosen if name not in known]
        besides = more and set(known) < set(chosen)
        yield Prose(f"With {named(more)} besides:" if besides else f"With {named(chosen)}:")
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
    yield from explained_alone(report)
    yield from following(report)
    if slip is None:
        yield from (Prose(says) for each in _suspects(report) for says in pattern(each))
        yield from (Arithmetic(each.explanation) for each in first_wrong(report) if each.explanation is not None)
    if report.near_misses and slip is None:
        yield Prose(f"What came nearest: {'; '.join(map(missed, report.near_misses[:MAX_SHOWN]))}.")


def _suspects(report: Outcome) -> list[Compared]:
    """The first claim that differs on the first wrong line; or the first that differs at all."""
    return first_wrong(report) or list(report.comparison.differing[:1])


def _ruled_out(report: Outcome) -> str:
    if report.verdict == "unexplained":
        if slipped(report) is not None:
            return f"None of the {report.tried:,} sets of up to {report.largest} known deviations gives all of them."
        return "The cause is none that clearhead knows, or more of them than were tried together."
    if not report.findings:
        return f"{report.tried:,} sets of up to {report.largest} known deviations were tried besides."
    if report.line_by_line:
        return f"{report.tried:,} sets of up to {report.largest} were tried; none gives all claims at once."
    size = report.largest - 1
    fit = "1 fits" if report.fitting == 1 else f"{report.fitting} fit"
    tried = f"{report.tried:,} sets of up to {report.largest} were tried; {fit}."
    if not size:
        return f"Ruled out: the working as it is. {tried}"
    nearest = f" The nearest is {missed(report.near_misses[0])}." if report.near_misses else ""
    smaller = "every deviation alone" if size == 1 else f"every set of up to {size}"
    return f"Ruled out: the working as it is, and {smaller}.{nearest} {tried}"


def plain_text(report: Outcome) -> str:
    """The report as plain text with small matrices on one line: for messages."""
    decimals = decimals_of(report)
    return "\n".join(line for part in _findings(report) for line in lines_of(part, decimals))
