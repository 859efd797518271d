"""What runs a program of instructions: compiled once, each thread goes through it without Python.

Threads that left each step to Python would wait for the interpreter between steps, longer than many of them take. Here
every thread goes through the same instructions. Each is cut into tasks; whoever is free takes the next, and goes on to
the next instruction when all are done. No thread waits for another that has not begun.

An instruction walks over matrices: so many of them, each with so many rows of so many numbers. An operand is told by
its address and by the bytes from one matrix, and from one row, to the next; within a row numbers lie side by side.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from clearhead.compiled import elementary
from clearhead.compiled.program import calls, row_kernels
from clearhead.compiled.program.blas import Sgemm
from clearhead.compiled.program.calls import add, call, gemm, read
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
from clearhead.compiled.simd import LANES, digest, fused, put_float
from clearhead.ops import large
from clearhead.ops.textbook import tokens

PATIENCE = 1 << 12
"""A thread looks so often whether others are done before it lets others work."""


class Kind(IntEnum):
    """What an instruction does, before its ending."""

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
    KIND, OUTER, ROWS, COLUMNS, INNER, TURNED, FIRST, BEHIND, AHEAD, SHARED, ACTIVATION, TASK_ROWS, TASK_COLUMNS, TASKS,
    OUT, OUT_OUTER, OUT_ROW, A, A_OUTER, A_ROW, B, B_OUTER, B_ROW, C, C_OUTER, C_ROW,
    PLUS, PLUS_OUTER, PLUS_ROW, TIMES, TIMES_OUTER, TIMES_ROW, ALSO, ALSO_OUTER, ALSO_ROW,
) = range(35)  # fmt: skip
"""What stands where in an instruction. ``SHARED``: so many matrices share one of operand A. The ending, each part of
which may be missing: ``PLUS`` an operand, an activation, ``TIMES`` an operand, ``ALSO`` plus one."""

OPERANDS = [OUT, A, B, C, PLUS, TIMES, ALSO]

TAKEN, DONE, COUNTERS = 0, 8, 16
"""Counters of an instruction: tasks that were taken, and that are done; each in a line of the cache of its own."""

COPY, LAYER_NORM, RMS_NORM, ROTATE_HALF, UNATTENDED, PRODUCT, WEIGHTS = map(int, Kind)
NONE, SILU, GELU, GELU_TANH, RELU = map(int, Activation)


@njit(nogil=True)
def _apply(function: Any, row: int, columns: int) -> None:
    for at in range(0, columns, LANES):
        put(row, at, columns, function(take(row, at, columns)))


@njit(nogil=True)
def _activate(activation: int, row: int, columns: int) -> None:
    if activation == SILU:
        _apply(silu, row, columns)
    elif activation == GELU:
        _apply(gelu, row, columns)
    elif activation == GELU_TANH:
        _apply(gelu_tanh, row, columns)
    elif activation == RELU:
        _apply(relu, row, columns)


@njit(nogil=True)
def _end(n: Any, row: int, plus: int, times: int, also: int, columns: int) -> None:
    """The ending of an instruction, in the place of a row of its result."""
    if n[PLUS]:
        for at in range(0, columns, LANES):
            put(row, at, columns, take(row, at, columns) + take(plus, at, columns))
    if n[ACTIVATION]:
        _activate(n[ACTIVATION], row, columns)
    if n[TIMES] and n[ALSO]:
        for at in range(0, columns, LANES):
            v = fused(take(row, at, columns), take(times, at, columns), take(also, at, columns))
            put(row, at, columns, v)
    elif n[TIMES]:
        for at in range(0, columns, LANES):
            put(row, at, columns, take(row, at, columns) * take(times, at, columns))
    elif n[ALSO]:
        for at in range(0, columns, LANES):
            put(row, at, columns, take(row, at, columns) + take(also, at, columns))


@njit(nogil=True)
def _weights(n: Any, out: int, query: int, key: int, start: int, rows: int, reals: Any, blas: Sgemm) -> None:
    """Softmax of the scores of some queries; what they cannot see is not worked out."""
    columns, row, first = n[COLUMNS], n[OUT_ROW], n[FIRST] + start
    seen = max(1, min(columns, first + rows + n[AHEAD]))
    gemm(
        blas.address, blas.wide, 1, rows, seen, n[INNER], query, n[A_ROW] // BYTES, key, n[B_ROW] // BYTES,
        out, row // BYTES,
    )  # fmt: skip
    for r in range(rows):
        low = min(columns, max(0, first + r - n[BEHIND]))
        high = max(low, min(columns, first + r + n[AHEAD] + 1))
        softmax(out + r * row, columns, low, high, reals[0], reals[1])


@njit(nogil=True)
def _row(n: Any, out: int, a: int, b: int, c: int, columns: int, reals: Any) -> None:
    """One row of an instruction that is done row by row."""
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


@njit(nogil=True)
def _task(n: Any, reals: Any, task: int, blas: Sgemm) -> None:
    """Does one task of an instruction: some rows and columns of one matrix."""
    kind = n[KIND]
    across, down = -(-n[COLUMNS] // n[TASK_COLUMNS]), -(-n[ROWS] // n[TASK_ROWS])
    outer, left = task // across // down, task % across * n[TASK_COLUMNS]
    # The last rows come first: of a causal model they are the most work.
    start = (down - 1 - task // across % down) * n[TASK_ROWS]
    rows, columns = min(n[TASK_ROWS], n[ROWS] - start), min(n[TASK_COLUMNS], n[COLUMNS] - left)
    out = n[OUT] + outer * n[OUT_OUTER] + start * n[OUT_ROW] + left * BYTES
    a = n[A] + outer // n[SHARED] * n[A_OUTER] + start * n[A_ROW]
    b = n[B] + outer * n[B_OUTER]
    if kind == WEIGHTS:
        _weights(n, out, a, b, start, rows, reals, blas)
    elif kind == PRODUCT:
        b += left * (n[B_ROW] if n[TURNED] else BYTES)
        gemm(
            blas.address, blas.wide, n[TURNED], rows, columns, n[INNER], a, n[A_ROW] // BYTES, b, n[B_ROW] // BYTES,
            out, n[OUT_ROW] // BYTES,
        )  # fmt: skip
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


def _run(sources: str) -> Any:
    @njit(nogil=True, cache=True)
    def run(program: Any, reals: Any, counters: int, stop: int, blas: Sgemm, give_way: int) -> None:
        for step in range(len(program) if sources else 0):
            instruction, own = program[step], counters + step * COUNTERS * 8
            tasks = instruction[TASKS]
            task = add(own, TAKEN, 1)
            while task < tasks:
                if not read(stop, 0):
                    _task(instruction, reals[step], task, blas)
                add(own, DONE, 1)
                task = add(own, TAKEN, 1)
            spins = 0
            while read(own, DONE) < tasks:
                spins += 1
                if give_way and spins > PATIENCE:
                    call(give_way)

    return run


@cache
def interpreter() -> Any:
    """``run(program, reals, counters, stop, blas, give_way)``: goes through a program, with all who run it.

    Its arguments are the instructions, a row each, and two reals for each; the address of COUNTERS whole numbers for
    each, all 0; the address of one that is not 0 when all should leave what is not begun; where the product of the BLAS
    lies; and the address of the function that lets other threads work, or 0. It is compiled when it is first called,
    and kept on disk from then on.
    """
    return _run(digest(elementary, calls, row_kernels, large, tokens))
