"""Products, sums and the moving of heads."""

from __future__ import annotations

from functools import cache

from clearhead.expr import Formula, Size, formula, indices, lift, total, where
from clearhead.expr.formula import broadcast
from clearhead.ops import large
from clearhead.ops.numpy import numpy_namespace
from clearhead.ops.operation import Array, Namespace, floats, operation

c, d, e, g, h, i, j, k, m, t = indices("c d e g h i j k m t")


@operation(lambda: formula("i c, c m -> i m", lambda a, b: total(c, a[i, c] * b[c, m])), role="product")
def matmul(xp: Namespace, a: Array, b: Array) -> Array:
    """The matrix product of tokens and a weight matrix."""
    return large.product(a, b) if xp is numpy_namespace else xp.matmul(a, b)


@operation(lambda: formula("i d, j d -> i j", lambda a, b: total(d, a[i, d] * b[j, d])), role="product")
def matmul_transposed(xp: Namespace, a: Array, b: Array) -> Array:
    """The product of every row of one matrix with every row of another."""
    return xp.matmul(a, xp.matrix_transpose(b))


@operation(
    lambda: formula("i j, j d -> i d", lambda weights, values: total(j, weights[i, j] * values[j, d])),
    role="weighted-sum",
)
def weighted_sum(xp: Namespace, weights: Array, values: Array) -> Array:
    """The sum of the value rows, each times its weight."""
    return xp.matmul(weights, values)


@operation(lambda: formula("i m, h m d -> h i d", lambda x, w: total(m, x[i, m] * w[h, m, d])), role="product")
def project(xp: Namespace, x: Array, w: Array) -> Array:
    """The product of the tokens with each head's own weight matrix."""
    if xp is numpy_namespace and w.ndim == 3 and w.strides[0] == w.shape[2] * w.strides[2]:
        return _side_by_side(x, w)
    return xp.matmul(x[..., None, :, :], w)


def _side_by_side(x: Array, w: Array) -> Array:
    """The same as one product, where the columns of all heads stand side by side in memory, as in checkpoints."""
    heads, model, depth = w.shape
    columns = large.product(x, w.transpose(1, 0, 2).reshape(model, heads * depth))
    return columns.reshape(*columns.shape[:-1], heads, depth).swapaxes(-2, -3)


@operation(lambda: formula("i m, i m -> i m", lambda a, b: a[i, m] + b[i, m]), role="sum")
def add(xp: Namespace, a: Array, b: Array) -> Array:
    """The sum of two matrices, cell by cell."""
    return a + b


@operation(lambda: formula("i m, i m -> i m", lambda a, b: a[i, m] * b[i, m]), role="gate")
def multiply(xp: Namespace, a: Array, b: Array) -> Array:
    """The product of two matrices, cell by cell."""
    return a * b


@operation(lambda: formula("i m, m -> i m", lambda x, b: x[i, m] + b[m]), role="bias")
def bias(xp: Namespace, x: Array, b: Array) -> Array:
    """One number per column, added to each column."""
    return x + b[..., None, :]


@operation(lambda: formula("h i d, h d -> h i d", lambda x, b: x[h, i, d] + b[h, d]), role="bias")
def head_bias(xp: Namespace, x: Array, b: Array) -> Array:
    """One number per column and head, added to each column of each head."""
    return x + b[..., None, :]


def _swap(xp: Namespace, x: Array) -> Array:
    """The axes of heads and tokens exchanged."""
    return xp.permute_dims(x, _swapped(x.ndim))


@cache
def _swapped(rank: int) -> tuple[int, ...]:
    *lead, heads, tokens, depth = range(rank)
    return (*lead, tokens, heads, depth)


@operation(
    lambda: formula("h i d -> i c", lambda x: x[c // Size("d"), i, c % Size("d")], c=Size("h") * Size("d")),
    role="concat",
)
def concat(xp: Namespace, x: Array) -> Array:
    """The heads of each token side by side, the first head first."""
    *lead, heads, tokens, depth = x.shape
    return xp.reshape(_swap(xp, x), (*lead, tokens, heads * depth))


@operation(
    lambda heads: formula(
        "i c -> h i d",
        lambda x: x[i, h * Size("d") + d],
        h=heads,
        d=Size("c") / heads,
    ),
    role="split",
)
def split(xp: Namespace, x: Array, *, heads: int) -> Array:
    """The columns of each token split into heads, the first columns to the first head: the inverse of joining them."""
    *lead, tokens, columns = x.shape
    return _swap(xp, xp.reshape(x, (*lead, tokens, heads, columns // heads)))


@operation(
    lambda: formula(
        "i c, h i d -> h i e",
        lambda shared, own: where(e < Size("c"), shared[i, e], own[h, i, e - Size("c")]),
        e=Size("c") + Size("d"),
    ),
    role="join",
)
def beside_shared(xp: Namespace, shared: Array, own: Array) -> Array:
    """Columns that all heads share, placed in front of each head's own (DeepSeek-V2's keys)."""
    heads, tokens = own.shape[-3:-1]
    lead = broadcast([shared.shape[:-2], own.shape[:-3]])
    shared = xp.broadcast_to(shared[..., None, :, :], (*lead, heads, tokens, shared.shape[-1]))
    return xp.concat([shared, xp.broadcast_to(own, (*lead, *own.shape[-3:]))], axis=-1)


@operation(lambda times: formula("g j d -> h j d", lambda x: x[h // times, j, d], h=Size("g") * times), role="repeat")
def repeat(xp: Namespace, x: Array, *, times: int) -> Array:
    """Each key/value head repeated for ``times`` neighbouring query heads (Ainslie et al. 2023)."""
    return xp.repeat(x, times, axis=-3)


@operation(
    lambda: formula(
        "g p d, g n d -> g j d",
        lambda past, new: where(j < Size("p"), past[g, j, d], new[g, j - Size("p"), d]),
        j=Size("p") + Size("n"),
    ),
    role="join",
)
def append(xp: Namespace, past: Array, new: Array) -> Array:
    """The tokens of a cache, followed by the new tokens."""
    lead = broadcast([past.shape[:-3], new.shape[:-3]])
    return xp.concat([xp.broadcast_to(each, (*lead, *each.shape[-3:])) for each in (past, new)], axis=-2)


def _convolved(stride: int) -> Formula:
    place = stride * t + k - Size("k") // 2
    inside = (lift(0) <= place) & (place < Size("i"))
    return formula(
        "i c, k c m -> t m",
        lambda x, w: total((k, c), where(inside, x[place, c], 0) * w[k, c, m]),
        t=(Size("i") - 1) // stride + 1,
    )


@operation(_convolved, role="product")
def convolve(xp: Namespace, x: Array, w: Array, *, stride: int) -> Array:
    """Each token's product with a matrix for each of its neighbours, of every ``stride``-th token; none beyond ends."""
    taps, tokens = w.shape[-3], x.shape[-2]
    made = (tokens - 1) // stride + 1
    beyond = xp.broadcast_to(floats(xp, 1, x), (*x.shape[:-2], taps, x.shape[-1]))
    padded = xp.concat([beyond[..., : taps // 2, :], x, beyond], axis=-2)
    parts = [
        xp.matmul(padded[..., tap : tap + stride * (made - 1) + 1 : stride, :], w[..., tap, :, :])
        for tap in range(taps)
    ]
    return sum(parts[1:], parts[0])
