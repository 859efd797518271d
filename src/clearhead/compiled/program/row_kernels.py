"""Functions of one row of float32 numbers, which stays in the first cache.

A row is given by its address and its length. Functions of single numbers are of a whole vector of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clearhead.compiled.elementary import exp, polynomial, tanh
from clearhead.compiled.simd import (
    LANES,
    counting,
    fused,
    get_float,
    largest_of,
    load,
    load_first,
    maximum,
    minimum,
    splat,
    store,
    store_first,
    total_of,
    where_greater,
    within,
)  # fmt: skip
from clearhead.ops.large import ERF_ENDS, ERF_OVER, ERF_UNDER
from clearhead.ops.textbook.tokens import TANH_SCALE

BYTES = 4
LOWEST = float(np.finfo(np.float32).min)


@within
def take(row: int, at: int, end: int) -> Any:
    """The vector of a row that starts at a number, with zeros after the end of the row."""
    return load(row, at) if at + LANES <= end else load_first(row, at, end - at)


@within
def put(row: int, at: int, end: int, vector: Any) -> None:
    """Writes a vector to a row, but nothing after its end."""
    if at + LANES <= end:
        store(row, at, vector)
    else:
        store_first(row, at, end - at, vector)


@within
def silu(x: Any) -> Any:
    """X / (1 + exp(-x))."""
    return x / (splat(1.0) + exp(minimum(splat(0.0) - x, splat(88.0))))


_over, _under = polynomial(ERF_OVER), polynomial(ERF_UNDER)


@within
def gelu(x: Any) -> Any:
    """X (1 + erf(x / root 2)) / 2, where erf is a ratio of polynomials (as in Eigen), exact to rounding."""
    z = maximum(minimum(x * splat(0.5**0.5), splat(ERF_ENDS)), splat(-ERF_ENDS))
    ratio = z * _over(z * z) / _under(z * z)
    erf = maximum(minimum(ratio, splat(1.0)), splat(-1.0))
    return x * ((splat(1.0) + erf) * splat(0.5))


@within
def gelu_tanh(x: Any) -> Any:
    """GELU by its tanh approximation."""
    inner = splat(TANH_SCALE) * fused(splat(0.044715) * x * x, x, x)
    return x * ((splat(1.0) + tanh(inner)) * splat(0.5))


@within
def relu(x: Any) -> Any:
    """The value where it is positive; NaN for NaN."""
    return where_greater(splat(0.0), x, splat(0.0), x)


@within
def copy(out: int, x: int, columns: int) -> None:
    """The row as it is."""
    for at in range(0, columns, LANES):
        put(out, at, columns, take(x, at, columns))


@within
def layer_norm(out: int, x: int, columns: int, eps: float) -> None:
    """The row minus its mean, divided by its standard deviation."""
    # The first value is subtracted, so that a row of equal values has a spread of exactly 0.
    first = splat(get_float(x, 0))
    total = splat(0.0)
    for at in range(0, columns, LANES):
        total = total + _off(x, at, columns, first)
    mean = splat(total_of(total) / np.float32(columns))
    square = splat(0.0)
    for at in range(0, columns, LANES):
        centred = _within(_off(x, at, columns, first) - mean, at, columns)
        square = fused(centred, centred, square)
    root = splat(np.sqrt(total_of(square) / np.float32(columns) + np.float32(eps)))
    for at in range(0, columns, LANES):
        put(out, at, columns, (_off(x, at, columns, first) - mean) / root)


@within
def _off(x: int, at: int, columns: int, first: Any) -> Any:
    return _within(take(x, at, columns) - first, at, columns)


@within
def _within(v: Any, at: int, columns: int) -> Any:
    """Numbers of a row, zero after its end."""
    return v if at + LANES <= columns else where_greater(splat(columns - at - 0.5), counting(), v, splat(0.0))


@within
def rms_norm(out: int, x: int, columns: int, eps: float) -> None:
    """The row divided by the root of its mean square."""
    square = splat(0.0)
    for at in range(0, columns, LANES):
        v = take(x, at, columns)
        square = fused(v, v, square)
    root = splat(np.sqrt(total_of(square) / np.float32(columns) + np.float32(eps)))
    for at in range(0, columns, LANES):
        put(out, at, columns, take(x, at, columns) / root)


@within
def rotate_half(out: int, x: int, cos: int, sin: int, pairs: int, columns: int) -> None:
    """The row with its pairs rotated, feature d paired with feature d + pairs; other features are unchanged."""
    there, into = x + pairs * BYTES, out + pairs * BYTES
    for at in range(0, pairs, LANES):
        one, two = take(x, at, pairs), take(there, at, pairs)
        c, s = take(cos, at, pairs), take(sin, at, pairs)
        put(out, at, pairs, one * c - two * s)
        put(into, at, pairs, two * c + one * s)
    rest = 2 * pairs
    copy(out + rest * BYTES, x + rest * BYTES, columns - rest)


@within
def _clear(row: int, columns: int) -> None:
    for at in range(0, columns, LANES):
        put(row, at, columns, splat(0.0))


@within
def _seen(s: Any, at: int, low: int, high: int) -> Any:
    """The scores from one key to another, minus infinity before and after."""
    key = splat(at) + counting()
    s = where_greater(splat(low - 0.5), key, splat(-np.inf), s)
    return where_greater(key, splat(high - 0.5), splat(-np.inf), s)


@within
def _scaled(s: Any, at: int, columns: int, factor: float, cap: float, real: int) -> Any:
    """Scores times a factor, capped, and minus infinity for padding."""
    s = s * splat(factor)
    if cap:
        s = splat(cap) * tanh(s * splat(1.0 / cap))
    return where_greater(splat(0.5), take(real, at, columns), splat(-np.inf), s) if real else s


@within
def softmax(row: int, columns: int, seen: tuple[int, int], factor: float, cap: float, real: int) -> None:
    """Softmax of scores times a factor, capped, of the keys from one to another, in place.

    ``real``: where numbers lie that are 0 for keys that are padding; 0 where none is.
    """
    low, high = seen
    start, peak, total = low // LANES * LANES, splat(LOWEST), splat(0.0)
    for at in range(start, high, LANES):
        if low <= at and at + LANES <= high:
            s = _scaled(load(row, at), at, columns, factor, cap, real)
            store(row, at, s)
        else:
            s = _seen(_scaled(take(row, at, columns), at, columns, factor, cap, real), at, low, high)
            put(row, at, columns, s)
        peak = maximum(s, peak)
    peak = splat(largest_of(peak))
    for at in range(start, high, LANES):
        if low <= at and at + LANES <= high:
            part = exp(load(row, at) - peak)
            store(row, at, part)
        else:
            part = exp(_seen(take(row, at, columns) - peak, at, low, high))
            put(row, at, columns, part)
        total = total + part
    # The largest exponential of a row is 1 if any key is visible, so 0.5 divides only rows of zeros.
    share = splat(1.0) / maximum(splat(0.5), splat(total_of(total)))
    for at in range(start, high, LANES):
        put(row, at, columns, take(row, at, columns) * share)
    behind = start + (high - start + LANES - 1) // LANES * LANES
    _clear(row, start)
    _clear(row + behind * BYTES, columns - behind)


@within
def is_flat(out: int, x: int, columns: int) -> bool:
    """Whether a row is NaN although its operand is finite."""
    flat = bool(np.isnan(get_float(out, 0)))
    at = 0
    while flat and at < columns:
        flat = bool(abs(get_float(x, at)) < np.inf)
        at += 1
    return flat


@within
def is_zero(x: int, columns: int) -> bool:
    """Whether all numbers of a row are 0."""
    at = 0
    while at < columns and get_float(x, at) == 0:
        at += 1
    return at == columns
