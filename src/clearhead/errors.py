"""The errors that clearhead raises.

    ClearheadError
    ├── UnknownName      a line, array, problem or deviation that does not exist (also a KeyError)
    ├── ShapeError       arrays that do not fit each other or their line (also a ValueError)
    ├── SpecError        a description that contradicts itself (also a ValueError)
    ├── ProblemError     a problem file that cannot be used (also a ValueError)
    ├── FileError        a file that cannot be read or written (also an OSError)
    ├── CheckpointError  a checkpoint that cannot be read or used (also a ValueError)
    ├── MissingPackage   an optional package that is not installed (also an ImportError)
    └── WrongType        an argument of another type than the function takes (also a TypeError)

Every message says what was expected, what came, where, and what to do. Each class also derives from the
built-in error that Python programmers would catch, so callers need not know this list. A message may hold names from
files; it is one line, in which control characters are escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable


Kind = TypeVar("Kind")
JOINERS = "\u200c\u200d"
"""Invisible characters of scripts and emoji that only change the shape of their neighbours."""


def visible(text: str) -> str:
    r"""The text with control characters, escapes and marks of writing direction escaped.

    >>> print(visible("a\tb\x1b[31m"))
    a\tb\x1b[31m
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in JOINERS else c.encode("unicode_escape").decode() for c in text)


class ClearheadError(Exception):
    """Base of every error raised on purpose by clearhead."""

    def __str__(self) -> str:
        return visible(str(self.args[0])) if self.args else ""


class UnknownName(ClearheadError, KeyError):
    """A name that does not exist."""


class ShapeError(ClearheadError, ValueError):
    """Arrays whose sizes do not fit."""


class SpecError(ClearheadError, ValueError):
    """A spec or working that contradicts itself."""


class ProblemError(ClearheadError, ValueError):
    """A problem file that cannot be read, validated or written."""


class FileError(ClearheadError, OSError):
    """A file that cannot be read or written."""


class CheckpointError(ClearheadError, ValueError):
    """A checkpoint that is damaged, or of a kind that is not known."""


class MissingPackage(ClearheadError, ImportError):
    """An optional package that is needed and not installed."""


class WrongType(ClearheadError, TypeError):
    """An argument of another type than the function takes."""


def require(value: object, kind: type[Kind], what: str, remedy: str) -> Kind:
    """The value, checked to be of this type.

    Raises:
        WrongType: it is not; ``what`` names the argument, ``remedy`` says what to do.
    """
    if not isinstance(value, kind):
        raise WrongType(f"{what} expects {kind.__name__}, got {type(value).__name__}. {remedy}")
    return value


def suggest(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """The end of an "unknown name" message: the closest known names, or all of them if they are few.

    >>> suggest("wieghts", ["scores", "weights", "head"])
    'Did you mean weights?'
    """
    from difflib import get_close_matches  # only for wrong names: not imported at start-up

    names = sorted(set(known))
    # A name is a path, and its last part alone may match.
    ends = {path.rpartition(".")[2]: path for path in reversed(names)}
    near = get_close_matches(name, names, n=most, cutoff=0.6)
    close = near or [ends[each] for each in get_close_matches(name, ends, n=most, cutoff=0.6)]
    if close:
        return f"Did you mean {' or '.join(close)}?"
    if not names:
        return "There are none."
    shown = ", ".join(names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"There are: {shown}{more}."
