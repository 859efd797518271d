"""A trace as a document: every line with its formula and its numbers, or one line down to one cell."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from clearhead.axes import Axes, Cell
from clearhead.deviations import Applied, deviation, parse_deviation
from clearhead.document import Arithmetic, Document, Equation, Heading, Matrix, Panels, Part, Prose, Remark
from clearhead.line import Given, Line, equation
from clearhead.show.blank import about_of, blanks
from clearhead.show.view import View, is_shares
from clearhead.trace import Trace

MAX_PANELS = 16
"""The most heads that are shown: the first ones."""


def document_of(trace: Trace, view: View) -> Document:
    """A trace as a document, for any medium.

    Raises:
        UnknownName: no such line, head or deviation.
        ShapeError: no such cell.
    """
    body = _all(trace, view) if view.address is None else _one(trace, view.address, view)
    return Document(view.title, (*beginning(trace, view), *body), view.decimals)


def outline_of(trace: Trace, view: View) -> Document:
    """The names and sizes of a trace that has too many numbers to be shown."""
    count = sum(prod(trace[name].shape) for name in trace)
    words = f'{count:,} numbers in {len(trace)} arrays: too many to show here. The page has them: save("x.html").'
    headings = (Heading(name, trace.axes(name), tuple(trace[name].shape)) for name in trace)
    return Document(view.title, [*beginning(trace, view), Prose(words), *headings])


def beginning(trace: Trace, view: View) -> list[Part]:
    """The parts of a document before the first line: its text and its deviations."""
    return [*map(Prose, about_of(trace, view)), *announcements(view)]


def announcements(view: View) -> list[Remark]:
    """A remark on each deviation in the trace's working: what it does, and how to fix it."""
    return [_announcement(each) for each in view.deviations]


def _announcement(applied: str | Applied) -> Remark:
    applied = parse_deviation(applied) if isinstance(applied, str) else applied
    known = deviation(applied.id)
    return Remark(f"Deviates by {applied}. {known.does} To fix it: {known.remedy}", "warning")


def _all(trace: Trace, view: View) -> Iterator[Part]:
    blank = blanks(trace, view)
    for name in trace:
        yield from line_of(trace, name, blank=name in blank)
    yield from (Remark(str(note), "warning") for note in trace.notes if note.line not in trace)


def line_of(trace: Trace, name: str, *, blank: bool) -> Iterator[Part]:
    """A whole line: heading, formula, numbers or boxes for them, and notes."""
    yield from _heading(trace, name)
    yield from _formula(trace, name)
    yield from numbers(trace, name, blank=blank)
    yield from (Remark(str(note), "warning") for note in trace.notes if note.line == name and not blank)


def _one(trace: Trace, address: str, view: View) -> Iterator[Part]:
    name, head = trace.locate(address)
    address = address_of(trace, name, head)
    cell = cell_of(trace, view) if trace[address].shape else ()  # a single number is its own cell
    explained = None if cell is None else trace.explain(address, *cell, decimals=view.decimals)
    yield from _heading(trace, address)
    line = trace.working.line(name)
    if isinstance(line, Line):
        operands = f" Operands: {', '.join(line.operands)}." if line.operands else ""
        yield Prose(f"{line.summary}{operands}")
    yield from _formula(trace, name)
    yield from numbers(trace, address, cell, blank=name in blanks(trace, view))
    if name not in blanks(trace, view):
        yield from (Remark(str(note), "warning") for note in trace.notes if note.line == name)
    if explained is not None:
        yield Arithmetic(explained)


def address_of(trace: Trace, name: str, head: int | None) -> str:
    """The address of a line, or of a head of it at a position counted from 0."""
    return name if head is None else f"{name}@{head + trace.working.label_base}"


def cell_of(trace: Trace, view: View) -> Cell | None:
    """The cell of a view, counted from 0."""
    return None if view.cell is None else tuple(label - trace.working.label_base for label in view.cell)


def _heading(trace: Trace, address: str) -> Iterator[Part]:
    given = isinstance(trace.working.line(trace.locate(address)[0]), Given)
    yield Heading(address, trace.left_axes(address), tuple(trace[address].shape), "given" if given else "")


def _formula(trace: Trace, name: str) -> Iterator[Part]:
    line = trace.working.line(name)
    if isinstance(line, Line):
        yield Equation(*equation(line, trace.working.axes, trace.working.label_base), trace.working.label_base)


def numbers(trace: Trace, address: str, cell: Cell | None = None, *, blank: bool = False) -> Iterator[Part]:
    """The last two axes as matrices, one for each index of the axes in front; with a cell only the one it is in."""
    array, axes, labels = trace.numpy(address), trace.left_axes(address), trace.labels(address)
    if array.ndim < 2:  # a vector is a matrix of one row
        array, labels = array.reshape(1, -1), (("",), *(labels or (("",),)))
        cell = None if cell is None else (0, *(cell or (0,)))
    leads: list[Cell] = list(np.ndindex(array.shape[:-2])) if cell is None else [cell[:-2]]
    marked = frozenset() if cell is None else frozenset({(cell[-2], cell[-1])})
    shade = is_shares(trace.working.line(trace.locate(address)[0]))

    def matrix(lead: Cell) -> Matrix:
        values, title = array[lead], title_of(axes, labels, lead)
        if blank:
            written = (("",) * values.shape[1],) * values.shape[0]
            return Matrix(title, labels[-2], labels[-1], np.full(values.shape, np.nan), written=written)
        return Matrix(title, labels[-2], labels[-1], values, shade, marked)

    yield Panels(tuple(map(matrix, leads[:MAX_PANELS])))
    if rest := leads[MAX_PANELS:]:
        yield Prose(f"{title_of(axes, labels, rest[0])} to {title_of(axes, labels, rest[-1])} are not shown.")


def title_of(axes: Axes, labels: tuple[tuple[str, ...], ...], lead: Cell) -> str:
    """The title of a matrix: its place along the axes in front."""
    return ", ".join(f"{word} {names[index]}" for word, names, index in zip(axes, labels, lead, strict=False))
