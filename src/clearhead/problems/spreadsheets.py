"""Comma-separated values of various programs, read cell by cell as text."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

from clearhead.errors import ProblemError
from clearhead.problems.numbers import read_written
from clearhead.written import UNCLAIMED

Rows = list[list[str]]


def rows_of(content: bytes) -> Rows:
    """The rows of a CSV text, without those at the end that are empty.

    Columns are separated by commas, tabs or semicolons, as the first row has them; between semicolons numbers may have
    decimal commas.

    Raises:
        ProblemError: it is no UTF-8 text, empty, or no CSV.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProblemError("the file is not UTF-8 text. Save it as CSV UTF-8.") from None
    first = text.partition("\n")[0]
    between = next((mark for mark in ("\t", ";") if mark in first), ",")
    try:
        rows = list(csv.reader(StringIO(text, newline=""), delimiter=between, strict=True))
    except csv.Error as error:
        raise ProblemError(f"this is not CSV: {error}.") from None
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows.pop()
    if not rows:
        raise ProblemError("the file is empty.")
    return [[cell.replace(",", ".") for cell in row] for row in rows] if between == ";" else rows


def matrix(rows: Rows, faults: list[str] | None = None) -> Any:
    """The numbers of a table without headings, as they were written; empty cells are not claimed.

    ``faults`` is as for `read_written`.

    Raises:
        ProblemError: rows are not equally long, or a cell holds no number.
    """
    return read_written([[cell.strip() or UNCLAIMED for cell in row] for row in rows], "cell", faults)
