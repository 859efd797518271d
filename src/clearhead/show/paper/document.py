"""A document as plain data for typst's template, which lays it out: texts, numbers and lists, never source."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from clearhead.axes import describe
from clearhead.document import Arithmetic, Document, Equation, Heading, Matrix, Panels, Part, Prose, Remark
from clearhead.errors import visible
from clearhead.expr import text
from clearhead.show.cells import gap, one_line, positions, shown, writer
from clearhead.show.formula.symbols import has_symbol
from clearhead.show.formula.typst import arithmetic, formula, letter, number_for_paper

Data = dict[str, Any]

MAX_ROWS, MAX_COLUMNS = 24, 24
LONGEST_LABEL = 30
LINE = 132
"""The digits that fit on a line of paper, in small type."""


def as_data(document: Document) -> Data:
    """A document with its title, its parts, and whether it has blanks."""
    parts = list(_parts(document))
    return {"title": one_line(document.title), "parts": parts, "blank": any(map(_has_blanks, document.parts))}


def _has_blanks(part: Part) -> bool:
    if isinstance(part, Document):
        return any(map(_has_blanks, part.parts))
    return isinstance(part, Panels) and any(each.written and not each.written[0][0] for each in part.matrices)


def _parts(document: Document) -> Iterator[Data]:
    for part in document.parts:
        yield _lower(part, document.decimals)


def _lower(part: Part, decimals: int | None) -> Data:
    match part:
        case Document(title):
            return {"kind": "section", "title": one_line(title), "parts": list(_parts(part))}
        case Prose(words):
            return {"kind": "prose", "text": one_line(words)}
        case Remark(words, tone):
            return {"kind": "remark", "tone": tone, "text": one_line(words)}
        case Heading(words, axes, shape, aside):
            sizes = describe(axes, shape) if axes else ""
            heading: Data = {"kind": "heading", "text": one_line(words), "axes": sizes, "aside": aside}
            return heading | ({"symbol": letter(words)} if axes and has_symbol(words) else {})
        case Equation(left, right, first):
            alt = f"{text(left, first=first)} = {text(right, decimals=decimals, first=first)}"
            return {"kind": "equation", "formulas": formula(left, right, decimals, first), "alt": visible(alt)}
        case Arithmetic(explanation):
            alt = visible(str(explanation))
            return {"kind": "arithmetic", "formulas": list(arithmetic(explanation)), "alt": alt}
        case Panels(matrices):
            blocks = [block for matrix in matrices for block in _matrix(matrix, decimals)]
            return {"kind": "panels", "matrices": blocks}


def _matrix(matrix: Matrix, decimals: int | None) -> Iterator[Data]:
    """A matrix as one block, or as several below each other where it is too wide."""
    rows = shown(len(matrix.rows), MAX_ROWS, sorted({row for row, _ in matrix.marked}))
    columns = shown(len(matrix.columns), MAX_COLUMNS, sorted({column for _, column in matrix.marked}))
    write = writer(matrix, positions(rows), positions(columns), decimals)
    widest = max(len(write(row, column)) for row in positions(rows) for column in positions(columns))
    label = min(max(len(matrix.rows[row]) for row in positions(rows)), LONGEST_LABEL)
    most = max((LINE - label) // (widest + 2), 1)
    for start in range(0, len(columns), most):
        part = columns[start : start + most]
        set_rows = [_row(matrix, rows, at, part, write) for at in range(len(rows))]
        yield {
            "title": visible(matrix.title) if not start else "",
            "continued": bool(start),
            "columns": ["\u22ef" if column is None else _label(matrix.columns[column]) for column in part],
            "rows": set_rows,
            "longest": [
                max(cells, key=_length) for cells in zip(*filter(None, (row["cells"] for row in set_rows)), strict=True)
            ],
        }


def _length(cell: Data) -> int:
    return len(cell["text"])


def _row(matrix: Matrix, rows: list[int | None], at: int, columns: Sequence[int | None], write: Any) -> Data:
    row = rows[at]
    if row is None:
        return {"label": f"{gap(rows, at, len(matrix.rows))} not shown", "cells": []}
    cells = [
        {"text": "\u22ef"} if column is None else _cell(matrix, row, column, write(row, column)) for column in columns
    ]
    return {"label": _label(matrix.rows[row]), "cells": cells}


def _cell(matrix: Matrix, row: int, column: int, written: str) -> Data:
    cell: Data = {"text": number_for_paper(written)}
    share = float(matrix.values[row, column]) if matrix.shade else math.nan
    if math.isfinite(share):
        cell["shade"] = min(max(share, 0.0), 1.0)
    if (row, column) in matrix.marked:
        cell["marked"] = True
    return cell


def _label(words: str) -> str:
    words = visible(words)
    return words if len(words) <= LONGEST_LABEL else f"{words[:LONGEST_LABEL]}…"
