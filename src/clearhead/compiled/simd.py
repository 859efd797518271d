"""A vector of float32 numbers as a type of Numba, and the arithmetic on it: one number per lane.

By default compilers choose narrower vectors than the processor has, and do not keep a whole tile of sums in registers.
So the kernel is explicit: a value of type `Lanes` is one LLVM vector, and the functions here are one or a few
instructions each. A comparison with NaN is false.

Memory is given by its address, a whole number, and read and written at offsets without a check of bounds: passing an
array costs Numba two changes of a counter that all threads share.
"""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

FEATURES = frozenset(cpu_target.target_context.codegen().magic_tuple()[2].split(","))
"""The features of the processor that Numba compiles for, by LLVM's names."""


_LOADED = time.time()
"""When this module was loaded, and about when those were that use it."""


def digest(*modules: ModuleType) -> str:
    """A hash of the source of this module and others.

    Numba keeps compiled code on disk for as long as the file of the function is the same. Where code comes from other
    files too, their hash must be a part of the function. Where a file has changed since it was loaded, as by an update,
    its hash is not that of the code in this process: then the process compiles for itself.
    """
    files = [Path(str(each)) for each in (__file__, *(module.__file__ for module in modules))]
    found = sha256(b"".join(file.read_bytes() for file in files))
    if any(file.stat().st_mtime > _LOADED for file in files):
        found.update(f"{os.getpid()} {_LOADED}".encode())
    return found.hexdigest()


LANES = 16 if "+avx512f" in FEATURES else 8 if "+avx" in FEATURES else 4
"""Numbers in a vector."""

VECTORS = 3
"""Vectors side by side in a row of a tile."""

ROWS = 8 if LANES == 16 or "+neon" in FEATURES else 4
"""Rows of a tile whose sums stay in registers: of 32 vector registers it fills 24, of 16 it fills 12."""

WIDTH = VECTORS * LANES
"""Numbers in a row of a tile."""

within = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Compiles a function that only compiled code calls: without those by which Python and C would call it."""

INNER = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""The same as options, with Python's division."""

inlined = njit(nogil=True, inline="always")
"""Writes a function into its caller before that is compiled: else it is optimised by itself and again in the caller."""

Builder = Any
Value = Any

FLOAT, INT32, INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
VECTOR, BITS = ir.VectorType(FLOAT, LANES), ir.VectorType(INT32, LANES)


class Lanes(types.Type):
    """The type of a vector."""

    def __init__(self) -> None:
        super().__init__("Lanes")


lanes = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


def constant(value: float) -> Value:
    """A vector of one number, known while compiling."""
    return ir.Constant(VECTOR, [value] * LANES)


def spread(builder: Builder, number: Value) -> Value:
    """A vector of one number, known while running."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    single = builder.insert_element(undefined, number, ir.Constant(INT32, 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(BITS, [0] * LANES))


def multiply_add(builder: Builder, a: Value, b: Value, c: Value) -> Value:
    """a*b + c, rounded once where the processor can."""
    name = f"llvm.fmuladd.v{LANES}f32"
    return builder.call(
        cgutils.get_or_insert_function(builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), name), (a, b, c)
    )


def larger(builder: Builder, a: Value, b: Value) -> Value:
    """The larger of each two; the second where one is NaN."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def smaller(builder: Builder, a: Value, b: Value) -> Value:
    """The smaller of each two; the second where one is NaN."""
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


def place(builder: Builder, address: Value, offset: Value, kind: Any = FLOAT) -> Value:
    """The address of the number that is ``offset`` numbers of its kind after an address."""
    return builder.gep(builder.inttoptr(address, kind.as_pointer()), [offset])


def read(builder: Builder, address: Value, offset: int = 0) -> Value:
    """The vector at an address."""
    at = builder.gep(address, [ir.Constant(INT64, offset)])
    return builder.load(builder.bitcast(at, VECTOR.as_pointer()), align=4)


def write(builder: Builder, vector: Value, address: Value, offset: int = 0) -> None:
    """Writes a vector to an address."""
    at = builder.gep(address, [ir.Constant(INT64, offset)])
    builder.store(vector, builder.bitcast(at, VECTOR.as_pointer()), align=4)


def _binary(build: Callable[[Builder, Value, Value], Value]) -> Any:
    @intrinsic
    def function(context: Any, a: Any, b: Any) -> Any:
        return lanes(lanes, lanes), lambda context, builder, signature, values: build(builder, *values)

    return function


maximum, minimum = _binary(larger), _binary(smaller)


def _lets(symbol: Any, build: Callable[[Builder, Value, Value], Value]) -> None:
    """Lets compiled code write an operator between vectors, which is an instruction and not a function to compile."""

    @infer_global(symbol)
    class OfLanes(ConcreteTemplate):
        cases = (signature(lanes, lanes, lanes),)

    lower_builtin(symbol, Lanes, Lanes)(lambda _context, builder, _signature, values: build(builder, *values))


_lets(operator.add, lambda builder, a, b: builder.fadd(a, b))
_lets(operator.sub, lambda builder, a, b: builder.fsub(a, b))
_lets(operator.mul, lambda builder, a, b: builder.fmul(a, b))
_lets(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))


def _whole(relation: str) -> Any:
    @intrinsic
    def function(context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Value:
            return builder.select(builder.icmp_signed(relation, *values), *values)

        return types.int64(types.int64, types.int64), generate

    return function


least, most = _whole("<"), _whole(">")
"""The smaller and the larger of two whole numbers; Python's ``min`` and ``max`` are functions that Numba compiles."""


@intrinsic
def fused(context: Any, a: Any, b: Any, c: Any) -> Any:
    """a*b + c."""
    return lanes(lanes, lanes, lanes), lambda context, builder, signature, values: multiply_add(builder, *values)


@intrinsic
def where_greater(context: Any, a: Any, b: Any, yes: Any, no: Any) -> Any:
    """From ``yes`` where a > b, from ``no`` elsewhere."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        a, b, yes, no = values
        return builder.select(builder.fcmp_ordered(">", a, b), yes, no)

    return lanes(lanes, lanes, lanes, lanes), generate


@intrinsic
def any_greater(context: Any, a: Any, b: Any) -> Any:
    """Whether a > b in any lane."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        mask = ir.IntType(LANES)
        found = builder.bitcast(builder.fcmp_ordered(">", *values), mask)
        return builder.icmp_unsigned("!=", found, ir.Constant(mask, 0))

    return types.boolean(lanes, lanes), generate


@intrinsic
def bits_greater(context: Any, a: Any, b: Any) -> Any:
    """A bit for each lane, the first lane's the lowest: whether a > b."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        found = builder.bitcast(builder.fcmp_ordered(">", *values), ir.IntType(LANES))
        return builder.zext(found, INT64)

    return types.int64(lanes, lanes), generate


@intrinsic
def moved_down(context: Any, vector: Any, after: Any) -> Any:
    """A vector with all its numbers one lane down, and the first of the one after it in the last lane."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        return builder.shuffle_vector(*values, ir.Constant(BITS, [1 + i for i in range(LANES)]))

    return lanes(lanes, lanes), generate


@intrinsic
def first_lane(context: Any, vector: Any) -> Any:
    """The number in the first lane."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        return builder.extract_element(values[0], ir.Constant(INT32, 0))

    return types.float32(lanes), generate


@intrinsic
def first_bit(context: Any, word: Any) -> Any:
    """The position of the lowest bit that is set; 64 if none is."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


@intrinsic
def count_bits(context: Any, word: Any) -> Any:
    """The number of bits that are set."""
    return types.int64(types.int64), lambda context, builder, signature, values: builder.ctpop(values[0])


@intrinsic
def splat(context: Any, number: Any) -> Any:
    """A vector of one number."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        return spread(builder, context.cast(builder, values[0], signature.args[0], types.float32))

    return lanes(number), generate


@intrinsic
def splat_bits(context: Any, whole: Any) -> Any:
    """A vector whose lanes hold the bits of a whole number: for moving, not for arithmetic."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        return spread(builder, builder.bitcast(context.cast(builder, values[0], signature.args[0], types.int32), FLOAT))

    return lanes(whole), generate


@intrinsic
def counting(context: Any) -> Any:
    """0, 1, 2 ... by lane."""
    return lanes(), lambda context, builder, signature, values: ir.Constant(VECTOR, [float(i) for i in range(LANES)])


@intrinsic
def load(context: Any, address: Any, offset: Any) -> Any:
    """The vector that starts ``offset`` numbers after an address."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        return read(builder, place(builder, *values))

    return lanes(types.int64, types.int64), generate


@intrinsic
def store(context: Any, address: Any, offset: Any, vector: Any) -> Any:
    """Writes a vector ``offset`` numbers after an address."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        write(builder, values[2], place(builder, *values[:2]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, lanes), generate


def _first(builder: Builder, count: Value) -> Value:
    """A mask of the first ``count`` lanes."""
    undefined = ir.Constant(BITS, ir.Undefined)
    single = builder.insert_element(undefined, builder.trunc(count, INT32), ir.Constant(INT32, 0))
    all_counts = builder.shuffle_vector(single, undefined, ir.Constant(BITS, [0] * LANES))
    return builder.icmp_signed("<", ir.Constant(BITS, list(range(LANES))), all_counts)


def _by_mask(builder: Builder, name: str, result: Any, *values: Value) -> Value:
    """Calls LLVM's instruction that reads, or writes, only the lanes of a mask."""
    kind = ir.FunctionType(result, [each.type for each in values])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.{name}.v{LANES}f32.p0")
    return builder.call(function, values)


@intrinsic
def load_first(context: Any, address: Any, offset: Any, count: Any) -> Any:
    """The first ``count`` numbers of the vector that starts there, then zeros; other memory is not read."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        begin = builder.bitcast(place(builder, *values[:2]), VECTOR.as_pointer())
        mask, align = _first(builder, values[2]), ir.Constant(INT32, 4)
        return _by_mask(builder, "load", VECTOR, begin, align, mask, constant(0.0))

    return lanes(types.int64, types.int64, types.int64), generate


@intrinsic
def store_first(context: Any, address: Any, offset: Any, count: Any, vector: Any) -> Any:
    """Writes the first ``count`` numbers of a vector."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        begin = builder.bitcast(place(builder, *values[:2]), VECTOR.as_pointer())
        mask, align = _first(builder, values[2]), ir.Constant(INT32, 4)
        _by_mask(builder, "store", ir.VoidType(), values[3], begin, align, mask)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, lanes), generate


def _folded(build: Callable[[Builder, Value, Value], Value]) -> Any:
    @intrinsic
    def function(context: Any, vector: Any) -> Any:
        def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
            each = [builder.extract_element(values[0], ir.Constant(INT32, i)) for i in range(LANES)]
            while len(each) > 1:
                each = [build(builder, one, other) for one, other in zip(each[::2], each[1::2], strict=True)]
            return each[0]

        return types.float32(lanes), generate

    return function


total_of = _folded(lambda builder, a, b: builder.fadd(a, b))
"""The sum of all lanes."""

largest_of = _folded(larger)
"""The largest number of all lanes."""


def _getter(kind: Any, own: Any) -> Any:
    @intrinsic
    def get(context: Any, address: Any, offset: Any) -> Any:
        def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
            return builder.load(place(builder, values[0], values[1], own))

        return kind(types.int64, types.int64), generate

    return get


def _putter(kind: Any, own: Any) -> Any:
    @intrinsic
    def put(context: Any, address: Any, offset: Any, number: Any) -> Any:
        def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
            builder.store(values[2], place(builder, values[0], values[1], own))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, kind), generate

    return put


get_float, put_float = _getter(types.float32, FLOAT), _putter(types.float32, FLOAT)
"""Reads, or writes, one number ``offset`` numbers after an address."""

get_int, put_int = _getter(types.int32, INT32), _putter(types.int32, INT32)
get_long, put_long = _getter(types.int64, INT64), _putter(types.int64, INT64)
get_byte = _getter(types.uint8, ir.IntType(8))
