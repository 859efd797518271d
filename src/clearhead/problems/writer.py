"""From a `Problem` to the text of its file.

The layout is easy to read: keys with default values are left out, each row of a matrix is on its own line, and
columns are aligned.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from clearhead.claim import Claim
from clearhead.problems.problem import HEADINGS, Problem
from clearhead.problems.schema import FORMAT


def format_problem(problem: Problem) -> str:
    """The text of a problem's file. `parse_problem` makes an equal problem of it."""
    return "\n".join([*_head(problem), *_spec(problem), *_arrays(problem), *_claims(problem), ""])


def _head(problem: Problem) -> Iterator[str]:
    yield f"format = {FORMAT}"
    yield f"title = {text(problem.title)}"
    if problem.about:
        yield f"about = {text(problem.about)}"
    for key in ("tokens", "key_tokens", "deviations", "given", "until"):
        if values := getattr(problem, key):
            yield f"{key} = [{', '.join(text(str(value)) for value in values)}]"


def _spec(problem: Problem) -> Iterator[str]:
    yield from _table(HEADINGS[type(problem.spec)], problem.spec)
    if problem.backward is not None:
        yield from _table("backward", problem.backward)


def _table(heading: str, spec: Struct, brackets: str = "[]") -> Iterator[str]:
    """A spec under its heading, without default values, and the specs in it under theirs."""
    changed = [(each.name, getattr(spec, each.name), each.default) for each in fields(spec)]
    changed = [(name, value, default) for name, value, default in changed if value != default]
    opening, closing = brackets[: len(brackets) // 2], brackets[len(brackets) // 2 :]
    yield f"\n{opening}{heading}{closing}"
    config = spec.__struct_config__
    if config.tag is not None:
        yield f"{config.tag_field} = {_value(config.tag)}"
    tables = {name: value for name, value, _ in changed if isinstance(value, Struct) or _of_specs(value)}
    for name, value, _ in changed:
        if name not in tables:
            yield f"{name} = {_value(value)}"
    for name, value in tables.items():
        if isinstance(value, Struct):
            yield from _table(f"{heading}.{name}", value)
        else:
            for each in value:
                yield from _table(f"{heading}.{name}", each, "[[]]")


def _of_specs(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], Struct)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return text(value)
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_value, value))}]"
    return number(value)


def _arrays(problem: Problem) -> Iterator[str]:
    yield "\n[arrays]"
    names = list(problem.arrays)
    for name, array in problem.arrays.items():
        plain = not any(other.startswith(f"{name}.") or name.startswith(f"{other}.") for other in names)
        yield f"{name if plain else text(name)} = {_rows(array.tolist(), _value)}"


def _claims(problem: Problem) -> Iterator[str]:
    for claim in problem.claims:
        yield "\n[[claims]]"
        yield f"line = {text(claim.line)}"
        yield from _precision(claim)
        yield f"values = {_rows(claim.written, _written)}"


def _precision(claim: Claim) -> Iterator[str]:
    if claim.cell is not None:
        yield f"cell = {_value(claim.cell)}"
    if claim.decimals is not None:
        yield f"decimals = {claim.decimals}"


_BARE = re.compile(
    r"(?!-0$)-?(0|[1-9]\d{0,17})|-?(0|[1-9]\d*)(\.\d+(e[+-]?\d+)?|e[+-]?\d+)|nan|[+-]?inf", re.IGNORECASE
)
"""Whole numbers that fit into 64 bits and are not -0, and floats: what TOML keeps as it was written."""


def _written(number: str) -> str:
    """A claimed number, in quotes where TOML would not keep it as it was written."""
    return number if _BARE.fullmatch(number) else text(number)


def _rows(values: Any, cell: Callable[[Any], str]) -> str:
    """Nested rows: one number or one list on the line, the rows of more axes on a line each, columns aligned."""
    if not isinstance(values, (list, tuple)):
        return cell(values)
    if not isinstance(values[0], (list, tuple)):
        return f"[{', '.join(map(cell, values))}]"
    texts = _map(values, cell)
    width = max(map(len, _leaves(texts)))
    rows = "".join(f"  {_layout(row, 2, width)},\n" for row in texts)
    return f"[\n{rows}]"


def _layout(values: Any, indent: int, width: int) -> str:
    """Nested lists of texts: rows below each other, numbers right-aligned."""
    if isinstance(values[0], str):
        return f"[{', '.join(value.rjust(width) for value in values)}]"
    between = ",\n" + " " * (indent + 1)
    return f"[{between.join(_layout(value, indent + 1, width) for value in values)}]"


def _map(values: Any, change: Callable[[Any], str]) -> Any:
    return [_map(value, change) for value in values] if isinstance(values, (list, tuple)) else change(values)


def _leaves(texts: Any) -> Iterator[str]:
    for part in texts:
        yield from [part] if isinstance(part, str) else _leaves(part)


_EXACT = 2.0**53


def number(value: float) -> str:
    """A number with the fewest digits that read back as the same bits, and without a decimal point if it needs none.

    >>> [number(n) for n in (2.0, 0.1, -0.0, 1e300, float("-inf"))]
    ['2', '0.1', '-0.0', '1e+300', '-inf']
    """
    negative_zero = value == 0 and math.copysign(1, value) < 0
    if abs(value) < _EXACT and value == int(value) and not negative_zero:
        return str(int(value))
    return repr(value)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def text(value: str) -> str:
    """A TOML string; one of several lines is written as such."""
    if "\n" in value:
        lines = "\n".join(map(_escaped, value.split("\n")))
        return f'"""\n{lines}"""'
    return f'"{_escaped(value)}"'


def _escaped(value: str) -> str:
    return "".join(_ESCAPES.get(letter) or _control(letter) for letter in value)


def _control(letter: str) -> str:
    """The letter, escaped where TOML allows no such control character."""
    return f"\\u{ord(letter):04x}" if letter < " " or letter == "\x7f" else letter
