"""Other ways from scores to weights: scales, masks, and weights that are no softmax."""

from __future__ import annotations

import math

from clearhead.expr import Expr, Let, Local, Reduce, Size, call, formula, indices, same, total, where
from clearhead.expr.formula import Operand
from clearhead.ops.operation import Array, Namespace, constant, counting, operation
from clearhead.ops.textbook.scores import MASKED, POSITION, softmax_along

d, g, h, i, j, k, t = indices("d g h i j k t")


@operation(lambda: formula("i j, i d -> i j", lambda s, q: s[i, j] / Size("d")), role="scale")
def divide_by_depth(xp: Namespace, s: Array, q: Array) -> Array:
    """The scores divided by the query's depth itself."""
    return s / q.shape[-1]


@operation(lambda: formula("i j, i d -> i j", lambda s, q: s[i, j] * call("sqrt", Size("d"))), role="scale")
def multiply_by_root_depth(xp: Namespace, s: Array, q: Array) -> Array:
    """The scores times the square root of the query's depth."""
    return s * math.sqrt(q.shape[-1])


@operation(
    lambda: formula("i j, i d -> i j", lambda s, q: s[i, j] / call("sqrt", call("sqrt", Size("d")))), role="scale"
)
def divide_by_fourth_root(xp: Namespace, s: Array, q: Array) -> Array:
    """The scores divided by the fourth root of the query's depth."""
    return s / math.sqrt(math.sqrt(q.shape[-1]))


@operation(
    lambda: formula("h i j, h i d -> h i j", lambda s, q: s[h, i, j] / call("sqrt", Size("h") * Size("d"))),
    role="scale",
)
def scale_by_all_heads(xp: Namespace, s: Array, q: Array) -> Array:
    """The scores divided by the square root of the depth of all heads together."""
    return s / math.sqrt(q.shape[-1] * q.shape[-3])


@operation(lambda: formula("i j -> i j", lambda s: s[i, j] / call("sqrt", Size("j"))), role="scale")
def scale_by_keys(xp: Namespace, s: Array) -> Array:
    """The scores divided by the square root of the number of keys."""
    return s / math.sqrt(s.shape[-1])


@operation(
    lambda decimals: formula(
        "i j, i d -> i j", lambda s, q: s[i, j] / call("round", call("sqrt", Size("d")), decimals)
    ),
    role="scale",
)
def scale_by_rounded_root(xp: Namespace, s: Array, q: Array, *, decimals: int) -> Array:
    """The scores divided by the square root of the depth, rounded to decimals: 1.41 for 2."""
    unit = 10**decimals
    return s / (math.floor(math.sqrt(q.shape[-1]) * unit + 0.5) / unit)


@operation(lambda: formula("i j, i j -> i j", lambda s, mask: where(mask[i, j], MASKED, s[i, j])), role="mask")
def mask_inverted(xp: Namespace, s: Array, mask: Array) -> Array:
    """Minus infinity where the mask is True, the scores elsewhere."""
    return xp.where(mask, MASKED, s)


@operation(lambda: formula("h i j, j -> h i j", lambda s, real: where(real[j], MASKED, s[h, i, j])), role="mask")
def padding_inverted(xp: Namespace, s: Array, real: Array) -> Array:
    """Minus infinity for real keys, the scores of padding."""
    return xp.where(real[..., None, None, :], MASKED, s)


@operation(lambda: formula("h i j, i -> h i j", lambda s, real: where(real[i], s[h, i, j], MASKED)), role="mask")
def mask_padding_queries(xp: Namespace, s: Array, real: Array) -> Array:
    """The scores of real queries, minus infinity for queries that are padding."""
    return xp.where(real[..., None, :, None], s, MASKED)


@operation(
    lambda: formula(
        "h i j, j -> h i j",
        lambda s, real: where(j < Size("j") - Size("i"), s[h, i, j], where(real[j], s[h, i, j], MASKED)),
    ),
    role="mask",
)
def mask_padding_of_new(xp: Namespace, s: Array, real: Array) -> Array:
    """The scores of real keys and of all that a cache holds: its padding is not masked."""
    queries, keys = s.shape[-2:]
    cached = counting(xp, keys, s) < keys - queries
    return xp.where((real | cached)[..., None, None, :], s, MASKED)


@operation(
    lambda fill: formula("i j -> i j", lambda s: where(call("abs", s[i, j]) <= math.inf, fill, s[i, j])),
)
def fill_all(xp: Namespace, s: Array, *, fill: float) -> Array:
    """One number in place of every score."""
    return xp.where(xp.abs(s) <= math.inf, fill, s)


@operation(lambda by: formula("i j -> i j", lambda s: where(j <= POSITION + by, s[i, j], MASKED)), role="mask")
def mask_causal_shifted(xp: Namespace, s: Array, *, by: int) -> Array:
    """A causal mask whose edge is shifted to the right by some keys."""
    position, key = _positions(xp, s)
    return xp.where(key <= position + by, s, MASKED)


@operation(lambda: formula("i j -> i j", lambda s: where(j >= POSITION, s[i, j], MASKED)), role="mask")
def mask_future_only(xp: Namespace, s: Array) -> Array:
    """The scores of keys that are not earlier than the query, minus infinity for earlier ones."""
    position, key = _positions(xp, s)
    return xp.where(position <= key, s, MASKED)


@operation(lambda: formula("i j -> i j", lambda s: where(j <= i, s[i, j], MASKED)), role="mask")
def mask_causal_top_left(xp: Namespace, s: Array) -> Array:
    """A causal mask that lets the first query see the first key only, however many keys a cache holds."""
    queries, keys = s.shape[-2:]
    return xp.where(counting(xp, keys, s)[None, :] <= counting(xp, queries, s)[:, None], s, MASKED)


def _positions(xp: Namespace, s: Array) -> tuple[Array, Array]:
    queries, keys = s.shape[-2:]
    return counting(xp, queries, s)[:, None] + (keys - queries), counting(xp, keys, s)[None, :]


def _masked(masked: Operand) -> Expr:
    return same(masked[i, j], MASKED)


@operation(
    lambda fill: formula("i j, i j -> i j", lambda s, masked: where(_masked(masked), fill, s[i, j])),
)
def fill_masked(xp: Namespace, s: Array, masked: Array, *, fill: float) -> Array:
    """The scores, with a fixed number in masked cells."""
    return xp.where(masked == MASKED, fill, s)


@operation(lambda: formula("i j, i j -> i j", lambda s, masked: where(_masked(masked), s[i, j], s[i, j] + 1)))
def add_to_allowed(xp: Namespace, s: Array, masked: Array) -> Array:
    """The scores plus 1 in the cells that a mask allows: a mask of 0 and 1, added."""
    return xp.where(masked == MASKED, s, s + 1)


@operation(lambda: formula("i j, i j -> i j", lambda s, masked: where(_masked(masked), s[i, j] + 1, s[i, j])))
def add_to_masked(xp: Namespace, s: Array, masked: Array) -> Array:
    """The scores plus 1 in masked cells: a mask of 1 and 0, added."""
    return xp.where(masked == MASKED, s + 1, s)


@operation(
    lambda: formula("i j, i j -> i j", lambda s, masked: where(_masked(masked), MASKED, s[i, j] + 0 * MASKED)),
)
def add_zero_times_infinity(xp: Namespace, s: Array, masked: Array) -> Array:
    """The scores plus (1 - mask) times minus infinity, which is NaN wherever the mask is 1."""
    return xp.where(masked == MASKED, MASKED, s + math.nan)


@operation(lambda: formula("i j, i j -> i j", lambda w, masked: where(_masked(masked), 0, w[i, j])))
def zero_masked(xp: Namespace, w: Array, masked: Array) -> Array:
    """The weights, with 0 in masked cells; the others stay as they are."""
    return xp.where(masked == MASKED, 0.0, w)


@operation(lambda: formula("i j, i j -> i j", lambda w, masked: where(_masked(masked), MASKED, w[i, j])))
def infinite_masked(xp: Namespace, w: Array, masked: Array) -> Array:
    """The weights, with minus infinity in masked cells; it belongs in the scores."""
    return xp.where(masked == MASKED, MASKED, w)


@operation(
    lambda: formula(
        "h i j -> h i j", lambda s: call("share", _exp(s, h, i, j), total(g, _exp(s, g, i, j))), g=Size("h")
    ),
    role="softmax",
)
def softmax_over_heads(xp: Namespace, s: Array) -> Array:
    """Softmax over the heads: the weights of each query and key sum to 1 over the heads."""
    return softmax_along(xp, s, -3)


@operation(
    lambda: formula(
        "i j -> i j",
        lambda s: call("share", call("exp", s[i, j]), total((t, k), call("exp", s[t, k]))),
        t=Size("i"),
        k=Size("j"),
    ),
    role="softmax",
)
def softmax_over_matrix(xp: Namespace, s: Array) -> Array:
    """Softmax over all scores of a head together."""
    return softmax_along(xp, s, (-2, -1))


def _exp(s: Operand, *cell: Expr) -> Expr:
    return call("exp", s[cell])


@operation(lambda: formula("i j -> i j", lambda s: call("share", _exp(s, i, j), _exp(s, i, j))), role="softmax")
def softmax_of_one(xp: Namespace, s: Array) -> Array:
    """Softmax over an axis of a single entry: every weight is 1."""
    return xp.astype(s > MASKED, s.dtype)


@operation(
    lambda base: formula(
        "i j -> i j", lambda s: call("share", base ** s[i, j], total(k, base ** s[i, k])), k=Size("j")
    ),
    role="softmax",
)
def softmax_base(xp: Namespace, s: Array, *, base: float) -> Array:
    """Softmax with powers of a base other than e."""
    return softmax_along(xp, s * math.log(base), -1)


@operation(
    lambda: formula("i j -> i j", lambda s: _exp(s, i, j) / total(k, _exp(s, i, k)), k=Size("j")), role="softmax"
)
def softmax_unshifted(xp: Namespace, s: Array) -> Array:
    """Softmax without subtracting the maximum first: large scores overflow, and 0/0 is NaN."""
    parts = xp.exp(s)
    return parts / xp.sum(parts, axis=-1, keepdims=True)


@operation(
    lambda: formula(
        "h i j -> h i j",
        lambda s: Let(
            "top",
            Reduce("max", ("g", "t", "k"), s[g, t, k]),
            call("exp", s[h, i, j] - Local("top")) / total(k, call("exp", s[h, i, k] - Local("top"))),
        ),
        g=Size("h"),
        t=Size("i"),
        k=Size("j"),
    ),
    role="softmax",
)
def softmax_shifted_globally(xp: Namespace, s: Array) -> Array:
    """Softmax with the maximum of all scores, not of each row, subtracted: rows far below it are 0/0."""
    parts = xp.exp(s - constant(xp, xp.max(s, axis=(-3, -2, -1), keepdims=True)))
    return parts / xp.sum(parts, axis=-1, keepdims=True)


@operation(
    lambda: formula("i j -> i j", lambda s: _exp(s, i, j) / (1 + total(k, _exp(s, i, k))), k=Size("j")), role="softmax"
)
def softmax_one(xp: Namespace, s: Array) -> Array:
    """Softmax with one more in the denominator, so that a query may attend to nothing (Miller 2023)."""
    top = constant(xp, xp.max(s, axis=-1, keepdims=True))
    top = xp.where(top > 0, top, 0.0)
    parts = xp.exp(s - top)
    return parts / (xp.exp(-top) + xp.sum(parts, axis=-1, keepdims=True))


@operation(
    lambda: formula(
        "i j -> i j",
        lambda s: Let(
            "top",
            Reduce("max", ("k",), s[i, k]),
            call("exp", s[i, j] - Local("top")) / (1 + total(k, call("exp", s[i, k] - Local("top")))),
        ),
        k=Size("j"),
    ),
    role="softmax",
)
def softmax_one_shifted(xp: Namespace, s: Array) -> Array:
    """Softmax with one more in the denominator, added after the row's maximum was subtracted."""
    parts = xp.exp(s - constant(xp, xp.max(s, axis=-1, keepdims=True)))
    return parts / (1 + xp.sum(parts, axis=-1, keepdims=True))


@operation(lambda: formula("i j -> i j", lambda s: _exp(s, i, j) / total(k, s[i, k]), k=Size("j")), role="softmax")
def exp_over_sum(xp: Namespace, s: Array) -> Array:
    """Exponentials divided by the sum of the scores themselves."""
    return xp.exp(s) / xp.sum(s, axis=-1, keepdims=True)


@operation(lambda: formula("i j -> i j", lambda s: s[i, j] / total(k, s[i, k]), k=Size("j")), role="softmax")
def share_of_sum(xp: Namespace, s: Array) -> Array:
    """The scores divided by their sum, without exponentials."""
    return s / xp.sum(s, axis=-1, keepdims=True)


@operation(lambda: formula("i j -> j", lambda parts: total(i, parts[i, j])))
def sum_of_column(xp: Namespace, parts: Array) -> Array:
    """The sum of each column: what exponentials are divided by where a softmax runs over the queries."""
    return xp.sum(parts, axis=-2)


@operation(lambda: formula("i j, i -> i j", lambda parts, sums: parts[i, j] / sums[i]), role="softmax")
def parts_of_sums(xp: Namespace, parts: Array, sums: Array) -> Array:
    """Exponentials that are given, each divided by the sum of its row."""
    return parts / sums[..., None]


@operation(lambda: formula("i j -> i j", lambda s: call("exp", s[i, j])), role="softmax")
def exponentials(xp: Namespace, s: Array) -> Array:
    """The exponential of each score, not divided by their sum."""
    return xp.exp(s)


@operation(lambda: formula("i j -> i j", lambda s: 1 / (1 + call("exp", -s[i, j]))), role="softmax")
def sigmoid(xp: Namespace, s: Array) -> Array:
    """The logistic function of each score by itself."""
    # Not of -abs(s): that has no derivative at 0, where the logistic function has one.
    part = xp.exp(xp.where(s < 0, s, -s))
    return xp.where(s < 0, part, 1.0) / (1 + part)


@operation(lambda cap: formula("i j -> i j", lambda s: s[i, j] * call("tanh", s[i, j] / cap)), role="cap")
def softcap_times_itself(xp: Namespace, s: Array, *, cap: float) -> Array:
    """Each score times tanh(score / cap), which leaves large scores as they are, without their sign."""
    return s * xp.tanh(s / cap)
