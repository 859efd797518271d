"""A matrix as a block of lines: labels, brackets, and numbers in columns, aligned at the decimal point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from msgspec import Struct

from clearhead.document import Matrix
from clearhead.errors import visible
from clearhead.expr import number
from clearhead.show.cells import gap, positions, shown, writer
from clearhead.show.text.terminal import Row, Span, clip, measure, pad, pad_before

MAX_ROWS = 24
LABEL_WIDTHS = (12, 6)
"""The largest width of a column's label; the second applies where the first does not fit."""
BETWEEN = 3
"""Cells between blocks side by side."""
BLANK = "_____"
"""A blank for a number."""

TITLE, LABEL, MARKED = "bold", "dim", "bold color(16) on color(220)"

SHADES = (
    "color(16) on color(255)", "color(16) on color(153)", "color(16) on color(111)", "color(16) on color(69)",
    "color(231) on color(26)", "color(231) on color(20)", "color(231) on color(18)",
)  # fmt: skip
"""Colours from 0 to 1: perceived as equal steps, and with a contrast of the text above 4.5."""


class Column(Struct, frozen=True):
    """A column as text: its position (None: a gap), its label, and its cells, all of one width."""

    place: int | None
    label: str
    cells: tuple[str, ...]

    def width(self, most: int) -> int:
        """The width with a label of at most ``most`` cells, and one cell for marks on each side."""
        return max(len(self.cells[0]), min(measure(self.label), most)) + 2


class Block(Struct, frozen=True):
    """Lines that are all of one width."""

    rows: list[Row]
    width: int


def block(matrix: Matrix, decimals: int | None, width: int) -> Block:
    """A matrix in at most ``width`` cells: columns and rows that do not fit are left out of the middle."""
    rows = shown(len(matrix.rows), MAX_ROWS, _first_few(row for row, _ in matrix.marked))
    labels = [clip(visible(matrix.rows[row]), width // 4) for row in positions(rows)]
    left = max(map(measure, labels))
    columns, most = _columns(matrix, positions(rows), decimals, width - left - 3)
    title = [[Span(clip(visible(matrix.title), width), TITLE)]] if matrix.title else []
    top = "".join(_right(clip(column.label, most), column.width(most)) for column in columns)
    body = [
        [Span(pad(label, left) + " ", LABEL), *_cells(matrix, columns, most, row, index)]
        for index, (row, label) in enumerate(zip(positions(rows), labels, strict=True))
    ]
    _bracket(body)
    for at in [at for at, row in enumerate(rows) if row is None]:
        count = gap(rows, at, len(matrix.rows))
        body.insert(at, [Span(f"… {count} {'row' if count == 1 else 'rows'} not shown", LABEL)])
    return _squared([*title, [Span(" " * (left + 2)), Span(top, LABEL)], *body])


def _first_few(places: Iterable[int]) -> list[int]:
    return sorted(set(places))[:3]


def _columns(matrix: Matrix, rows: Sequence[int], decimals: int | None, width: int) -> tuple[list[Column], int]:
    """The columns that fit, and the largest width of their labels."""
    count, keep = len(matrix.columns), _first_few(column for _, column in matrix.marked)
    places = shown(count, width // 3, keep)
    write = writer(matrix, rows, positions(places), decimals)

    @cache
    def column(place: int | None) -> Column:
        if place is None:
            return Column(None, "…", ("…",) * len(rows))
        cells = _aligned([write(row, place) or BLANK for row in rows])
        if len(cells[0]) > width - 8:  # wider than the space left by a gap on each side
            cells = _aligned([number(float(value)) for value in matrix.values[rows, place]])
        return Column(place, visible(matrix.columns[place]), cells)

    def total(most: int) -> int:
        return sum(column(place).width(most) for place in places)

    wide, narrow = LABEL_WIDTHS
    while total(narrow) > width:
        places = shown(count, len(places) - 1, keep)
    most = wide if total(wide) <= width else narrow
    return [column(place) for place in places], most


def _aligned(cells: Sequence[str]) -> tuple[str, ...]:
    """Numbers padded to one width, aligned at their points; words and NaN are aligned at the right."""
    points = [min((at for mark in ".e" if (at := cell.find(mark)) >= 0), default=len(cell)) for cell in cells]
    is_number = [cell[-1].isdigit() for cell in cells]
    before = max((point for point, known in zip(points, is_number, strict=True) if known), default=0)
    numbers = [" " * (before - point) + cell for cell, point in zip(cells, points, strict=True)]
    longest = max((len(cell) for cell, known in zip(numbers, is_number, strict=True) if known), default=0)
    width = max(longest, *map(len, cells))
    return tuple(
        (number.ljust(longest) if known else cell).rjust(width)
        for cell, number, known in zip(cells, numbers, is_number, strict=True)
    )


def _right(text: str, width: int) -> str:
    return pad_before(text, width - 1) + " "


def _cells(matrix: Matrix, columns: Sequence[Column], most: int, row: int, index: int) -> Row:
    """The cells of a row."""
    spans = []
    for column in columns:
        written = _right(column.cells[index], column.width(most))
        if column.place is None:
            spans.append(Span(written, LABEL))
        elif (row, column.place) in matrix.marked:
            number = written.strip()
            start = written.index(number)
            spans.append(Span(f"{written[: start - 1]}[{number}]{written[start + len(number) + 1 :]}", MARKED))
        else:
            spans.append(Span(written, _shade(matrix.values[row, column.place]) if matrix.shade else ""))
    return spans


def _shade(share: float) -> str:
    if not math.isfinite(share):
        return ""
    return SHADES[round(min(max(float(share), 0.0), 1.0) * (len(SHADES) - 1))]


def _bracket(body: list[Row]) -> None:
    """Puts the brackets of a matrix around rows; the label stays outside."""
    last = len(body) - 1
    for at, row in enumerate(body):
        left, right = ("[", "]") if not last else ("⎡⎤" if at == 0 else "⎣⎦" if at == last else "⎢⎥")
        row.insert(1, Span(left))
        row.append(Span(right))


def _squared(rows: list[Row]) -> Block:
    """Rows padded to the width of the widest."""
    widths = [sum(measure(text) for text, _ in row) for row in rows]
    widest = max(widths)
    for row, width in zip(rows, widths, strict=True):
        row.append(Span(" " * (widest - width)))
    return Block(rows, widest)


def beside(blocks: Sequence[Block], width: int) -> Iterator[Row]:
    """Blocks side by side as far as the width allows, the others below, with an empty line between."""
    waiting = list(blocks)
    while waiting:
        line = [waiting.pop(0)]
        while waiting and sum(each.width + BETWEEN for each in line) + waiting[0].width <= width:
            line.append(waiting.pop(0))
        for at in range(max(len(each.rows) for each in line)):
            yield [part for each in line for part in (*_row(each, at), Span(" " * BETWEEN))][:-1]
        if waiting:
            yield []


def _row(block: Block, at: int) -> Row:
    return block.rows[at] if at < len(block.rows) else [Span(" " * block.width)]
