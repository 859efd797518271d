"""A trace as a workbook: typed cells for given arrays, formulas for every line, and a first sheet with an overview."""

from __future__ import annotations

import datetime
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from clearhead.axes import Cell, describe
from clearhead.errors import ShapeError
from clearhead.expr import text
from clearhead.expr.formula import OWN
from clearhead.extras import need
from clearhead.line import Given, Line, equation
from clearhead.show.blank import about_of
from clearhead.show.cells import one_line
from clearhead.show.colours import ABOVE
from clearhead.show.formula.patterns import masked_lines, masked_roles
from clearhead.show.sheet.excel import Operand, Printer
from clearhead.show.sheet.places import (
    FIRST_COLUMN,
    FRONT,
    MINUS_INFINITY,
    Block,
    blocks_of,
    defined_names,
    quoted,
)  # fmt: skip
from clearhead.show.sheet.rounding import roundings
from clearhead.show.sheet.syntax import LOWEST, MASKED
from clearhead.show.trace_document import announcements
from clearhead.show.view import View, is_shares
from clearhead.trace import Trace, to_numpy

LONGEST_TEXT = 30_000
A4 = 9
"""The number of this paper in a workbook."""

PAGE_CHARACTERS, PAGE_ROWS = 72, 48
"""What fits on an upright page: the widths of columns in all, and rows."""

WIDEST_LABEL = 28

INK, FAINT, RULE, TYPED, TO_FILL = "#1F2933", "#6B7280", "#B8C0CC", "#EAF2FB", "#FFF8E1"

LEGEND = (
    ("typed", "A given number. Type another, and all formulas follow."),
    ("number", "A formula over earlier cells. Select a cell to see which."),
    ("shaded", "A weight, from 0 (white) to 1 (blue)."),
    ("blank", "For you to fill in. Later lines are computed once all of these are filled."),
    ("masked", "Minus infinity. A spreadsheet has none, so it is -1E+300 here, named minus_infinity."),
    ("error", "An error, such as #DIV/0! or #N/A: no finite number, as 0/0 is none."),
)
"""What the front sheet explains."""


class Exact(float):
    """A number that is written with all of its digits, where 16 are not enough."""

    def __format__(self, spec: str) -> str:
        return repr(float(self)).upper()


def xlsx(trace: Trace, view: View) -> memoryview:
    """A trace as an Excel workbook, in which every line is a formula over the cells of earlier ones.

    The trace's numbers are stored with the formulas, for viewers that do not compute formulas.

    Raises:
        ShapeError: the trace has too many numbers for a spreadsheet, or a formula would be too long for one.
        MissingPackage: XlsxWriter is not installed.
    """
    xlsxwriter = need("xlsxwriter", "sheet")
    content = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(content, options)
    book.set_properties({"title": _words(view.title)[:200], "created": datetime.datetime(2000, 1, 1)})
    book.set_calc_mode("auto")
    _Writer(book, trace, view).write()
    book.close()
    return content.getbuffer()


class _Writer:
    def __init__(self, book: Any, trace: Trace, view: View) -> None:
        self.book = book
        self.trace = trace
        self.view = view
        self.blocks = blocks_of(trace)
        self.masked = masked_lines(trace)
        self.formats = _formats(book, view.decimals)
        self.waiting = _waiting(trace, view)
        self.rounded = {} if view.decimals is None else roundings(trace, view.decimals)

    def write(self) -> None:
        self._front()
        names: dict[str, list[Block]] = {}
        for block in self.blocks.values():
            names.setdefault(block.sheet, []).append(block)
        for sheet, blocks in names.items():
            self._sheet(self.book.add_worksheet(sheet), blocks)
        self.book.define_name(MINUS_INFINITY, f"={LOWEST!r}".upper())
        for name, area in defined_names(self.trace, self.blocks):
            self.book.define_name(name, f"={area.absolute}")

    # The front

    def _front(self) -> None:
        sheet = self.book.add_worksheet(FRONT)
        sheet.hide_gridlines(2)
        sheet.set_column(0, 0, 26)
        sheet.set_column(1, 1, 84)
        sheet.set_column(2, 2, 34)
        sheet.set_row(0, 28)
        sheet.write_string(0, 0, _words(self.view.title), self.formats["title"])
        row = 2
        for words, style in self._paragraphs():
            sheet.merge_range(row, 0, row, 1, "", self.formats[style])
            sheet.write_string(row, 0, words, self.formats[style])
            sheet.set_row(row, 15.5 * math.ceil(len(words) / 105) + 4)
            row += 1
        row = self._legend(sheet, row + 1)
        self._contents(sheet, row + 1)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)

    def _paragraphs(self) -> Iterator[tuple[str, str]]:
        yield from ((_words(words), "prose") for words in about_of(self.trace, self.view))
        yield from ((_words(remark.text), "warning") for remark in announcements(self.view))
        yield from ((_words(str(note)), "note") for note in self.trace.notes if note.line not in self.waiting)

    def _legend(self, sheet: Any, row: int) -> int:
        shown = {"typed", "number", "error"} | ({"masked"} if self.masked else set())
        shown |= {"blank"} if self.view.blank else set()
        shown |= {"shaded"} if any(is_shares(line) for line in self.trace.working.lines) else set()
        samples: dict[str, Any] = {"typed": 2, "number": 0.5, "shaded": 0.75, "masked": LOWEST}
        for style, words in LEGEND:
            if style not in shown:
                continue
            form = self.formats[style]
            if style in samples:
                sheet.write_number(row, 0, samples[style], form)
            elif style == "error":
                sheet.write_formula(row, 0, "=NA()", form, "#N/A")
            else:
                sheet.write_blank(row, 0, None, form)
            sheet.write_string(row, 1, words, self.formats["legend"])
            row += 1
        return row

    def _contents(self, sheet: Any, row: int) -> None:
        for column, words in enumerate(("Line", "Formula", "Axes")):
            sheet.write_string(row, column, words, self.formats["heading"])
        for at, (name, block) in enumerate(self.blocks.items(), start=row + 1):
            link = f"internal:{quoted(block.sheet)}!A{block.row + 1}"
            sheet.write_url(at, 0, link, self.formats["link"], _words(name)[:200])
            sheet.write_string(at, 1, self._formula(name) or "given", self.formats["wrapped"])
            sheet.set_row(at, 15.5 * math.ceil(len(self._formula(name)) / 90 or 1))
            sheet.write_string(at, 2, describe(self.trace.axes(name), self.trace[name].shape), self.formats["aside"])

    def _formula(self, name: str) -> str:
        line = self.trace.working.line(name)
        if isinstance(line, Given):
            return ""
        left, right = equation(line, self.trace.working.axes, self.trace.working.label_base)
        first = self.trace.working.label_base
        return _words(f"{text(left, first=first)} = {text(right, decimals=None, first=first)}")

    # A sheet of lines

    def _sheet(self, sheet: Any, blocks: Sequence[Block]) -> None:
        sheet.hide_gridlines(2)
        sheet.freeze_panes(1, FIRST_COLUMN)
        sheet.write_url(0, 0, f"internal:{FRONT}!A1", self.formats["link"], "Contents")
        sheet.write_string(0, FIRST_COLUMN, _words(self.view.title), self.formats["aside"])
        names, wide = self._widths(sheet, blocks)
        for block in blocks:
            self._block(sheet, block)
        lines = (self._aside(each, self.trace.working.line(each.name)) for each in blocks)
        said = max(map(len, (*lines, *(self._formula(each.name) for each in blocks))))
        _on_paper(sheet, blocks, max(wide, names + said))

    def _widths(self, sheet: Any, blocks: Sequence[Block]) -> tuple[int, int]:
        """Sets the widths of columns; that of the first, and of all together, in characters."""
        labels = [self._labels(block) for block in blocks]
        longest = max((len(label) for rows, _ in labels for label in rows), default=0)
        names = max(len(block.name) for block in blocks)
        first = min(max(longest, names, 8), WIDEST_LABEL) + 2
        sheet.set_column(0, 0, first)
        wide = max((len(label) for _, columns in labels for label in columns), default=0)
        digits = 8 if self.view.decimals is None else self.view.decimals
        last = max(block.area(block.panels[-1]).right for block in blocks)
        each = min(max(digits + 5, wide + 1, 7), WIDEST_LABEL)
        sheet.set_column(FIRST_COLUMN, last, each)
        return first, first + each * (last - FIRST_COLUMN + 1)

    def _labels(self, block: Block) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The labels of the rows and columns of a block's matrices."""
        labels = tuple(tuple(map(_words, each)) for each in self.trace.labels(block.name))
        rows, columns = (("",), ("",), *labels)[-2:]
        return rows, columns

    def _block(self, sheet: Any, block: Block) -> None:
        line = self.trace.working.line(block.name)
        sheet.write_string(block.row, 0, _words(block.name), self.formats["name"])
        sheet.write_string(block.row, FIRST_COLUMN, self._aside(block, line), self.formats["aside"])
        if not block.given:
            sheet.write_string(block.row + 1, FIRST_COLUMN, self._formula(block.name), self.formats["formula"])
        rows, columns = self._labels(block)
        for at, label in enumerate(rows):
            sheet.write_string(block.top + at, 0, label, self.formats["row"])
        for panel in block.panels:
            self._panel(sheet, block, panel, columns)
        write = self._given if isinstance(line, Given) else self._line
        write(sheet, block, line)
        self._colours(sheet, block, line)

    def _aside(self, block: Block, line: Given | Line) -> str:
        axes = describe(self.trace.axes(block.name), block.shape)
        return f"{axes} given" if isinstance(line, Given) else f"{axes}. {line.summary}"

    def _panel(self, sheet: Any, block: Block, panel: Cell, columns: Sequence[str]) -> None:
        words, labels = self.trace.axes(block.name), self.trace.labels(block.name)
        title = ", ".join(f"{words[at]} {labels[at][index]}" for at, index in enumerate(panel))
        area = block.area(panel)
        if title:
            sheet.write_string(area.top - 2, area.left, _words(title), self.formats["panel"])
        for at, label in enumerate(columns):
            sheet.write_string(area.top - 1, area.left + at, label, self.formats["column"])

    def _given(self, sheet: Any, block: Block, _: Given | Line) -> None:
        array = self.trace.numpy(block.name)
        for cell in np.ndindex(array.shape):
            row, column = block.place(cell)
            self._typed(sheet, row, column, array[cell])
        if array.dtype.kind == "b":
            for panel in block.panels:
                area = block.area(panel)
                choices = {"validate": "list", "source": ["TRUE", "FALSE"]}
                sheet.data_validation(area.top, area.left, area.bottom, area.right, choices)

    def _typed(self, sheet: Any, row: int, column: int, value: Any) -> None:
        form = self.formats["typed"]
        if isinstance(value, (bool, np.bool_)):
            sheet.write_boolean(row, column, bool(value), self.formats["choice"])
        elif np.isnan(value) or value == np.inf:
            sheet.write_formula(row, column, "=NA()", form, "#N/A")
        else:
            sheet.write_number(row, column, Exact(max(float(value), LOWEST)), form)

    def _line(self, sheet: Any, block: Block, line: Given | Line) -> None:
        if self.view.leaves_blank(line.name):
            for cell in np.ndindex(block.shape):
                sheet.write_blank(*block.place(cell), None, self.formats["blank"])
        elif isinstance(line, Line):
            form = self.formats["whole" if _are_whole(self.trace.numpy(line.name)) else "number"]
            for cell, formula, value in self._formulas(block, line):
                sheet.write_formula(*block.place(cell), f"={formula}", form, value)

    def _formulas(self, block: Block, line: Line) -> Iterator[tuple[Cell, str, Any]]:
        """Each cell of a line with its formula and the number to store with it."""
        printer = self._printer(block, line)
        waits = {role for role, name in zip(line.formula.roles, line.operands, strict=True) if name in self.waiting}
        array, rounded = to_numpy(self.trace[line.name]), self.rounded.get(line.name, {})
        for cell in np.ndindex(block.shape):
            try:
                formula, read = printer.cell(cell)
            except ShapeError as error:
                raise ShapeError(f"{line.name}: {error}. Save as .npz or .html.") from None
            if cell in rounded and line.name not in self.waiting:
                formula = f"ROUND({formula},{rounded[cell]})"
            empty = [f"COUNTBLANK({area})" for role in sorted(waits) for area in read.get(role, ())]
            if empty:
                formula = f'IF({"+".join(empty)}>0,"",{formula})'
            yield cell, formula, "" if line.name in self.waiting else _stored(array[cell])

    def _printer(self, block: Block, line: Line) -> Printer:
        formula = line.formula
        operands = {
            role: Operand(self.blocks[name], len(letters))
            for role, name, letters in zip(formula.roles, line.operands, formula.operands, strict=True)
        }
        operands[OWN] = Operand(block, len(formula.result))
        sizes = formula.bind([self.blocks[name].shape for name in line.operands])
        return Printer(formula, operands, sizes, masked_roles(line, self.masked), block.sheet)

    def _colours(self, sheet: Any, block: Block, line: Given | Line) -> None:
        for panel in block.panels:
            area = block.area(panel)
            place = (area.top, area.left, area.bottom, area.right)
            if line.name in self.masked:
                low = {"type": "cell", "criteria": "<", "value": MASKED, "format": self.formats["low"]}
                sheet.conditional_format(*place, low)
            if is_shares(line):
                scale = {"type": "2_color_scale", "min_type": "num", "max_type": "num", "min_value": 0, "max_value": 1}
                sheet.conditional_format(*place, {**scale, "min_color": "#FFFFFF", "max_color": ABOVE.upper()})


def _on_paper(sheet: Any, blocks: Sequence[Block], wide: int) -> None:
    """How a sheet is printed: upright where it is narrow, and no matrix is cut by the end of a page."""
    sheet.set_paper(A4)
    if wide > PAGE_CHARACTERS:
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        return
    starts, top = [], 0
    for block in blocks:
        if block.end - top > PAGE_ROWS and block.row > top:
            starts.append(block.row)
            top = block.row
    sheet.set_h_pagebreaks(starts)


def _waiting(trace: Trace, view: View) -> frozenset[str]:
    """The lines that are blank, and those that have no numbers until these are filled in."""
    waiting: set[str] = set()
    for line in trace.working.lines:
        if view.leaves_blank(line.name) or waiting.intersection(line.operands):
            waiting.add(line.name)
    return frozenset(waiting)


def _stored(value: Any) -> Any:
    """A result as it is stored with a formula: a number, not a text, so that formulas can read the cell."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if np.isnan(value):
        return "#NUM!"
    return Exact(np.clip(value, LOWEST, -LOWEST))


def _are_whole(array: np.ndarray[Any, Any]) -> bool:
    """Whether all numbers are whole, so that decimals are shown only once a number has some."""
    finite = array[np.isfinite(array)]
    return bool((finite == np.round(finite)).all())


def _words(words: str) -> str:
    return one_line(words)[:LONGEST_TEXT]


def _formats(book: Any, decimals: int | None) -> Mapping[str, Any]:
    number = "General" if decimals is None else f"0.{'0' * decimals}" if decimals else "0"
    base = {"font_name": "Calibri", "font_size": 11, "font_color": INK, "valign": "vcenter"}
    cell = {"align": "right", "border": 1, "border_color": RULE}
    low = {"num_format": '"-∞"', "font_color": FAINT}
    styles: dict[str, dict[str, Any]] = {
        "title": {"bold": True, "font_size": 18},
        "prose": {"text_wrap": True, "valign": "top"},
        "warning": {"text_wrap": True, "valign": "top", "font_color": "#9A3412", "bg_color": "#FFF3E6"},
        "note": {"text_wrap": True, "valign": "top", "font_color": FAINT},
        "name": {"bold": True, "font_size": 12},
        "aside": {"font_color": FAINT},
        "formula": {"italic": True, "font_color": FAINT, "font_name": "Cambria"},
        "wrapped": {"italic": True, "font_color": FAINT, "font_name": "Cambria", "text_wrap": True, "indent": 1},
        "heading": {"bold": True, "bottom": 1, "bottom_color": RULE},
        "legend": {"font_color": FAINT, "indent": 1},
        "panel": {"bold": True, "font_color": FAINT},
        "row": {"bold": True, "align": "right", "num_format": '@"  "'},
        "column": {"bold": True, "align": "right", "bottom": 1, "bottom_color": RULE},
        "link": {"font_color": "#1D5FA8", "underline": 1},
        "number": {**cell, "num_format": number},
        "whole": {**cell},
        "typed": {**cell, "bg_color": TYPED},
        # LibreOffice shows some booleans as 1 and 0 if they have no format of their own.
        "choice": {**cell, "bg_color": TYPED, "num_format": '"TRUE";"TRUE";"FALSE"'},
        "shaded": {**cell, "num_format": number, "bg_color": "#79B4EE"},
        "blank": {**cell, "num_format": number, "bg_color": TO_FILL, "border": 2, "border_color": "#C99700"},
        "masked": {**cell, **low},
        "error": {**cell},
    }
    formats = {name: book.add_format({**base, **style}) for name, style in styles.items()}
    return {**formats, "low": book.add_format(low)}
