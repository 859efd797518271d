"""The variants of one exercise in a folder, and which of them a submission answers."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from clearhead.budgets import MAX_PROBLEM_BYTES, MAX_SUBMISSIONS
from clearhead.errors import ProblemError
from clearhead.files import read_bounded
from clearhead.problems.fault import reading
from clearhead.problems.files import read_problem
from clearhead.problems.problem import Problem
from clearhead.problems.spreadsheets import rows_of


def read_variants(name_or_path: str) -> dict[str, Problem]:
    """The problems in a folder by the names of their files, without the ending; or a single problem, named "".

    Raises:
        ProblemError: a file cannot be used, or the folder holds no problem, or too many.
        UnknownName: no bundled problem has the name, and it is no path.
    """
    folder = Path(name_or_path)
    if not folder.is_dir():
        return {"": read_problem(name_or_path)}
    paths = sorted(folder.glob("*.toml"))
    with reading(str(folder)):
        if not 0 < len(paths) <= MAX_SUBMISSIONS:
            raise ProblemError(f"expects the variants of a problem, at most {MAX_SUBMISSIONS} files that end in .toml.")
    return {path.stem: read_problem(path) for path in paths}


def read_roster(path: str) -> dict[str, str]:
    """The variant of each submission: a CSV file with a row for each, its name and that of its variant.

    Raises:
        ProblemError: it cannot be read, or a row has no two cells.
    """
    with reading(path):
        try:
            rows = rows_of(read_bounded(path, MAX_PROBLEM_BYTES))
        except OSError as error:
            raise ProblemError(f"the file cannot be read: {error.strerror}.") from None
        if wrong := next((number for number, row in enumerate(rows, start=1) if len(row) < 2), None):
            raise ProblemError(f"row {wrong} expects two cells: a submission and its variant.")
        return {_plain(row[0]): row[1].strip() for row in rows}


def variant_of(submission: str, variants: Collection[str], roster: Mapping[str, str]) -> str:
    """The variant that a submission answers: by the roster, else the variant whose name is a part of its name.

    Raises:
        ProblemError: neither says which.
    """
    if list(variants) == [""]:
        return ""
    own = roster.get(_plain(submission)) or roster.get(_plain(Path(submission).stem))
    parts = [own] if own else re.split(r"[^0-9A-Za-z]+", Path(submission).stem)
    found = [name for name in variants if any(_plain(part) == _plain(name) for part in parts)]
    if len(found) != 1:
        raise ProblemError(
            f"{submission}: which variant it answers is not known. Put its number into the name, as in 3-anna.json, "
            "or name it in --roster."
        )
    return found[0]


def _plain(text: str) -> str:
    """A name in small letters, without surrounding spaces and leading zeros."""
    return text.strip().lower().lstrip("0")
