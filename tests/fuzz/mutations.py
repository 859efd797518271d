"""How a sound input is spoiled: bytes, texts, trees of JSON and TOML, and the entries of archives."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from random import Random
from typing import Any

MAX_SIZE = 1 << 20

NUMBERS = (
    *b"0 -0 -1 1 2 255 256 65536 2147483648 4294967296 9223372036854775807 9223372036854775808".split(),
    *b"18446744073709551616 1e308 1e309 -1e400 1e-400 0.1 2.50 1e4000 nan NaN inf -inf Infinity".split(),
    *b"1/0 7/6 1.5 0x10 1_000 null true ?".split(),
    b"1" + b"0" * 30,
    b"1" + b"0" * 400,
    b"9" * 5000,
)
"""Numbers on which readers stumble, as texts write them."""

FRAGMENTS = (
    *b"""[ ] { } [[ ]] () " ' ''' \\ , ; : = . @ * # \\ud800 </script> ../ /dev/zero __class__ %s {0}""".split(),
    *b"a.b.c.d weights@1 weights@0 weights@99999999999 decimals= line=".split(),
    *(b'"""', b" ", b"\n", b"\r\n", b"\r", b"\t", b"\0", b"\x1b[31m", b"\x1b]0;x\x07", b"\x7f", b"\x9b", b"\xff"),
    *(b"\xed\xa0\x80", *(letter.encode() for letter in "\x9b\ufeff\u202e\U0001f600")),
)
"""What means something to one of the readers, or to a terminal."""

INTEGERS = (0, 1, -1, 2, 7, 8, *(2**bits + by for bits in (7, 8, 15, 16, 31, 32, 53, 62, 63) for by in (-1, 0)))

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 255, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 2**70, 10**400, -(2**63)),
    *(0.0, -0.0, 0.5, 2.5, 1e308, -1e308, 5e-324, 1e-30, math.nan, math.inf, -math.inf),
    *("", "a", "nan", "1e400", "7/6", "1/0", "?", "\ud800", "\x1b[31m", "x" * 300, "a.b", "weights@1", "../x", "\0"),
    *("layers.0.attention", "linear", "llama3", "yarn", "default", "gelu", "silu", "float64", "O", "|O", ">f8"),
    *([], [[]], [0], [1, 2], [[1, 2], [3]], [[[[[[[[[[1]]]]]]]]]], {}, {"": 0}, {"a": {"a": {}}}),
)
"""What is put in the place of a value."""


def some_bytes(draw: Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    """The data with one to six changes that know nothing of its format."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 6))):
        draw.choice(_CHANGES)(draw, changed, others)
    return bytes(changed[:MAX_SIZE])


def _span(draw: Random, data: bytearray, longest: int = 64) -> slice:
    start = draw.randint(0, len(data))
    return slice(start, start + draw.randint(0, longest))


def _flip(draw: Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    if data:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _overwrite(draw: Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    size = draw.choice((1, 2, 4, 8))
    start = draw.randint(0, len(data))
    value = draw.choice(INTEGERS) & (256**size - 1)
    data[start : start + size] = value.to_bytes(size, draw.choice(("little", "little", "big")))


def _insert(draw: Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    start = draw.randint(0, len(data))
    data[start:start] = draw.choice(draw.choice((NUMBERS, FRAGMENTS)))


def _random(draw: Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    data[_span(draw, data, 8)] = draw.randbytes(draw.randint(0, 8))


def _cut(draw: Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    if draw.random() < 0.2:
        del data[draw.randint(0, len(data)) :]
    else:
        del data[_span(draw, data)]


def _move(draw: Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    source = draw.choice(others) if others and draw.random() < 0.5 else bytes(data)
    start = draw.randint(0, len(source))
    data[_span(draw, data, draw.choice((0, 16, 64)))] = source[start : start + draw.choice((4, 16, 64, 400))]


def _number(draw: Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    """Another number in the place of one that is written in digits."""
    places = [place for place in range(len(data)) if data[place : place + 1].isdigit()][:2000]
    if places:
        start = stop = draw.choice(places)
        while stop < len(data) and data[stop : stop + 1] in b"0123456789.e":
            stop += 1
        data[start:stop] = draw.choice(NUMBERS)


def _repeat(draw: Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    """A piece many times over: what takes time or memory by its square shows here."""
    span = _span(draw, data, 24)
    piece = bytes(data[span]) or draw.choice(FRAGMENTS)
    times = draw.choice((2, 3, 20, 300)) if draw.random() < 0.98 else 20_000
    data[span] = piece * min(times, MAX_SIZE // len(piece))


_CHANGES: tuple[Callable[[Random, bytearray, tuple[bytes, ...]], None], ...] = (
    _flip, _overwrite, _insert, _random, _cut, _move, _number, _repeat,
)  # fmt: skip


def tree(draw: Random, value: Any) -> Any:
    """A tree of dicts and lists, changed in one to four places; the given one stays as it is."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        value = _changed(draw, value)
    return value


def _changed(draw: Random, value: Any) -> Any:
    if isinstance(value, dict) and value and draw.random() < 0.85:
        return _changed_object(draw, value)
    if isinstance(value, list) and value and draw.random() < 0.85:
        return _changed_list(draw, value)
    if draw.random() < 0.1:
        return [value] if draw.random() < 0.5 else {"a": value}
    return draw.choice(VALUES)


def _changed_object(draw: Random, value: dict[str, Any]) -> dict[str, Any]:
    changed, key = dict(value), draw.choice(list(value))
    kind = draw.random()
    if kind < 0.7:
        changed[key] = _changed(draw, value[key])
    elif kind < 0.8:
        del changed[key]
    elif kind < 0.9:
        changed[draw.choice((*value, "", "a", "\ud800", "x" * 300, key + "@1", key + ".weight"))] = value[key]
    else:
        changed[key] = changed[draw.choice(list(value))]
    return changed


def _changed_list(draw: Random, value: list[Any]) -> list[Any]:
    changed, place = list(value), draw.randrange(len(value))
    kind = draw.random()
    if kind < 0.7:
        changed[place] = _changed(draw, value[place])
    elif kind < 0.8:
        del changed[place]
    elif kind < 0.9:
        changed[place:place] = [value[place]] * draw.choice((1, 2, 30))
    else:
        changed[place] = draw.choice(value)
    return changed


def as_json(value: Any) -> bytes:
    """A tree as JSON, with NaN and infinities as Python writes them."""
    return json.dumps(value).encode()


def as_toml(value: dict[str, Any]) -> bytes:
    """A tree as TOML: each key of the top on a line, all below it inline. What TOML has not becomes a text."""
    lines = (f"{_toml_key(key)} = {_toml(each)}" for key, each in value.items())
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return _toml_key(value) if isinstance(value, str) else repr(value)


def _toml_key(key: str) -> str:
    return '"' + "".join(f"\\u{ord(c):04x}" if c < " " or c in '"\\\x7f' else c for c in key) + '"'
