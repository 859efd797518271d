"""Problem files on disk, and the bundled ones."""

from __future__ import annotations

import os
from pathlib import Path

from clearhead.budgets import MAX_PROBLEM_BYTES
from clearhead.claim import Claim
from clearhead.errors import ProblemError, UnknownName, suggest
from clearhead.files import FilePath, read_bounded, replacing, what_is, why
from clearhead.problems.fault import quote, reading
from clearhead.problems.problem import Problem
from clearhead.problems.reader import parse_claims, parse_problem
from clearhead.problems.writer import format_problem

_HERE = Path(__file__).parent
_LIBRARY = _HERE / "library"
_BUNDLED = (
    "single-head", "two-heads", "soccer", "causal-mask", "padding-mask", "grouped-query", "rotary", "cross-attention",
    "encoder-block", "decoder-block", "cross-entropy", "head-backward", "block-backward", "step-soccer",
)  # fmt: skip

_GROUPS = {
    "attention": "Attention",
    "masks": "Masks and dropout",
    "heads": "Several heads and blocks",
    "softmax": "Softmax and losses",
    "norms": "Norms",
    "positions": "Positions",
}
"""The folders of the library in the order in which to learn from them, and their headings."""

STARTER = (_HERE / "starter.toml").read_text(encoding="utf-8")
"""A small problem file with comments, as a start for one's own."""


def bundled() -> tuple[str, ...]:
    """The names of the bundled problems, from simple to advanced."""
    return _BUNDLED


def library() -> dict[str, tuple[str, ...]]:
    """The names of problems from well-known teaching pieces, with what these printed as claims, by heading."""
    return {
        heading: tuple(sorted(path.stem for path in (_LIBRARY / folder).glob("*.toml")))
        for folder, heading in _GROUPS.items()
    }


def read_problem(name_or_path: FilePath) -> Problem:
    """A problem that comes with clearhead by its name, or the problem in a file.

    Args:
        name_or_path: the name of a bundled problem, or the path of a file.

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
    if what_is(name) or name.endswith(".toml") or Path(name).name != name:
        return name
    for folder in _GROUPS:
        path = _LIBRARY / folder / f"{name[:100]}.toml"
        if path.exists():
            return str(path)
    known = [*_BUNDLED, *(each for names in library().values() for each in names)]
    raise UnknownName(f"There is no bundled problem and no file {quote(name)}. {suggest(name[:100], known)}")


def read_claims(path: FilePath) -> tuple[Claim, ...]:
    """The claims in a file that holds only ``format`` and ``[[claims]]``, or in the file of a whole problem.

    Raises:
        ProblemError: the file cannot be read or used, or claims nothing.
    """
    return parse_claims(_read(path), source=os.fspath(path))


def write_problem(problem: Problem, path: FilePath) -> None:
    """Writes ``problem`` to the file at ``path``, completely or not at all.

    Raises:
        FileError: the file cannot be written.
        ProblemError: what was written could not be read back.
    """
    text = format_problem(problem)
    with reading(os.fspath(path)):
        if parse_problem(text) != problem:
            raise ProblemError("the problem would not read back unchanged. Give its parts the documented types.")
    write_text(text, path)


def write_text(text: str, path: FilePath) -> None:
    """Writes or replaces a text file in one step, so that it is never half written.

    Raises:
        FileError: the file cannot be written.
        ProblemError: the text holds characters that no file can hold.
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
        raise ProblemError(f"a text holds {half!r}, half of a character, which no file can hold. Remove it.") from None


def _read(path: FilePath) -> bytes:
    """The bytes of a file."""
    with reading(os.fspath(path)):
        try:
            return read_bounded(path, MAX_PROBLEM_BYTES)
        except FileNotFoundError:
            said = f"this is {lost}" if (lost := what_is(path)) else "there is no such file"
            raise ProblemError(
                f"{said}. `clearhead list` names the bundled problems, `clearhead new` starts your own."
            ) from None
        except IsADirectoryError:
            raise ProblemError("this is a folder. Name a problem file in it.") from None
        except (OSError, ValueError) as error:
            raise ProblemError(f"the file cannot be read: {why(error)}.") from None
