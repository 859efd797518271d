"""The summary of a check on one screen: verdict, cause, claimed and expected numbers, what to change, how sure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from clearhead.check.compare.comparison import Compared, compare
from clearhead.check.report.comparison import apart, listed, precision_of
from clearhead.check.report.pattern import pattern
from clearhead.check.report.sentences import (
    causes_of,
    cells_beside,
    decimals_of,
    different,
    explained_alone,
    first_wrong,
    following,
    missed,
    slipped,
    verdict_of,
)  # fmt: skip
from clearhead.check.results import Finding, Outcome
from clearhead.document import Arithmetic, Document, Part, Prose

MAX_ALTERNATIVES = 3
"""Further sets are only counted."""


def summary_document(report: Outcome, *, title: str) -> Document:
    """The result of a check, the most important first; the full report has more.

    Args:
        report: the diagnosis.
        title: the title of the document.

    Returns:
        The verdict; for each deviation of the first finding what it does, a claimed and the expected cell, and the
        remedy; how sure this is. Without a finding: slips of the pen; or the suspect line, the size of the
        difference, what agrees, and what to claim next.
    """
    parts: list[Part] = list(verdict_of(report))
    if report.findings:
        parts += _cause(report, report.findings[0])
        parts += _alternatives(report)
        parts.append(Prose(_how_sure(report)))
    elif slip := slipped(report):
        parts += [Prose(f"{each}.") for each in slip.slips]
    elif report.comparison.differing and report.precision is None:
        parts += _suspect(report)
    return Document(title, parts, decimals_of(report))


def _cause(report: Outcome, finding: Finding) -> Iterator[Part]:
    return causes_of(finding, lambda _, line: [Prose(_beside(report, finding, line))] if line else [])


def _beside(report: Outcome, finding: Finding, line: str) -> str:
    """One cell of a line: claimed, in the working, and with the finding."""
    claims = [each for each in report.comparison.lines if each.claim.line == line]
    one = next((each for each in claims if each.wrong), claims[0])
    arrays = {given.name: report.trace.numpy(given.name) for given in finding.working.givens}
    other = compare([one.claim], finding.working.run(arrays, tokens=report.trace.tokens)).lines[0]
    return cells_beside(one, other)


def _alternatives(report: Outcome) -> Iterator[Part]:
    """Other sets that explain the claims: first those with equal numbers."""
    chosen = report.findings[0].deviations
    groups = [group for group in report.indistinguishable if chosen in group.sets]
    equal = [each for group in groups for each in group.sets[: group.smallest] if each != chosen]
    others = [each.deviations for each in different(report) if each.deviations not in (chosen, *equal)]
    if equal:
        yield Prose(f"The same numbers come of {_either(equal)}.")
    if others:
        yield Prose(f"These claims would be explained as well by {_either(others)}.")


def _either(sets: Sequence[Sequence[str]]) -> str:
    names = [" with ".join(each) for each in sets[:MAX_ALTERNATIVES]]
    more = len(sets) - len(names)
    return " or ".join(names) + (f" ({more} more)" if more else "")


def _how_sure(report: Outcome) -> str:
    """How many claims, cells and digits support the finding, and what is left open."""
    wrong, lines = report.comparison.differing, report.comparison.lines
    cells = sum(len(each.wrong) for each in wrong)
    digits = sum(each.digits for each in report.findings[0].fit.evidence)
    gives = (
        "Each line follows from the claimed lines before it" if report.line_by_line else "The cause gives all of them"
    )
    said = (
        f"How sure: {len(wrong)} of {_count(len(lines), 'claim')} differ, in {_count(cells, 'cell')}. "
        f"The first to differ is {wrong[0].claim.line}. {gives} ({digits:.0f} digits). "
        f"{report.tried:,} sets of up to {report.largest} were tried."
    )
    hidden = {name for group in report.indistinguishable for each in group.sets[group.smallest :] for name in each}
    hidden -= set(report.findings[0].deviations)
    if hidden:
        said += f" {_count(len(hidden), 'deviation')} cannot be seen on this data."
    return said


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _suspect(report: Outcome) -> Iterator[Part]:
    """The line to look at, its largest difference, what agrees, and what to claim next."""
    one = (first_wrong(report) or report.comparison.differing)[0]
    claimed, expected, largest = apart(one)
    cells = int(one.claim.claimed.sum())
    yield Prose(
        f"Look at {one.claim.line}: {len(one.wrong)} of {_count(cells, 'cell')} differ, {precision_of(one)}, by "
        f"{largest} at most. {one.explanation.name if one.explanation else one.claim.line} is claimed to be {claimed}; "
        f"the working gives {expected}:"
    )
    if one.explanation is not None:
        yield Arithmetic(one.explanation)
    yield from map(Prose, pattern(one))
    guesses = {slip.guess for each in report.judged if each.line == report.first_wrong_line for slip in each.slips}
    if guess := ", or ".join(sorted(guesses - {""})):
        yield Prose(f"This may be a slip of the pen: {guess}.")
    if agreeing := report.comparison.agreeing:
        yield Prose(f"These agree: {listed(agreeing)}")
    yield from following(report)
    yield from islice(explained_alone(report), MAX_ALTERNATIVES)
    if report.near_misses:
        yield Prose(f"The nearest known set is {missed(report.near_misses[0])}.")
    if before := _next_to_claim(report, one):
        yield Prose(f"To narrow it down, claim {' and '.join(before)} too.")


def _next_to_claim(report: Outcome, one: Compared) -> list[str]:
    """The operands of the suspect line that nobody has claimed: the fault is there or in the line itself."""
    claimed = {each.claim.line.partition("@")[0] for each in report.comparison.lines}
    made = {line.name: line for line in report.trace.working.lines}
    suspect = made.get(one.claim.line.partition("@")[0])
    return [name for name in suspect.operands if name in made and name not in claimed] if suspect else []
