"""Losses: how far a model's result is from its target."""

from __future__ import annotations

from clearhead.expr import Expr, Formula, Index, Size, call, formula, indices, mean, same, total, where
from clearhead.expr.formula import Operand, broadcast
from clearhead.ops.operation import Array, Namespace, constant, operation

i, k, m, n, t = indices("i k m n t")


def _of_tokens(ignored: int | None, target: Operand, loss: Expr) -> Expr:
    """The loss of a token, and 0 of one whose target is ignored."""
    return loss if ignored is None else where(same(target[i], ignored), 0, loss)


def _cross_entropy(smoothing: float, ignored: int | None) -> Formula:
    def body(logits: Operand, target: Operand) -> Expr:
        right: Expr = logits[i, target[i]]
        if smoothing:
            right = (1 - smoothing) * right + smoothing * mean(n, logits[i, n])
        return _of_tokens(ignored, target, call("log", total(k, call("exp", logits[i, k]))) - right)

    return formula("i v, i -> i", body, k=Size("v"), n=Size("v"))


@operation(_cross_entropy, role="loss")
def cross_entropy(xp: Namespace, logits: Array, target: Array, *, smoothing: float, ignored: int | None) -> Array:
    """The cross-entropy of each token's logits with the number of its right class (softmax and logarithm in one)."""
    top = constant(xp, xp.max(logits, axis=-1, keepdims=True))
    whole = xp.log(xp.sum(xp.exp(logits - top), axis=-1)) + top[..., 0]
    right = _at_target(xp, logits, target)
    if smoothing:
        right = (1 - smoothing) * right + smoothing * (xp.sum(logits, axis=-1) / logits.shape[-1])
    return _unless_ignored(xp, whole - right, target, ignored)


def _likelihood(smoothing: float, ignored: int | None) -> Formula:
    def body(probability: Operand, target: Operand) -> Expr:
        right: Expr = -call("log", probability[i, target[i]])
        if smoothing:
            right = (1 - smoothing) * right + smoothing * mean(n, -call("log", probability[i, n]))
        return _of_tokens(ignored, target, right)

    return formula("i v, i -> i", body, n=Size("v"))


@operation(_likelihood, role="loss")
def negative_log_likelihood(
    xp: Namespace, probability: Array, target: Array, *, smoothing: float, ignored: int | None
) -> Array:
    """Minus the logarithm of the probability that each token gives to its right class."""
    if not smoothing:
        return _unless_ignored(xp, -xp.log(_at_target(xp, probability, target)), target, ignored)
    logs = -xp.log(probability)
    right = (1 - smoothing) * _at_target(xp, logs, target) + smoothing * (xp.sum(logs, axis=-1) / logs.shape[-1])
    return _unless_ignored(xp, right, target, ignored)


def _at_target(xp: Namespace, rows: Array, target: Array) -> Array:
    """The number of each row at its target; the first number where the target names none."""
    rank = max(rows.ndim, target.ndim + 1)
    lead = broadcast([rows.shape[:-2], target.shape[:-1]])
    rows = xp.broadcast_to(rows, (*lead, *rows.shape[-2:]))
    target = xp.reshape(target, (1,) * (rank - 1 - target.ndim) + tuple(target.shape))
    named = xp.where((target >= 0) & (target < rows.shape[-1]), target, 0)
    return xp.take_along_axis(rows, xp.broadcast_to(named, (*lead, named.shape[-1]))[..., None], axis=-1)[..., 0]


def _unless_ignored(xp: Namespace, loss: Array, target: Array, ignored: int | None) -> Array:
    return loss if ignored is None else xp.where(target == ignored, 0.0, loss)


@operation(lambda: formula("i m, i m -> i m", lambda x, target: (x[i, m] - target[i, m]) ** 2), role="loss")
def squared_error(xp: Namespace, x: Array, target: Array) -> Array:
    """The square of the difference from the target, cell by cell."""
    off = x - target
    return off * off


@operation(lambda: formula("i -> ", lambda loss: mean(t, loss[t]), t=Size("i")), role="loss")
def mean_of_tokens(xp: Namespace, loss: Array) -> Array:
    """The mean of the losses of all tokens."""
    return xp.sum(loss, axis=-1) / loss.shape[-1]


@operation(lambda: formula("i -> ", lambda loss: total(t, loss[t]), t=Size("i")), role="loss")
def sum_of_tokens(xp: Namespace, loss: Array) -> Array:
    """The sum of the losses of all tokens."""
    return xp.sum(loss, axis=-1)


@operation(
    lambda ignored: formula(
        "i, i -> ",
        lambda loss, target: total(t, loss[t]) / total(t, where(same(target[t], ignored), 0, 1)),
        t=Size("i"),
    ),
    role="loss",
)
def mean_of_counted(xp: Namespace, loss: Array, target: Array, *, ignored: int) -> Array:
    """The mean of the losses of those tokens whose target is not ignored."""
    return xp.sum(loss, axis=-1) / xp.sum(xp.astype(target != ignored, loss.dtype), axis=-1)


def _class_weight(ignored: int | None, target: Operand, weight: Operand, token: Index) -> Expr:
    """The weight of a token's class, and 0 of one whose target is ignored."""
    own = weight[target[token]]
    return own if ignored is None else where(same(target[token], ignored), 0, own)


def _weights_at(xp: Namespace, target: Array, weight: Array, ignored: int | None) -> Array:
    rows = xp.broadcast_to(weight[..., None, :], (*weight.shape[:-1], target.shape[-1], weight.shape[-1]))
    return _unless_ignored(xp, _at_target(xp, rows, target), target, ignored)


@operation(
    lambda ignored: formula(
        "i, i, v -> i",
        lambda loss, target, weight: loss[i] * _class_weight(ignored, target, weight, i),
    ),
    role="loss",
)
def weigh_by_class(xp: Namespace, loss: Array, target: Array, weight: Array, *, ignored: int | None) -> Array:
    """The loss of each token times the weight of its right class."""
    return loss * _weights_at(xp, target, weight, ignored)


@operation(
    lambda ignored: formula(
        "i, i, v -> ",
        lambda loss, target, weight: total(t, loss[t]) / total(t, _class_weight(ignored, target, weight, t)),
        t=Size("i"),
    ),
    role="loss",
)
def mean_by_weight(xp: Namespace, loss: Array, target: Array, weight: Array, *, ignored: int | None) -> Array:
    """The sum of weighted losses, divided by the weights of the right classes."""
    return xp.sum(loss, axis=-1) / xp.sum(_weights_at(xp, target, weight, ignored), axis=-1)


@operation(lambda: formula("i m -> ", lambda loss: mean((t, k), loss[t, k]), t=Size("i"), k=Size("m")), role="loss")
def mean_of_cells(xp: Namespace, loss: Array) -> Array:
    """The mean of the losses of all cells."""
    return xp.sum(loss, axis=(-2, -1)) / (loss.shape[-2] * loss.shape[-1])
