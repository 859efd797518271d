"""Claims in a workbook: in blank sheets of clearhead, or in sheets named after lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from clearhead.axes import HEADS
from clearhead.errors import ProblemError
from clearhead.line import Given
from clearhead.trace import Trace
from clearhead.untrusted.workbooks import Sheet, Workbook, read_workbook
from clearhead.written import UNCLAIMED

TO_FILL = "FFF8E1"
"""The colour of blank cells, which the student fills in."""

Rows = list[list[str]]


def tables_of(content: bytes, trace: Trace) -> Iterator[tuple[str, Rows]]:
    """The tables in a workbook, each with its line or head, or the name of its sheet.

    Raises:
        ProblemError: it is no workbook, or nothing was filled in.
    """
    try:
        book = read_workbook(content)
    except ValueError as error:
        raise ProblemError(f"this is no workbook that can be read: {error}. Save it as .xlsx.") from None
    ours = _named_areas(book, trace)
    if not ours:
        yield from ((name, _rows(_with_zeros(cells))) for name, cells in book.sheets.items() if cells)
        return
    marked = any(entry.fill == TO_FILL for cells in book.sheets.values() for entry in cells.values())
    for address, (name, top, left, bottom, right) in ours.items():
        inside = (
            (place, each)
            for place, each in book.sheets.get(name, {}).items()
            if top <= place[0] <= bottom and left <= place[1] <= right
        )
        cells = _with_zeros(dict(inside))
        rows = [
            [_filled_in(cells, (row, column), marked=marked) for column in range(left, right + 1)]
            for row in range(top, bottom + 1)
        ]
        if any(text != UNCLAIMED for row in rows for text in row):
            yield address, rows


_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def _with_zeros(cells: Sheet) -> Sheet:
    """The same with the zeros of whole numbers that a workbook leaves out: ``1`` beside ``0.37`` is ``1.00``.

    In a table with a row for each number, only the column of values has numbers of one kind.
    """
    column = next((place[1] for place, each in cells.items() if each.text.strip().lower() in ("value", "values")), None)
    numbers = {
        place: each
        for place, each in cells.items()
        if each.number and _PLAIN.fullmatch(each.text) and column in (None, place[1])
    }
    decimals = min((len(each.text.partition(".")[2]) for each in numbers.values() if "." in each.text), default=0)
    whole = {place: each for place, each in numbers.items() if decimals and "." not in each.text}
    return cells | {place: replace(each, text=f"{each.text}.{'0' * decimals}") for place, each in whole.items()}


def _filled_in(cells: Sheet, place: tuple[int, int], *, marked: bool) -> str:
    """A student's text in a cell. Where blank cells are marked, only these count; else no formula counts."""
    entry = cells.get(place)
    if entry is None or not entry.text or (entry.fill != TO_FILL if marked else entry.computed):
        return UNCLAIMED
    return entry.text


def _named_areas(book: Workbook, trace: Trace) -> Mapping[str, tuple[str, int, int, int, int]]:
    """The areas that a workbook names after lines or heads, by address."""
    addresses: dict[str, str] = {}
    for name in trace:
        if isinstance(trace.working.line(name), Given):
            continue
        axes = trace.axes(name)
        heads = HEADS.intersection(axes)
        if not heads:
            addresses[_legal(name)] = name
        else:
            size = trace[name].shape[next(at for at, word in enumerate(axes) if word in HEADS)]
            first = trace.working.label_base
            for label in range(first, first + size):
                addresses[_legal(f"{name}_{label}")] = f"{name}@{label}"
    found = {addresses[_legal(name)]: area for name, area in book.names.items() if _legal(name) in addresses}
    return {address: found[address] for address in addresses.values() if address in found}


def _legal(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII).strip("_").lower()


MAX_SIDE = 10_000


def _rows(cells: Sheet) -> Rows:
    """The cells of a sheet as rows, from the first that is used to the last."""
    used = [place for place, entry in cells.items() if entry.text]
    if not used:
        return []
    top, left = (min(place[at] for place in used) for at in (0, 1))
    bottom, right = (max(place[at] for place in used) for at in (0, 1))
    if bottom - top >= MAX_SIDE or right - left >= MAX_SIDE:
        raise ProblemError(f"a sheet has numbers more than {MAX_SIDE} rows or columns apart. Move them together.")
    return [
        [cells[row, column].text if (row, column) in cells else "" for column in range(left, right + 1)]
        for row in range(top, bottom + 1)
    ]
