"""Gradients as textbooks write them, which read results of the forward pass.

Each is held to the gradient that is derived from the forward formula (`tests/ops/test_gradients.py`). Roles say what
an operand is: ``grad`` is the gradient of the forward result, ``out`` that result itself, any other an operand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from clearhead.expr import Expr, Formula, Index, Let, Local, Size, call, formula, indices, mean, same, total, where
from clearhead.expr.formula import Operand
from clearhead.ops.operation import Array, Namespace, Operation, counting, operation
from clearhead.ops.textbook import positions
from clearhead.ops.textbook.erf import erfc
from clearhead.ops.textbook.scores import softmax_along
from clearhead.ops.textbook.tokens import ROOT_2, TANH_SCALE, from_first

c, d, h, i, j, k, m, n, t, v = indices("c d h i j k m n t v")


def _of_shares(xp: Namespace, out: Array, grad: Array, axis: int) -> Array:
    return out * (grad - xp.sum(grad * out, axis=axis, keepdims=True))


@operation(
    lambda: formula(
        "i j, i j -> i j", lambda out, grad: out[i, j] * (grad[i, j] - total(k, grad[i, k] * out[i, k])), k=Size("j")
    )
)
def softmax_grad(xp: Namespace, out: Array, grad: Array) -> Array:
    """The gradient of softmax for the scores: each weight times (its gradient - the row's weighted mean)."""
    return _of_shares(xp, out, grad, -1)


@operation(
    lambda: formula(
        "i j, i j -> i j", lambda out, grad: out[i, j] * (grad[i, j] - total(k, grad[k, j] * out[k, j])), k=Size("i")
    )
)
def softmax_over_queries_grad(xp: Namespace, out: Array, grad: Array) -> Array:
    """The gradient of softmax down the columns for the scores."""
    return _of_shares(xp, out, grad, -2)


@operation(
    lambda: formula(
        "h i j, h i j -> h",
        lambda out, grad: -total(i, (1 - total(j, out[h, i, j])) * total(j, grad[h, i, j] * out[h, i, j])),
    )
)
def sink_grad(xp: Namespace, out: Array, grad: Array) -> Array:
    """The gradient of softmax with a sink for the sink: its own weight, times what the other weights lose by it."""
    return -xp.sum((1 - xp.sum(out, axis=-1)) * xp.sum(grad * out, axis=-1), axis=-1)


@operation(lambda cap: formula("i j, i j -> i j", lambda out, grad: grad[i, j] * (1 - (out[i, j] / cap) ** 2)))
def softcap_grad(xp: Namespace, out: Array, grad: Array, *, cap: float) -> Array:
    """The gradient of the soft-cap for the scores: 1 - tanh^2, from the capped scores."""
    return grad * (1 - (out / cap) ** 2)


def _root(spread: Expr, eps: float) -> Expr:
    return call("sqrt", spread + eps if eps else spread)


def _norm(core: str, cell: tuple[Index, ...], over: Mapping[Index, Index], eps: float, *, centred: bool) -> Formula:
    """The gradient of a norm: the gradient without its mean and without its part along the result."""
    there = tuple(over.get(index, index) for index in cell)
    letters = tuple(over.values())

    def body(x: Operand, out: Operand, grad: Operand) -> Expr:
        along = out[cell] * mean(letters, grad[there] * out[there])
        if not centred:
            square = mean(letters, x[there] ** 2)
            return Let("square", square, (grad[cell] - along) / _root(Local("square"), eps))
        rest = grad[cell] - mean(letters, grad[there]) - along
        variance = mean(letters, (x[there] - Local("mean")) ** 2)
        return Let("mean", mean(letters, x[there]), Let("variance", variance, rest / _root(Local("variance"), eps)))

    return formula(
        f"{core}, {core}, {core} -> {core}", body, **{inner.name: Size(outer.name) for outer, inner in over.items()}
    )


def _norm_code(
    xp: Namespace, operands: tuple[Array, Array, Array], axes: tuple[int, ...], eps: float, *, centred: bool
) -> Array:
    x, out, grad = operands
    count = math.prod(x.shape[axis] for axis in axes)
    spread = from_first(xp, x, axes, count) if centred else x
    root = xp.sqrt(xp.sum(spread * spread, axis=axes, keepdims=True) / count + eps)
    rest = grad - out * (xp.sum(grad * out, axis=axes, keepdims=True) / count)
    if centred:
        rest = rest - xp.sum(grad, axis=axes, keepdims=True) / count
    return rest / root


@operation(lambda eps: _norm("i m", (i, m), {m: k}, eps, centred=True))
def layer_norm_grad(xp: Namespace, x: Array, out: Array, grad: Array, *, eps: float) -> Array:
    """The gradient of layer norm for its tokens."""
    return _norm_code(xp, (x, out, grad), (-1,), eps, centred=True)


@operation(lambda eps: _norm("i m", (i, m), {i: t, m: k}, eps, centred=True))
def norm_over_matrix_grad(xp: Namespace, x: Array, out: Array, grad: Array, *, eps: float) -> Array:
    """The gradient of the norm over all tokens together."""
    return _norm_code(xp, (x, out, grad), (-2, -1), eps, centred=True)


@operation(lambda eps: _norm("i m", (i, m), {m: k}, eps, centred=False))
def rms_norm_grad(xp: Namespace, x: Array, out: Array, grad: Array, *, eps: float) -> Array:
    """The gradient of RMS norm for its tokens."""
    return _norm_code(xp, (x, out, grad), (-1,), eps, centred=False)


@operation(lambda eps: _norm("h i d", (h, i, d), {h: n, d: k}, eps, centred=False))
def rms_norm_of_heads_grad(xp: Namespace, x: Array, out: Array, grad: Array, *, eps: float) -> Array:
    """The gradient of RMS norm over all heads together."""
    return _norm_code(xp, (x, out, grad), (-3, -1), eps, centred=False)


@operation(lambda: formula("i m, i m -> i m", lambda out, grad: grad[i, m] * (1 - out[i, m] ** 2)))
def tanh_grad(xp: Namespace, out: Array, grad: Array) -> Array:
    """The gradient of tanh: 1 - tanh^2, from the result."""
    return grad * (1 - out * out)


@operation(lambda: formula("i j, i j -> i j", lambda out, grad: grad[i, j] * out[i, j] * (1 - out[i, j])))
def sigmoid_grad(xp: Namespace, out: Array, grad: Array) -> Array:
    """The gradient of the logistic function, from the result: p(1 - p)."""
    return grad * out * (1 - out)


@operation(lambda: formula("i m, i m -> i m", lambda x, grad: where(x[i, m] <= 0, 0, grad[i, m] * (2 * x[i, m]))))
def relu_squared_grad(xp: Namespace, x: Array, grad: Array) -> Array:
    """The gradient of the squared ReLU: twice the value where it is positive, else 0, whatever comes to it."""
    return xp.where(x <= 0, 0.0, grad * (2 * x))


def _gated(rate: float) -> Formula:
    def body(x: Operand, grad: Operand) -> Expr:
        v, gate = x[i, m], Local("gate")
        power = -v if rate == 1 else -(rate * v)
        slope = v * (1 - gate) if rate == 1 else rate * v * (1 - gate)
        return Let("gate", 1 / (1 + call("exp", power)), grad[i, m] * gate * (1 + slope))

    return formula("i m, i m -> i m", body)


def _gated_code(xp: Namespace, x: Array, grad: Array, rate: float) -> Array:
    part = xp.exp(-rate * xp.abs(x))
    gate = xp.where(x < 0, part, 1.0) / (1 + part)
    other = xp.where(x < 0, 1.0, part) / (1 + part)
    return grad * gate * (1 + rate * x * other)


@operation(lambda: _gated(1))
def silu_grad(xp: Namespace, x: Array, grad: Array) -> Array:
    """The gradient of SiLU, by its logistic sigmoid."""
    return _gated_code(xp, x, grad, 1)


@operation(lambda: _gated(1.702))
def gelu_sigmoid_grad(xp: Namespace, x: Array, grad: Array) -> Array:
    """The gradient of GELU by its sigmoid approximation."""
    return _gated_code(xp, x, grad, 1.702)


def _gelu(x: Operand, grad: Operand) -> Expr:
    v = x[i, m]
    below = (1 + call("erf", v / call("sqrt", 2))) / 2
    return grad[i, m] * (below + v * call("exp", -(v**2) / 2) / call("sqrt", 2 * call("pi")))


@operation(lambda: formula("i m, i m -> i m", _gelu))
def gelu_grad(xp: Namespace, x: Array, grad: Array) -> Array:
    """The gradient of GELU: the normal distribution function, plus the value times the density."""
    return grad * (erfc(xp, -x / ROOT_2) / 2 + x * xp.exp(-(x * x) / 2) / math.sqrt(2 * math.pi))


def _gelu_tanh(x: Operand, grad: Operand) -> Expr:
    v, bent = x[i, m], Local("t")
    inner = call("sqrt", 2 / call("pi")) * (v + 0.044715 * v**3)
    slope = call("sqrt", 2 / call("pi")) * (1 + 3 * 0.044715 * v**2)
    return Let("t", call("tanh", inner), grad[i, m] * ((1 + bent) / 2 + v / 2 * (1 - bent**2) * slope))


@operation(lambda: formula("i m, i m -> i m", _gelu_tanh))
def gelu_tanh_grad(xp: Namespace, x: Array, grad: Array) -> Array:
    """The gradient of GELU by its tanh approximation."""
    bent = xp.tanh(TANH_SCALE * (x + 0.044715 * (x * x * x)))
    return grad * ((1 + bent) / 2 + x / 2 * (1 - bent * bent) * (TANH_SCALE * (1 + 3 * 0.044715 * (x * x))))


@operation(
    lambda limit: formula("i d, i d -> i d", lambda x, grad: where(call("abs", x[i, d]) <= limit, grad[i, d], 0))
)
def clip_grad(xp: Namespace, x: Array, grad: Array, *, limit: float) -> Array:
    """The gradient of clipping: it passes where nothing was clipped, the limits included."""
    return xp.where(xp.abs(x) <= limit, grad, 0.0)


@operation(lambda limit: formula("i d, i d -> i d", lambda x, grad: where(x[i, d] <= limit, grad[i, d], 0)))
def clip_above_grad(xp: Namespace, x: Array, grad: Array, *, limit: float) -> Array:
    """The gradient of clipping from above: it passes where nothing was clipped, the limit included."""
    return xp.where(x <= limit, grad, 0.0)


@operation(lambda: formula("i, i -> i", lambda out, grad: grad[i] * out[i] * (1 - out[i])))
def logistic_grad(xp: Namespace, out: Array, grad: Array) -> Array:
    """The gradient of the logistic function of a number, from the result: p(1 - p)."""
    return grad * out * (1 - out)


def _softplus_slope(x: Operand, b: Operand, grad: Operand) -> Expr:
    return grad[h, i] / (1 + call("exp", -(x[h, i] + b[h])))


def _softplus_code(xp: Namespace, x: Array, b: Array, grad: Array) -> Array:
    y = x + b[..., None]
    part = xp.exp(-xp.abs(y))
    return grad * xp.where(y < 0, part, 1.0) / (1 + part)


@operation(lambda: formula("h i, h, h i -> h i", _softplus_slope))
def softplus_of_sum_grad(xp: Namespace, x: Array, b: Array, grad: Array) -> Array:
    """The gradient of the softplus of a sum for its first term: the logistic function of the sum."""
    return _softplus_code(xp, x, b, grad)


@operation(lambda: formula("h i, h, h i -> h", lambda x, b, grad: total(i, _softplus_slope(x, b, grad))))
def softplus_of_sum_bias_grad(xp: Namespace, x: Array, b: Array, grad: Array) -> Array:
    """The gradient of the softplus of a sum for its bias: the logistic function of the sum, added up over tokens."""
    return xp.sum(_softplus_code(xp, x, b, grad), axis=-1)


def _unit_length(eps: float) -> Formula:
    def body(x: Operand, out: Operand, grad: Operand) -> Expr:
        along = out[i, d] * total(c, grad[i, c] * out[i, c])
        return (grad[i, d] - along) / call("sqrt", total(c, x[i, c] ** 2) + eps)

    return formula("i d, i d, i d -> i d", body, c=Size("d"))


@operation(_unit_length)
def unit_length_grad(xp: Namespace, x: Array, out: Array, grad: Array, *, eps: float) -> Array:
    """The gradient of a row divided by its length: the gradient without its part along the row, over the length."""
    length = xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True) + eps)
    return (grad - out * xp.sum(grad * out, axis=-1, keepdims=True)) / length


@operation(
    lambda: formula(
        "h i j, h i j -> h n",
        lambda out, grad: total((i, j), where(n <= i, where(j < n, grad[h, i, j] * out[h, i, j], 0), 0)),
        n=Size("i"),
    )
)
def decay_since_grad(xp: Namespace, out: Array, grad: Array) -> Array:
    """The gradient for a token's decay: of all that it makes smaller, written before it and read from it on."""
    tokens = out.shape[-1]
    places = counting(xp, tokens, out)
    # Rows of the first axis: what is read at the token or later. Columns: what was written before it.
    read = xp.matmul(xp.astype(places[:, None] <= places[None, :], out.dtype), grad * out)
    return xp.sum(xp.where(places[None, :] < places[:, None], read, 0.0), axis=-1)


def _half() -> Formula:
    size = Size("c")
    return formula(
        "i c, i c, h i d -> h i d",
        lambda cos, sin, grad: where(
            d < size,
            grad[h, i, d] * cos[i, d] + grad[h, i, d + size] * sin[i, d],
            where(
                d < 2 * size,
                grad[h, i, d] * cos[i, d - size] - grad[h, i, d - size] * sin[i, d - size],
                grad[h, i, d],
            ),
        ),
    )


@operation(_half)
def rotate_half_grad(xp: Namespace, cos: Array, sin: Array, grad: Array) -> Array:
    """The gradient of rotary positions in halves: the gradient rotated back by the same angle."""
    return positions.rotate_half.code(xp, grad, cos, -sin)


def _interleaved() -> Formula:
    return formula(
        "i c, i c, h i d -> h i d",
        lambda cos, sin, grad: where(
            d < 2 * Size("c"),
            where(
                same(d % 2, 0),
                grad[h, i, d] * cos[i, d // 2] + grad[h, i, d + 1] * sin[i, d // 2],
                grad[h, i, d] * cos[i, d // 2] - grad[h, i, d - 1] * sin[i, d // 2],
            ),
            grad[h, i, d],
        ),
    )


@operation(_interleaved)
def rotate_interleaved_grad(xp: Namespace, cos: Array, sin: Array, grad: Array) -> Array:
    """The gradient of rotary positions in neighbouring pairs: the gradient rotated back by the same angle."""
    return positions.rotate_interleaved.code(xp, grad, cos, -sin)


def _at(target: Operand, smoothing: float) -> Expr:
    """The target probability of a class."""
    right = where(same(target[i], v), 1, 0)
    return (1 - smoothing) * right + smoothing / Size("v") if smoothing else right


def _cross_entropy(smoothing: float, ignored: int | None) -> Formula:
    def body(logits: Operand, target: Operand, grad: Operand) -> Expr:
        share = call("exp", logits[i, v]) / total(k, call("exp", logits[i, k]))
        change = grad[i] * (share - _at(target, smoothing))
        return change if ignored is None else where(same(target[i], ignored), 0, change)

    return formula("i v, i, i -> i v", body, k=Size("v"))


@operation(_cross_entropy)
def cross_entropy_grad(
    xp: Namespace, logits: Array, target: Array, grad: Array, *, smoothing: float, ignored: int | None
) -> Array:
    """The gradient of cross-entropy for the logits: the softmax minus the target probability of each class."""
    classes = logits.shape[-1]
    right = xp.astype(counting(xp, classes, logits) == target[..., None], logits.dtype)
    if smoothing:
        right = (1 - smoothing) * right + smoothing / classes
    change = grad[..., None] * (softmax_along(xp, logits, -1) - right)
    return change if ignored is None else xp.where((target == ignored)[..., None], 0.0, change)


STATED: Mapping[tuple[str, str], Operation] = {
    ("softmax", "s"): softmax_grad,
    ("softmax_over_queries", "s"): softmax_over_queries_grad,
    ("softmax_with_sink", "s"): softmax_grad,
    ("softmax_with_sink", "sink"): sink_grad,
    ("softcap", "s"): softcap_grad,
    ("layer_norm", "x"): layer_norm_grad,
    ("norm_over_matrix", "x"): norm_over_matrix_grad,
    ("rms_norm", "x"): rms_norm_grad,
    ("rms_norm_of_heads", "x"): rms_norm_of_heads_grad,
    ("tanh", "x"): tanh_grad,
    ("sigmoid", "s"): sigmoid_grad,
    ("relu_squared", "x"): relu_squared_grad,
    ("silu", "x"): silu_grad,
    ("gelu", "x"): gelu_grad,
    ("gelu_tanh", "x"): gelu_tanh_grad,
    ("gelu_sigmoid", "x"): gelu_sigmoid_grad,
    ("clip", "x"): clip_grad,
    ("clip_above", "x"): clip_above_grad,
    ("logistic", "x"): logistic_grad,
    ("cross_entropy", "logits"): cross_entropy_grad,
    ("softplus_of_sum", "x"): softplus_of_sum_grad,
    ("softplus_of_sum", "b"): softplus_of_sum_bias_grad,
    ("unit_length", "x"): unit_length_grad,
    ("decay_since", "g"): decay_since_grad,
    ("rotate_half", "x"): rotate_half_grad,
    ("rotate_interleaved", "x"): rotate_interleaved_grad,
}
"""The stated gradient of an operation, by its name, for the operand of a role."""
