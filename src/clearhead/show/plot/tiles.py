"""Where the small pictures of a large trace stand: packed into rows, in inches from the top left."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec import Struct

WIDTH, HEIGHT = 11.69, 8.27
"""A4, lying."""

MARGIN, TOP, GAP = 0.25, 0.75, 0.18
"""The room at the edges, for the title, and between tiles."""

NAME, LETTER = 0.3, 0.058
"""The room for a tile's name and shape, and for one letter of them."""

SIDE, CELL, APART, LONGEST = 0.7, 0.16, 0.04, 3.0
"""The longest side of a matrix, a cell of a small one, the gap between matrices; how often longer one side may be."""

MAX_TALL = 60.0
"""The height of the tallest picture; what does not fit is left out, and the picture says so."""


class Tile(Struct, frozen=True):
    """A line as it is drawn: below two captions ``count`` matrices of ``matrix`` inches, width and height."""

    name: str
    shape: str
    matrix: tuple[float, float]
    count: int

    @property
    def width(self) -> float:
        """The room that the tile takes."""
        return max(self.count * (self.matrix[0] + APART) - APART, LETTER * max(len(self.name), len(self.shape)))

    @property
    def height(self) -> float:
        """The room that the tile takes."""
        return NAME + self.matrix[1]


class Placed(Struct, frozen=True):
    """A tile, the page that it is on, and its top left corner."""

    tile: Tile
    page: int
    left: float
    top: float


def size_of(rows: int, columns: int) -> tuple[float, float]:
    """Width and height of a matrix: square cells, unless one side is many times as long as the other."""
    cell = min(CELL, SIDE / max(rows, columns))
    width, height = columns * cell, rows * cell
    if width > LONGEST * height and columns * CELL > SIDE:
        return LONGEST * SIDE, min(SIDE, max(rows * CELL, SIDE / 7))
    return max(width, SIDE / 7), max(height, SIDE / 7)


def placed(tiles: Sequence[Tile], page: float) -> list[Placed]:
    """The tiles in rows, on pages of this height, as far as `MAX_TALL` reaches."""
    found: list[Placed] = []
    number, top = 0, TOP
    for row in _rows(tiles):
        height = max(tile.height for tile in row)
        if top + height + MARGIN > page:
            number, top = number + 1, MARGIN
        if number * page + top + height > MAX_TALL:
            return found
        left = MARGIN
        for tile in row:
            found.append(Placed(tile, number, left, top))
            left += tile.width + GAP
        top += height + GAP
    return found


def _rows(tiles: Sequence[Tile]) -> Iterator[list[Tile]]:
    """The tiles that stand side by side. A layer or step of several lines begins a row."""
    row: list[Tile] = []
    for _, part in groupby(tiles, lambda tile: _part(tile.name)):
        together = list(part)
        if row and len(together) > 1:
            yield row
            row = []
        for tile in together:
            if row and sum(each.width + GAP for each in row) + tile.width > WIDTH - 2 * MARGIN:
                yield row
                row = []
            row.append(tile)
    if row:
        yield row


def _part(name: str) -> str:
    """The layer or step that a line belongs to: its path up to the first number."""
    found = re.match(r".*?\d+(?=\.)", name)
    return found.group() if found else ""
