"""The marks of a class for a learning platform, and a page on how the class did."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import PurePath
from statistics import mean
from typing import Literal

import numpy as np
from msgspec.structs import replace

from clearhead.check.grading.grade import Grade
from clearhead.check.grading.gradebook import Entry, Gradebook, harmless, summary
from clearhead.document import Document, Heading, Matrix, Panels, Part, Prose

Platform = Literal["moodle", "canvas"]

Graded = tuple[str, Entry, Grade]
"""Who handed in, the row in the gradebook, and its grade."""

CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
"""The columns that Canvas asks for, in this order; it finds people by the login."""


def marks(book: Gradebook, platform: Platform, *, title: str, points: float, variants: bool = False) -> str:
    """A CSV file of marks: who handed in, by the name of the submission without its ending, and the points.

    What could not be read has no row, which changes no mark that is there: an empty one would.

    Args:
        book: the grades.
        platform: ``"moodle"``: username, the mark, and feedback in a line; ``"canvas"``: its own columns.
        title: what the mark is for; the heading of its column.
        points: what a credit of 1 is worth.
        variants: whether names begin with the number of a variant, as ``3-anna.json`` does, or end with that of a file
            that a page writes, ``anna_3-answers.toml``; neither is part of a name.
    """
    text = StringIO()
    graded = [(_person(entry, variants=variants), entry, entry.grade) for entry in book.entries if entry.grade]
    rows = (_canvas if platform == "canvas" else _moodle)(book, graded, title, points)
    csv.writer(text, lineterminator="\r\n").writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _moodle(book: Gradebook, graded: list[Graded], title: str, points: float) -> Iterator[list[str]]:
    yield ["username", title, "feedback"]
    for person, entry, grade in graded:
        yield [person, f"{points * book.total(grade):.2f}", _word(entry, grade)]


def _canvas(book: Gradebook, graded: list[Graded], title: str, points: float) -> Iterator[list[str]]:
    yield [*CANVAS, title]
    yield ["Points Possible", "", "", "", "", f"{points:g}"]
    for person, _, grade in graded:
        yield ["", "", "", person, "", f"{points * book.total(grade):.2f}"]


def _person(entry: Entry, *, variants: bool) -> str:
    """Who handed in, as the file is named: ``anna.json`` is anna's, of variants ``anna_3-answers.toml``, too."""
    stem = PurePath(entry.name).stem
    if not variants:
        return re.sub(r"(?<=.)[-_. ]+answers$", "", stem)
    return re.sub(r"^\d+[-_. ]+(?=.)", "", re.sub(r"(?<=.)[-_. ]+\d+-answers$", "", stem))


RIGHT = "All that was handed in is right."


def _word(entry: Entry, grade: Grade) -> str:
    first = grade.first_wrong_line
    read = f" Not read: {entry.error}" if entry.error else ""
    return (f"Look at {first} first." if first else "All that was read is right." if read else RIGHT) + read


def class_page(book: Gradebook, *, title: str) -> Document:
    """How the class did: the summary with the commonest mistakes, and the mean credit of each line."""
    said = summary(book, title=title)
    parts: list[Part] = list(said.parts)
    if book.grades and book.asked:
        credit = [[mean(book.credit(grade, line) for grade in book.grades) for line in book.asked]]
        parts += [
            Heading("Mean credit of each line"),
            Panels((Matrix("", ("all",), tuple(book.asked), np.array(credit)),)),
        ]
    for entry in book.entries:
        if entry.error:
            partly = "" if entry.grade is None else " in part"
            parts.append(Prose(f"{entry.name} could not be read{partly}: {entry.why}"))
    return replace(said, parts=parts, decimals=2)
