"""The interpreter of programs: compiled once, and run by each thread without Python.

If Python started each step, threads would wait for it between steps, longer than many steps take. Here every thread
goes through the same instructions. Each instruction is divided into tasks; a free thread takes the next task, and goes
on to the next instruction when all are done. No thread waits for another that has not started.

An instruction loops over matrices, with a count of matrices, of rows, and of numbers in a row. An operand is given by
its address and by the bytes from one matrix, and from one row, to the next; the numbers of a row are contiguous.
"""

from __future__ import annotations

import sys
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from clearhead.compiled import elementary, matrices
from clearhead.compiled.matrices import IN_PANELS, IN_ROWS
from clearhead.compiled.program import blas, calls, row_kernels
from clearhead.compiled.program.blas import Sgemm
from clearhead.compiled.program.calls import add, by_panels, call, gemm, read
from clearhead.compiled.program.row_kernels import (
    BYTES,
    copy,
    gelu,
    gelu_tanh,
    is_flat,
    is_zero,
    layer_norm,
    put,
    relu,
    rms_norm,
    rotate_half,
    silu,
    softmax,
    take,
)  # fmt: skip
from clearhead.compiled.shipped import native
from clearhead.compiled.simd import LANES, WIDTH, digest, fused, inlined, least, most, put_float, within
from clearhead.ops import large
from clearhead.ops.textbook import tokens

PATIENCE = 1 << 12
"""How often a thread checks whether others are done before it yields the processor."""


class Products(NamedTuple):
    """Where the product of the BLAS lies, and the address of ours."""

    blas: Sgemm
    own: int


class Kind(IntEnum):
    """The kinds of instructions, before their ending."""

    COPY = 0
    LAYER_NORM = 1
    RMS_NORM = 2
    ROTATE_HALF = 3
    UNATTENDED = 4
    PRODUCT = 5
    WEIGHTS = 6


class Activation(IntEnum):
    """Functions of single numbers, in an ending."""

    NONE = 0
    SILU = 1
    GELU = 2
    GELU_TANH = 3
    RELU = 4


(
    KIND, OUTER, ROWS, COLUMNS, INNER, ORDER, DECODER, FIRST, BEHIND, AHEAD, SHARED, OWN, ACTIVATION,
    TASK_ROWS, TASK_COLUMNS, DOWN, ACROSS, TASKS,
    OUT, OUT_OUTER, OUT_ROW, A, A_OUTER, A_ROW, B, B_OUTER, B_ROW, C, C_OUTER, C_ROW,
    PLUS, PLUS_OUTER, PLUS_ROW, TIMES, TIMES_OUTER, TIMES_ROW, ALSO, ALSO_OUTER, ALSO_ROW,
) = range(39)  # fmt: skip
"""The fields of an instruction. ``SHARED``: how many matrices share one matrix of operand A.
``ORDER``: how operand B of a product lies. ``DECODER``: the address of what decodes its panels, or 0.
``OWN``: the product is ours, not the BLAS's. ``DOWN`` and ``ACROSS``: how many tasks divide the rows and columns of a
matrix, the last of which takes what the others leave. The ending, each part of
which may be missing: ``PLUS`` an operand, an activation, ``TIMES`` an operand, ``ALSO`` plus one."""

OPERANDS = [OUT, A, B, C, PLUS, TIMES, ALSO]

TAKEN, DONE, COUNTERS = 0, 8, 16
"""Counters of an instruction: tasks that were taken, and that are done; each in a separate line of the cache."""

COPY, LAYER_NORM, RMS_NORM, ROTATE_HALF, UNATTENDED, PRODUCT, WEIGHTS = map(int, Kind)
NONE, SILU, GELU, GELU_TANH, RELU = map(int, Activation)


@within
def _active(activation: int, x: Any) -> Any:
    """A function of an ending, of a vector of numbers."""
    if activation == SILU:
        x = silu(x)
    elif activation == GELU:
        x = gelu(x)
    elif activation == GELU_TANH:
        x = gelu_tanh(x)
    elif activation == RELU:
        x = relu(x)
    return x


@inlined
def _end(n: Any, row: int, plus: int, times: int, also: int, columns: int) -> None:
    """The ending of an instruction, on a row of its result, in place."""
    has_plus, activation, has_times, has_also = n[PLUS], n[ACTIVATION], n[TIMES], n[ALSO]
    for at in range(0, columns, LANES):
        x = take(row, at, columns)
        if has_plus:
            x = x + take(plus, at, columns)
        if activation:
            x = _active(activation, x)
        if has_times and has_also:
            x = fused(x, take(times, at, columns), take(also, at, columns))
        elif has_times:
            x = x * take(times, at, columns)
        elif has_also:
            x = x + take(also, at, columns)
        put(row, at, columns, x)


@within
def _product(n: Any, rows: int, columns: int, a: int, b: int, out: int, products: Products, room: int) -> None:
    """Some rows and columns of a product."""
    a_row, b_row, out_row = n[A_ROW] // BYTES, n[B_ROW] // BYTES, n[OUT_ROW] // BYTES
    if n[OWN]:
        by_panels(products.own, rows, columns, n[INNER], a, a_row, b, b_row, n[ORDER], n[DECODER], out, out_row, room)
    else:
        gemm(
            products.blas.address,
            products.blas.wide,
            n[ORDER],
            rows,
            columns,
            n[INNER],
            a,
            a_row,
            b,
            b_row,
            out,
            out_row,
        )


@inlined
def _weights(
    n: Any, out: int, query: int, key: int, start: int, rows: int, reals: Any, products: Products, room: int
) -> None:
    """Softmax of the scores of some queries; scores behind what they see are not computed."""
    columns, row, first = n[COLUMNS], n[OUT_ROW], n[FIRST] + start
    _product(n, rows, least(columns, most(LANES, first + rows + n[AHEAD])), query, key, out, products, room)
    for r in range(rows):
        low = least(columns, most(0, first + r - n[BEHIND]))
        high = most(low, least(columns, first + r + n[AHEAD] + 1))
        softmax(out + r * row, columns, (low, high), reals[0], reals[1], n[C])


@inlined
def _row(n: Any, out: int, a: int, b: int, c: int, columns: int, reals: Any) -> None:
    """One row of an instruction that is computed row by row."""
    kind = n[KIND]
    if kind == COPY:
        copy(out, a, columns)
    elif kind == LAYER_NORM:
        layer_norm(out, a, columns, reals[0])
    elif kind == RMS_NORM:
        rms_norm(out, a, columns, reals[0])
    elif kind == ROTATE_HALF:
        rotate_half(out, a, b, c, n[INNER], columns)
    else:
        put_float(out, 0, np.float32(is_zero(a, n[INNER])))
    if n[B] and kind != ROTATE_HALF:
        put_float(b, 0, np.float32(is_flat(out, a, columns)))


@inlined
def _task(n: Any, reals: Any, task: int, products: Products, room: int) -> None:
    """Computes one task of an instruction: some rows and columns of one matrix."""
    kind, across, down = n[KIND], n[ACROSS], n[DOWN]
    outer, left = task // across // down, task % across * n[TASK_COLUMNS]
    # The last rows come first: of a causal model they are the most work.
    start = (down - 1 - task // across % down) * n[TASK_ROWS]
    rows = n[TASK_ROWS] if start + n[TASK_ROWS] < down * n[TASK_ROWS] else n[ROWS] - start
    columns = n[TASK_COLUMNS] if left + n[TASK_COLUMNS] < across * n[TASK_COLUMNS] else n[COLUMNS] - left
    out = n[OUT] + outer * n[OUT_OUTER] + start * n[OUT_ROW] + left * BYTES
    a = n[A] + outer // n[SHARED] * n[A_OUTER] + start * n[A_ROW]
    b = n[B] + outer * n[B_OUTER]
    if kind == WEIGHTS:
        _weights(n, out, a, b, start, rows, reals, products, room)
    elif kind == PRODUCT:
        b += left // WIDTH * n[B_ROW] if n[ORDER] == IN_PANELS else left * (BYTES if n[ORDER] == IN_ROWS else n[B_ROW])
        _product(n, rows, columns, a, b, out, products, room)
    else:
        b, c = b + start * n[B_ROW], n[C] + outer * n[C_OUTER] + start * n[C_ROW]
        for i in range(rows):
            _row(n, out + i * n[OUT_ROW], a + i * n[A_ROW], b + i * n[B_ROW], c + i * n[C_ROW], columns, reals)
    if n[PLUS] or n[ACTIVATION] or n[TIMES] or n[ALSO]:
        plus = n[PLUS] + outer * n[PLUS_OUTER] + start * n[PLUS_ROW] + left * BYTES
        times = n[TIMES] + outer * n[TIMES_OUTER] + start * n[TIMES_ROW] + left * BYTES
        also = n[ALSO] + outer * n[ALSO_OUTER] + start * n[ALSO_ROW] + left * BYTES
        for i in range(rows):
            row = out + i * n[OUT_ROW]
            _end(n, row, plus + i * n[PLUS_ROW], times + i * n[TIMES_ROW], also + i * n[ALSO_ROW], columns)


def _run(sources: int) -> Any:
    @njit(nogil=True, cache=True)
    def run(program: Any, reals: Any, counters: int, stop: int, products: Products, give_way: int, room: int) -> None:
        for step in range(len(program) if sources else 0):
            instruction, own = program[step], counters + step * COUNTERS * 8
            tasks = instruction[TASKS]
            task = add(own, TAKEN, 1)
            while task < tasks:
                if not read(stop, 0):
                    _task(instruction, reals[step], task, products, room)
                add(own, DONE, 1)
                task = add(own, TAKEN, 1)
            spins = 0
            while read(own, DONE) < tasks:
                spins += 1
                if give_way and spins > PATIENCE:
                    call(give_way)

    return run


@cache
def sources() -> str:
    """A hash of the source that the interpreter is compiled from."""
    return digest(sys.modules[__name__], elementary, matrices, blas, calls, row_kernels, large, tokens)


@cache
def interpreter() -> Any:
    """``run(program, reals, counters, stop, products, give_way, room)``: goes through a program, with all who run it.

    Its arguments are the instructions, a row each, and two reals for each; the address of COUNTERS whole numbers for
    each, all 0; the address of one that is not 0 when all should leave what is not begun; where products lie; the
    address of the function that lets others work, or 0; and that of ROOM numbers for this thread alone.
    It is compiled when it is first called, and kept on disk from then on.
    """
    return native("run", sources()) or _run(int(sources()[:15], 16))
