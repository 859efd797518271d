"""The places of a trace's cells in a workbook: a block for each line, its heads side by side."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import groupby

import numpy as np
from msgspec import Struct

from clearhead.axes import HEADS, Axes, Cell, Shape
from clearhead.errors import ShapeError
from clearhead.line import Given
from clearhead.trace import Trace

MAX_CELLS = 50_000
"""The most numbers in a workbook."""
MAX_COLUMNS = 16_384
LONGEST_SHEET_NAME = 31

FRONT, INPUTS = "About", "Inputs"
FIRST_ROW, FIRST_COLUMN = 2, 1
"""Where the first block starts: below the sheet's heading, right of the labels of rows."""


class Area(Struct, frozen=True):
    """A rectangle of cells of a sheet, counted from 0, ends included."""

    sheet: str
    top: int
    left: int
    bottom: int
    right: int

    @property
    def form(self) -> tuple[int, int]:
        """How many rows and columns it has."""
        return self.bottom - self.top + 1, self.right - self.left + 1

    @property
    def address(self) -> str:
        """The address within its sheet: ``B5`` or ``B5:D7``."""
        first, last = _a1(self.top, self.left), _a1(self.bottom, self.right)
        return first if first == last else f"{first}:{last}"

    def seen_from(self, sheet: str) -> str:
        """The address in a formula on this sheet."""
        return self.address if sheet == self.sheet else f"{quoted(self.sheet)}!{self.address}"

    @property
    def absolute(self) -> str:
        """The address for a name of the workbook: ``'Inputs'!$B$5:$D$7``."""
        first, last = _a1(self.top, self.left, "$"), _a1(self.bottom, self.right, "$")
        return f"{quoted(self.sheet)}!{first}:{last}"


def quoted(sheet: str) -> str:
    """The name of a sheet in formulas."""
    return sheet if re.fullmatch(r"[A-Za-z_]{4,}", sheet) else "'" + sheet.replace("'", "''") + "'"


@lru_cache(maxsize=4096)
def _a1(row: int, column: int, mark: str = "") -> str:
    letters, column = "", column + 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{mark}{letters}{mark}{row + 1}"


class Block(Struct, frozen=True):
    """The block of an array: matrices side by side, one for each index of the axes in front of its last two.

    A vector is a matrix of one row. ``row`` is the row of the block's name. Below it are the formula, if it is a
    line, the names of the matrices, if there are several, the labels of the columns, and the numbers.
    """

    name: str
    sheet: str
    row: int
    shape: Shape
    given: bool

    @property
    def lead(self) -> Shape:
        """The sizes of the axes in front of the matrices."""
        return self.shape[:-2]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of each matrix."""
        rows, columns = (1, 1, *self.shape)[-2:]
        return rows, columns

    @property
    def panels(self) -> list[Cell]:
        """The index of each matrix."""
        return list(np.ndindex(self.lead))

    @property
    def top(self) -> int:
        """The first row of its numbers."""
        return self.row + 2 + (not self.given) + bool(self.lead)

    @property
    def end(self) -> int:
        """The row after the last of its numbers."""
        return self.top + self.size[0]

    def place(self, cell: Cell) -> tuple[int, int]:
        """Row and column of a cell of the array."""
        _, columns = self.size
        row, column = (0, 0, *cell)[-2:]
        panel = int(np.ravel_multi_index(cell[:-2], self.lead)) if self.lead else 0
        return self.top + row, FIRST_COLUMN + panel * (columns + 1) + column

    def area(self, panel: Cell) -> Area:
        """The rectangle of one matrix."""
        rows, columns = self.size
        top, left = self.place((*panel, 0, 0))
        return Area(self.sheet, top, left, top + rows - 1, left + columns - 1)


def blocks_of(trace: Trace) -> dict[str, Block]:
    """The block of every given array and every line: one sheet for given arrays, and one for each group of lines.

    Raises:
        ShapeError: there are too many numbers for a spreadsheet, or a line was not kept.
    """
    if missing := [name for name in trace.working.names if name not in trace]:
        raise ShapeError(
            f"{missing[0]} was not kept, so no formula can read it. Keep every line: without keep=, or with --keep '*'."
        )
    count = sum(int(np.prod(trace[name].shape)) for name in trace)
    if count > MAX_CELLS:
        raise ShapeError(f"The {count} numbers are too many for a spreadsheet of {MAX_CELLS}. Save as .npz or .html.")
    blocks: dict[str, Block] = {}
    for sheet, names in sheets(trace):
        row = FIRST_ROW
        for name in names:
            block = blocks[name] = Block(name, sheet, row, tuple(trace[name].shape), is_given(trace, name))
            if block.place(tuple(size - 1 for size in block.shape))[1] >= MAX_COLUMNS:
                raise ShapeError(
                    f"{name} is wider than a sheet, which has {MAX_COLUMNS} columns. Save as .npz or .html."
                )
            row = block.end + 1
    return blocks


def sheets(trace: Trace) -> Iterator[tuple[str, list[str]]]:
    """The name of each sheet, with its arrays: the given ones, then successive lines of one kind."""
    taken = {FRONT.lower(), INPUTS.lower()}
    yield INPUTS, [given.name for given in trace.working.givens]
    kind = ""
    stages = []
    for line in trace.working.lines:
        kind = _kind(line.name, line.axes) or kind
        stages.append((kind, line.name))
    for _, group in groupby(stages, key=lambda stage: stage[0]):
        names = [name for _, name in group]
        sheet = _sheet_name(names, taken)
        taken.add(sheet.lower())
        yield sheet, names


def _kind(name: str, axes: Axes) -> str:
    """The key by which lines share a sheet: their part of the block and the kind of their rows."""
    if len(axes) < 2:
        return ""
    path = name.split(".")[0] if name.split(".")[0] in ("attention", "mlp") else ""
    return f"{path}:{'scores' if {'query', 'key'} <= set(axes) else 'heads' if HEADS & set(axes) else 'tokens'}"


def _sheet_name(names: list[str], taken: Collection[str]) -> str:
    first, last = (re.sub(r"[\[\]:*?/\\'\x00-\x1f]|[^\x20-\uffff]", "_", name) for name in (names[0], names[-1]))
    whole = first if len(names) == 1 else f"{_last_words(first)} to {_last_words(last)}"
    name, number = whole[:LONGEST_SHEET_NAME].strip() or "_", 2
    while name.lower() in {*taken, "history"}:
        end = f" {number}"
        name, number = whole[: LONGEST_SHEET_NAME - len(end)] + end, number + 1
    return name


def _last_words(name: str) -> str:
    """The name without its path, shortened so that two fit on a tab."""
    parts = name.split(".")
    while len(parts) > 1 and (len(".".join(parts)) > 13 or parts[0] in ("attention", "mlp")):
        parts = parts[1:]
    return ".".join(parts)


def defined_names(trace: Trace, blocks: dict[str, Block]) -> Iterator[tuple[str, Area]]:
    """A name for each matrix: that of its line, followed by the head where there are several."""
    taken: set[str] = set()
    for name, block in blocks.items():
        labels = trace.labels(name)
        for panel in block.panels:
            marks = [labels[at][index] for at, index in enumerate(panel)]
            yield _free("_".join([name, *marks]), taken), block.area(panel)


def _free(name: str, taken: set[str]) -> str:
    """A name that workbooks allow: letters and digits, not an address of a cell, and unique."""
    legal = re.sub(r"\W", "_", name, flags=re.ASCII)[:200]
    looks_like_a_cell = re.fullmatch(r"[A-Za-z]{1,3}\d+|[rR]\d*([cC]\d*)?|[cC]\d*", legal)
    if not legal or legal[0].isdigit() or looks_like_a_cell or legal.lower() in ("true", "false", MINUS_INFINITY):
        legal = f"_{legal}"
    while legal.lower() in taken:
        legal += "_"
    taken.add(legal.lower())
    return legal


MINUS_INFINITY = "minus_infinity"
"""The name of the number that represents minus infinity in a workbook."""


def is_given(trace: Trace, name: str) -> bool:
    """Whether an array is given, so that its cells are typed numbers."""
    return isinstance(trace.working.line(name), Given)
