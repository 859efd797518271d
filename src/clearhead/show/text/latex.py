"""A document as LaTeX, ready to be compiled by any of its engines."""

from __future__ import annotations

import math
from collections.abc import Iterator

from clearhead.axes import describe
from clearhead.document import Arithmetic, Document, Equation, Heading, Matrix, Panels, Part, Prose, Remark
from clearhead.expr import Ref
from clearhead.show.cells import gap, one_line, positions, shown, writer
from clearhead.show.colours import shade
from clearhead.show.formula.latex import arithmetic, equation, escape, latex, number_in_latex
from clearhead.show.formula.symbols import has_symbol

MAX_ROWS, MAX_COLUMNS, LINE = 24, 12, 14
"""Rows and columns of a matrix, and columns of matrices side by side."""
LONGEST_LABEL = 30

TONES = {"good": "Good", "note": "Note", "warning": "Warning"}

PREAMBLE = r"""\documentclass{article}
\usepackage[a4paper,margin=2cm]{geometry}
\usepackage{amsmath,graphicx,iftex,textcomp}
\usepackage[table]{xcolor}
\ifPDFTeX\usepackage[T1]{fontenc}\usepackage{lmodern}\else\usepackage{fontspec}\fi
\setlength{\parindent}{0pt}
\renewcommand{\arraystretch}{1.2}
\sloppy
% A formula as it is, or made smaller where it is wider than the page.
\newsavebox{\formula}
\newcommand{\fit}[1]{\[\sbox{\formula}{$\displaystyle #1$}%
  \ifdim\wd\formula>\linewidth\resizebox{\linewidth}{!}{\usebox{\formula}}\else\usebox{\formula}\fi\]}
% A blank for a number.
\newcommand{\blank}{\framebox[3.5em]{\rule[-1ex]{0pt}{3.5ex}}}
"""


def to_latex(document: Document) -> str:
    """A document as a complete LaTeX file. Labels and titles are escaped, whatever characters they hold.

    pdfLaTeX has no glyphs for most scripts and for emoji, and shows such characters by their number, as in [U+65E5].
    LuaLaTeX and XeLaTeX show what their font has.
    """
    body = "\n\n".join(_section(document))
    text = f"\\begin{{document}}\n\n{body}\n\n\\end{{document}}"
    return PREAMBLE + _stand_ins(text) + text


def _section(document: Document) -> Iterator[str]:
    yield rf"\section*{{{escape(one_line(document.title))}}}"
    for part in document.parts:
        yield from _lower(part, document.decimals)


def _stand_ins(text: str) -> str:
    """The number of characters that pdfLaTeX does not know."""
    beyond = sorted({c for c in text if not c.isascii()})
    lines = []
    for c in beyond:
        stand_in = rf"\DeclareUnicodeCharacter{{{ord(c):04X}}}{{[U+{ord(c):04X}]}}"
        lines.append(rf"\ifcsname u8:\detokenize{{{c}}}\endcsname\else{stand_in}\fi")
    return "\\ifPDFTeX\n" + "\n".join(lines) + "\n\\fi\n" if lines else ""


def _lower(part: Part, decimals: int | None) -> Iterator[str]:
    match part:
        case Document():
            yield from _section(part)
        case Prose(words):
            yield escape(one_line(words))
        case Remark(words, tone):
            yield rf"\textbf{{{TONES[tone]}:}} {escape(one_line(words))}"
        case Heading(words, axes, shape, aside):
            sizes = _light(describe(axes, shape)) if axes else ""
            letter = f" ${latex(Ref(words, ()))}$" if axes and has_symbol(words) else ""
            yield rf"\subsection*{{{escape(words)}{letter}{sizes}{_light(aside)}}}"
        case Equation():
            yield _display(equation(part.left, part.right, decimals, part.first))
        case Panels(matrices):
            yield from map(_display, _side_by_side(matrices, decimals))
        case Arithmetic(explanation):
            yield from map(_display, arithmetic(explanation))


def _light(words: str) -> str:
    return rf" {{\normalfont {escape(words)}}}" if words else ""


def _display(formula: str) -> str:
    return f"\\fit{{{formula}}}"


def _side_by_side(matrices: tuple[Matrix, ...], decimals: int | None) -> Iterator[str]:
    """Matrices side by side, as many as fit on a line of the page."""
    line: list[str] = []
    filled = 0
    for matrix in matrices:
        columns = min(len(matrix.columns), MAX_COLUMNS) + 1
        if line and filled + columns > LINE:
            yield "\n\\qquad\n".join(line)
            line, filled = [], 0
        line.append(_matrix(matrix, decimals))
        filled += columns
    yield "\n\\qquad\n".join(line)


def _matrix(matrix: Matrix, decimals: int | None) -> str:
    rows = shown(len(matrix.rows), MAX_ROWS, sorted({row for row, _ in matrix.marked}))
    columns = shown(len(matrix.columns), MAX_COLUMNS, sorted({column for _, column in matrix.marked}))
    write = writer(matrix, positions(rows), positions(columns), decimals)

    def cell(row: int, column: int | None) -> str:
        if column is None:
            return r"\cdots"
        number = number_in_latex(write(row, column)) or r"\blank"
        return (_shade(float(matrix.values[row, column])) if matrix.shade else "") + (
            rf"\boxed{{{number}}}" if (row, column) in matrix.marked else number
        )

    top = [r"\cdots" if column is None else _label(matrix.columns[column]) for column in columns]
    table = [f"{_label(matrix.title) if matrix.title else ''} & {' & '.join(top)} \\\\ \\hline"]
    for at, row in enumerate(rows):
        if row is None:
            words = _label(f"{gap(rows, at, len(matrix.rows))} not shown")
            table.append(rf"\vdots & \multicolumn{{{len(columns)}}}{{c}}{{{words}}} \\")
        else:
            table.append(f"{_label(matrix.rows[row])} & {' & '.join(cell(row, c) for c in columns)} \\\\")
    inner = "\n".join(table)
    return f"\\begin{{array}}{{r|{'r' * len(columns)}}}\n{inner}\n\\end{{array}}"


def _shade(share: float) -> str:
    return rf"\cellcolor[HTML]{{{shade(share)}}}" if math.isfinite(share) else ""


def _label(words: str) -> str:
    short = words if len(words) <= LONGEST_LABEL else f"{words[:LONGEST_LABEL]}…"
    return rf"\text{{{escape(short)}}}"
