"""The numbers of a page: each array as text, every bit of it kept."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Collection
from typing import Any

import numpy as np

from clearhead.line import Line
from clearhead.show.page.predict import is_predictable, predict
from clearhead.trace import Trace, leading

NumpyArray = np.ndarray[Any, Any]
Packed = dict[str, str]

LARGE = 1 << 14
"""Arrays of more bytes than this are deflated."""

LARGEST_WHOLE = 1 << 18
"""Of lines of more bytes than this only the difference to what their formula gives is stored, where that is less."""

_KINDS: dict[str, np.dtype[Any]] = {"f4": np.dtype("<f4"), "f8": np.dtype("<f8"), "u1": np.dtype("u1")}
_BITS: dict[str, np.dtype[Any]] = {"f4": np.dtype("<u4"), "f8": np.dtype("<u8")}


def pack_lines(trace: Trace, names: Collection[str]) -> dict[str, Packed]:
    """The packed numbers of these lines of a trace."""
    arrays = {name: trace.numpy(name) for name in names}
    return {name: _pack_line(trace, name, arrays) for name in names}


def pack(array: NumpyArray) -> Packed:
    """An array as ``{"kind", "data"}``: little-endian numbers, base64; deflated where ``"deflated"`` is there.

    float32 stays float32, booleans become bytes, everything else float64. Deflated bytes are sorted first: the first
    byte of every number, then the second, since those at the same place are alike.
    """
    kind = _kind(array)
    plain = np.ascontiguousarray(array, dtype=_KINDS[kind])
    if plain.nbytes <= LARGE:
        return {"kind": kind, "data": _text(plain.tobytes())}
    return {"kind": kind, "deflated": "yes", "data": _text(_deflate(_planes(plain)))}


def _pack_line(trace: Trace, name: str, arrays: dict[str, NumpyArray]) -> Packed:
    line, array = trace.working.line(name), arrays[name]
    if array.nbytes <= LARGEST_WHOLE or not isinstance(line, Line) or not set(line.operands) <= arrays.keys():
        return pack(array)
    sizes = line.formula.bind([arrays[operand].shape for operand in line.operands])
    if _kind(array) == "u1" or not is_predictable(line.formula, sizes, array.size):
        return pack(array)
    return _differences(array, _predicted(line, arrays, sizes))


def _predicted(line: Line, arrays: dict[str, NumpyArray], sizes: dict[str, int]) -> NumpyArray:
    """What the formula gives for each index of the leading axes."""
    formula = line.formula
    operands = [arrays[operand].astype(np.float64, copy=False) for operand in line.operands]
    result = np.empty(arrays[line.name].shape)
    for lead in np.ndindex(result.shape[: result.ndim - len(formula.result)]):
        picked = {
            role: operand[leading(lead, operand.shape[: operand.ndim - len(letters)])]
            for role, letters, operand in zip(formula.roles, formula.operands, operands, strict=True)
        }
        result[lead] = predict(formula, picked, sizes)
    return result


def _differences(array: NumpyArray, predicted: NumpyArray) -> Packed:
    """The bits of an array less those of what was predicted, as numbers without sign: the sign is their last bit."""
    kind = _kind(array)
    bits = _BITS[kind]
    true = np.ascontiguousarray(array, dtype=_KINDS[kind]).view(bits)
    with np.errstate(over="ignore"):
        expected = np.where(np.isnan(predicted), 0.0, predicted).astype(_KINDS[kind]).view(bits)
    apart = (true - expected).view(f"<i{bits.itemsize}")
    unsigned = ((apart << 1) ^ (apart >> (8 * bits.itemsize - 1))).view(bits)
    used = -(-int(unsigned.max()).bit_length() // 8)
    content = _deflate(_planes(unsigned)[: max(used, 1)])
    if len(content) > array.nbytes * 3 // 4:
        return pack(array)
    return {"kind": kind, "deflated": "yes", "predicted": "yes", "data": _text(content)}


def _planes(plain: NumpyArray) -> NumpyArray:
    """The first byte of every number, then the second byte of every number ..."""
    return np.ascontiguousarray(plain.reshape(-1).view(np.uint8).reshape(-1, plain.itemsize).T)


def _deflate(planes: NumpyArray) -> bytes:
    return zlib.compress(np.ascontiguousarray(planes).data, 1)


def _kind(array: NumpyArray) -> str:
    if array.dtype.kind == "b":
        return "u1"
    return "f4" if array.dtype in (np.float32, np.float16) else "f8"


def _text(content: bytes) -> str:
    return b64encode(content).decode("ascii")
