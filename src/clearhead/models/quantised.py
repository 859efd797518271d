"""GGUF's types of numbers, converted whole arrays at a time.

A quantised array is a row of blocks; each block has a scale, perhaps a minimum, and small whole numbers. The order of
the arithmetic is that of the reference (ggml's ``dequantize_row_*``), so that results are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clearhead.models.tensors import Bytes, Floats, Kind, bfloat16, plain
from clearhead.ops import threads

SMALL, SUPER = 32, 256
"""Values in a block of the older types, and in one of the K types."""

CACHED = 1 << 15
"""Values that are converted at a time, so that temporary arrays stay in the cache."""

LOW, HIGH = np.uint8(15), np.uint8(4)

Blocks = np.ndarray[Any, np.dtype[np.uint8]]


def _half(blocks: Blocks) -> Floats:
    """The float16 numbers in two columns of bytes, as a column."""
    return np.ascontiguousarray(blocks).view("<f2").astype(np.float32)


def _nibbles(packed: Blocks) -> Blocks:
    """The lower halves of all bytes of each group, then the upper halves: (block, group, byte) to twice the bytes."""
    return np.concatenate([packed & LOW, packed >> HIGH], axis=-1)


def _fifth_bits(packed: Blocks) -> Blocks:
    """32 bits of four bytes, each moved to the place of the fifth bit of a number."""
    return np.unpackbits(packed, axis=-1, bitorder="little") << HIGH


def _q4_0(blocks: Blocks) -> Floats:
    return _half(blocks[:, :2]) * (_nibbles(blocks[:, 2:]).astype(np.int8) - np.int8(8)).astype(np.float32)


def _q4_1(blocks: Blocks) -> Floats:
    out = _nibbles(blocks[:, 4:]).astype(np.float32)
    out *= _half(blocks[:, :2])
    out += _half(blocks[:, 2:4])
    return out


def _q5_0(blocks: Blocks) -> Floats:
    fives = _nibbles(blocks[:, 6:]) | _fifth_bits(blocks[:, 2:6])
    return _half(blocks[:, :2]) * (fives.astype(np.int8) - np.int8(16)).astype(np.float32)


def _q5_1(blocks: Blocks) -> Floats:
    fives = _nibbles(blocks[:, 8:]) | _fifth_bits(blocks[:, 4:8])
    return _half(blocks[:, :2]) * fives.astype(np.float32) + _half(blocks[:, 2:4])


def _q8_0(blocks: Blocks) -> Floats:
    out = blocks[:, 2:].view(np.int8).astype(np.float32)
    out *= _half(blocks[:, :2])
    return out


def _scales_and_minima(blocks: Blocks) -> tuple[Floats, Floats]:
    """Eight scales and eight minima of six bits, in twelve bytes after two float16 numbers that scale them."""
    first, second, rest = (blocks[:, start : start + 4] for start in (4, 8, 12))
    scales = np.concatenate([first & 63, (rest & LOW) | ((first >> 2) & 48)], axis=-1)
    minima = np.concatenate([second & 63, (rest >> HIGH) | ((second >> 2) & 48)], axis=-1)
    return (
        (_half(blocks[:, :2]) * scales.astype(np.float32))[..., None],
        (_half(blocks[:, 2:4]) * minima.astype(np.float32))[..., None],
    )


def _q4_k(blocks: Blocks) -> Floats:
    scales, minima = _scales_and_minima(blocks)
    fours = _nibbles(blocks[:, 16:].reshape(-1, 4, 32)).reshape(-1, 8, 32)
    return scales * fours.astype(np.float32) - minima


def _q5_k(blocks: Blocks) -> Floats:
    scales, minima = _scales_and_minima(blocks)
    fours = _nibbles(blocks[:, 48:].reshape(-1, 4, 32)).reshape(-1, 8, 32)
    # Bit b of byte n belongs to number n of group b.
    fifth = (blocks[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None]) & np.uint8(1)
    return scales * (fours | (fifth << HIGH)).astype(np.float32) - minima


def _q6_k(blocks: Blocks) -> Floats:
    fours = _nibbles(blocks[:, :128].reshape(-1, 2, 64)).reshape(-1, 8, 32)
    upper = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None]
    sixes = fours | ((upper.reshape(-1, 8, 32) & np.uint8(3)) << HIGH)
    scales = _half(blocks[:, 208:]) * blocks[:, 192:208].view(np.int8).astype(np.float32)
    numbers = (sixes.astype(np.int8) - np.int8(32)).astype(np.float32)
    return scales[..., None] * numbers.reshape(-1, 16, 16)


def _quantised(name: str, values: int, size: int, unpack: Callable[[Blocks], Floats]) -> Kind:
    def widen(data: Bytes) -> Floats:
        blocks = data.reshape(-1, size)
        out = np.empty((len(blocks), values), np.float32)

        def some(span: slice) -> None:
            # A damaged scale gives NaN or infinity, which the lines computed with it show.
            with np.errstate(over="ignore", invalid="ignore"):
                out[span] = unpack(blocks[span]).reshape(-1, values)

        step = CACHED // values
        threads.share(some, [slice(at, at + step) for at in range(0, len(blocks), step)], out.size)
        return out.reshape(-1)

    return Kind(name, values, size, widen)


KINDS: dict[int, Kind] = {
    0: plain("F32", "<f4"),
    1: plain("F16", "<f2"),
    2: _quantised("Q4_0", SMALL, 18, _q4_0),
    3: _quantised("Q4_1", SMALL, 20, _q4_1),
    6: _quantised("Q5_0", SMALL, 22, _q5_0),
    7: _quantised("Q5_1", SMALL, 24, _q5_1),
    8: _quantised("Q8_0", SMALL, 34, _q8_0),
    12: _quantised("Q4_K", SUPER, 144, _q4_k),
    13: _quantised("Q5_K", SUPER, 176, _q5_k),
    14: _quantised("Q6_K", SUPER, 210, _q6_k),
    24: plain("I8", "<i1"),
    25: plain("I16", "<i2"),
    26: plain("I32", "<i4"),
    27: plain("I64", "<i8"),
    28: plain("F64", "<f8"),
    30: Kind("BF16", 1, 2, bfloat16),
}
"""The types by their number in the file."""
