"""A document as HTML, for pages, notebooks and print. No scripts and no styles, only classes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from clearhead.axes import describe
from clearhead.document import Arithmetic, Document, Equation, Heading, Matrix, Panels, Part, Prose, Remark
from clearhead.expr import Ref
from clearhead.show.cells import gap, one_line, positions, shown, writer
from clearhead.show.colours import ABOVE, MAX_BLEND
from clearhead.show.formula.mathml import arithmetic, equation, escape, mathml
from clearhead.show.formula.symbols import has_symbol

MAX_ROWS, MAX_COLUMNS = 16, 12
SHADES = 9
"""Steps of shading, from 0 for nothing to 9 for all: classes ``s0`` to ``s9``."""
TONES = {"good": "Good", "note": "Note", "warning": "Warning"}
MINUS = "−"


def to_html(document: Document, *, level: int = 2) -> str:
    """A document as a fragment of HTML. Labels and titles are escaped: nothing in them is read as markup.

    Args:
        document: what is shown.
        level: the level of its title's heading; those inside are one deeper.
    """
    return "\n".join(_document(document, level))


PAGE_STYLE = (
    ":root{color-scheme:light dark;--ink:#1c1f26;--soft:#5a6270;--paper:#fff;--note:#2b5797;--warn:#b4561a;"
    "--good:#3a7d44}@media(prefers-color-scheme:dark){:root{--ink:#e8eaee;--soft:#a3abb8;--paper:#14161b;--note:#7aa7e8;--warn:#e08a4a;"
    "--good:#7ed3a0}}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:var(--ink);"
    "background:var(--paper);overflow-wrap:anywhere}"
    "h1,h2,h3{line-height:1.25}h2 small{font-weight:normal;color:var(--soft)}"
    ".remark{--tone:var(--note);border-left:4px solid var(--tone);padding:.4rem .8rem;"
    "background:color-mix(in srgb,var(--tone) 12%,var(--paper))}"
    ".remark.warning{--tone:var(--warn)}.remark.good{--tone:var(--good)}"
    ".formula{margin:.8rem 0;overflow-x:auto}math{line-height:normal}mfrac,mtr{padding:.25em 0}"
    ".panels{display:flex;flex-wrap:wrap;gap:1rem 3rem;align-items:flex-start;margin:.8rem 0;overflow-x:auto}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.15rem .6rem;text-align:right}"
    "thead th,tbody th{font-weight:normal;color:var(--soft);font-size:.85em}"
    "caption{text-align:left;white-space:nowrap;font-style:italic}"
    "td.marked{outline:2px solid var(--warn);outline-offset:-3px}"
    + "".join(
        f".matrix td.s{n}{{background:color-mix(in srgb,{ABOVE} {round(100 * MAX_BLEND * n / SHADES)}%,var(--paper))}}"
        for n in range(SHADES + 1)
    )
)


def one_page(document: Document) -> str:
    """A document as a whole page of HTML, which needs nothing else."""
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(one_line(document.title))}</title><style>{PAGE_STYLE}</style>"
    )
    body = to_html(document, level=1)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{body}\n</main></body></html>\n'


def _document(document: Document, level: int) -> Iterator[str]:
    yield f"<h{level}>{escape(one_line(document.title))}</h{level}>"
    for are_lines, groups in groupby(_by_line(document.parts), key=_is_line):
        lowered = [[text for part in group for text in _lower(part, document.decimals, level + 1)] for group in groups]
        if are_lines:
            yield '<div class="lines">'
            yield from (text for each in lowered for text in ("<section>", *each, "</section>"))
            yield "</div>"
        else:
            yield from (text for each in lowered for text in each)


def _by_line(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """The parts of each line together: its heading and what follows up to the next heading or section."""
    group: list[Part] = []
    for part in parts:
        if group and (isinstance(part, (Heading, Document)) or isinstance(group[-1], Document)):
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def _is_line(group: list[Part]) -> bool:
    return isinstance(group[0], Heading) and bool(group[0].axes)


def _lower(part: Part, decimals: int | None, level: int) -> Iterator[str]:
    match part:
        case Prose(words):
            yield f"<p>{escape(one_line(words))}</p>"
        case Remark(words, tone):
            yield f'<p class="remark {tone}"><b>{TONES[tone]}:</b> {escape(one_line(words))}</p>'
        case Heading(words, axes, shape, aside, more):
            small = " ".join(filter(None, [describe(axes, shape) if axes else "", aside]))
            letter = f" <math>{mathml(Ref(words, ()))}</math>" if axes and has_symbol(words) else ""
            kind = ' class="more"' if more else ""
            yield f"<h{level}{kind}>{escape(words)}{letter} <small>{escape(small)}</small></h{level}>"
        case Equation():
            yield _formula(equation(part.left, part.right, decimals, part.first))
        case Panels(matrices):
            yield f'<div class="panels" tabindex="0">{"".join(_matrix(matrix, decimals) for matrix in matrices)}</div>'
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
