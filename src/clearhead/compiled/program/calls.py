"""Functions for compiled code: the BLAS, counters that several threads write, a call of a function."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from clearhead.compiled.simd import INT64, place


@intrinsic
def gemm(
    context: Any, address: Any, wide: Any, turned: Any, m: Any, n: Any, k: Any, a: Any, lda: Any, b: Any, ldb: Any,
    c: Any, ldc: Any,
) -> Any:  # fmt: skip
    """C = A B by ``cblas_sgemm``, whose sizes are of 64 bits or 32; ``turned``: B is stored transposed."""
    small, long, real = ir.IntType(32), ir.IntType(64), ir.FloatType()
    pointer = ir.IntType(8).as_pointer()

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address, wide, turned, m, n, k, a, lda, b, ldb, c, ldc = values

        def call(size: Any) -> None:
            kinds = [small] * 3 + [size] * 3 + [real, pointer, size, pointer, size, real, pointer, size]
            function = builder.inttoptr(address, ir.FunctionType(ir.VoidType(), kinds).as_pointer())

            def fit(value: Any) -> Any:
                return value if size is long else builder.trunc(value, small)

            def at(value: Any) -> Any:
                return builder.inttoptr(value, pointer)

            no, yes = ir.Constant(small, 111), ir.Constant(small, 112)
            is_turned = builder.icmp_signed("!=", turned, ir.Constant(long, 0))
            builder.call(
                function,
                [
                    ir.Constant(small, 101), no, builder.select(is_turned, yes, no), fit(m), fit(n), fit(k),
                    ir.Constant(real, 1.0), at(a), fit(lda), at(b), fit(ldb), ir.Constant(real, 0.0), at(c), fit(ldc),
                ],
            )  # fmt: skip

        with builder.if_else(builder.icmp_signed("!=", wide, ir.Constant(long, 0))) as (then, otherwise):
            with then:
                call(long)
            with otherwise:
                call(small)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 12), generate


@intrinsic
def by_panels(
    context: Any, address: Any, rows: Any, columns: Any, inner: Any, a: Any, a_row: Any, b: Any, b_row: Any, order: Any,
    decoder: Any, c: Any, c_row: Any, room: Any,
) -> Any:  # fmt: skip
    """C = A B by the product of ours that lies at an address (`clearhead.compiled.matrices.routine`)."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [INT64] * (len(values) - 1))
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 13), generate


@intrinsic
def read(context: Any, address: Any, offset: Any) -> Any:
    """A whole number that other threads write, ``offset`` numbers after an address."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load_atomic(place(builder, values[0], values[1], INT64), "acquire", 8)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def add(context: Any, address: Any, offset: Any, number: Any) -> Any:
    """Adds to a whole number that other threads also write; returns its earlier value."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.atomic_rmw("add", place(builder, values[0], values[1], INT64), values[2], "acq_rel")

    return types.int64(types.int64, types.int64, types.int64), generate


@intrinsic
def call(context: Any, address: Any) -> Any:
    """Calls a function without arguments."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        function = builder.inttoptr(values[0], ir.FunctionType(ir.VoidType(), []).as_pointer())
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(types.int64), generate
