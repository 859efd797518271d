"""A trace as a worksheet: what is given, every line with the arithmetic of one cell, claims, and why they differ."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
from msgspec.structs import replace

from clearhead.axes import Cell
from clearhead.claim import Claim, differing, leaves
from clearhead.document import Arithmetic, Document, Heading, Matrix, Panels, Part, Prose, Remark
from clearhead.explanation import Explanation
from clearhead.expr import Ref
from clearhead.line import Given
from clearhead.ops import Array
from clearhead.show.blank import blanks
from clearhead.show.trace_document import MAX_PANELS, beginning, document_of, line_of, title_of
from clearhead.show.view import View
from clearhead.trace import Trace

LONGEST_NAME = 30
"""Longer names of tokens are shortened at a matrix on paper; a worksheet has each in full once."""

MAX_TRIED, SMALL = (24, 2), 1000
"""The cell whose arithmetic is shown is chosen among this number of cells of a line."""

DULL = (0.0, 1.0, -1.0)
"""Numbers that show little of the arithmetic that reads them."""


def worksheet_of(trace: Trace, view: View) -> Document:
    """A trace as a document for paper: `document_of` with arithmetic, claims and diagnosis.

    With blank lines there are no claims, no diagnosis, and no arithmetic that contains their numbers.

    Raises:
        UnknownName: no such line, head or deviation.
        ShapeError: no such cell.
        ProblemError: a claim does not fit its line.
    """
    if view.address is not None:
        return document_of(trace, view)
    blank = blanks(trace, view)
    given = [name for name in trace if isinstance(trace.working.line(name), Given)]
    lines = [name for name in trace if name not in given]
    parts: list[Part] = [*beginning(trace, view), *_names_in_full(trace)]
    parts.append(Document("Given", [part for name in given for part in _given(trace, name)], view.decimals))
    working = [part for name in lines for part in _line(trace, name, view, blank)]
    working += [Remark(str(note), "warning") for note in trace.notes if note.line not in {*trace, *blank}]
    parts.append(Document("Working", working, view.decimals))
    if view.diagnosis is not None and not view.blank:
        parts.append(view.diagnosis)
    return Document(view.title, parts, view.decimals)


def _given(trace: Trace, name: str) -> Iterator[Part]:
    for part in line_of(trace, name, blank=False):
        yield replace(part, aside="") if isinstance(part, Heading) else part


def _names_in_full(trace: Trace) -> Iterator[Part]:
    for what, tokens in (("Token", trace.tokens), ("Key token", trace.key_tokens)):
        for number, token in enumerate(tokens or (), start=trace.working.label_base):
            if len(token) > LONGEST_NAME:
                yield Prose(f"{what} {number} in full: {token}")


def _line(trace: Trace, name: str, view: View, blank: frozenset[str]) -> Iterator[Part]:
    claims = [] if view.blank else [claim for claim in view.claims if trace.locate(claim.line)[0] == name]
    compared = [_compare(trace, claim) for claim in claims]
    for part in line_of(trace, name, blank=name in blank):
        beside = chain.from_iterable(matrices for matrices, _ in compared)
        yield Panels((*part.matrices, *beside)) if isinstance(part, Panels) else part
    explained = None if name in blank else telling(trace, name, view.decimals)
    if explained is not None and blank.isdisjoint(read for read, _ in explained.reads):
        yield Arithmetic(explained)
    if right := [claim.line for claim, (_, remark) in zip(claims, compared, strict=True) if remark is None]:
        yield Remark(f"Claimed, and right: {', '.join(right)}.", "good")
    yield from (remark for _, remark in compared if remark is not None)


def telling(trace: Trace, name: str, decimals: int | None) -> Explanation | None:
    """The arithmetic of the cell that reads the most telling numbers; None where numbers are only moved."""
    line = trace.working.line(name)
    if isinstance(line, Given) or any(operand not in trace for operand in line.operands):
        return None
    explained = [trace.explain(name, *cell, decimals=decimals) for cell in _candidates(trace.numpy(name))]
    best = max(explained, key=lambda each: _content(trace, each))
    return None if isinstance(best.filled, Ref) and not best.steps else best


def _candidates(array: Array) -> list[Cell]:
    """Some finite cells, those of medium size first: near 0.5 for weights."""
    most = min(MAX_TRIED[array.size > SMALL], array.size)
    size = np.abs(np.where(np.isfinite(array), array, 0.0).astype(np.float64))
    far = np.abs(size - size.max() / 2).ravel()
    nearest = np.argpartition(far, most - 1)[:most] if array.size > SMALL else np.argsort(far, kind="stable")[:most]
    return [tuple(int(i) for i in np.unravel_index(at, array.shape)) for at in nearest]


def _content(trace: Trace, explained: Explanation) -> tuple[bool, int, int]:
    """How much a cell shows: a value that is not 0, telling numbers that it reads, and numbers that are not 0."""
    read = [float(trace.numpy(name)[cell]) for name, cell in explained.reads]
    telling = {number for number in read if np.isfinite(number) and number not in DULL}
    return explained.value not in DULL[:1], len(telling), sum(number != 0 for number in read)


def _compare(trace: Trace, claim: Claim) -> tuple[tuple[Matrix, ...], Remark | None]:
    """The matrices of a claim that differs, with its wrong cells marked, and a sentence on it; None if it agrees."""
    array = trace.numpy(claim.line)
    cell = claim.place(trace.left_axes(claim.line), array.shape, trace.working.label_base)
    wrong = differing(claim, np.asarray(array[cell], dtype=np.float64))
    if not wrong.any():
        return (), None
    if claim.cell is not None:
        where = f"{claim.line}[{','.join(map(str, claim.cell))}]"
        return (), Remark(f"{where} is claimed to be {claim.written}, which differs.", "warning")
    said = f"{claim.line}: {int(wrong.sum())} of {int(claim.claimed.sum())} claimed numbers differ."
    return tuple(_claimed(trace, claim, wrong)), Remark(said, "warning")


def _claimed(trace: Trace, claim: Claim, wrong: Array) -> Iterator[Matrix]:
    """Claimed numbers as they were written, a matrix for each index of the axes in front."""
    axes, labels = trace.left_axes(claim.line), trace.labels(claim.line)
    head = claim.line.partition("@")[2]
    values, written = claim.values, np.array(list(leaves(claim.written)), dtype=object).reshape(wrong.shape)
    if values.ndim < 2:
        values, written, wrong = (each.reshape(1, -1) for each in (values, written, wrong))
        labels = (("",), *(labels or (("",),)))  # a single number is a vector of one
    for lead in list(np.ndindex(values.shape[:-2]))[:MAX_PANELS]:
        title = ", ".join(filter(None, [f"head {head}" if head else "", title_of(axes, labels, lead)]))
        marked = frozenset((int(row), int(column)) for row, column in np.argwhere(wrong[lead]))
        cells = tuple(map(tuple, written[lead]))
        yield Matrix(f"claimed {title}".rstrip(), labels[-2], labels[-1], values[lead], marked=marked, written=cells)
