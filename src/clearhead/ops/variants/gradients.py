"""Gradients as they go wrong: a term left out, another axis, a factor forgotten."""

from __future__ import annotations

from collections.abc import Callable

from clearhead.expr import Expr, Formula, Index, Let, Local, Size, call, formula, indices, mean, same, total, where
from clearhead.expr.formula import Operand
from clearhead.ops.operation import Array, Namespace, counting, operation
from clearhead.ops.textbook.scores import softmax_along
from clearhead.ops.textbook.tokens import from_first

d, g, h, i, j, k, m, t, v = indices("d g h i j k m t v")


@operation(
    lambda: formula("i j, i j -> i j", lambda out, grad: out[i, j] * (grad[i, j] - total(k, grad[i, k])), k=Size("j"))
)
def softmax_grad_unweighted(xp: Namespace, out: Array, grad: Array) -> Array:
    """The gradient of softmax with the plain sum of the row's gradients in the place of their weighted sum."""
    return out * (grad - xp.sum(grad, axis=-1, keepdims=True))


@operation(
    lambda: formula(
        "i j, i j -> i j",
        lambda s, masked: call("exp", s[i, j]) / total(k, call("exp", masked[i, k])),
        k=Size("j"),
    )
)
def shares_by_other_sum(xp: Namespace, s: Array, masked: Array) -> Array:
    """The exponential of each score, divided by the sum that the forward pass kept of other scores."""
    top = xp.max(masked, axis=-1, keepdims=True)
    return xp.exp(s - top) / xp.sum(xp.exp(masked - top), axis=-1, keepdims=True)


@operation(
    lambda: formula(
        "i j, i j, i j -> i j",
        lambda again, out, grad: again[i, j] * (grad[i, j] - total(k, grad[i, k] * out[i, k])),
        k=Size("j"),
    )
)
def softmax_grad_with_kept_sums(xp: Namespace, again: Array, out: Array, grad: Array) -> Array:
    """The gradient of softmax from weights that are computed again, with the sums that the forward pass kept."""
    return again * (grad - xp.sum(grad * out, axis=-1, keepdims=True))


@operation(
    lambda times: formula("h i d -> g i d", lambda grad: grad[g * times + times - 1, i, d], g=Size("h") // times)
)
def last_of_group(xp: Namespace, grad: Array, *, times: int) -> Array:
    """The gradient of the last head of each group alone: the others were overwritten."""
    return grad[..., times - 1 :: times, :, :]


@operation(
    lambda times: formula(
        "h i d -> g i d", lambda grad: total(k, grad[k * (Size("h") // times) + g, i, d]), g=Size("h") // times, k=times
    )
)
def sum_of_interleaved(xp: Namespace, grad: Array, *, times: int) -> Array:
    """The gradients of shared heads, as if head h belonged to group h modulo the number of groups."""
    *lead, heads, tokens, depth = grad.shape
    return xp.sum(xp.reshape(grad, (*lead, times, heads // times, tokens, depth)), axis=-4)


@operation(lambda: formula("i m -> m", lambda grad: mean(t, grad[t, m]), t=Size("i")))
def mean_over_tokens(xp: Namespace, grad: Array) -> Array:
    """The mean of the gradients of all tokens."""
    return xp.sum(grad, axis=-2) / grad.shape[-2]


@operation(lambda: formula("i m, t k -> i m", lambda summed, rows: summed[i, m] / Size("t")))
def divided_by_rows(xp: Namespace, summed: Array, rows: Array) -> Array:
    """A sum over tokens, divided by how many there are."""
    return summed / rows.shape[-2]


@operation(lambda: formula("h i d -> h d", lambda grad: mean(t, grad[h, t, d]), t=Size("i")))
def mean_over_tokens_of_head(xp: Namespace, grad: Array) -> Array:
    """The mean of the gradients of all tokens, for each head."""
    return xp.sum(grad, axis=-2) / grad.shape[-2]


def _root(eps: float) -> tuple[Expr, Expr]:
    """The variance of a row around ``mean``, and its root."""
    spread = Local("variance")
    return spread, call("sqrt", spread + eps if eps else spread)


def _norm(eps: float, *, means: int, along: bool) -> Formula:
    """The gradient of layer norm with only some of its terms, and its mean so many times."""

    def body(x: Operand, out: Operand, grad: Operand) -> Expr:
        rest: Expr = grad[i, m]
        for _ in range(means):
            rest = rest - mean(k, grad[i, k])
        if along:
            rest = rest - out[i, m] * mean(k, grad[i, k] * out[i, k])
        _, root = _root(eps)
        variance = mean(k, (x[i, k] - Local("mean")) ** 2)
        return Let("mean", mean(k, x[i, k]), Let("variance", variance, rest / root))

    return formula("i m, i m, i m -> i m", body, k=Size("m"))


def _spread(xp: Namespace, x: Array, eps: float) -> Array:
    centred = from_first(xp, x, (-1,), x.shape[-1])
    return xp.sqrt(xp.sum(centred * centred, axis=-1, keepdims=True) / x.shape[-1] + eps)


@operation(lambda eps: _norm(eps, means=0, along=True))
def layer_norm_grad_fixed_mean(xp: Namespace, x: Array, out: Array, grad: Array, *, eps: float) -> Array:
    """The gradient of layer norm as if its mean were a constant."""
    along = out * (xp.sum(grad * out, axis=-1, keepdims=True) / x.shape[-1])
    return (grad - along) / _spread(xp, x, eps)


@operation(lambda eps: _norm(eps, means=2, along=True))
def layer_norm_grad_mean_twice(xp: Namespace, x: Array, out: Array, grad: Array, *, eps: float) -> Array:
    """The gradient of layer norm with the mean of the gradients taken off twice."""
    means = xp.sum(2 * grad, axis=-1, keepdims=True) / x.shape[-1]
    return (grad - means - out * (xp.sum(grad * out, axis=-1, keepdims=True) / x.shape[-1])) / _spread(xp, x, eps)


@operation(lambda eps: _norm(eps, means=1, along=False))
def layer_norm_grad_fixed_variance(xp: Namespace, x: Array, out: Array, grad: Array, *, eps: float) -> Array:
    """The gradient of layer norm as if its variance were a constant."""
    return (grad - xp.sum(grad, axis=-1, keepdims=True) / x.shape[-1]) / _spread(xp, x, eps)


@operation(lambda eps: _norm(eps, means=0, along=False))
def layer_norm_grad_fixed(xp: Namespace, x: Array, out: Array, grad: Array, *, eps: float) -> Array:
    """The gradient of layer norm as if its mean and its variance were constants."""
    return grad / _spread(xp, x, eps)


def _rms(eps: float) -> Formula:
    def body(x: Operand, grad: Operand) -> Expr:
        square = Local("square")
        return Let("square", mean(k, x[i, k] ** 2), grad[i, m] / call("sqrt", square + eps if eps else square))

    return formula("i m, i m -> i m", body, k=Size("m"))


@operation(_rms)
def rms_norm_grad_fixed(xp: Namespace, x: Array, grad: Array, *, eps: float) -> Array:
    """The gradient of RMS norm as if its mean square were a constant."""
    return grad / xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True) / x.shape[-1] + eps)


def _gain_twice(eps: float, *, centred: bool) -> Formula:
    def body(x: Operand, out: Operand, grad: Operand, gain: Operand) -> Expr:
        rest = grad[i, m] - mean(k, grad[i, k]) if centred else grad[i, m]
        rest = rest - gain[m] * out[i, m] * mean(k, grad[i, k] * out[i, k])
        _, root = _root(eps)
        if not centred:
            return Let("variance", mean(k, x[i, k] ** 2), rest / root)
        variance = mean(k, (x[i, k] - Local("mean")) ** 2)
        return Let("mean", mean(k, x[i, k]), Let("variance", variance, rest / root))

    return formula("i m, i m, i m, m -> i m", body, k=Size("m"))


def _along(xp: Namespace, out: Array, grad: Array, gain: Array) -> Array:
    return gain[..., None, :] * out * (xp.sum(grad * out, axis=-1, keepdims=True) / out.shape[-1])


@operation(lambda eps: _gain_twice(eps, centred=True))
def layer_norm_grad_gain_twice(xp: Namespace, x: Array, out: Array, grad: Array, gain: Array, *, eps: float) -> Array:
    """The gradient of layer norm with the gain once more in the part along the result."""
    rest = grad - xp.sum(grad, axis=-1, keepdims=True) / x.shape[-1] - _along(xp, out, grad, gain)
    return rest / _spread(xp, x, eps)


@operation(lambda eps: _gain_twice(eps, centred=False))
def rms_norm_grad_gain_twice(xp: Namespace, x: Array, out: Array, grad: Array, gain: Array, *, eps: float) -> Array:
    """The gradient of RMS norm with the gain once more in the part along the result."""
    return (grad - _along(xp, out, grad, gain)) / xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True) / x.shape[-1] + eps)


def _over_tokens(eps: float, *, centred: bool, counted: bool) -> Formula:
    def body(x: Operand, out: Operand, grad: Operand) -> Expr:
        def whole(cell: Callable[[Index, Index], Expr]) -> Expr:
            found = total((t, k), cell(t, k)) / Size("m")
            return found / Size("i") if counted else found

        rest = grad[i, m] - whole(lambda i, m: grad[i, m]) if centred else grad[i, m]
        rest = rest - out[i, m] * whole(lambda i, m: grad[i, m] * out[i, m])
        middle = Local("mean") if centred else 0
        spread = mean(k, (x[i, k] - middle) ** 2)
        made = Let("variance", spread, rest / call("sqrt", Local("variance") + eps if eps else Local("variance")))
        return Let("mean", mean(k, x[i, k]), made) if centred else made

    return formula("i m, i m, i m -> i m", body, k=Size("m"), t=Size("i"))


def _over_tokens_code(
    xp: Namespace, operands: tuple[Array, Array, Array], eps: float, *, centred: bool, counted: bool
) -> Array:
    x, out, grad = operands
    count = x.shape[-1] * (x.shape[-2] if counted else 1)
    rest = grad - out * (xp.sum(grad * out, axis=(-2, -1), keepdims=True) / count)
    if centred:
        return (rest - xp.sum(grad, axis=(-2, -1), keepdims=True) / count) / _spread(xp, x, eps)
    return rest / xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True) / x.shape[-1] + eps)


@operation(lambda eps, counted: _over_tokens(eps, centred=True, counted=counted))
def layer_norm_grad_over_tokens(
    xp: Namespace, x: Array, out: Array, grad: Array, *, eps: float, counted: bool
) -> Array:
    """The gradient of layer norm with its two sums over all tokens."""
    return _over_tokens_code(xp, (x, out, grad), eps, centred=True, counted=counted)


@operation(lambda eps, counted: _over_tokens(eps, centred=False, counted=counted))
def rms_norm_grad_over_tokens(xp: Namespace, x: Array, out: Array, grad: Array, *, eps: float, counted: bool) -> Array:
    """The gradient of RMS norm with its sum over all tokens."""
    return _over_tokens_code(xp, (x, out, grad), eps, centred=False, counted=counted)


@operation(lambda: formula("i m, i m -> i m", lambda out, grad: grad[i, m] * (1 + out[i, m] ** 2)))
def tanh_grad_plus(xp: Namespace, out: Array, grad: Array) -> Array:
    """The gradient of tanh with a plus for the minus: 1 + tanh^2, from the result."""
    return grad * (1 + out * out)


@operation(lambda: formula("i m, i m -> i m", lambda x, grad: grad[i, m] / (1 + call("exp", -x[i, m]))))
def silu_grad_of_gate(xp: Namespace, x: Array, grad: Array) -> Array:
    """The gradient of SiLU as if its sigmoid were a constant."""
    part = xp.exp(-xp.abs(x))
    return grad * (xp.where(x < 0, part, 1.0) / (1 + part))


def _last_lookup() -> Formula:
    def body(table: Operand, token: Operand, grad: Operand) -> Expr:
        later = total(t, where(i < t, where(same(token[t], v), 1, 0), 0))
        return total(i, where(same(token[i], v), where(later <= 0, grad[i, m], 0), 0))

    return formula("v m, i, i m -> v m", body, t=Size("i"))


@operation(_last_lookup)
def look_up_grad_overwritten(xp: Namespace, table: Array, token: Array, grad: Array) -> Array:
    """The gradient of a table of which each row keeps that of the last token that looked it up."""
    count = token.shape[-1]
    place = counting(xp, count, grad)
    equal = token[..., :, None] == token[..., None, :]
    later = xp.any(equal & (place[:, None] < place[None, :]), axis=-1)
    row = counting(xp, table.shape[-2], table)[:, None]
    return xp.matmul(xp.astype((row == token[..., None, :]) & ~later[..., None, :], grad.dtype), grad)


def _without_target(ignored: int | None) -> Formula:
    def body(logits: Operand, target: Operand, grad: Operand) -> Expr:
        change = grad[i] * (call("exp", logits[i, v]) / total(k, call("exp", logits[i, k])))
        return change if ignored is None else where(same(target[i], ignored), 0, change)

    return formula("i v, i, i -> i v", body, k=Size("v"))


@operation(_without_target)
def cross_entropy_grad_without_target(
    xp: Namespace, logits: Array, target: Array, grad: Array, *, ignored: int | None
) -> Array:
    """The gradient of cross-entropy without the 1 of the right class: the softmax alone."""
    change = grad[..., None] * softmax_along(xp, logits, -1)
    return change if ignored is None else xp.where((target == ignored)[..., None], 0.0, change)
