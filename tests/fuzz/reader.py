"""What a reader is to a fuzzer, and the ways to spoil what is a tree."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from fuzz import mutations

Use = Callable[[bytes, Path], object]
Spoil = Callable[[Random, bytes, tuple[bytes, ...]], bytes]


class Reader(NamedTuple):
    """A reader: what is done with an input, some sound inputs, and how they are spoiled.

    ``use`` may write into the folder that it is given. It may raise nothing but `ClearheadError`.
    """

    name: str
    use: Use
    seeds: tuple[bytes, ...]
    spoil: Spoil = mutations.some_bytes


def through(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes]) -> Spoil:
    """Changes the tree that the input is, where it is one; else, and as often, its bytes."""

    def spoil(draw: Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
        if draw.random() < 0.6:
            try:
                return encode(mutations.tree(draw, decode(data)))[: mutations.MAX_SIZE]
            except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
                pass
        return mutations.some_bytes(draw, data, others)

    return spoil


JSON = through(json.loads, mutations.as_json)
TOML = through(lambda data: tomllib.loads(data.decode()), mutations.as_toml)
