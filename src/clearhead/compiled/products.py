"""The products of two matrices, a tile of ROWS x WIDTH sums at a time, all of them kept in registers.

Both products of attention have this form: a row of the tile is the sum over k of a number of A times row k of B.
The numbers of A are broadcast from any address; the rows of B are contiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from clearhead.compiled.simd import (
    INT64,
    LANES,
    ROWS,
    VECTOR,
    VECTORS,
    WIDTH,
    Builder,
    Value,
    constant,
    larger,
    multiply_add,
    place,
    read,
    spread,
    write,
)  # fmt: skip

CELLS = [(row, vector) for row in range(ROWS) for vector in range(VECTORS)]


def _sums(
    builder: Builder, operands: Sequence[Value], steps: tuple[Value, Value, Value], start: Sequence[Value]
) -> list[Value]:
    """The loop over k, from the given sums: ``steps`` are A's from row to row and from k to k, and how many k."""
    (a, b), (a_row, a_step, count) = operands, steps
    before, loop, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("sums")
    builder.branch(loop)
    builder.position_at_end(loop)
    k = builder.phi(INT64)
    sums = [builder.phi(VECTOR) for _ in CELLS]
    numbers = builder.gep(a, [builder.mul(k, a_step)])
    line = builder.gep(b, [builder.mul(k, ir.Constant(INT64, WIDTH))])
    columns = [read(builder, line, vector * LANES) for vector in range(VECTORS)]
    addresses = [builder.gep(numbers, [builder.mul(a_row, ir.Constant(INT64, row))]) for row in range(ROWS)]
    factors = [spread(builder, builder.load(address)) for address in addresses]
    found = [multiply_add(builder, factors[row], columns[v], held) for (row, v), held in zip(CELLS, sums, strict=True)]
    following = builder.add(k, ir.Constant(INT64, 1))
    for phi, first, next_ in zip((k, *sums), (ir.Constant(INT64, 0), *start), (following, *found), strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(next_, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    builder.position_at_end(after)
    return found


def _put(builder: Builder, sums: Sequence[Value], c: Value) -> None:
    for (row, vector), each in zip(CELLS, sums, strict=True):
        write(builder, each, c, row * WIDTH + vector * LANES)


@intrinsic
def product(
    context: Any, a: Any, a_at: Any, a_row: Any, a_step: Any, b: Any, b_at: Any, c: Any, c_at: Any, largest: Any,
    largest_at: Any, count: Any,
) -> Any:  # fmt: skip
    """C = A B, for one tile; A[row, k] lies at ``a_at + row*a_row + k*a_step``. Each column's largest is kept, too."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        a, a_at, a_row, a_step, b, b_at, c, c_at, largest, largest_at, count = values
        operands = (place(builder, a, a_at), place(builder, b, b_at))
        sums = _sums(builder, operands, (a_row, a_step, count), [constant(0.0)] * len(CELLS))
        _put(builder, sums, place(builder, c, c_at))
        for vector in range(VECTORS):
            best = reduce(partial(larger, builder), sums[vector::VECTORS])
            write(builder, best, place(builder, largest, largest_at), vector * LANES)
        return context.get_dummy_value()

    i = types.int64
    return types.void(*[i] * 11), generate


@intrinsic
def product_onto(
    context: Any, a: Any, a_at: Any, a_row: Any, a_step: Any, b: Any, b_at: Any, c: Any, c_at: Any, kept: Any,
    kept_at: Any, count: Any,
) -> Any:  # fmt: skip
    """C = C * kept + A B, for one tile; ``kept`` is one row of numbers."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        a, a_at, a_row, a_step, b, b_at, c, c_at, kept, kept_at, count = values
        operands = (place(builder, a, a_at), place(builder, b, b_at))
        out = place(builder, c, c_at)
        factor = place(builder, kept, kept_at)
        sums = _sums(builder, operands, (a_row, a_step, count), [constant(0.0)] * len(CELLS))
        factors = [read(builder, factor, vector * LANES) for vector in range(VECTORS)]
        # The sums start from 0 and are added to C at the end: small numbers lose less than when added to large ones.
        held = [read(builder, out, row * WIDTH + v * LANES) for row, v in CELLS]
        joined = [
            multiply_add(builder, old, factors[v], new) for (_, v), old, new in zip(CELLS, held, sums, strict=True)
        ]
        _put(builder, joined, out)
        return context.get_dummy_value()

    i = types.int64
    return types.void(*[i] * 11), generate
