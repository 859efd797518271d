"""A norm as separate steps, and other ways to compute each of them.

Every step keeps the shape of the tokens: the variance of a token stands in each of its cells. So a step may be
replaced by one over other cells, and nothing else changes.
"""

from __future__ import annotations

import math
from functools import reduce
from operator import mul

from clearhead.expr import Expr, Formula, Index, Let, Local, Size, call, formula, indices, mean, total
from clearhead.ops.operation import Array, Namespace, Remark, operation
from clearhead.ops.textbook.tokens import FLAT, from_first

b, d, h, i, m = indices("b d h i m")
e, g, k, p, t = indices("e g k p t")


def _centred(core: str, cell: tuple[Index, ...], over: dict[Index, Index]) -> Formula:
    """Each number minus the mean over some of its indices; the mean uses other letters for them."""
    there = tuple(over.get(index, index) for index in cell)
    return formula(
        f"{core} -> {core}",
        lambda x: Let("mean", mean(tuple(over.values()), x[there]), x[cell] - Local("mean")),
        **{inner.name: Size(outer.name) for outer, inner in over.items()},
    )


def _mean_square(core: str, cell: tuple[Index, ...], over: dict[Index, Index], ddof: int) -> Formula:
    there = tuple(over.get(index, index) for index in cell)
    letters = tuple(over.values())
    first, *rest = (Size(outer.name) for outer in over)
    count: Expr = reduce(mul, rest, first)
    return formula(
        f"{core} -> {core}",
        lambda x: total(letters, x[there] ** 2) / (count - ddof) if ddof else mean(letters, x[there] ** 2),
        **{inner.name: Size(outer.name) for outer, inner in over.items()},
    )


ROW = ("i m", (i, m), {m: k})
MATRIX = ("i m", (i, m), {i: t, m: k})
COLUMN = ("i m", (i, m), {i: t})
BATCH = ("b i m", (b, i, m), {b: p, i: t})
HEADS = ("h i d", (h, i, d), {h: g, d: e})


def _less_mean(xp: Namespace, x: Array, axes: tuple[int, ...]) -> Array:
    count = math.prod(x.shape[axis] for axis in axes)
    return from_first(xp, x, axes, count)


def _square(xp: Namespace, x: Array, axes: tuple[int, ...], ddof: int) -> Array:
    count = math.prod(x.shape[axis] for axis in axes) - ddof
    whole = xp.sum(x * x, axis=axes, keepdims=True)
    # With ddof 1 the spread of a single number is 0/0, in NumPy as here.
    spread = whole / count if count else whole / (0 * whole)
    return xp.broadcast_to(spread, x.shape)


@operation(lambda: _centred(*ROW))
def centred(xp: Namespace, x: Array) -> Array:
    """Each number minus the mean of its token."""
    return _less_mean(xp, x, (-1,))


@operation(lambda: _centred(*MATRIX))
def centred_over_matrix(xp: Namespace, x: Array) -> Array:
    """Each number minus the mean of all tokens together."""
    return _less_mean(xp, x, (-2, -1))


@operation(lambda: _centred(*COLUMN))
def centred_over_tokens(xp: Namespace, x: Array) -> Array:
    """Each number minus the mean of its column, over the tokens."""
    return _less_mean(xp, x, (-2,))


@operation(lambda: _centred(*BATCH))
def centred_over_batch(xp: Namespace, x: Array) -> Array:
    """Each number minus the mean of its column, over the tokens of the whole batch."""
    return _less_mean(xp, x, (-3, -2))


@operation(lambda: _centred(*HEADS))
def centred_over_heads(xp: Namespace, x: Array) -> Array:
    """Each number minus the mean of its token over all heads together."""
    return _less_mean(xp, x, (-3, -1))


@operation(lambda ddof: _mean_square(*ROW, ddof))
def mean_square(xp: Namespace, x: Array, *, ddof: int) -> Array:
    """The mean of the squares of each token; the count is reduced by ddof."""
    return _square(xp, x, (-1,), ddof)


@operation(lambda ddof: _mean_square(*MATRIX, ddof))
def mean_square_over_matrix(xp: Namespace, x: Array, *, ddof: int) -> Array:
    """The mean of the squares of all tokens together; the count is reduced by ddof."""
    return _square(xp, x, (-2, -1), ddof)


@operation(lambda ddof: _mean_square(*COLUMN, ddof))
def mean_square_over_tokens(xp: Namespace, x: Array, *, ddof: int) -> Array:
    """The mean of the squares of each column, over the tokens; the count is reduced by ddof."""
    return _square(xp, x, (-2,), ddof)


@operation(lambda ddof: _mean_square(*BATCH, ddof))
def mean_square_over_batch(xp: Namespace, x: Array, *, ddof: int) -> Array:
    """The mean of the squares of each column, over the tokens of the whole batch; the count is reduced by ddof."""
    return _square(xp, x, (-3, -2), ddof)


@operation(lambda ddof: _mean_square(*HEADS, ddof))
def mean_square_over_heads(xp: Namespace, x: Array, *, ddof: int) -> Array:
    """The mean of the squares of each token over all heads together; the count is reduced by ddof."""
    return _square(xp, x, (-3, -1), ddof)


def _plus(spread: Expr, eps: float) -> Expr:
    return spread + eps if eps else spread


@operation(lambda eps: formula("i m -> i m", lambda v: call("sqrt", _plus(v[i, m], eps))))
def root(xp: Namespace, v: Array, *, eps: float) -> Array:
    """The square root of each number plus eps."""
    return xp.sqrt(v + eps)


@operation(lambda eps: formula("i m -> i m", lambda v: _plus(call("sqrt", v[i, m]), eps)))
def root_then_eps(xp: Namespace, v: Array, *, eps: float) -> Array:
    """The square root of each number, plus eps outside the root."""
    return xp.sqrt(v) + eps


@operation(lambda eps: formula("i m -> i m", lambda v: _plus(v[i, m], eps)))
def no_root(xp: Namespace, v: Array, *, eps: float) -> Array:
    """Each number plus eps, with no root taken."""
    return v + eps


@operation(lambda eps: formula("i m -> i m", lambda v: _plus(v[i, m], eps) ** 2))
def squared(xp: Namespace, v: Array, *, eps: float) -> Array:
    """The square of each number plus eps, where its root is meant."""
    return (v + eps) * (v + eps)


@operation(
    lambda: formula("i m, i m -> i m", lambda x, spread: x[i, m] / spread[i, m]),
    Remark(
        find=lambda xp, out, x, spread: xp.any(xp.isnan(out) & (spread == 0), axis=-1),
        says="NaN",
        reason="the spread is 0 and, with eps 0, the norm divides 0 by 0 (0/0)",
        remedy=FLAT.remedy,
    ),
)
def quotient(xp: Namespace, x: Array, spread: Array) -> Array:
    """Each number divided by the spread in the same cell."""
    return x / spread


@operation(lambda: formula("i m, m -> i m", lambda x, gain: x[i, m] * (1 + gain[m])), role="gain")
def gain_plus_one(xp: Namespace, x: Array, gain: Array) -> Array:
    """Each column times 1 + its own number (Gemma)."""
    return x * (1 + gain[..., None, :])


@operation(lambda: formula("i m, m, m -> i m", lambda x, gain, bias: x[i, m] * (1 + gain[m]) + bias[m]), role="gain")
def gain_plus_one_and_bias(xp: Namespace, x: Array, gain: Array, bias: Array) -> Array:
    """Each column times 1 + its own number, plus another."""
    return x * (1 + gain[..., None, :]) + bias[..., None, :]


@operation(lambda: formula("i m, m -> i m", lambda x, gain: x[i, m] * (gain[m] - 1)))
def gain_less_one(xp: Namespace, x: Array, gain: Array) -> Array:
    """Each column times its own number - 1: for a stored gain to which 1 is added."""
    return x * (gain[..., None, :] - 1)


@operation(lambda: formula("i m, m, m -> i m", lambda x, gain, bias: x[i, m] * (gain[m] - 1) + bias[m]))
def gain_less_one_and_bias(xp: Namespace, x: Array, gain: Array, bias: Array) -> Array:
    """Each column times its own number - 1, plus another."""
    return x * (gain[..., None, :] - 1) + bias[..., None, :]
