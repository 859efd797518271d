"""A document as HTML: what a page, a notebook or a print shows of it. No scripts and no styles, only classes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from clearhead.axes import describe
from clearhead.document import Arithmetic, Document, Equation, Heading, Matrix, Panels, Part, Prose, Remark
from clearhead.expr import Ref
from clearhead.show.cells import gap, one_line, positions, shown, writer
from clearhead.show.formula.mathml import arithmetic, equation, escape, mathml
from clearhead.show.formula.symbols import has_symbol

MAX_ROWS, MAX_COLUMNS = 16, 12
SHADES = 9
"""Steps of shading, from 0 for nothing to 9 for all: classes ``s0`` to ``s9``."""
TONES = {"good": "Good", "note": "Note", "warning": "Warning"}
MINUS = "−"


def to_html(document: Document, *, level: int = 2) -> str:
    """A document as a fragment of HTML. Labels and titles appear as they are: nothing in them is taken for markup.

    Args:
        document: what is shown.
        level: the level of its title's heading; those inside are one deeper.
    """
    return "\n".join(_document(document, level))


def _document(document: Document, level: int) -> Iterator[str]:
    yield f"<h{level}>{escape(one_line(document.title))}</h{level}>"
    for part in document.parts:
        yield from _lower(part, document.decimals, level + 1)


def _lower(part: Part, decimals: int | None, level: int) -> Iterator[str]:
    match part:
        case Prose(words):
            yield f"<p>{escape(one_line(words))}</p>"
        case Remark(words, tone):
            yield f'<p class="remark {tone}"><b>{TONES[tone]}:</b> {escape(one_line(words))}</p>'
        case Heading(words, axes, shape, aside):
            small = " ".join(filter(None, [describe(axes, shape) if axes else "", aside]))
            letter = f" <math>{mathml(Ref(words, ()))}</math>" if axes and has_symbol(words) else ""
            yield f"<h{level}>{escape(words)}{letter} <small>{escape(small)}</small></h{level}>"
        case Equation():
            yield _formula(equation(part.left, part.right, decimals, part.first))
        case Panels(matrices):
            yield f'<div class="panels">{"".join(_matrix(matrix, decimals) for matrix in matrices)}</div>'
        case Document():
            yield from _document(part, level)
        case Arithmetic(explanation):
            yield from map(_formula, arithmetic(explanation))


def _formula(math: str) -> str:
    return f'<div class="formula" tabindex="0">{math}</div>'


def _matrix(matrix: Matrix, decimals: int | None) -> str:
    rows = shown(len(matrix.rows), MAX_ROWS, sorted({row for row, _ in matrix.marked}))
    columns = shown(len(matrix.columns), MAX_COLUMNS, sorted({column for _, column in matrix.marked}))
    write = writer(matrix, positions(rows), positions(columns), decimals)

    def cell(row: int, column: int | None) -> str:
        if column is None:
            return "<td>…</td>"
        classes = [*_shade(matrix, row, column), *(["marked"] if (row, column) in matrix.marked else [])]
        number = write(row, column)
        classes += [] if number else ["blank"]
        named = f' class="{" ".join(classes)}"' if classes else ""
        return f"<td{named}>{escape(number).replace('-', MINUS)}</td>"

    head = "".join("<td>…</td>" if c is None else _label(matrix.columns[c], "col") for c in columns)
    body = []
    for at, row in enumerate(rows):
        if row is None:
            body.append(f'<tr><td colspan="{len(columns) + 1}">… {gap(rows, at, len(matrix.rows))} not shown</td></tr>')
        else:
            body.append(f"<tr>{_label(matrix.rows[row], 'row')}{''.join(cell(row, c) for c in columns)}</tr>")
    caption = f"<caption>{escape(matrix.title)}</caption>" if matrix.title else ""
    return (
        f'<table class="matrix">{caption}<thead><tr><td></td>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    )


def _label(words: str, scope: str) -> str:
    return f'<th scope="{scope}"><bdi>{escape(words)}</bdi></th>'


def _shade(matrix: Matrix, row: int, column: int) -> list[str]:
    value = float(matrix.values[row, column])
    if not matrix.shade or not math.isfinite(value) or (row, column) in matrix.unknown:
        return []
    return [f"s{round(min(max(value, 0.0), 1.0) * SHADES)}"]
