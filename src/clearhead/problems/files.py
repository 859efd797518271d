"""Problem files on disk, and those that come with clearhead."""

from __future__ import annotations

import os
from pathlib import Path

from clearhead.budgets import MAX_PROBLEM_BYTES
from clearhead.claim import Claim
from clearhead.errors import ProblemError, UnknownName, suggest
from clearhead.files import FilePath, read_bounded, replacing, why
from clearhead.problems.fault import quote, reading
from clearhead.problems.problem import Problem
from clearhead.problems.reader import parse_claims, parse_problem
from clearhead.problems.writer import format_problem

_HERE = Path(__file__).parent
_BUNDLED = (
    "single-head", "two-heads", "soccer", "causal-mask", "padding-mask", "grouped-query", "rotary", "cross-attention",
    "encoder-block", "decoder-block",
)  # fmt: skip

STARTER = (_HERE / "starter.toml").read_text(encoding="utf-8")
"""A small problem file with comments, to be changed into one's own."""


def bundled() -> tuple[str, ...]:
    """The names of the problems that come with clearhead, in the order in which to learn from them."""
    return _BUNDLED


def read_problem(name_or_path: FilePath) -> Problem:
    """A bundled problem by its name, or the problem in a file.

    Raises:
        UnknownName: no bundled problem has the name, and it is no path of a file.
        ProblemError: the file cannot be read or used; the message says where, what was expected, what came and what
            to do.
    """
    path = _path(os.fspath(name_or_path))
    return parse_problem(_read(path), source=path)


def _path(name: str) -> str:
    if name in _BUNDLED:
        return str(_HERE / "bundled" / f"{name}.toml")
    exists = os.path.exists(name)  # noqa: PTH110 - Path.exists raises for a name too long to be one
    if exists or name.endswith(".toml") or Path(name).name != name:
        return name
    raise UnknownName(f"There is no bundled problem and no file {quote(name)}. {suggest(name[:100], _BUNDLED)}")


def read_claims(path: FilePath) -> tuple[Claim, ...]:
    """The claims in a file that holds only ``format`` and ``[[claims]]``, or in the file of a whole problem.

    Raises:
        ProblemError: the file cannot be read or used, or claims nothing.
    """
    return parse_claims(_read(path), source=os.fspath(path))


def write_problem(problem: Problem, path: FilePath) -> None:
    """Writes a problem to a file, which is there in whole or not at all.

    Raises:
        FileError: the file cannot be written.
        ProblemError: what was written could not be read back.
    """
    text = format_problem(problem)
    with reading(os.fspath(path)):
        if parse_problem(text) != problem:
            raise ProblemError(
                "the problem would not read back as it is. Give its parts the types they are said to have."
            )
    write_text(text, path)


def write_text(text: str, path: FilePath) -> None:
    """Puts a text file in the place of another, or of none, without a moment at which half of it is there.

    Raises:
        FileError: the file cannot be written.
        ProblemError: the text holds what no file can.
    """
    with reading(os.fspath(path)):
        content = _encoded(text)
    with replacing(path) as file:
        file.write(content)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        half = text[error.start]
        raise ProblemError(f"a text holds {half!r}, half of a character, which no file can. Take it out.") from None


def _read(path: FilePath) -> bytes:
    """The bytes of a file."""
    with reading(os.fspath(path)):
        try:
            return read_bounded(path, MAX_PROBLEM_BYTES)
        except FileNotFoundError:
            raise ProblemError(
                "there is no such file. `clearhead list` names the bundled problems, `clearhead new` starts your own."
            ) from None
        except IsADirectoryError:
            raise ProblemError("this is a folder. Name a problem file in it.") from None
        except (OSError, ValueError) as error:
            raise ProblemError(f"the file cannot be read: {why(error)}.") from None
