"""TOML text as tables."""

from __future__ import annotations

import math
import re
import tomllib
from contextlib import suppress
from typing import Any

from clearhead.budgets import MAX_PROBLEM_BYTES
from clearhead.errors import ProblemError
from clearhead.problems.fault import MAX_INTEGER, join, quote
from clearhead.written import DECIMAL, value_of

RAW = frozenset({"arrays", "values"})
"""The keys under which numbers keep the digits they were written with."""

_MAX_DOTS = 10

_TEXT = re.compile(
    r"""
    \"{3} (?: \\. | [^\\] )*? (?: \"{3,5} | \\?\Z )   # a text of several lines
    | '{3} .*? (?: '{3,5} | \Z )
    | \" (?: \\[^\n] | [^\"\\\n] )* \"?               # a text of one line
    | ' [^'\n]* '?
    | \# [^\n]*                                       # a comment
    """,
    re.DOTALL | re.VERBOSE,
)
"""The texts and comments in a TOML file, closed or not."""


class Digits(float):
    """A number that remembers how it was written: ``2.50`` has two decimals."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, written: str) -> Digits:
        """A number from its TOML text."""
        text = written.replace("_", "")
        number = super().__new__(cls, text)
        number.text = "nan" if math.isnan(number) else text
        return number

    def __repr__(self) -> str:
        return self.text


def tables(text: str | bytes) -> dict[str, Any]:
    """The tables of a TOML text, its floats as `Digits`.

    Raises:
        ProblemError: too large, not UTF-8, empty, or not TOML; with the line where that is known.
    """
    text = _decode(text)
    if not text.strip():
        raise ProblemError("the file is empty. `clearhead new` writes one to start from.")
    _check_keys(text)
    try:
        return tomllib.loads(text, parse_float=Digits)
    except ValueError as error:  # TOMLDecodeError, and what int() says of thousands of digits
        raise ProblemError(f"this is not TOML: {error}.{_where(text, str(error))}") from None


def _decode(text: str | bytes) -> str:
    if len(text) > MAX_PROBLEM_BYTES:
        raise ProblemError(
            f"a problem has at most {MAX_PROBLEM_BYTES} bytes; this is longer. Use fewer or smaller arrays."
        )
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ProblemError(
            f"line {line}: the file is not UTF-8 text (byte 0x{text[error.start]:02x}). Save it as UTF-8."
        ) from None


def _check_keys(text: str) -> None:
    """Refuses keys of many parts, for which tomllib's time and memory grow with the square."""
    for bare in re.split(r"[]\n,=[{}]", _TEXT.sub('""', text)):
        if bare.count(".") > _MAX_DOTS:
            raise ProblemError(f"a key has more than {_MAX_DOTS} dots, near {quote(bare.strip())}. Keys here have few.")


def _where(text: str, message: str) -> str:
    """The line of the text that a message of tomllib points to, and what to do there."""
    found = re.search(r"at line (\d+)", message)
    lines = text.split("\n")
    if found is None or int(found[1]) > len(lines):
        return f" {_HABITS}"
    line = lines[int(found[1]) - 1]
    remedies = (remedy for sign, remedy in _REMEDIES if sign.search(line) or sign.match(message))
    return f" That line is {quote(line.strip())}. {_as_toml(line) or next(remedies, _HABITS)}"


_LOOKED_AT = 1000
"""How much of a line is searched for a number that is no TOML."""

_HABITS = "Texts stand in quotes, true and false in small letters, and every bracket is closed."

_REMEDIES = (
    (re.compile("[\u201c\u201d\u201e\u2018\u2019]"), 'Write straight quotes, "...", around texts.'),
    (re.compile(r"\b(array|tensor|Tensor|arange|eye|zeros|ones)\("), "Write lists of numbers alone: [[1, 0], [0, 1]]."),
    (re.compile(r"=\s*(True|False)\b"), "Write true and false in small letters."),
    (re.compile("Expected '='"), "Write a name, an equals sign and its value: heads = 1."),
    (re.compile("Unclosed array"), "Put commas between numbers and between rows, and close every bracket."),
)
"""What to do about signs in a line, and about messages of tomllib."""


def _as_toml(line: str) -> str:
    """How the first number of a line that is no TOML is written: ``1.``, and ``33%`` or ``1/3``, a text in a list."""
    bare = _TEXT.sub("", line[:_LOOKED_AT])
    listed = "[" in bare or "=" not in bare
    for written in map(str.strip, re.split(r"[][{},=]", bare)):
        try:
            tomllib.loads(f"x = {written or 0}")
        except ValueError:
            with suppress(ProblemError):
                value = repr(value_of(written))
                if listed and not DECIMAL.fullmatch(written):
                    return f'Put the number in quotes: "{written}".'
                return f"Write {written} as {value if '.' in written else value.removesuffix('.0')}."
    return ""


def plain(value: Any, path: str = "") -> Any:
    """Tables with ordinary floats, for msgspec. Values under `RAW` keys are left as they are.

    Raises:
        ProblemError: a number is not finite or has more than 64 bits, or a key could not be one of ours.
    """
    if isinstance(value, dict):
        return {_key(key, path): item if key in RAW else plain(item, join(path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Digits):
        if not math.isfinite(value):
            raise ProblemError(f"{path} expects a finite number, got {value}.")
        return float(value)
    return whole(value, path) if isinstance(value, int) else value


def _key(key: str, path: str) -> str:
    if not re.fullmatch(r"[\w-]+", key):
        raise ProblemError(f"{path or 'the file'} has no key {quote(key)}. Keys are plain words; remove this one.")
    return key


def whole(value: int, path: str) -> int:
    """The whole number, if TOML can hold it.

    Raises:
        ProblemError: it needs more than 64 bits.
    """
    if not -MAX_INTEGER <= value < MAX_INTEGER:
        raise ProblemError(f"{path} expects a whole number of at most 64 bits, got a longer one. Write it as 1e30.")
    return value
