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
from clearhead.ops.panels import Blocks, Coding

SMALL, SUPER = 32, 256
"""Values in a block of the older types, and in one of the K types."""

CACHED = 1 << 15
"""Values that are converted at a time, so that temporary arrays stay in the cache."""

LOW, HIGH = np.uint8(15), np.uint8(4)

FOURS, FOURS_FROM_8 = Coding(4, SMALL), Coding(4, SMALL, 8)
EIGHTS, EIGHTS_OF_16 = Coding(8, SMALL), Coding(8, 16)

Parts = tuple[np.ndarray[Any, Any], Floats, Floats | None]
"""Of some blocks the whole numbers, the scales, and the offsets if there are any."""


def _half(blocks: Bytes) -> Floats:
    """The float16 numbers in two columns of bytes, as a column."""
    return np.ascontiguousarray(blocks).view("<f2").astype(np.float32)


def _nibbles(packed: Bytes) -> Bytes:
    """The lower halves of all bytes of each group, then the upper halves: (block, group, byte) to twice the bytes."""
    return np.concatenate([packed & LOW, packed >> HIGH], axis=-1)


def _fifth_bits(packed: Bytes) -> Bytes:
    """32 bits of four bytes, each moved to the place of the fifth bit of a number."""
    return np.unpackbits(packed, axis=-1, bitorder="little") << HIGH


def _q4_0(blocks: Bytes) -> Parts:
    return (_nibbles(blocks[:, 2:]).view(np.int8) - np.int8(8))[:, None], _half(blocks[:, :2]), None


def _q4_1(blocks: Bytes) -> Parts:
    return _nibbles(blocks[:, 4:])[:, None], _half(blocks[:, :2]), _half(blocks[:, 2:4])


def _q5_0(blocks: Bytes) -> Parts:
    fives = _nibbles(blocks[:, 6:]) | _fifth_bits(blocks[:, 2:6])
    return (fives.view(np.int8) - np.int8(16))[:, None], _half(blocks[:, :2]), None


def _q5_1(blocks: Bytes) -> Parts:
    fives = _nibbles(blocks[:, 8:]) | _fifth_bits(blocks[:, 4:8])
    return fives[:, None], _half(blocks[:, :2]), _half(blocks[:, 2:4])


def _q8_0(blocks: Bytes) -> Parts:
    return blocks[:, 2:].view(np.int8)[:, None], _half(blocks[:, :2]), None


def _scales_and_minima(blocks: Bytes) -> tuple[Floats, Floats]:
    """Eight scales and eight minima of six bits, in twelve bytes after two float16 numbers that scale them."""
    first, second, rest = (blocks[:, start : start + 4] for start in (4, 8, 12))
    scales = np.concatenate([first & 63, (rest & LOW) | ((first >> 2) & 48)], axis=-1)
    minima = np.concatenate([second & 63, (rest >> HIGH) | ((second >> 2) & 48)], axis=-1)
    return _half(blocks[:, :2]) * scales.astype(np.float32), -(_half(blocks[:, 2:4]) * minima.astype(np.float32))


def _q4_k(blocks: Bytes) -> Parts:
    return _nibbles(blocks[:, 16:].reshape(-1, 4, 32)).reshape(-1, 8, 32), *_scales_and_minima(blocks)


def _q5_k(blocks: Bytes) -> Parts:
    fours = _nibbles(blocks[:, 48:].reshape(-1, 4, 32)).reshape(-1, 8, 32)
    # Bit b of byte n belongs to number n of group b.
    fifth = (blocks[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None]) & np.uint8(1)
    return fours | (fifth << HIGH), *_scales_and_minima(blocks)


def _q6_k(blocks: Bytes) -> Parts:
    fours = _nibbles(blocks[:, :128].reshape(-1, 2, 64)).reshape(-1, 8, 32)
    upper = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None]
    sixes = fours | ((upper.reshape(-1, 8, 32) & np.uint8(3)) << HIGH)
    scales = _half(blocks[:, 208:]) * blocks[:, 192:208].view(np.int8).astype(np.float32)
    return (sixes.view(np.int8) - np.int8(32)).reshape(-1, 16, 16), scales, None


def _quantised(name: str, size: int, coding: Coding, values: int, parts: Callable[[Bytes], Parts]) -> Kind:
    """A type whose blocks of this many bytes and values have as many parts as lengths of the coding fit."""
    inner = values // coding.length

    def split(data: Bytes) -> Blocks:
        # A damaged scale gives NaN or infinity, which the lines computed with it show.
        with np.errstate(over="ignore", invalid="ignore"):
            whole, scales, offsets = parts(data.reshape(-1, size))
        return Blocks(whole.view(np.int8), scales, offsets, coding)

    def some_of(data: Bytes, work: Callable[[slice, Blocks], None]) -> None:
        """Calls a function on the parts of some blocks at a time, so that temporary arrays stay in the cache."""
        blocks, step = data.reshape(-1, size), CACHED // values

        def some(span: slice) -> None:
            work(span, split(blocks[span]))

        spans = [slice(at, at + step) for at in range(0, len(blocks), step)]
        threads.share(some, spans, len(blocks) * values)

    def widen(data: Bytes) -> Floats:
        out = np.empty((data.size // size, inner, coding.length), np.float32)

        def put(span: slice, blocks: Blocks) -> None:
            out[span] = blocks.floats()

        some_of(data, put)
        return out.reshape(-1)

    def whole(data: Bytes) -> Blocks:
        count = data.size // size
        numbers, scales = np.empty((count, inner, coding.length), np.int8), np.empty((count, inner), np.float32)
        offsets = None if split(data[:size]).offsets is None else np.empty((count, inner), np.float32)

        def put(span: slice, blocks: Blocks) -> None:
            numbers[span], scales[span] = blocks.whole, blocks.scales
            if offsets is not None:
                offsets[span] = blocks.offsets

        some_of(data, put)
        return Blocks(numbers, scales, offsets, coding)

    return Kind(name, values, size, widen, whole)


KINDS: dict[int, Kind] = {
    0: plain("F32", "<f4"),
    1: plain("F16", "<f2"),
    2: _quantised("Q4_0", 18, FOURS_FROM_8, SMALL, _q4_0),
    3: _quantised("Q4_1", 20, FOURS, SMALL, _q4_1),
    6: _quantised("Q5_0", 22, EIGHTS, SMALL, _q5_0),
    7: _quantised("Q5_1", 24, EIGHTS, SMALL, _q5_1),
    8: _quantised("Q8_0", 34, EIGHTS, SMALL, _q8_0),
    12: _quantised("Q4_K", 144, FOURS, SUPER, _q4_k),
    13: _quantised("Q5_K", 176, EIGHTS, SUPER, _q5_k),
    14: _quantised("Q6_K", 210, EIGHTS_OF_16, SUPER, _q6_k),
    24: plain("I8", "<i1"),
    25: plain("I16", "<i2"),
    26: plain("I32", "<i4"),
    27: plain("I64", "<i8"),
    28: plain("F64", "<f8"),
    30: Kind("BF16", 1, 2, bfloat16),
}
"""The types by their number in the file."""
