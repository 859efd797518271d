"""Claims in notebooks and scripts, which are read and never run: array literals, and printed output."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from clearhead.errors import ProblemError
from clearhead.line import Given
from clearhead.problems.printed import book_of, joined, printed, written
from clearhead.trace import Trace

Found = tuple[str, Any]
"""A line, and its numbers as nested lists of texts."""


def of_script(content: bytes, trace: Trace) -> Iterator[Found]:
    """The lines to which a script assigns array literals; of several assignments the last counts.

    Raises:
        ProblemError: it is no Python, or computes what it assigns.
    """
    found = dict(_assigned(_text(content), _lines_by_variable(trace)))
    if not found:
        raise ProblemError(
            "a script is read and not run, and it writes out no array of a line. "
            "Hand in the notebook with its outputs, or write the numbers: weights = np.array([[0.5, 0.5]])."
        )
    yield from found.items()


def of_notebook(content: bytes, trace: Trace) -> Iterator[Found]:
    """The lines that a notebook's cells print or assign as array literals, from the first blank one on.

    Raises:
        ProblemError: it is no notebook, or its outputs hold no numbers of a line.
    """
    book = book_of(content)
    theirs = _left_to_fill(book, trace)
    lines = {variable: name for variable, name in _lines_by_variable(trace).items() if name in theirs}
    found: dict[str, Any] = {}
    for cell in book["cells"]:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = joined(cell.get("source"))
        found |= dict(_assigned(source, lines))
        shown = source.rstrip().rpartition("\n")[2].strip()
        if shown in lines and (numbers := printed(cell)) is not None:
            found[lines[shown]] = numbers
    if not found:
        raise ProblemError(
            "the notebook shows no numbers of a line. Run all its cells, with the name of a line last in each, "
            "and save it."
        )
    yield from found.items()


def _lines_by_variable(trace: Trace) -> dict[str, str]:
    """The lines by all names of variables that refer to one of them alone, and to no given array."""
    seen: dict[str, set[str]] = {}
    for name in trace:
        parts = name.split(".")
        for at in range(len(parts)):
            seen.setdefault(_variable(".".join(parts[at:])), set()).add(name)
    lines = {_variable(name): name for name in trace if not isinstance(trace.working.line(name), Given)}
    alone = {short: name for short, (name, *others) in seen.items() if not others and name in lines.values()}
    return alone | lines


def _variable(ending: str) -> str:
    """The variable for an ending of a path, as the programs have it that we write: ``_1_query`` for ``1.query``."""
    variable = re.sub(r"\W", "_", ending)
    return f"_{variable}" if variable[:1].isdigit() else variable


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProblemError("the file is not UTF-8 text. Save it as UTF-8.") from None


def _assigned(source: str, lines: dict[str, str]) -> Iterator[Found]:
    """The arrays that are assigned to lines as numbers, with the digits that they are written in."""
    plain = re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE)  # commands of the notebook
    try:
        tree = ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            numbers = written(node.value, plain)
            if node.targets[0].id in lines and numbers is not None:
                yield lines[node.targets[0].id], numbers


def _left_to_fill(book: dict[str, Any], trace: Trace) -> list[str]:
    """The lines from the first blank one on, in a notebook of ours: those before it are not the student's."""
    order = list(trace)
    metadata = book.get("metadata")
    ours = metadata.get("clearhead") if isinstance(metadata, dict) else None
    blank = ours.get("blank") if isinstance(ours, dict) else None
    named = [order.index(name) for name in blank if name in order] if isinstance(blank, list) else []
    return order[min(named, default=0) :]
