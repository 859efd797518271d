"""Excel workbooks read as data: the texts of cells, and named areas. Formulas are never computed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

from msgspec import Struct

from clearhead.untrusted.archives import Archive

MAX_BYTES = 64 << 20
"""All parts of a workbook together, unpacked."""

MAX_CELLS = 500_000

DIGITS, MAX_NUMBER = 15, 40
"""The digits of a number in a spreadsheet, and the longest text that is read as one."""

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"

Place = tuple[int, int]


class Entry(Struct, frozen=True):
    """A cell: its value as text, whether a formula gave it, its background colour (RRGGBB), and if it is a number.

    A number lacks the zeros at its end that may have been typed.
    """

    text: str
    computed: bool
    fill: str
    number: bool


Sheet = dict[Place, Entry]


class Workbook(Struct, frozen=True):
    """The sheets by name, and the named areas: sheet, top, left, bottom, right, counted from 0."""

    sheets: dict[str, Sheet]
    names: dict[str, tuple[str, int, int, int, int]]


def read_workbook(content: bytes) -> Workbook:
    """The cells of an ``.xlsx`` file.

    Raises:
        ValueError: it is no such file, damaged, or too large.
    """
    archive = Archive(BytesIO(content), max_bytes=MAX_BYTES)
    book = _xml(archive, "xl/workbook.xml")
    targets = {each.get("Id"): each.get("Target", "") for each in _xml(archive, "xl/_rels/workbook.xml.rels")}
    shared = _shared(archive)
    fills = _fills(archive)
    sheets: dict[str, Sheet] = {}
    left = MAX_CELLS
    for each in book.iter(f"{MAIN}sheet"):
        target = targets.get(each.get(RELATION), "").lstrip("/").removeprefix("xl/")
        cells = dict(_cells(_xml(archive, f"xl/{target}"), shared, fills))
        left -= len(cells)
        if left < 0:
            raise ValueError(f"it has more than {MAX_CELLS} cells")
        sheets[each.get("name", "")] = cells
    return Workbook(sheets, dict(_names(book)))


def _xml(archive: Archive, name: str) -> Any:
    content = archive.read(name)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\x00" in content[:200]:
        raise ValueError(f"{name} declares entities, or is no UTF-8 text, unlike that of any workbook")
    try:
        return ElementTree.fromstring(content)  # noqa: S314 - without entities nothing is expanded
    except ElementTree.ParseError as error:
        raise ValueError(f"{name[:100]!r} is damaged: {error}") from None


def _shared(archive: Archive) -> list[str]:
    """The texts that cells refer to by number."""
    if "xl/sharedStrings.xml" not in archive.names:
        return []
    return ["".join(t.text or "" for t in each.iter(f"{MAIN}t")) for each in _xml(archive, "xl/sharedStrings.xml")]


def _fills(archive: Archive) -> list[str]:
    """The background colour of each style."""
    if "xl/styles.xml" not in archive.names:
        return []
    styles = _xml(archive, "xl/styles.xml")
    colours = [next((c.get("rgb", "") for c in fill.iter(f"{MAIN}fgColor")), "")[-6:].upper()
               for fill in styles.iterfind(f"{MAIN}fills/{MAIN}fill")]  # fmt: skip
    used = [_number(each.get("fillId", "0")) for each in styles.iterfind(f"{MAIN}cellXfs/{MAIN}xf")]
    return [colours[at] if at < len(colours) else "" for at in used]


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(f"{text[:40]!r} stands where a number should")
    return int(text)


def _cells(sheet: Any, shared: list[str], fills: list[str]) -> Iterator[tuple[Place, Entry]]:
    for cell in sheet.iter(f"{MAIN}c"):
        value, style, number = cell.find(f"{MAIN}v"), _number(cell.get("s", "0")), False
        text = "" if value is None else value.text or ""
        if cell.get("t") == "s":
            at = _number(text)
            text = shared[at] if at < len(shared) else ""
        elif cell.get("t") == "inlineStr":
            text = "".join(t.text or "" for t in cell.iter(f"{MAIN}t"))
        elif number := cell.get("t", "n") == "n":
            text = _without_noise(text)
        fill = fills[style] if style < len(fills) else ""
        yield _place(cell.get("r", "")), Entry(text.strip(), cell.find(f"{MAIN}f") is not None, fill, number)


def _without_noise(text: str) -> str:
    """A number with the 15 digits that a spreadsheet has: files hold 0.009 as 0.0089999999999999993."""
    mantissa = text.lower().partition("e")[0]
    long = len(text) <= MAX_NUMBER and re.fullmatch(r"-?[0-9]+\.?[0-9]*(e[-+]?[0-9]{1,3})?", text.lower())
    return f"{float(text):.15g}" if long and sum(map(str.isdigit, mantissa)) > DIGITS else text


_ADDRESS = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})")


def _place(address: str) -> Place:
    """Row and column of an address such as ``B5``, counted from 0."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ValueError(f"{address[:40]!r} is no address of a cell")
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(found[2]) - 1, column - 1


def _names(book: Any) -> Iterator[tuple[str, tuple[str, int, int, int, int]]]:
    for each in book.iter(f"{MAIN}definedName"):
        sheet, mark, area = (each.text or "").rpartition("!")
        first, _, last = area.partition(":")
        if mark and _ADDRESS.fullmatch(first) and _ADDRESS.fullmatch(last or first):
            sheet = sheet.strip("'").replace("''", "'")
            yield each.get("name", ""), (sheet, *_place(first), *_place(last or first))
