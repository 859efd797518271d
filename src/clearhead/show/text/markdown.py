"""A document as GitHub-flavoured Markdown: tables, and formulas in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clearhead.axes import describe
from clearhead.document import Arithmetic, Document, Equation, Heading, Matrix, Panels, Part, Prose, Remark
from clearhead.errors import visible
from clearhead.expr import Ref
from clearhead.show.cells import gap, one_line, positions, shown, writer
from clearhead.show.formula.latex import arithmetic, equation, latex
from clearhead.show.formula.symbols import has_symbol

MAX_ROWS, MAX_COLUMNS = 24, 12
BLANK = "&emsp;&emsp;"
"""A blank for a number: white space that gives a cell of a table some width."""

TONES = {"good": "Good", "note": "Note", "warning": "Warning"}

_SPECIAL = re.compile(r"[\\`*_\[\]{}<>&|$#~!]|://|www\.|^(?:[-+=:]|\d+[.)])")
"""Characters that are markup in Markdown, GitHub's mathematics or HTML, or that start a list or a link."""


def to_markdown(document: Document) -> str:
    """A document as Markdown. Labels and titles are escaped: nothing in them is read as markup."""
    return "\n\n".join(_section(document, 1))


def _section(document: Document, level: int) -> Iterator[str]:
    yield f"{'#' * level} {escape(one_line(document.title))}"
    for part in document.parts:
        yield from _lower(part, document.decimals, level + 1)


def escape(words: str) -> str:
    """Escaped text: no character is markup."""
    return _SPECIAL.sub(lambda found: "".join(map(_character, found[0])), visible(words))


def _character(c: str) -> str:
    """A special character after a backslash, or as a character reference where other parsers read it first."""
    if c.isalnum():
        return c
    return f"&#{ord(c)};" if c in "<>&|$:/" else f"\\{c}"


def _lower(part: Part, decimals: int | None, level: int) -> Iterator[str]:
    match part:
        case Document():
            yield from _section(part, level)
        case Prose(words):
            yield escape(one_line(words))
        case Remark(words, tone):
            yield f"> **{TONES[tone]}:** {escape(one_line(words))}"
        case Heading(words, axes, shape, aside):
            sizes = f" {escape(describe(axes, shape))}" if axes else ""
            letter = f" ${latex(Ref(words, ()))}$" if axes and has_symbol(words) else ""
            yield f"{'#' * level} {escape(words)}{letter}{sizes}{aside and f' {escape(aside)}'}"
        case Equation():
            yield _display(equation(part.left, part.right, decimals, part.first))
        case Panels(matrices):
            for matrix in matrices:
                yield from _matrix(matrix, decimals)
        case Arithmetic(explanation):
            yield from map(_display, arithmetic(explanation))


def _display(formula: str) -> str:
    return f"$$\n{formula}\n$$"


def _matrix(matrix: Matrix, decimals: int | None) -> Iterator[str]:
    if matrix.title:
        yield f"**{escape(matrix.title)}**"
    rows = shown(len(matrix.rows), MAX_ROWS, sorted({row for row, _ in matrix.marked}))
    columns = shown(len(matrix.columns), MAX_COLUMNS, sorted({column for _, column in matrix.marked}))
    write = writer(matrix, positions(rows), positions(columns), decimals)

    def cell(row: int, column: int | None) -> str:
        if column is None:
            return "…"
        number = write(row, column) or BLANK
        return f"**{number}**" if (row, column) in matrix.marked else number

    table = [_row(["", *("…" if c is None else escape(matrix.columns[c]) for c in columns)])]
    table.append(_row([":--", *["--:"] * len(columns)]))
    for at, row in enumerate(rows):
        if row is None:
            table.append(_row([f"… {gap(rows, at, len(matrix.rows))} not shown", *[""] * len(columns)]))
        else:
            table.append(_row([escape(matrix.rows[row]), *(cell(row, column) for column in columns)]))
    yield "\n".join(table)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
