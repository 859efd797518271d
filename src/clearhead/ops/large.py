"""NumPy code for large arrays: the same numbers, block by block in the cache, on all cores.

Array code written for every library makes a new array at each step. On a large one most of the time goes into fetching
memory; here a block stays in the cache through all steps, is written once, and blocks are shared out among threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from clearhead.ops import threads

Floats = np.ndarray[Any, Any]

BLOCK = 1 << 15
"""Numbers in a block: with its copies it fits a core's second cache."""

LARGE = 1 << 15
"""Arrays with fewer numbers are computed in one piece."""

FEW_ROWS = 64
"""Up to this number of tokens the transposed product is faster: by a sixth of a trace at 16 tokens, not at 128."""


def is_large(x: Floats) -> bool:
    """Whether computing in blocks pays off for an array."""
    return x.size >= LARGE and x.dtype.kind == "f"


def product(a: Floats, b: Floats) -> Floats:
    """The matrix product. Of few rows with a transposed matrix, OpenBLAS is faster at the transpose of the result."""
    if b.size >= LARGE and a.ndim == 2 and a.shape[0] <= FEW_ROWS and b.flags.f_contiguous:
        turned: Floats = np.matmul(b.T, a.T)
        return turned.T
    plain: Floats = np.matmul(a, b)
    return plain


def by_blocks(work: Callable[[Floats, Floats], None], x: Floats) -> Floats:
    """A function of single numbers on an array: ``work`` is given a block and where its result goes."""
    if x.flags.f_contiguous and not x.flags.c_contiguous:
        return by_blocks(work, x.T).T
    source = np.ascontiguousarray(x)
    out = np.empty_like(source)
    flat, into = source.reshape(-1), out.reshape(-1)
    spans = [slice(start, start + BLOCK) for start in range(0, flat.size, BLOCK)]
    threads.share(lambda span: work(flat[span], into[span]), spans, flat.size)
    return out


def rotated(first: Floats, second: Floats, cos: Floats, sin: Floats, shape: tuple[int, ...]) -> Floats:
    """Pairs of features turned, the first half of them before the second, written where they belong."""
    out = np.empty(np.broadcast_shapes(shape[:-1], cos.shape[:-1]) + shape[-1:], first.dtype)
    pairs = first.shape[-1]
    one, two = out[..., :pairs], out[..., pairs:]
    np.multiply(first, cos, out=one)
    one -= second * sin
    np.multiply(second, cos, out=two)
    two += first * sin
    return out


def silu(x: Floats, out: Floats) -> None:
    """X / (1 + exp(-x))."""
    np.negative(x, out=out)
    np.exp(out, out=out)
    out += 1
    np.divide(x, out, out=out)


ERF_OVER = (
    -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04,
    -2.95459980854025e-03, -1.60960333262415e-02,
)  # fmt: skip
ERF_UNDER = (
    -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02,
)  # fmt: skip
ERF_ENDS = 4.0


def gelu32(x: Floats, out: Floats) -> None:
    """X (1 + erf(x / root 2)) / 2 in float32, where erf is a ratio of polynomials (as in Eigen), exact to rounding."""
    z = x * np.float32(0.5**0.5)
    np.clip(z, -ERF_ENDS, ERF_ENDS, out=z)
    square = z * z
    _horner(square, ERF_OVER, out)
    z *= out
    _horner(square, ERF_UNDER, out)
    z /= out
    np.clip(z, -1, 1, out=z)
    z += 1
    z *= np.float32(0.5)
    np.multiply(x, z, out=out)


def _horner(x: Floats, coefficients: Sequence[float], out: Floats) -> None:
    first, second, *rest = (np.float32(each) for each in coefficients)
    np.multiply(x, first, out=out)
    out += second
    for each in rest:
        out *= x
        out += each


def softmax_rows(s: Floats) -> None:
    """Softmax of each row, in place; a row of minus infinities becomes zeros."""
    top = np.maximum.reduce(s, axis=-1, keepdims=True)
    s -= np.maximum(top, np.finfo(s.dtype).min)
    np.exp(s, out=s)
    s /= np.maximum(np.add.reduce(s, axis=-1, keepdims=True), 0.5)
