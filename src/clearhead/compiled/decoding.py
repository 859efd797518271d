"""Panels whose numbers are stored in fewer bits, decoded into a room of one thread, some rows at a time.

What is decoded is exactly what the checkpoint's type means in float32 (`clearhead.ops.panels`), so a product has the
bits that it has from the float32 numbers. There is a function for each coding, compiled when it is first asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from llvmlite import ir
from numba import cfunc, types
from numba.extending import intrinsic

from clearhead.compiled import matrices
from clearhead.compiled.matrices import loop, whole
from clearhead.compiled.simd import (
    BITS,
    FLOAT,
    LANES,
    VECTOR,
    VECTORS,
    WIDTH,
    Builder,
    Value,
    constant,
    digest,
    place,
    read,
    write,
)  # fmt: skip
from clearhead.ops.panels import FLOAT32, FOUR_BITS, Coding

BYTE, HALF = ir.IntType(8), ir.IntType(16)
SCALES = 2 * WIDTH * 4
"""Bytes of the scales and offsets in front of a block."""


def _bits(number: int) -> Value:
    return ir.Constant(BITS, [number] * LANES)


def _stored(builder: Builder, begin: Value, at: Value, kind: Any) -> Value:
    """The vector of whole numbers of a kind that begins ``at`` numbers after an address, as wide as float32 numbers."""
    line = builder.bitcast(builder.gep(begin, [at]), ir.VectorType(kind, LANES).as_pointer())
    return builder.load(line, align=1)


def _from_bfloat16(builder: Builder, halves: Value) -> Value:
    wide = builder.shl(builder.zext(halves, BITS), _bits(16))
    return builder.bitcast(wide, VECTOR)


def _from_float16(builder: Builder, halves: Value) -> Value:
    """By whole numbers and one exact product, since not every processor has an instruction for it."""
    wide = builder.zext(halves, BITS)
    moved = builder.shl(builder.and_(wide, _bits(0x7FFF)), _bits(13))
    finite = builder.bitcast(builder.fmul(builder.bitcast(moved, VECTOR), constant(2.0**112)), BITS)
    special = builder.icmp_unsigned(">=", moved, _bits(0x7C00 << 13))
    size = builder.select(special, builder.or_(moved, _bits(0x7F800000)), finite)
    return builder.bitcast(builder.or_(size, builder.shl(builder.and_(wide, _bits(0x8000)), _bits(16))), VECTOR)


def _halves(coding: Coding) -> Any:
    widened = _from_bfloat16 if coding.is_short else _from_float16

    @intrinsic
    def halves(context: Any, panel: Any, begin: Any, count: Any, room: Any) -> Any:
        """``count`` rows of a panel from row ``begin`` on."""

        def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
            panel, begin, count, room = values
            numbers, out = place(builder, panel, whole(0), HALF), place(builder, room, whole(0))
            first = builder.mul(begin, whole(WIDTH))

            def body(k: Value, _: Sequence[Value]) -> list[Value]:
                row = builder.mul(k, whole(WIDTH))
                for vector in range(VECTORS):
                    at = builder.add(row, whole(vector * LANES))
                    found = widened(builder, _stored(builder, numbers, builder.add(first, at), HALF))
                    write(builder, found, builder.gep(out, [at]))
                return []

            loop(builder, count, [], body)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 4), generate

    return halves


def _blocks(coding: Coding) -> Any:
    parts = 8 // coding.bits
    rows = coding.length // parts
    size = SCALES + rows * WIDTH

    def numbers(builder: Builder, stored: Value) -> list[Value]:
        """The whole numbers of some bytes as vectors: those of their rows, one for each part of a byte."""
        if coding.bits != FOUR_BITS:
            return [builder.sext(stored, BITS)]
        wide = builder.zext(stored, BITS)
        return [builder.and_(wide, _bits(15)), builder.lshr(wide, _bits(4))]

    @intrinsic
    def blocks(context: Any, panel: Any, begin: Any, count: Any, room: Any) -> Any:
        """``count`` rows of a panel from row ``begin`` on, both whole blocks."""

        def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
            panel, begin, count, room = values
            length, out = whole(coding.length), place(builder, room, whole(0))
            start = builder.mul(builder.sdiv(begin, length), whole(size))
            lines = builder.gep(place(builder, panel, whole(0), BYTE), [start])

            def block(n: Value, _: Sequence[Value]) -> list[Value]:
                here = builder.gep(lines, [builder.mul(n, whole(size))])
                target = builder.gep(out, [builder.mul(n, whole(coding.length * WIDTH))])
                known = builder.bitcast(here, FLOAT.as_pointer())
                scales, offsets = (
                    [read(builder, known, edge + vector * LANES) for vector in range(VECTORS)] for edge in (0, WIDTH)
                )

                def row(k: Value, _: Sequence[Value]) -> list[Value]:
                    for vector in range(VECTORS):
                        at = builder.add(builder.mul(k, whole(WIDTH)), whole(vector * LANES))
                        stored = _stored(builder, here, builder.add(at, whole(SCALES)), BYTE)
                        for part, each in enumerate(numbers(builder, stored)):
                            found = builder.sitofp(builder.sub(each, _bits(coding.zero)), VECTOR)
                            found = builder.fadd(builder.fmul(found, scales[vector]), offsets[vector])
                            write(builder, found, builder.gep(target, [at]), part * rows * WIDTH)
                    return []

                loop(builder, whole(rows), [], row)
                return []

            loop(builder, builder.sdiv(count, length), [], block)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 4), generate

    return blocks


def _routine(coding: Coding, sources: int) -> Any:
    decode = _blocks(coding) if coding.length else _halves(coding)

    @cfunc(types.void(*[types.int64] * 4), cache=True, error_model="numpy")
    def routine(panel: int, begin: int, count: int, room: int) -> None:
        if sources:
            decode(panel, begin, count, room)

    return routine


@cache
def decoder(coding: Coding) -> int:
    """The address of the function that decodes rows of a panel, ``(panel, begin, count, room)``; 0 for float32."""
    if coding == FLOAT32:
        return 0
    return int(_routine(coding, int(digest(sys.modules[__name__], matrices)[:15], 16)).address)
