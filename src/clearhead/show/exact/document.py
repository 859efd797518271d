"""A trace as a document of exact numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from clearhead.document import Document, Equation, Heading, Matrix, Panels, Part, Prose
from clearhead.line import equation
from clearhead.show.exact.lines import cell_name, exact_lines
from clearhead.show.exact.numbers import Exact, certified
from clearhead.show.exact.text import exact_text
from clearhead.show.trace_document import address_of, announcements, title_of
from clearhead.show.view import View
from clearhead.trace import Trace

MAX_LETTERS = 22
"""A longer text stands below its matrix, and its decimals in it."""

NumpyArray = np.ndarray[Any, Any]


def exact_document(trace: Trace, view: View) -> Document:
    """Every computed line exactly, or the one that the view asks for.

    A number whose text is long stands in its matrix as decimals, of which the last is right, and below it with its
    arithmetic, in which earlier long numbers go by their names.

    Raises:
        UnknownName: no such line or head.
        ProblemError: the problem is too large, or has no exact numbers.
    """
    wanted = None if view.address is None else trace.locate(view.address)
    body: list[Part] = []
    for name, array in exact_lines(trace):
        if wanted is None or wanted[0] == name:
            body += _line(trace, name, array, view, None if wanted is None else wanted[1])
        if wanted is not None and wanted[0] == name:
            break
    beginning: list[Part] = [Prose(view.about)] if view.about else []
    return Document(view.title, (*beginning, *announcements(view), *body), view.decimals)


def _line(trace: Trace, name: str, array: NumpyArray, view: View, head: int | None) -> Iterator[Part]:
    axes = trace.axes(name)
    labels = trace.labels(name)
    yield Heading(name if head is None else address_of(trace, name, head), axes, tuple(array.shape))
    line = equation(trace.working.line(name), trace.working.axes, trace.working.label_base)  # type: ignore[arg-type]
    yield Equation(*line, trace.working.label_base)
    decimals = 3 if view.decimals is None else view.decimals
    below: list[Part] = []
    matrices: list[Matrix] = []
    square = array.reshape((1, -1)) if array.ndim < 2 else array
    rows, columns = (labels[-2], labels[-1]) if array.ndim > 1 else (("",), labels[-1] if labels else ("",))
    for lead in np.ndindex(square.shape[:-2]):
        if head is not None and lead and lead[-1] != head:
            continue
        written: list[tuple[str, ...]] = []
        explained: set[str] = set()
        for row in range(square.shape[-2]):
            texts = []
            for column in range(square.shape[-1]):
                cell = (*lead, row, column) if array.ndim > 1 else (column,) if array.ndim else ()
                number: Exact = array[cell]
                text, said = _cell(number, cell_name(trace, name, cell), decimals)
                texts.append(text)
                if said and (text not in explained if view.cell is None else _is(cell, view, trace)):
                    below.append(Prose(said))
                    explained.add(text)
            written.append(tuple(texts))
        values = np.zeros((square.shape[-2], square.shape[-1]))
        matrices.append(Matrix(title_of(axes, labels, lead), rows, columns, values, written=tuple(written)))
    yield Panels(tuple(matrices))
    yield from below


def _is(cell: tuple[int, ...], view: View, trace: Trace) -> bool:
    wanted = tuple(label - trace.working.label_base for label in view.cell or ())
    return cell[len(cell) - len(wanted) :] == wanted


def _cell(number: Exact, name: str, decimals: int) -> tuple[str, str]:
    """The text of a cell in its matrix, and what is said of it below."""
    text = exact_text(number.expr)
    digits = certified(number, decimals)
    if text == digits:  # infinite, or not defined
        return text, ""
    if number.expr.is_Rational and len(text) <= MAX_LETTERS:
        return text, ""
    if len(text) <= MAX_LETTERS:
        return text, f"{name} = {text} = {digits}" if digits is not None else ""
    shown = digits if digits is not None else "..."
    return shown, f"{name} = {text} = {shown}"
