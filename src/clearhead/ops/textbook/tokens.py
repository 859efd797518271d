"""What happens to each token by itself: norms and activations."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from clearhead.expr import Expr, Let, Local, Size, call, formula, indices, mean, total, where
from clearhead.expr.formula import Operand
from clearhead.ops import large
from clearhead.ops.numpy import numpy_namespace
from clearhead.ops.operation import Array, Namespace, Remark, operation
from clearhead.ops.textbook.erf import erfc

d, h, i, m, k, n, o, t = indices("d h i m k n o t")


def _is_flat(xp: Namespace, out: Array, x: Array) -> Array:
    """Rows that are NaN although their operands are finite: 0/0 makes every value in a row NaN."""
    nan = xp.isnan(out[..., 0])
    if xp is numpy_namespace and not nan.any():
        return nan
    return nan & xp.all(xp.abs(x) < math.inf, axis=-1)


FLAT = Remark(
    find=_is_flat,
    says="NaN",
    reason="all its values are equal, so its spread is 0 and, with eps 0, the norm divides 0 by 0 (0/0)",
    remedy="Give the norm an eps above 0, such as 1e-5.",
)

ROOT_2 = math.sqrt(2)
TANH_SCALE = math.sqrt(2 / math.pi)


def _root(spread: Expr, eps: float) -> Expr:
    return call("sqrt", spread + eps if eps else spread)


@operation(
    lambda eps: formula(
        "i m -> i m",
        lambda x: Let(
            "mean",
            mean(k, x[i, k]),
            Let(
                "variance",
                mean(k, (x[i, k] - Local("mean")) ** 2),
                (x[i, m] - Local("mean")) / _root(Local("variance"), eps),
            ),
        ),
        k=Size("m"),
    ),
    FLAT,
    role="norm",
)
def layer_norm(xp: Namespace, x: Array, *, eps: float) -> Array:
    """Each token minus its mean, divided by its standard deviation (Ba et al. 2016; eps inside the root)."""
    centred = from_first(xp, x, (-1,), x.shape[-1])
    variance = xp.vecdot(centred, centred)[..., None] / x.shape[-1]
    return centred / xp.sqrt(variance + eps)


def from_first(xp: Namespace, x: Array, axes: tuple[int, ...], count: int) -> Array:
    """Each number minus the mean of ``count`` numbers along these axes, counted from the end."""
    # The first value is subtracted before the mean is taken: a row of equal values then has a spread of exactly 0,
    # however its sum rounds, and a row far from 0 keeps its digits.
    shifted = x - x[_first_along(x.ndim, axes)]
    return shifted - xp.sum(shifted, axis=axes, keepdims=True) / count


@cache
def _first_along(rank: int, axes: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(-rank, 0))


@operation(
    lambda eps: formula(
        "i m -> i m",
        lambda x: Let(
            "mean",
            mean((t, k), x[t, k]),
            Let(
                "variance",
                mean((t, k), (x[t, k] - Local("mean")) ** 2),
                (x[i, m] - Local("mean")) / _root(Local("variance"), eps),
            ),
        ),
        t=Size("i"),
        k=Size("m"),
    ),
    Remark(
        find=lambda xp, out, x: xp.any(xp.isnan(out), axis=-1) & xp.all(xp.abs(x) < math.inf, axis=(-2, -1))[..., None],
        says="NaN",
        reason="all values of the matrix are equal, so their spread is 0; with eps 0 the norm divides 0 by 0 (0/0)",
        remedy=FLAT.remedy,
    ),
    role="norm",
)
def norm_over_matrix(xp: Namespace, x: Array, *, eps: float) -> Array:
    """Layer norm with one mean and one standard deviation for all tokens together."""
    count = x.shape[-1] * x.shape[-2]
    centred = from_first(xp, x, (-2, -1), count)
    variance = xp.sum(centred * centred, axis=(-2, -1), keepdims=True) / count
    return centred / xp.sqrt(variance + eps)


@operation(
    lambda eps: formula(
        "i m -> i m",
        lambda x: Let("square", mean(k, x[i, k] ** 2), x[i, m] / _root(Local("square"), eps)),
        k=Size("m"),
    ),
    Remark(
        find=FLAT.find,
        says="NaN",
        reason="all its values are 0, so its root mean square is 0 and, with eps 0, the norm divides 0 by 0 (0/0)",
        remedy=FLAT.remedy,
    ),
    role="norm",
)
def rms_norm(xp: Namespace, x: Array, *, eps: float) -> Array:
    """Each token divided by the root of its mean square (Zhang and Sennrich 2019)."""
    return x / xp.sqrt(xp.vecdot(x, x)[..., None] / x.shape[-1] + eps)


@operation(lambda: formula("i m, m -> i m", lambda x, gain: x[i, m] * gain[m]), role="gain")
def gain(xp: Namespace, x: Array, gain: Array) -> Array:
    """Each column times its own number."""
    return x * gain[..., None, :]


@operation(lambda: formula("i m, m -> i m", lambda x, gain: x[i, m] * gain[m]), role="gain")
def layer_scale(xp: Namespace, x: Array, gain: Array) -> Array:
    """Each column of the result of a half times its own number (LayerScale: Touvron et al. 2021, section 2)."""
    return x * gain[..., None, :]


@operation(lambda: formula("i m, m, m -> i m", lambda x, gain, bias: x[i, m] * gain[m] + bias[m]), role="gain")
def gain_and_bias(xp: Namespace, x: Array, gain: Array, bias: Array) -> Array:
    """Each column times its own number, plus another."""
    return x * gain[..., None, :] + bias[..., None, :]


@operation(lambda: formula("i m -> i m", lambda x: call("max", x[i, m], 0)), role="activation")
def relu(xp: Namespace, x: Array) -> Array:
    """The value where it is positive, 0 elsewhere."""
    return xp.where(x <= 0, 0.0, x)


@operation(lambda: formula("i m -> i m", lambda x: x[i, m] / (1 + call("exp", -x[i, m]))), role="activation")
def silu(xp: Namespace, x: Array) -> Array:
    """The value times its logistic sigmoid, also called swish."""
    if xp is numpy_namespace and large.is_large(x):
        return large.by_blocks(large.silu, x)
    # The exponential of a number that is not positive: one that overflowed would make gradients NaN.
    part = xp.exp(-xp.abs(x))
    return x * xp.where(x < 0, part, 1.0) / (1 + part)


@operation(
    lambda: formula("i m -> i m", lambda x: x[i, m] * (1 + call("erf", x[i, m] / call("sqrt", 2))) / 2),
    role="activation",
)
def gelu(xp: Namespace, x: Array) -> Array:
    """The value times the normal distribution function at it (Hendrycks and Gimpel 2016), exactly."""
    if xp is numpy_namespace and x.dtype == np.float32:
        return large.by_blocks(large.gelu32, x)
    return x * erfc(xp, -x / ROOT_2) / 2


def _tanh_gelu(x: Operand) -> Expr:
    v = x[i, m]
    return v * (1 + call("tanh", call("sqrt", 2 / call("pi")) * (v + 0.044715 * v**3))) / 2


@operation(lambda: formula("i m -> i m", _tanh_gelu), role="activation")
def gelu_tanh(xp: Namespace, x: Array) -> Array:
    """GELU by its tanh approximation (Hendrycks and Gimpel 2016, section 2)."""
    return x * (1 + xp.tanh(TANH_SCALE * (x + 0.044715 * (x * x * x)))) / 2


@operation(lambda: formula("i m -> i m", lambda x: call("tanh", x[i, m])), role="activation")
def tanh(xp: Namespace, x: Array) -> Array:
    """The hyperbolic tangent of the value."""
    return xp.tanh(x)


@operation(lambda: formula("i m -> i m", lambda x: call("max", x[i, m], 0) ** 2), role="activation")
def relu_squared(xp: Namespace, x: Array) -> Array:
    """The square of the value where it is positive, 0 elsewhere (So et al. 2021)."""
    positive = xp.where(x <= 0, 0.0, x)
    return positive * positive


def softplus(x: Expr) -> Expr:
    """The formula log(1 + exp(x))."""
    return call("log", 1 + call("exp", x))


def _xielu(x: Operand, positive: Operand, negative: Operand) -> Expr:
    v = x[i, m]
    above = softplus(positive[o]) * v**2 + v / 2
    below = (call("exp", -call("max", -v, 1e-6)) - 1 - v) * (softplus(negative[o]) + 0.5) + v / 2
    return total(o, where(call("max", v, 0) <= 0, below, above))


def softplus_code(xp: Namespace, x: Array) -> Array:
    """log(1 + exp(x)), which does not overflow."""
    # Without abs, whose gradient at 0 PyTorch takes for 0.
    return xp.where(x > 0, x, 0.0) + xp.log1p(xp.exp(xp.where(x > 0, -x, x)))


@operation(lambda: formula("i m, o, o -> i m", _xielu), role="activation")
def xielu(xp: Namespace, x: Array, positive: Array, negative: Array) -> Array:
    """xIELU: a parabola above 0 and an exponential below, with a learned number for each (Huang and Schlag 2024)."""
    up, down = (softplus_code(xp, each)[..., None] for each in (positive, negative))
    below = (xp.expm1(xp.where(x < -1e-6, x, -1e-6)) - x) * (down + 0.5)
    return xp.where(x > 0, up * x * x, below) + x / 2


@operation(lambda: formula("i m -> i m", lambda x: x[i, m] / (1 + call("exp", -1.702 * x[i, m]))), role="activation")
def gelu_sigmoid(xp: Namespace, x: Array) -> Array:
    """GELU by its sigmoid approximation (Hendrycks and Gimpel 2016, section 2), also called quick GELU."""
    part = xp.exp(-1.702 * xp.abs(x))
    return x * xp.where(x < 0, part, 1.0) / (1 + part)


@operation(lambda limit: formula("i d -> i d", lambda x: -call("max", -call("max", x[i, d], -limit), -limit)))
def clip(xp: Namespace, x: Array, *, limit: float) -> Array:
    """Values clipped to -limit .. limit (OLMo's clip_qkv)."""
    return xp.where(x < -limit, -limit, xp.where(x > limit, limit, x))


@operation(lambda limit: formula("i d -> i d", lambda x: -call("max", -x[i, d], -limit)))
def clip_above(xp: Namespace, x: Array, *, limit: float) -> Array:
    """Values clipped from above to a limit (gpt-oss's gates)."""
    return xp.where(x > limit, limit, x)


@operation(lambda by: formula("i d -> i d", lambda x: x[i, d] + by))
def shift(xp: Namespace, x: Array, *, by: float) -> Array:
    """Each value plus a number."""
    return x + by


@operation(
    lambda eps: formula(
        "h i d -> h i d",
        lambda x: Let("square", mean((n, k), x[n, i, k] ** 2), x[h, i, d] / _root(Local("square"), eps)),
        n=Size("h"),
        k=Size("d"),
    ),
    role="norm",
)
def rms_norm_of_heads(xp: Namespace, x: Array, *, eps: float) -> Array:
    """Each token of all heads together, divided by the root of its mean square (OLMo 2's queries and keys)."""
    count = x.shape[-1] * x.shape[-3]
    square = xp.sum(xp.sum(x * x, axis=-1, keepdims=True), axis=-3, keepdims=True) / count
    return x / xp.sqrt(square + eps)


@operation(lambda: formula("h i d, h d -> h i d", lambda x, gain: x[h, i, d] * gain[h, d]), role="gain")
def head_gain(xp: Namespace, x: Array, gain: Array) -> Array:
    """Each column of each head times its own number."""
    return x * gain[..., None, :]


@operation(
    lambda rate: formula("i m, i m -> i m", lambda x, keep: where(keep[i, m], x[i, m] / (1 - rate), 0)),
    role="dropout",
)
def dropout(xp: Namespace, x: Array, keep: Array, *, rate: float) -> Array:
    """Dropout: cells that are kept, divided by 1 - rate; 0 elsewhere (Srivastava et al. 2014)."""
    return xp.where(keep, x / (1 - rate), 0.0)
