"""JSON of the standard, with no key twice and with a bound on its values."""

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
        parse_float: converts the text of a number with a decimal point or an exponent.
        parse_constant: converts NaN, Infinity and -Infinity.

    Raises:
        ValueError: it is no JSON, has a key twice, more values, half characters, or is nested too deeply; the message
            says which.
    """
    # Each value follows a comma, except the first of a list or an object, which follows a bracket.
    values = text.count(b",") + text.count(b"[") + text.count(b"{")
    if values > max_values:
        raise ValueError(f"it has up to {values} values; at most {max_values} are read")
    try:
        plain = text.decode(json.detect_encoding(text))
        found = json.loads(plain, parse_float=parse_float, parse_constant=parse_constant, object_pairs_hook=_once)
        if _HALF.search(plain):
            json.dumps(found, ensure_ascii=False, default=str).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not {error.encoding} from byte {error.start} on: {error.reason}") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half of a character, which no text can") from None
    return found


_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""A possible half of a character: the other half may follow it."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name[:MAX_QUOTED]!r} is there twice")
        found[name] = value
    return found
