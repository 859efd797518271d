"""The blocks of numbers of a workbook by what is written beside them, as an example."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clearhead.errors import ProblemError
from clearhead.problems.names import role_of
from clearhead.problems.proposal.example import LINES, Example
from clearhead.problems.proposal.values import Value, array_of
from clearhead.untrusted.workbooks import Place, Sheet, read_workbook
from clearhead.written import DECIMAL

Block = tuple[str, Any, bool, str]
"""The label of a block, its numbers as nested texts, whether formulas gave them, and where it stands."""


def of_workbook(content: bytes) -> Example:
    """What a workbook holds: blocks of numbers, each with a text above its first cell or to the left of it.

    Raises:
        ProblemError: it is no workbook that can be read.
    """
    try:
        book = read_workbook(content)
    except ValueError as error:
        raise ProblemError(f"this is no workbook that can be read: {error}. Save it as .xlsx.") from None
    example = Example()
    blocks = [each for name, cells in book.sheets.items() for each in _blocks(name, cells)]
    for label, numbers, computed, place in blocks:
        role, head = _meant(label)
        if not role:
            example.unplaced.append(place)
            continue
        known = Value(None if computed and role in LINES else array_of(numbers), role, head)
        example.lines.setdefault((role, head), known)
        if role in LINES:
            example.claim(known, numbers, place)
    _join(example)
    example.facts["scale"] = [("Div", None)]  # labels do not say which
    return example


def _meant(label: str) -> tuple[str, int]:
    """The line that a label names, or of which alone its words speak; its head, 0 for none."""
    role, head = role_of(label)
    words = [word.strip(".:()") for word in label.lower().split()]
    found = {word if word in LINES else role_of(word)[0] for word in words if len(word) > 1} - {""}
    return (role, head) if role or len(found) != 1 else (found.pop(), 0)


def _join(example: Example) -> None:
    """Queries, keys and values as products of the input and their weights, where a workbook has both."""
    tokens = example.lines.get(("input", 0))
    if tokens is None or not tokens.matrix:
        return
    for (role, head), weight in list(example.lines.items()):
        part, _, kind = role.partition(".")
        if kind == "weight" and weight.matrix and part in ("query", "key", "value"):
            example.lines[part, head] = Value(role=part, head=head, parts=(tokens, weight))
    output = example.lines.get(("output.weight", 0))
    if output is not None and output.matrix:
        example.lines["output", 0] = Value(role="output", parts=(Value(role="concat"), output))


def _blocks(sheet: str, cells: Sheet) -> Iterator[Block]:
    """The rectangles of numbers of a sheet, from the top left."""
    left = {place for place, entry in cells.items() if DECIMAL.fullmatch(entry.text)}
    while left:
        top, start = min(left)
        right = start
        while (top, right + 1) in left:
            right += 1
        bottom = top
        while all((bottom + 1, column) in left for column in range(start, right + 1)):
            bottom += 1
        places = [[(row, column) for column in range(start, right + 1)] for row in range(top, bottom + 1)]
        left -= {place for row in places for place in row}
        numbers = [[cells[place].text for place in row] for row in places]
        computed = all(cells[place].computed for row in places for place in row)
        yield _label(cells, places), numbers, computed, f"{sheet}!{_address(top, start)}"


def _label(cells: Sheet, places: list[list[Place]]) -> str:
    """The text nearest above a block, or to the left of it, that names a line; if none does, the nearest.

    Texts beside all rows, or above all columns, are names of these: what the block is stands beyond them.
    """
    (top, left), bottom, right = places[0][0], len(places), len(places[0])
    rows_named = bottom > 1 and all(_text(cells, (row, column - 1)) for (row, column), *_ in places)
    columns_named = right > 1 and all(_text(cells, (row - 1, column)) for row, column in places[0])
    row, column = top - columns_named, left - rows_named
    near = [
        text
        for step in range(1, 3)
        for each in ((row - step, left), (top, column - step), (row - step, left - 1))
        if (text := _text(cells, each))
    ]
    return next((text for text in near if _meant(text)[0]), near[0] if near else "")


def _text(cells: Sheet, place: Place) -> str:
    """The text of a cell; none where it is empty or a number."""
    found = cells[place].text if place in cells else ""
    return "" if DECIMAL.fullmatch(found) else found


def _address(row: int, column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"
