"""How errors refer to a file: the place, and the value there.

Paths name a place as in TOML, lists counted from 0: ``claims[2].values[0][1]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import Any

from clearhead.errors import ClearheadError, ProblemError

MAX_INTEGER = 2**63
"""TOML's whole numbers have 64 bits."""

_MAX_QUOTED = 60
_MESSAGE_HEAD, _MESSAGE_TAIL = 700, 300


@contextmanager
def reading(source: str) -> Iterator[None]:
    """Adds the name of the file to every error, and limits it to one screen.

    Raises:
        ProblemError: for any error of clearhead's own, and where lists or tables are nested without end.
    """
    try:
        yield
    except ClearheadError as error:
        raise ProblemError(_clip(f"{source}: {error}")) from None
    except RecursionError:
        raise ProblemError(f"{source}: lists or tables are nested too deeply. Remove the extra brackets.") from None


@contextmanager
def part(path: str) -> Iterator[None]:
    """Puts the part of a problem in front of errors that do not name it.

    Raises:
        ProblemError: for any error of clearhead's own.
    """
    try:
        yield
    except ClearheadError as error:
        raise ProblemError(f"{path}: {error}") from None


def _clip(message: str) -> str:
    """The message with its middle left out where it is long: its head says where, its tail what to do."""
    if len(message) > _MESSAGE_HEAD + _MESSAGE_TAIL:
        message = f"{message[:_MESSAGE_HEAD]} ... {message[-_MESSAGE_TAIL:]}"
    return message


def join(path: str, key: str) -> str:
    """The path of a key in the table at a path."""
    return f"{path}.{key}" if path else key


def quote(value: Any) -> str:
    """A value, in short and as in TOML."""
    match value:
        case bool():
            return str(value).lower()
        case int() if not -MAX_INTEGER <= value < MAX_INTEGER:
            return "a very long whole number"
        case str():
            return _short(repr(value[: _MAX_QUOTED + 1]))
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "a table"
        case datetime() | date() | time():
            return f"the date or time {value}"
    return _short(repr(value))


def _short(text: str) -> str:
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}..."
