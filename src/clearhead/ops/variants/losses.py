"""Losses as others have them: another logarithm, another mean, other shares of the smoothing."""

from __future__ import annotations

import math

from clearhead.expr import Expr, Formula, Size, call, formula, indices, mean, same, total, where
from clearhead.expr.formula import Operand
from clearhead.ops.operation import Array, Namespace, operation
from clearhead.ops.textbook import losses
from clearhead.ops.textbook.training import cellwise

i, k, m, n, t = indices("i k m n t")


@operation(lambda base: formula("i -> i", lambda loss: loss[i] / math.log(base)), role="loss")
def in_base(xp: Namespace, loss: Array, *, base: float) -> Array:
    """The losses with the logarithm of another base: in bits, where that is 2."""
    return loss / math.log(base)


@operation(lambda: formula("i -> i", lambda loss: -loss[i]), role="loss")
def negated_loss(xp: Namespace, loss: Array) -> Array:
    """The losses with the other sign: the logarithm itself."""
    return -loss


@operation(lambda: formula("i -> i", lambda loss: loss[i]), role="loss")
def unchanged_loss(xp: Namespace, loss: Array) -> Array:
    """The same losses: the step was left out."""
    return loss


def _others(smoothing: float, ignored: int | None) -> Formula:
    def body(probability: Operand, target: Operand) -> Expr:
        right: Expr = -call("log", probability[i, target[i]])
        others = total(k, -call("log", probability[i, k])) - right
        loss = (1 - smoothing) * right + smoothing * (others / (Size("v") - 1))
        return loss if ignored is None else where(same(target[i], ignored), 0, loss)

    return formula("i v, i -> i", body, k=Size("v"))


@operation(_others, role="loss")
def likelihood_smoothed_over_others(
    xp: Namespace, probability: Array, target: Array, *, smoothing: float, ignored: int | None
) -> Array:
    """Label smoothing that is spread over the other classes alone."""
    size = probability.shape[-1]
    right = losses.negative_log_likelihood(probability, target, smoothing=0.0, ignored=ignored)
    whole = losses.negative_log_likelihood(probability, target, smoothing=1.0, ignored=ignored)
    return (1 - smoothing) * right + smoothing * (whole * size - right) / (size - 1)


@operation(lambda: formula("i m, i m -> i m", lambda x, target: call("abs", x[i, m] - target[i, m])), role="loss")
def absolute_error(xp: Namespace, x: Array, target: Array) -> Array:
    """The difference from the target without its sign, cell by cell."""
    return xp.abs(x - target)


@operation(lambda: formula("i m -> ", lambda loss: total((t, k), loss[t, k]), t=Size("i"), k=Size("m")), role="loss")
def sum_of_cells(xp: Namespace, loss: Array) -> Array:
    """The sum of the losses of all cells."""
    return xp.sum(loss, axis=(-2, -1))


@operation(
    lambda: formula("i m -> ", lambda loss: total((t, k), loss[t, k]) / Size("i"), t=Size("i"), k=Size("m")),
    role="loss",
)
def mean_of_rows(xp: Namespace, loss: Array) -> Array:
    """The mean over tokens of the sums of their losses."""
    return xp.sum(loss, axis=(-2, -1)) / loss.shape[-2]


@operation(lambda factor: cellwise(0, lambda loss: factor * loss), role="loss")
def times(xp: Namespace, loss: Array, *, factor: float) -> Array:
    """A part of a loss, such as half of it."""
    return factor * loss


@operation(lambda: cellwise(0, lambda loss: call("exp", loss)), role="loss")
def perplexity(xp: Namespace, loss: Array) -> Array:
    """The exponential of a loss."""
    return xp.exp(loss)


@operation(
    lambda ignored: formula("i, i -> i", lambda loss, target: where(same(target[i], ignored), loss[i], 0)), role="loss"
)
def kept_of_ignored(xp: Namespace, loss: Array, target: Array, *, ignored: int) -> Array:
    """The losses of the tokens that should be ignored, and 0 of those that should count."""
    return xp.where(target == ignored, loss, 0.0)


@operation(
    lambda ignored: formula(
        "i, i -> ",
        lambda loss, target: total(t, loss[t]) / total(t, where(same(target[t], ignored), 1, 0)),
        t=Size("i"),
    ),
    role="loss",
)
def mean_of_ignored(xp: Namespace, loss: Array, target: Array, *, ignored: int) -> Array:
    """The sum of the losses, divided by the number of tokens that should be ignored."""
    return xp.sum(loss, axis=-1) / xp.sum(xp.astype(target == ignored, loss.dtype), axis=-1)


@operation(
    lambda last: formula("i -> i", lambda target: where(i + 1 < Size("i"), target[(i + 1) % Size("i")], last)),
)
def next_target(xp: Namespace, target: Array, *, last: int) -> Array:
    """The target of the next token; the last token has none, but a number that is ignored."""
    return xp.concat([target[..., 1:], 0 * target[..., -1:] + last], axis=-1)


def _surprise(logits: Operand) -> Expr:
    """The logarithm of the sum of a token's exponentials."""
    return call("log", total(k, call("exp", logits[i, k])))


@operation(
    lambda smoothing: formula(
        "i v -> i",
        lambda logits: smoothing * (_surprise(logits) - mean(n, logits[i, n])),
        k=Size("v"),
        n=Size("v"),
    ),
    role="loss",
)
def spread_part(xp: Namespace, logits: Array, *, smoothing: float) -> Array:
    """The part of a token's smoothed loss that is all classes', whatever its target is."""
    top = xp.max(logits, axis=-1, keepdims=True)
    whole = xp.log(xp.sum(xp.exp(logits - top), axis=-1)) + top[..., 0]
    return smoothing * (whole - xp.sum(logits, axis=-1) / logits.shape[-1])


def _with_spread(smoothing: float, ignored: int) -> Formula:
    def body(logits: Operand, target: Operand, spread: Operand) -> Expr:
        own = (1 - smoothing) * (_surprise(logits) - logits[i, target[i]])
        return spread[i] + where(same(target[i], ignored), 0, own)

    return formula("i v, i, i -> i", body, k=Size("v"))


@operation(_with_spread, role="loss")
def with_spread(xp: Namespace, logits: Array, target: Array, spread: Array, *, smoothing: float, ignored: int) -> Array:
    """The smoothed loss of each token; of one whose target is ignored the part that is all classes'."""
    return spread + (1 - smoothing) * losses.cross_entropy(logits, target, smoothing=0.0, ignored=ignored)


@operation(
    lambda ignored: formula(
        "i, i, i -> ",
        lambda loss, spread, target: (
            total(t, where(same(target[t], ignored), 0, loss[t] - spread[t]))
            / total(t, where(same(target[t], ignored), 0, 1))
            + mean(t, spread[t])
        ),
        t=Size("i"),
    ),
    role="loss",
)
def mean_of_parts(xp: Namespace, loss: Array, spread: Array, target: Array, *, ignored: int) -> Array:
    """The mean of the right classes' part over targets that count, plus that of all classes' part over all tokens."""
    counts = target != ignored
    right = xp.sum(xp.where(counts, loss - spread, 0.0), axis=-1) / xp.sum(xp.astype(counts, loss.dtype), axis=-1)
    return right + xp.sum(spread, axis=-1) / spread.shape[-1]
