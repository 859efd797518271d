"""Mixtures of experts: which experts a token goes to, and what those give (Shazeer et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clearhead.expr import Expr, Index, Size, call, formula, indices, same, total, where
from clearhead.expr.formula import Operand, broadcast
from clearhead.ops.numpy import numpy_namespace
from clearhead.ops.operation import Array, Namespace, counting, operation
from clearhead.ops.textbook.scores import MASKED, softmax_along

d, e, g, i, k, m, n = indices("d e g i k m n")


def _ahead(number: Index, cell: Callable[[Expr], Expr]) -> Expr:
    """How many numbers come before this one: larger ones, and of equal ones those that stand before it."""
    equal = where(same(cell(n), cell(number)), where(n < number, 1, 0), 0)
    return total(n, where(cell(number) < cell(n), 1, equal))


@operation(
    lambda: formula(
        "i e -> i e", lambda x: call("share", call("exp", x[i, e]), total(k, call("exp", x[i, k]))), k=Size("e")
    ),
    role="experts",
)
def softmax_over_experts(xp: Namespace, x: Array) -> Array:
    """Softmax of each token's router logits: how well each expert suits it."""
    return softmax_along(xp, x, -1)


@operation(
    lambda count: formula("i e -> i e", lambda x: where(_ahead(e, lambda at: x[i, at]) < count, 1, 0), n=Size("e")),
    role="experts",
)
def among_largest(xp: Namespace, x: Array, *, count: int) -> Array:
    """1 for the ``count`` largest numbers of a row and 0 for others; of equal ones the first are taken."""
    return xp.astype(_rank(xp, x) < count, x.dtype)


def _rank(xp: Namespace, x: Array) -> Array:
    """How many numbers of a row come before each: larger ones, and of equal ones those that stand before it."""
    number = counting(xp, x.shape[-1], x)
    one, other = x[..., :, None], x[..., None, :]
    ahead = (one < other) | ((one == other) & (number[None, :] < number[:, None]))
    return xp.sum(xp.astype(ahead, x.dtype), axis=-1)


@operation(
    lambda: formula("i e -> i e", lambda x: call("share", x[i, e], total(k, x[i, k])), k=Size("e")), role="experts"
)
def shares(xp: Namespace, x: Array) -> Array:
    """Each number of a row divided by the sum of all, so that they sum to one; a row of zeros stays."""
    whole = xp.sum(x, axis=-1, keepdims=True)
    return xp.where(whole == 0, 0.0, x / xp.where(whole == 0, 1.0, whole))


@operation(
    lambda: formula(
        "i m, e m d, i e -> e i d",
        lambda x, w, share: where(same(share[i, e], 0), 0, total(m, x[i, m] * w[e, m, d])),
    ),
    role="experts",
)
def project_chosen(xp: Namespace, x: Array, w: Array, share: Array) -> Array:
    """The product of the tokens with the weight matrix of each expert that they go to; 0 for other experts."""
    if xp is numpy_namespace and w.ndim == 3:
        return _for_each(x[..., None, :, :], w, share)
    there = xp.matrix_transpose(share)[..., None] != 0
    return xp.where(there, xp.matmul(x[..., None, :, :], w), 0.0)


@operation(
    lambda: formula(
        "e i d, e d m, i e -> e i m",
        lambda x, w, share: where(same(share[i, e], 0), 0, total(d, x[e, i, d] * w[e, d, m])),
    ),
    role="experts",
)
def matmul_chosen(xp: Namespace, x: Array, w: Array, share: Array) -> Array:
    """The product of each expert's hidden cells with its weight matrix; 0 for tokens of other experts."""
    if xp is numpy_namespace and w.ndim == 3:
        return _for_each(x, w, share)
    return xp.where(xp.matrix_transpose(share)[..., None] != 0, xp.matmul(x, w), 0.0)


def _for_each(x: Array, w: Array, share: Array) -> Array:
    """The products, expert by expert, of those tokens alone that go to it."""
    experts, _, columns = w.shape
    lead = broadcast([x.shape[:-3], share.shape[:-2]])
    x = np.broadcast_to(x, (*lead, experts, *x.shape[-2:]))
    share = np.broadcast_to(share, (*lead, *share.shape[-2:]))
    out = np.zeros((*x.shape[:-1], columns), x.dtype)
    for expert in range(experts):
        rows = share[..., expert] != 0
        if rows.any():
            out[..., expert, :, :][rows] = x[..., expert, :, :][rows] @ w[expert]
    return out


@operation(lambda: formula("e i m, i e -> i m", lambda x, share: total(e, share[i, e] * x[e, i, m])), role="experts")
def sum_chosen(xp: Namespace, x: Array, share: Array) -> Array:
    """The sum of what the experts give for a token, each times its share."""
    return xp.sum(x * xp.matrix_transpose(share)[..., None], axis=-3)


@operation(lambda: formula("i -> i", lambda x: 1 / (1 + call("exp", -x[i]))), role="experts")
def logistic(xp: Namespace, x: Array) -> Array:
    """The logistic function of each number."""
    # Not of -abs(x): that has no derivative at 0, where the logistic function has one.
    part = xp.exp(xp.where(x < 0, x, -x))
    return xp.where(x < 0, part, 1.0) / (1 + part)


@operation(lambda: formula("i m, m -> i", lambda x, w: total(m, x[i, m] * w[m])), role="experts")
def dot(xp: Namespace, x: Array, w: Array) -> Array:
    """The product of each token with one column of weights."""
    return xp.matmul(x, w[..., None])[..., 0]


@operation(lambda: formula("i m, i -> i m", lambda x, s: x[i, m] * s[i]), role="experts")
def scale_rows(xp: Namespace, x: Array, s: Array) -> Array:
    """Each token times its own number."""
    return x * s[..., None]


def _near(x: Operand, largest: Operand, tolerance: float) -> Expr:
    top = total(k, where(same(largest[i, k], 0), 0, x[i, k]))
    return where(top - x[i, e] <= tolerance * call("max", call("abs", x[i, e]), top), x[i, e], MASKED)


@operation(
    lambda tolerance: formula("i e, i e -> i e", lambda x, largest: _near(x, largest, tolerance), k=Size("e")),
    role="experts",
)
def near_largest(xp: Namespace, x: Array, largest: Array, *, tolerance: float) -> Array:
    """Logits that lie near that of the chosen expert, minus infinity for others (SparseMixer, Liu et al. 2024).

    The distance is measured in units of the larger of its logit and the other's size.
    """
    top = xp.sum(xp.where(largest == 0, 0.0, x), axis=-1, keepdims=True)
    return xp.where(top - x <= tolerance * xp.maximum(xp.abs(x), top), x, MASKED)


@operation(
    lambda: formula("i e, i e -> i e", lambda x, chosen: where(same(chosen[i, e], 0), x[i, e], MASKED)),
    role="experts",
)
def mask_chosen(xp: Namespace, x: Array, chosen: Array) -> Array:
    """The logits of experts that are not chosen yet, minus infinity for those that are."""
    return xp.where(chosen == 0, x, MASKED)


def _best(x: Operand, count: int) -> Expr:
    def member(at: Expr) -> Expr:
        return x[i, g * Size("k") + at]

    return total(k, where(_ahead(k, member) < count, member(k), 0))


@operation(
    lambda groups, count: formula(
        "i e -> i g", lambda x: _best(x, count), g=groups, k=Size("e") / groups, n=Size("e") / groups
    ),
    role="experts",
)
def best_of_groups(xp: Namespace, x: Array, *, groups: int, count: int) -> Array:
    """For each group of neighbouring experts the sum of its ``count`` largest scores (DeepSeek 2024)."""
    apart = xp.reshape(x, (*x.shape[:-1], groups, x.shape[-1] // groups))
    return xp.sum(xp.where(_rank(xp, apart) < count, apart, 0.0), axis=-1)


@operation(
    lambda: formula(
        "i e, i g -> i e",
        lambda x, chosen: where(same(chosen[i, e // Size("k")], 0), MASKED, x[i, e]),
        k=Size("e") / Size("g"),
    ),
    role="experts",
)
def mask_groups(xp: Namespace, x: Array, chosen: Array) -> Array:
    """The scores of experts in chosen groups, minus infinity in others."""
    there = xp.repeat(chosen != 0, x.shape[-1] // chosen.shape[-1], axis=-1)
    return xp.where(there, x, MASKED)
