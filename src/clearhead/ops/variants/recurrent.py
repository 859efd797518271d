"""Other ways to let a memory decay, to write to it, and to sum a token with those beside it."""

from __future__ import annotations

from clearhead.expr import Expr, Formula, Size, call, formula, indices, total, where
from clearhead.expr.formula import Operand
from clearhead.ops.operation import Array, Namespace, counting, floats, operation
from clearhead.ops.textbook import recurrent

d, g, h, i, j, k, n = indices("d g h i j k n")


def _between(first: int, last: int) -> Formula:
    def body(decay: Operand) -> Expr:
        passed = total(n, where(j + first <= n, where(n + last <= i, decay[h, n], 0), 0))
        return where(j <= i, call("exp", passed), 0)

    return formula("h i -> h i j", body, j=Size("i"), n=Size("i"))


@operation(_between, role="distance")
def decay_between(xp: Namespace, g: Array, *, first: int, last: int) -> Array:
    """What is left at a token of what another wrote, by decays from ``first`` tokens behind it to ``last`` before."""
    places = counting(xp, g.shape[-1], g)
    row, column, passed = places[:, None, None], places[None, :, None], places
    counts = (column + first <= passed) & (passed + last <= row)
    left = xp.exp(xp.sum(xp.where(counts, g[..., None, None, :], 0.0), axis=-1))
    return xp.where(places[None, :] <= places[:, None], left, 0.0)


@operation(
    lambda: formula(
        "h i d, h i j -> h i d",
        lambda v, a, result: v[h, i, d] - total(j, where(j < i, a[h, i, j] * result[h, j, d], 0)),
        fewer=Size("i") - Size("j"),
        more=Size("j") - Size("i"),
    ),
    role="join",
)
def corrected_whole(xp: Namespace, v: Array, a: Array) -> Array:
    """What a token writes where its share is 1: its value less what the memory has for its key."""
    return recurrent.corrected.code(xp, v, a, xp.broadcast_to(floats(xp, 2, a)[1], a.shape[:-1]))


def _ahead(by: int) -> Formula:
    def body(x: Operand, w: Operand) -> Expr:
        place = i + k - (Size("k") - 1) + by
        inside = where(place < 0, 0, where(place < Size("i"), x[g, place, d] * w[g, d, k], 0))
        return total(k, inside)

    return formula("g i d, g d k -> g i d", body)


@operation(_ahead, role="product")
def convolve_ahead(xp: Namespace, x: Array, w: Array, *, by: int) -> Array:
    """The convolution ``by`` tokens too late: each token is summed with those that come after it, too."""
    behind = xp.broadcast_to(floats(xp, 1, x), (*x.shape[:-2], by, x.shape[-1]))
    return recurrent.convolve_before.code(xp, xp.concat([x, behind], axis=-2), w)[..., by:, :]


@operation(
    lambda: formula(
        "g i d, g d k -> g i d",
        lambda x, w: total(k, where(i - k < 0, 0, x[g, i - k, d] * w[g, d, k])),
    ),
    role="product",
)
def convolve_reversed(xp: Namespace, x: Array, w: Array) -> Array:
    """The convolution with its weights in reverse: the first is of the token itself, the last of the one furthest."""
    turned = xp.stack([w[..., tap] for tap in reversed(range(w.shape[-1]))], axis=-1)
    return recurrent.convolve_before.code(xp, x, turned)
