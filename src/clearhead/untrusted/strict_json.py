"""JSON as the standard has it, with no key twice and with a bound on what it makes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

MAX_QUOTED = 60


def loads(
    text: bytes,
    *,
    max_values: int,
    parse_float: Callable[[str], Any] | None = None,
    parse_constant: Callable[[str], Any] | None = None,
) -> Any:
    """The value of a JSON text.

    Args:
        text: in UTF-8, UTF-16 or UTF-32.
        max_values: the most values, of all kinds, that it may hold.
        parse_float: what makes a number with a decimal point or an exponent of its text.
        parse_constant: what makes a value of NaN, Infinity and -Infinity.

    Raises:
        ValueError: it is no JSON, has a key twice, more values, half characters, or is nested too deeply; the message
            says which.
    """
    # Each value but the first of a list or an object stands behind a comma, and the first behind a bracket.
    values = text.count(b",") + text.count(b"[") + text.count(b"{")
    if values > max_values:
        raise ValueError(f"it has about {values} values; at most {max_values} are read")
    try:
        found = json.loads(text, parse_float=parse_float, parse_constant=parse_constant, object_pairs_hook=_once)
        if _HALF.search(text):
            json.dumps(found, ensure_ascii=False, default=str).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half of a character, which no text can") from None
    return found


_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""What may be half of a character: the other half may stand behind it."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name[:MAX_QUOTED]!r} is there twice")
        found[name] = value
    return found
