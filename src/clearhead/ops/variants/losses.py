"""Losses as others have them: another logarithm, another mean, other shares of the smoothing."""

from __future__ import annotations

import math

from clearhead.expr import Expr, Formula, Size, call, formula, indices, same, total, where
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
