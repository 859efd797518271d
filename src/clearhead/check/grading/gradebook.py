"""The grades of a class: a table with a row for each submission, and what went wrong most often."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from io import StringIO
from statistics import mean

from msgspec import Struct

from clearhead.check.grading.grade import Grade
from clearhead.deviations import deviation
from clearhead.document import Document, Part, Prose, Remark

MAX_COMMON = 5
"""The most mistakes that the summary names."""

HEADINGS = ("submission", "verdict", "deviations", "slips", "others", "first_wrong_line", "credit")


class Entry(Struct, frozen=True):
    """One submission: its grade, or the error that kept it from being graded.

    Where it has both, ``error`` says what of it could not be read; the lines concerned have no credit.
    """

    name: str
    grade: Grade | None = None
    error: str = ""

    @property
    def why(self) -> str:
        """The error without the name that it begins with."""
        return self.error.removeprefix(f"{self.name}: ")


class Gradebook(Struct, frozen=True, dict=True):
    """All submissions of a class in order."""

    entries: tuple[Entry, ...]

    @property
    def grades(self) -> list[Grade]:
        """The grades of those that could be read."""
        return [entry.grade for entry in self.entries if entry.grade is not None]

    @cached_property
    def asked(self) -> dict[str, int]:
        """The lines that at least half of all have answered, and the most cells of each that anybody answered."""
        claimed: dict[str, list[int]] = {}
        for grade in self.grades:
            for each in grade.judged:
                claimed.setdefault(each.line, []).append(sum(each.cells))
        return {line: max(counts) for line, counts in claimed.items() if 2 * len(counts) >= len(self.grades)}

    def credit(self, grade: Grade, line: str) -> float:
        """The share of the cells of a line that are right, from 0 to 1."""
        return min(grade.right.get(line, 0) / self.asked[line], 1.0)

    def total(self, grade: Grade) -> float:
        """The mean of the credits of all lines: each line counts the same."""
        return mean(self.credit(grade, line) for line in self.asked) if self.asked else 0.0

    def rows(self) -> Iterator[list[str]]:
        """The table with its headings, every cell as text."""
        yield [*HEADINGS, *self.asked, "error"]
        for entry in self.entries:
            if entry.grade is None:
                yield [entry.name, "error", *[""] * (len(HEADINGS) - 2 + len(self.asked)), entry.error]
                continue
            grade = entry.grade
            credits = [f"{self.credit(grade, line):.3f}" for line in self.asked]
            causes = " and ".join(grade.deviations)
            others = str(grade.others) if grade.verdict == "explained" else ""
            slips = str(grade.slips or "")
            yield [
                entry.name, grade.verdict, causes, slips, others, grade.first_wrong_line or "",
                f"{self.total(grade):.3f}", *credits, entry.error,
            ]  # fmt: skip

    def csv(self) -> str:
        """The table as CSV that is safe to open in a spreadsheet: no cell is read as a formula."""
        text = StringIO()
        csv.writer(text, lineterminator="\r\n").writerows([harmless(cell) for cell in row] for row in self.rows())
        return text.getvalue()


def harmless(cell: str) -> str:
    """The cell with an apostrophe in front, if a spreadsheet would read it as a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def summary(book: Gradebook, *, title: str) -> Document:
    """A summary of the class: the verdicts, the most common mistakes, and the first wrong line of unexplained ones."""
    grades = book.grades
    verdicts = Counter[str](grade.verdict for grade in grades)
    verdicts["could not be read"] = len(book.entries) - len(grades)
    said = ", ".join(f"{count} {_said(each, count)}" for each in _ORDER if (count := verdicts[each]))
    average = f" The mean credit is {mean(map(book.total, grades)):.2f}." if grades else ""
    of = f"Of {len(book.entries)} submission{'' if len(book.entries) == 1 else 's'}"
    parts: list[Part] = [Prose(f"{of}: {said}.{average}")]
    partly = sum(entry.grade is not None and bool(entry.error) for entry in book.entries)
    if partly:
        said = f"{partly} could be read only in part: a line that is not legible, or of another shape, has no credit."
        parts.append(Prose(said))
    parts += _common(grades)
    return Document(title, parts)


_ORDER = ("agrees", "explained", "unexplained", "could not be read")


def _said(verdict: str, count: int) -> str:
    return "agree" if verdict == "agrees" and count > 1 else verdict


def _common(grades: Sequence[Grade]) -> Iterator[Part]:
    causes = Counter(each for grade in grades for each in dict.fromkeys(grade.deviations))
    for written, count in causes.most_common(MAX_COMMON):
        about = deviation(written.partition(":")[0])
        yield Remark(f"{count} of {len(grades)}: {written} ({about.kind}). {about.does}", "note")
    first = Counter(grade.first_wrong_line for grade in grades if grade.verdict == "unexplained")
    slipped = sum(grade.slips > 0 for grade in grades)
    if slipped:
        are = "is" if slipped == 1 else "are"
        yield Prose(f"{slipped} of {len(grades)} {are} wrong in a few cells that nothing explains: slips, it seems.")
    where = [f"{line} ({count})" for line, count in first.most_common(MAX_COMMON) if line]
    if where:
        yield Prose(f"Of those that are not explained the first wrong line is: {', '.join(where)}.")
