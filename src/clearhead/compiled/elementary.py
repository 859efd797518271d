"""Exponential, hyperbolic tangent and polynomials of vectors of float32 numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from clearhead.compiled.simd import (
    BITS,
    LANES,
    VECTOR,
    Builder,
    Value,
    constant,
    fused,
    lanes,
    maximum,
    multiply_add,
    splat,
    where_greater,
    within,
)  # fmt: skip

# exp(x) is 2^n * 2^f with n whole and f within half of 0. Adding 1.5 * 2^23 rounds to a whole number, whose bits then
# stand at the end of the sum. The polynomial for 2^f is 1 at 0 and elsewhere within 2e-9 of it: least squares, weighted
# anew until the largest relative error is as small as it gets (Lawson 1961).
ROUNDER = 1.5 * 2**23
LOG2E = 1.4426950216293335
POWERS = (0.00015353350318036973, 0.0013398875016719103, 0.009618437848985195, 0.055503323674201965,
          0.24022647738456726, 0.6931471824645996, 1.0)  # fmt: skip
VANISHES = -87.0
"""Below this exp is 0: the result would soon be below the normal float32 numbers (2^-126)."""


def polynomial(coefficients: Sequence[float]) -> Any:
    """A function of vectors: the polynomial with these coefficients, that of the highest power first."""

    @intrinsic
    def function(context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
            total = constant(coefficients[0])
            for each in coefficients[1:]:
                total = multiply_add(builder, total, values[0], constant(each))
            return total

        return lanes(lanes), generate

    return function


def _build_exp(builder: Builder, x: Value) -> Value:
    rounded = multiply_add(builder, x, constant(LOG2E), constant(ROUNDER))
    whole = builder.fsub(rounded, constant(ROUNDER))
    part = multiply_add(builder, x, constant(LOG2E), builder.fneg(whole))
    power = constant(POWERS[0])
    for coefficient in POWERS[1:]:
        power = multiply_add(builder, power, part, constant(coefficient))
    shift = builder.shl(builder.bitcast(rounded, BITS), ir.Constant(BITS, [23] * LANES))
    scaled = builder.bitcast(builder.add(builder.bitcast(power, BITS), shift), VECTOR)
    return builder.select(builder.fcmp_ordered("<", x, constant(VANISHES)), constant(0.0), scaled)


@intrinsic
def exp(context: Any, x: Any) -> Any:
    """The exponential of each x up to 88, to a unit in the last place; exactly 1 at 0, 0 below -87, NaN for NaN."""
    return lanes(lanes), lambda context, builder, signature, values: _build_exp(builder, values[0])


@within
def tanh(x: Any) -> Any:
    """Tanh of each lane: a series where x is small, so that small numbers keep their digits, and exponentials."""
    square = x * x
    # The series of tanh(x)/x - 1 over x^2, to 1e-8 within 0.35 of 0.
    series = splat(-0.0088632355)
    series = fused(series, square, splat(0.021869488))
    series = fused(series, square, splat(-0.053968254))
    series = fused(series, square, splat(0.13333334))
    series = fused(series, square, splat(-0.33333334))
    near = fused(x * square, series, x)
    size = maximum(x, splat(0.0) - x)
    shrunk = exp(splat(-2.0) * size)
    far = (splat(1.0) - shrunk) / (splat(1.0) + shrunk)
    far = where_greater(splat(0.0), x, splat(0.0) - far, far)
    return where_greater(size, splat(0.35), far, near)
