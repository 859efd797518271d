"""Array code for derived gradients that are computed often, or whose formula would take too much memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from clearhead.ops import large
from clearhead.ops.numpy import numpy_namespace
from clearhead.ops.operation import Array, Namespace, counting
from clearhead.ops.textbook import linear
from clearhead.ops.textbook.scores import positions_of


def _product(xp: Namespace, a: Array, b: Array) -> Array:
    return large.product(a, b) if xp is numpy_namespace else xp.matmul(a, b)


def _turned(xp: Namespace, x: Array) -> Array:
    return xp.matrix_transpose(x)


def _same(xp: Namespace, grad: Array) -> Array:
    return grad


def _of_rows(xp: Namespace, table: Array, token: Array, grad: Array) -> Array:
    """For each row of a table, the sum of the gradients of all tokens that looked it up."""
    if xp is numpy_namespace and table.ndim == 2 and token.ndim == 1 and grad.ndim == 2:
        whole = np.zeros_like(table, dtype=grad.dtype)
        np.add.at(whole, token, grad)
        return whole
    row = counting(xp, table.shape[-2], table)[:, None]
    return xp.matmul(xp.astype(row == token[..., None, :], grad.dtype), grad)


def _of_projected(xp: Namespace, w: Array, grad: Array) -> Array:
    return xp.sum(xp.matmul(grad, xp.matrix_transpose(w)), axis=-3)


def _of_repeated(xp: Namespace, x: Array, grad: Array, *, times: int) -> Array:
    *lead, heads, tokens, depth = grad.shape
    return xp.sum(xp.reshape(grad, (*lead, heads // times, times, tokens, depth)), axis=-3)


def _not_later(xp: Namespace, grad: Array) -> Array:
    position, key = positions_of(xp, grad)
    return xp.where(key <= position, grad, 0.0)


def _near(xp: Namespace, grad: Array, *, width: int) -> Array:
    position, key = positions_of(xp, grad)
    return xp.where(xp.abs(position - key) < width, grad, 0.0)


def _accumulated(xp: Namespace, a: Array, b: Array, grad: Array) -> Array:
    """From the last token to the first: each one's own gradient, less what later tokens corrected by it."""
    tokens = grad.shape[-2]
    shares = a * b[..., None]
    out = grad[..., tokens - 1 :, :]
    for row in range(tokens - 2, -1, -1):
        later = _product(xp, _turned(xp, shares[..., row + 1 :, row : row + 1]), out)
        out = xp.concat([grad[..., row : row + 1, :] - later, out], axis=-2)
    return out


def _before(xp: Namespace, a: Array) -> Array:
    """A matrix of tokens with 0 from each token itself on."""
    places = counting(xp, a.shape[-1], a)
    return xp.where(places[None, :] < places[:, None], a, 0.0)


def _of_overlap(xp: Namespace, a: Array, b: Array, out: Array, grad: Array) -> Array:
    return -_before(xp, xp.matmul(grad * b[..., None], _turned(xp, out)))


def _of_share(xp: Namespace, v: Array, a: Array, out: Array, grad: Array) -> Array:
    return xp.sum(grad * (v - xp.matmul(_before(xp, a), out)), axis=-1)


CODE: Mapping[tuple[str, str], Callable[..., Array]] = {
    ("matmul", "a"): lambda xp, b, grad: _product(xp, grad, _turned(xp, b)),
    ("matmul", "b"): lambda xp, a, grad: _product(xp, _turned(xp, a), grad),
    ("matmul_transposed", "a"): lambda xp, b, grad: xp.matmul(grad, b),
    ("matmul_transposed", "b"): lambda xp, a, grad: xp.matmul(_turned(xp, grad), a),
    ("weighted_sum", "weights"): lambda xp, values, grad: xp.matmul(grad, _turned(xp, values)),
    ("weighted_sum", "values"): lambda xp, weights, grad: xp.matmul(_turned(xp, weights), grad),
    ("project", "x"): _of_projected,
    ("project", "w"): lambda xp, x, grad: xp.matmul(_turned(xp, x)[..., None, :, :], grad),
    ("add", "a"): _same,
    ("add", "b"): _same,
    ("bias", "x"): _same,
    ("bias", "b"): lambda xp, grad: xp.sum(grad, axis=-2),
    ("head_bias", "x"): _same,
    ("head_bias", "b"): lambda xp, grad: xp.sum(grad, axis=-2),
    ("gain", "x"): lambda xp, gain, grad: grad * gain[..., None, :],
    ("gain", "gain"): lambda xp, x, grad: xp.sum(grad * x, axis=-2),
    ("gain_and_bias", "x"): lambda xp, gain, grad: grad * gain[..., None, :],
    ("gain_and_bias", "gain"): lambda xp, x, grad: xp.sum(grad * x, axis=-2),
    ("gain_and_bias", "bias"): lambda xp, grad: xp.sum(grad, axis=-2),
    ("look_up", "table"): _of_rows,
    ("concat", "x"): lambda xp, x, grad: linear.split.code(xp, grad, heads=x.shape[-3]),
    ("repeat", "x"): _of_repeated,
    ("scale_by_depth", "s"): lambda xp, q, grad: grad / math.sqrt(q.shape[-1]),
    ("scale", "s"): lambda xp, grad, *, factor: grad * factor,
    ("mask_causal", "s"): _not_later,
    ("mask_window", "s"): _near,
    ("mask_padding", "s"): lambda xp, real, grad: xp.where(real[..., None, None, :], grad, 0.0),
    ("mask_boolean", "s"): lambda xp, mask, grad: xp.where(mask, grad, 0.0),
    ("multiply", "a"): lambda xp, b, grad: grad * b,
    ("multiply", "b"): lambda xp, a, grad: grad * a,
    ("corrected", "result"): _accumulated,
    ("corrected", "v"): lambda xp, b, grad: grad * b[..., None],
    ("corrected", "a"): _of_overlap,
    ("corrected", "b"): _of_share,
}
"""By operation and operand: code that takes the operands of the derived formula, in its order."""
