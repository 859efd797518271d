"""The numbers of a page: each array as text, every bit of it kept."""

from __future__ import annotations

import zlib
from base64 import b64encode
from typing import Any

import numpy as np

Packed = dict[str, str]

LARGE = 1 << 14
"""Arrays of more bytes than this are deflated."""

_KINDS = {"f4": np.dtype("<f4"), "f8": np.dtype("<f8"), "u1": np.dtype("u1")}


def pack(array: np.ndarray[Any, Any]) -> Packed:
    """An array as ``{"kind", "data"}``: little-endian numbers, base64; deflated where ``"deflated"`` is there.

    float32 stays float32, booleans become bytes, everything else float64. Deflated bytes are sorted first: the first
    byte of every number, then the second, since those at the same place are alike.
    """
    kind = _kind(array)
    plain = np.ascontiguousarray(array, dtype=_KINDS[kind])
    if plain.nbytes <= LARGE:
        return {"kind": kind, "data": _text(plain.tobytes())}
    planes = plain.reshape(-1).view(np.uint8).reshape(-1, plain.itemsize).T
    return {"kind": kind, "deflated": "yes", "data": _text(zlib.compress(np.ascontiguousarray(planes).data, 1))}


def _kind(array: np.ndarray[Any, Any]) -> str:
    if array.dtype.kind == "b":
        return "u1"
    return "f4" if array.dtype in (np.float32, np.float16) else "f8"


def _text(content: bytes) -> str:
    return b64encode(content).decode("ascii")
