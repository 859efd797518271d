"""From scores to weights: scaling, capping, masking, softmax.

A mask is a formula that gives minus infinity where a query may not attend; softmax gives such cells the weight 0.
Where a cache makes the keys more than the queries, the last query is the newest token and sees the last key
(alignment at the bottom right): query ``i`` stands at position ``i + n_j - n_i`` among the keys.
"""

from __future__ import annotations

import math

from clearhead.expr import Expr, Formula, Size, call, formula, indices, total, where
from clearhead.expr.formula import broadcast
from clearhead.ops.operation import Array, Namespace, Remark, Step, constant, counting, floats, operation

d, h, i, j, k = indices("d h i j k")

MASKED = -math.inf
POSITION = i + (Size("j") - Size("i"))


@operation(lambda factor: formula("i j -> i j", lambda s: s[i, j] * factor), role="scale")
def scale(xp: Namespace, s: Array, *, factor: float) -> Array:
    """The scores times a number."""
    return s * factor


@operation(lambda: formula("i j, i d -> i j", lambda s, q: s[i, j] / call("sqrt", Size("d"))), role="scale")
def scale_by_depth(xp: Namespace, s: Array, q: Array) -> Array:
    """The scores divided by the square root of the query's depth (Vaswani et al. 2017, equation 1)."""
    return s / math.sqrt(q.shape[-1])


@operation(lambda cap: formula("i j -> i j", lambda s: cap * call("tanh", s[i, j] / cap)), role="cap")
def softcap(xp: Namespace, s: Array, *, cap: float) -> Array:
    """The scores limited smoothly to -cap .. cap: cap * tanh(score / cap) (Gemma 2)."""
    return cap * xp.tanh(s / cap)


@operation(lambda: formula("i j, i j -> i j", lambda s, mask: where(mask[i, j], s[i, j], MASKED)), role="mask")
def mask_boolean(xp: Namespace, s: Array, mask: Array) -> Array:
    """The scores where the mask is True (may attend), minus infinity elsewhere."""
    return xp.where(mask, s, MASKED)


@operation(lambda: formula("i j, i j -> i j", lambda s, mask: s[i, j] + mask[i, j]), role="mask")
def mask_additive(xp: Namespace, s: Array, mask: Array) -> Array:
    """The scores plus a mask of numbers: 0 leaves a cell as it is, minus infinity masks it."""
    return s + mask


@operation(lambda: formula("h i j, j -> h i j", lambda s, real: where(real[j], s[h, i, j], MASKED)), role="mask")
def mask_padding(xp: Namespace, s: Array, real: Array) -> Array:
    """The scores of real keys, minus infinity for keys that are padding."""
    return xp.where(real[..., None, None, :], s, MASKED)


@operation(lambda: formula("i j -> i j", lambda s: where(j <= POSITION, s[i, j], MASKED)), role="mask")
def mask_causal(xp: Namespace, s: Array) -> Array:
    """The scores of keys that are not later than the query, minus infinity for later ones."""
    position, key = positions_of(xp, s)
    return xp.where(key <= position, s, MASKED)


@operation(
    lambda width: formula("i j -> i j", lambda s: where(call("abs", POSITION - j) < width, s[i, j], MASKED)),
    role="mask",
)
def mask_window(xp: Namespace, s: Array, *, width: int) -> Array:
    """The scores of keys less than ``width`` tokens away, minus infinity for others: a sliding window."""
    position, key = positions_of(xp, s)
    return xp.where(xp.abs(position - key) < width, s, MASKED)


def positions_of(xp: Namespace, s: Array) -> tuple[Array, Array]:
    """The position of every query among the keys, as a column, and of every key, as a row."""
    queries, keys = s.shape[-2:]
    return counting(xp, queries, s)[:, None] + (keys - queries), counting(xp, keys, s)[None, :]


def _slope(heads: int) -> Expr:
    whole = 1 << (heads.bit_length() - 1)
    return where(h < whole, 2 ** -(8 * (h + 1) / whole), 2 ** -(4 * (2 * (h - whole) + 1) / whole))


def for_heads(heads: int, slope: Expr) -> Formula:
    """The formula of slopes for scores of this number of heads."""
    return formula("h i j -> h", lambda s: slope, few=heads - Size("h"), many=Size("h") - heads)


@operation(lambda heads: for_heads(heads, _slope(heads)))
def alibi_slopes(xp: Namespace, s: Array, *, heads: int) -> Array:
    """How fast each head's scores fall with distance (Press et al. 2022).

    For head counts that are no powers of two by the rule of the authors' code: the slopes of the next lower power,
    then every second slope of the next higher one.
    """
    whole = 1 << (heads.bit_length() - 1)
    head = floats(xp, heads, s)
    return xp.where(head < whole, 2 ** (-8 * (head + 1) / whole), 2 ** (-4 * (2 * (head - whole) + 1) / whole))


@operation(
    lambda: formula("h i j, h -> h i j", lambda s, slope: s[h, i, j] - slope[h] * call("abs", POSITION - j)),
    role="distance",
)
def alibi(xp: Namespace, s: Array, slope: Array) -> Array:
    """The scores minus the head's slope times the distance (Press et al. 2022)."""
    position, key = positions_of(xp, s)
    return s - slope[..., None, None] * xp.astype(xp.abs(position - key), s.dtype)


UNATTENDED = Remark(
    find=lambda xp, out, *operands: xp.max(out, axis=-1) == 0,
    says="all weights are 0",
    reason="no key of this query has a score above minus infinity: all are masked, or their scores overflowed",
    remedy="Let each query attend to at least one key. If no mask is meant to do this, look for infinities in the "
    "scores, and compute in a wider type.",
    reads_operands=False,
)


@operation(
    lambda: formula(
        "i j -> i j", lambda s: call("share", call("exp", s[i, j]), total(k, call("exp", s[i, k]))), k=Size("j")
    ),
    UNATTENDED,
    role="softmax",
)
def softmax(xp: Namespace, s: Array) -> Array:
    """Softmax of each row: its exponentials, divided by their sum. Each row sums to 1."""
    return softmax_along(xp, s, -1)


@operation(
    lambda: formula(
        "i j -> i j", lambda s: call("share", call("exp", s[i, j]), total(k, call("exp", s[k, j]))), k=Size("i")
    ),
    role="softmax",
)
def softmax_over_queries(xp: Namespace, s: Array) -> Array:
    """Softmax down the columns: the weights of each key sum to 1 over the queries."""
    return softmax_along(xp, s, -2)


def softmax_along(xp: Namespace, s: Array, axis: int | tuple[int, ...]) -> Array:
    """Softmax along one or more axes."""
    # Softmax does not change when a row is shifted; with its maximum at 0 no exponential can overflow. A row that is
    # all minus infinity is shifted by the lowest finite number instead, which leaves it so. The largest part of any
    # other row is 1, so 0.5 stands only below a row of zeros, and keeps it at zero. The shift has no gradient, and
    # must not be asked for one: a compiler that works scores out twice, rounded two ways, finds no maximum among them.
    top = constant(xp, xp.max(s, axis=axis, keepdims=True))
    parts = xp.exp(s - xp.maximum(top, float(xp.finfo(s.dtype).min)))
    whole = xp.sum(parts, axis=axis, keepdims=True)
    return parts / xp.maximum(whole, 0.5)


@operation(lambda: formula("i j -> i j", lambda s: call("exp", s[i, j])))
def exponential(xp: Namespace, s: Array) -> Array:
    """The exponential of each score: the terms of the softmax's sum."""
    return xp.exp(s)


@operation(lambda: formula("i j -> i", lambda parts: total(j, parts[i, j])))
def sum_of_row(xp: Namespace, parts: Array) -> Array:
    """The sum of each row: the softmax's denominator."""
    return xp.sum(parts, axis=-1)


@operation(
    lambda: formula("h i j, h -> h i k", lambda s, sink: where(k < Size("j"), s[h, i, k], sink[h]), k=Size("j") + 1),
)
def append_sink(xp: Namespace, s: Array, sink: Array) -> Array:
    """The scores with one more column: the head's sink, as the score of a key that has no value."""
    heads, queries, keys = s.shape[-3:]
    lead = broadcast([s.shape[:-3], sink.shape[:-1]])
    column = xp.broadcast_to(xp.astype(sink, s.dtype)[..., None, None], (*lead, heads, queries, 1))
    return xp.concat([xp.broadcast_to(s, (*lead, heads, queries, keys)), column], axis=-1)


@operation(lambda: formula("i k -> i j", lambda w: w[i, j], j=Size("k") - 1))
def drop_sink(xp: Namespace, w: Array) -> Array:
    """The weights without the last column, which is the weight of the sink."""
    return w[..., :-1]


OUTWEIGHED = Remark(
    find=lambda xp, out, *operands: xp.max(out, axis=-1) == 0,
    says="all weights are 0",
    reason="all keys of this query are masked, or their scores are so far below the sink that their weights round to 0",
    remedy="Compare the scores with the sink. If no key is meant to be seen, ignore this query.",
    reads_operands=False,
)


@operation(
    lambda: formula(
        "h i j, h -> h i j",
        lambda s, sink: call(
            "share", call("exp", s[h, i, j]), total(k, call("exp", s[h, i, k])) + call("exp", sink[h])
        ),
        k=Size("j"),
    ),
    OUTWEIGHED,
    role="softmax",
    steps=(
        Step("joined", append_sink, (0, 1)),
        Step("shares", softmax, ("joined",)),
        Step("", drop_sink, ("shares",)),
    ),
)
def softmax_with_sink(xp: Namespace, s: Array, sink: Array) -> Array:
    """Softmax with a learned sink for each head, a score whose weight goes to no key (gpt-oss, OpenAI 2025)."""
    return drop_sink.code(xp, softmax_along(xp, append_sink.code(xp, s, sink), -1))
