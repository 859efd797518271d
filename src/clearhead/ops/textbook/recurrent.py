"""The gated delta rule (Yang et al. 2025): tokens write to a memory that decays, and are corrected by what it holds.

The memory S of a head maps keys to values. Token i lets it decay, S <- exp(g_i) S, writes what its value differs from
what the memory has for its key, S <- S + k_i b_i (v_i - S^T k_i)^T, and reads it with its query, S^T q_i. Here the
memory is written out by token: ``written`` has b_i (v_i - S^T k_i), and what is left of token j's at token i is
exp(g_j+1 + ... + g_i). So a head has a matrix of numbers (query, key), as in attention, and no softmax.
"""

from __future__ import annotations

from clearhead.expr import Size, call, formula, indices, total, where
from clearhead.expr.formula import broadcast
from clearhead.ops.operation import Array, Namespace, counting, operation
from clearhead.ops.textbook import tokens

c, d, g, h, i, j, k, m, n = indices("c d g h i j k m n")


@operation(
    lambda: formula(
        "g i d, g d k -> g i d",
        lambda x, w: total(k, where(i + k < Size("k") - 1, 0, x[g, i + k - (Size("k") - 1), d] * w[g, d, k])),
    ),
    role="product",
)
def convolve_before(xp: Namespace, x: Array, w: Array) -> Array:
    """Each feature of a token plus those of the tokens before it, each times its own weight (a causal convolution)."""
    taps, length = w.shape[-1], x.shape[-2]
    places = counting(xp, length, x)[:, None]
    out = x * w[..., None, :, taps - 1]
    for back in range(1, min(taps, length)):
        turned = xp.concat([x[..., length - back :, :], x[..., : length - back, :]], axis=-2)
        out = out + xp.where(places >= back, turned * w[..., None, :, taps - 1 - back], 0.0)
    return out


@operation(
    lambda eps: formula("i d -> i d", lambda x: x[i, d] / call("sqrt", total(c, x[i, c] ** 2) + eps), c=Size("d")),
    role="norm",
)
def unit_length(xp: Namespace, x: Array, *, eps: float) -> Array:
    """Each row divided by its length."""
    return x / xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True) + eps)


@operation(lambda: formula("i m, h m -> h i", lambda x, w: total(m, x[i, m] * w[h, m])), role="product")
def project_to_numbers(xp: Namespace, x: Array, w: Array) -> Array:
    """The product of the tokens with a column of weights for each head: a number for each head and token."""
    return xp.matmul(w, xp.matrix_transpose(x))


@operation(lambda: formula("h i, h -> h i", lambda x, b: tokens.softplus(x[h, i] + b[h])), role="activation")
def softplus_of_sum(xp: Namespace, x: Array, b: Array) -> Array:
    """The softplus log(1 + exp(x + b)): how far a token lets the memory decay, before the head's own rate."""
    return tokens.softplus_code(xp, x + b[..., None])


@operation(lambda: formula("h i, h -> h i", lambda step, a: -call("exp", a[h]) * step[h, i]), role="scale")
def log_decay(xp: Namespace, step: Array, a: Array) -> Array:
    """The logarithm of what a token leaves of the memory, by the rate exp(a) of its head (Gu and Dao 2023)."""
    return -xp.exp(a)[..., None] * step


@operation(
    lambda: formula(
        "h i -> h i j",
        lambda g: where(j <= i, call("exp", total(n, where(j < n, where(n <= i, g[h, n], 0), 0))), 0),
        j=Size("i"),
        n=Size("i"),
    ),
    role="distance",
)
def decay_since(xp: Namespace, g: Array) -> Array:
    """What is left at a token of what each token up to it wrote: all decays behind that one, up to its own."""
    places = counting(xp, g.shape[-1], g)
    row, column = places[:, None], places[None, :]
    # Not as differences of sums over the whole text, whose roundings grow with it.
    between = xp.cumulative_sum(xp.where(column < row, g[..., :, None], 0.0), axis=-2)
    return xp.where(column <= row, xp.exp(between), 0.0)


@operation(
    lambda: formula(
        "h i d, h i j, h i -> h i d",
        lambda v, a, b, result: b[h, i] * (v[h, i, d] - total(j, where(j < i, a[h, i, j] * result[h, j, d], 0))),
        fewer=Size("i") - Size("j"),
        more=Size("j") - Size("i"),
    ),
    role="join",
)
def corrected(xp: Namespace, v: Array, a: Array, b: Array) -> Array:
    """What a token writes: its share of the value less what the memory has for its key (the delta rule)."""
    lead = broadcast([v.shape[:-3], a.shape[:-3], b.shape[:-2]])
    v = xp.broadcast_to(v, (*lead, *v.shape[-3:]))
    out = b[..., :1, None] * v[..., :1, :]
    for row in range(1, v.shape[-2]):
        there = xp.matmul(a[..., row : row + 1, :row], out)
        new = b[..., row : row + 1, None] * (v[..., row : row + 1, :] - there)
        out = xp.concat([out, new], axis=-2)
    return out
