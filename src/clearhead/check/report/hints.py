"""Hints: which line and cell to look at first, and the likely kind of mistake, without any number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from clearhead.check.compare.comparison import expected_of
from clearhead.check.judge.first_wrong import Judged, judge
from clearhead.claim import Claim, differing
from clearhead.deviations import deviation
from clearhead.document import Document, Prose, Remark
from clearhead.line import Line
from clearhead.trace import Trace

MAX_KINDS = 3
"""The most kinds of mistakes that are named at once."""


def hints(claims: Sequence[Claim], trace: Trace, deviations: Sequence[str] = (), *, title: str = "Hints") -> Document:
    """Hints as a document without numbers of the working or of the claims.

    Args:
        claims: what somebody got.
        trace: the right numbers.
        deviations: the deviations that explain the claims, as text; none if nothing does.
        title: the heading.

    Raises:
        ProblemError: a claim has another shape than its line.
        UnknownName: a claim is for a line that does not exist.
    """
    return Document(title, tuple(_parts(claims, trace, deviations)))


def hint_lines(claims: Sequence[Claim], trace: Trace, deviations: Sequence[str] = ()) -> list[str]:
    """The same as lines of text, for a message."""
    return [part.text for part in _parts(claims, trace, deviations)]


def _parts(claims: Sequence[Claim], trace: Trace, deviations: Sequence[str]) -> Iterator[Prose | Remark]:
    arrays = {given.name: trace.numpy(given.name) for given in trace.working.givens}
    judged = judge(claims, trace, arrays)
    wrong = [each for each in judged if not each.follows]
    right = [each.line for each in judged if each.follows]
    if right:
        yield Prose(f"These lines follow from those before them: {', '.join(right)}.")
    if not wrong:
        return
    first = wrong[0]
    off = sum(first.cells) - sum(first.right)
    said = f"Look first at {first.line}: {off} of {sum(first.cells)} cells do not follow."
    yield Remark(said + _where(first, trace), "note")
    for written in deviations[:MAX_KINDS]:
        about = deviation(written.partition(":")[0])
        yield Prose(f"It looks like this ({about.kind}): {about.does}")
    if not deviations:
        line = trace.working.line(first.line)
        stated = f" {first.line} is: {line.summary}" if isinstance(line, Line) else ""
        yield Prose(f"No known mistake explains it.{stated}")
    if len(wrong) > 1:
        yield Prose(f"Then: {', '.join(each.line for each in wrong[1:])}.")


def _where(judged: Judged, trace: Trace) -> str:
    """The first cell of a line that differs, by its labels."""
    for claim in judged.claims:
        found = np.argwhere(differing(claim, expected_of(claim, trace)[1]))
        if claim.cell is not None and found.size:
            return f" The cell is {claim.line}[{','.join(map(str, claim.cell))}]."
        if len(found) and found.shape[1]:
            labels = ",".join(str(index + trace.working.label_base) for index in found[0])
            return f" Begin with the cell {claim.line}[{labels}]."
    return ""
