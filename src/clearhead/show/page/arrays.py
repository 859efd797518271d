"""The numbers of a page: each array as text, exact to the bit."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import numpy as np

from clearhead.show.view import is_shares
from clearhead.trace import Trace

NumpyArray = np.ndarray[Any, Any]
Packed = dict[str, str]

LARGE = 1 << 14
"""Arrays of more bytes than this are compressed."""

LEVEL = 6
"""The level of zlib: a higher one makes weights hardly smaller and takes three times as long."""

MAX_PACKED = 23_000_000
"""The most characters of all numbers of a page, so that it can be sent and opened."""

_KINDS: dict[str, np.dtype[Any]] = {
    "f4": np.dtype("<f4"),
    "f8": np.dtype("<f8"),
    "u1": np.dtype("u1"),
    "w8": np.dtype("<f8"),
}


def pack_lines(trace: Trace, names: Iterable[str]) -> dict[str, Packed]:
    """The packed numbers of these lines of a trace, as far as they fit in a page: weights first, then by size.

    The page computes cells of the other lines when they are shown, if it has the numbers for that.
    """
    arrays = {name: trace.numpy(name) for name in names}
    first = sorted(arrays, key=lambda name: (not is_shares(trace.working.line(name)), arrays[name].nbytes))
    packed: dict[str, Packed] = {}
    room = MAX_PACKED
    for name in first:
        if arrays[name].nbytes > room:
            continue
        found = pack(arrays[name])
        if len(found["data"]) <= room:
            packed[name] = found
            room -= len(found["data"])
    return {name: packed[name] for name in arrays if name in packed}


def pack(array: NumpyArray) -> Packed:
    """An array as ``{"kind", "data"}``: little-endian numbers, base64; deflated where ``"deflated"`` is there.

    float32 stays float32, booleans become bytes, everything else float64, of which "w8" holds whole numbers. Deflated
    bytes are sorted first: the first byte of every number, then the second, since those at the same place are alike.
    """
    kind = _kind(array)
    plain = np.ascontiguousarray(array, dtype=_KINDS[kind])
    if plain.nbytes <= LARGE:
        return {"kind": kind, "data": _text(plain.tobytes())}
    return {"kind": kind, "deflated": "yes", "data": _text(_deflate(_planes(plain)))}


def _planes(plain: NumpyArray) -> NumpyArray:
    """The first byte of every number, then the second byte of every number ..."""
    return np.ascontiguousarray(plain.reshape(-1).view(np.uint8).reshape(-1, plain.itemsize).T)


def _deflate(planes: NumpyArray) -> bytes:
    return zlib.compress(np.ascontiguousarray(planes).data, LEVEL)


def _kind(array: NumpyArray) -> str:
    if array.dtype.kind == "b":
        return "u1"
    if array.dtype.kind in "iu":
        return "w8"
    return "f4" if array.dtype in (np.float32, np.float16) else "f8"


def _text(content: bytes) -> str:
    return b64encode(content).decode("ascii")
