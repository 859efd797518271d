"""Right gradients of norms, MLPs, losses and tables, as people write them in plain NumPy."""

import math

import numpy as np
from tests.check.gradients.reported import IGNORING, LAYER, RMS, SCALARS, TABLE, gated, losses, losses_without, norms
from tests.check.gradients.reported import rms as rms_norm
from tests.check.gradients.reported_later import TABLE as OF_TABLE
from tests.check.gradients.reported_later import TIED, of_both, tied
from tests.check.gradients.right import Right
from tests.check.gradients.zoo import erf, gelu, gelu_slope, norm, softmax, t, tanh_slope

from clearhead import Attention, Backward, Block, Loss, Mlp, Norm

EPS, SMOOTHING = 1e-5, 0.1


def rows(a):
    return a.reshape(-1, a.shape[-1])


# Norms


def sums_in_one_fraction(x, gain, _, dy):
    """As batch norm is taught: N dy - sum(dy) - y sum(dy y), over N std."""
    n = x.shape[-1]
    std = np.sqrt(x.var(-1, keepdims=True) + np.asarray(EPS, x.dtype))
    y, d = (x - x.mean(-1, keepdims=True)) / std, dy * gain
    dx = (n * d - d.sum(-1, keepdims=True) - y * (d * y).sum(-1, keepdims=True)) / (n * std)
    return dx, rows(dy * y).sum(0), rows(dy).sum(0)


def node_by_node(x, gain, _, dy):
    """Each step of the forward pass backwards, with the variance and the mean as nodes of their own."""
    n = x.shape[-1]
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True) + np.asarray(EPS, x.dtype)
    inverse = variance**-0.5
    d = dy * gain
    dinverse = (d * centred).sum(-1, keepdims=True)
    dvariance = -0.5 * dinverse * variance**-1.5
    dcentred = d * inverse + 2 * centred * dvariance / n
    dx = dcentred - dcentred.mean(-1, keepdims=True)
    return dx, rows(dy * centred * inverse).sum(0), rows(dy).sum(0)


def jacobian_of_rows(x, gain, _, dy):
    """The whole Jacobian of each row: (I - 1/n - y y'/n) / std."""
    n = x.shape[-1]
    std = np.sqrt(x.var(-1, keepdims=True) + np.asarray(EPS, x.dtype))
    y = (x - x.mean(-1, keepdims=True)) / std
    jacobian = (np.eye(n, dtype=x.dtype) - 1 / n - y[..., :, None] * y[..., None, :] / n) / std[..., None]
    return (jacobian @ (dy * gain)[..., None])[..., 0], rows(dy * y).sum(0), rows(dy).sum(0)


def row_after_row(x, gain, bias, dy):
    dx, dgain, dbias = np.zeros_like(x), np.zeros_like(gain), np.zeros_like(bias)
    for at in np.ndindex(x.shape[:-1]):
        std = np.sqrt(x[at].var() + np.asarray(EPS, x.dtype))
        y, d = (x[at] - x[at].mean()) / std, dy[at] * gain
        dx[at] = (d - d.mean() - y * (d @ y) / len(y)) / std
        dgain += dy[at] * y
        dbias += dy[at]
    return dx, dgain, dbias


def from_the_result(x, gain, bias, dy):
    """What was normalised, taken back from the result, as norms do that keep no input."""
    y = (norm(x, gain, bias) - bias) / gain
    std = np.sqrt(x.var(-1, keepdims=True) + np.asarray(EPS, x.dtype))
    d = dy * gain
    dx = (d - d.mean(-1, keepdims=True) - y * (d * y).mean(-1, keepdims=True)) / std
    return dx, rows(dy * y).sum(0), rows(dy).sum(0)


def third_power(x, gain, dy):
    """RMS norm by the third power of 1/root, as the derivative of a quotient has it."""
    inverse = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + np.asarray(EPS, x.dtype))
    d = dy * gain
    return d * inverse - x * inverse**3 * (d * x).mean(-1, keepdims=True), rows(dy * x * inverse).sum(0)


def factored_rms(x, gain, dy):
    """RMS norm as Liger-Kernel writes it: 1/root times the gradient less a share of the input."""
    inverse = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + np.asarray(EPS, x.dtype))
    m = dy * gain
    share = inverse**2 * (m * x).sum(-1, keepdims=True) / x.shape[-1]
    return inverse * (m - share * x), rows(dy * x * inverse).sum(0)


def blocks_of_rows(x, gain, dy):
    """Partial sums of the gain's gradient for every other row, added at the end."""
    flat, up = rows(x), rows(dy)
    inverse = 1 / np.sqrt((flat * flat).mean(-1, keepdims=True) + np.asarray(EPS, x.dtype))
    y, d = flat * inverse, up * gain
    parts = [(up[start::2] * y[start::2]).sum(0) for start in range(2)]
    return ((d - y * (d * y).mean(-1, keepdims=True)) * inverse).reshape(x.shape), parts[0] + parts[1]


# MLPs


def logistic(x):
    return 1 / (1 + np.exp(-x))


TANH = math.sqrt(2 / math.pi)


def by_cosh(x):
    """The slope of the tanh form with 1 / cosh^2."""
    inner = TANH * (x + 0.044715 * x**3)
    return (1 + np.tanh(inner)) / 2 + x / 2 / np.cosh(inner) ** 2 * TANH * (1 + 3 * 0.044715 * x * x)


def by_logistic(x):
    """The slope of the tanh form, whose (1 + tanh(u)) / 2 is a logistic function of 2u."""
    gate = logistic(2 * TANH * (x + 0.044715 * x**3))
    return gate + x * gate * (1 - gate) * 2 * TANH * (1 + 3 * 0.044715 * x * x)


def gelu_tanh(x):
    return x / 2 * (1 + np.tanh(TANH * (x + 0.044715 * x**3)))


def from_both_tails(x):
    """The slope of GELU, with the distribution function as 1 less the other tail."""
    tail = (1 - erf(np.abs(x) / math.sqrt(2))) / 2
    return np.where(x > 0, 1 - tail, tail) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


ACTIVATIONS = {
    "gelu": ("gelu", gelu, gelu_slope),
    "gelu by tails": ("gelu", gelu, from_both_tails),
    "gelu-tanh": ("gelu-tanh", gelu_tanh, tanh_slope),
    "gelu-tanh by cosh": ("gelu-tanh", gelu_tanh, by_cosh),
    "gelu-tanh by a logistic function": ("gelu-tanh", gelu_tanh, by_logistic),
    "gelu-sigmoid": ("gelu-sigmoid", lambda x: x * logistic(1.702 * x),
                     lambda x: logistic(1.702 * x) * (1 + 1.702 * x * (1 - logistic(1.702 * x)))),
    "silu": ("silu", lambda x: x * logistic(x), lambda x: logistic(x) * (1 + x * (1 - logistic(x)))),
    "silu by its result": ("silu", lambda x: x * logistic(x),
                           lambda x: x * logistic(x) + logistic(x) * (1 - x * logistic(x))),
    "relu": ("relu", lambda x: np.maximum(x, 0), lambda x: np.sign(np.maximum(x, 0))),
    "relu-squared": ("relu-squared", lambda x: np.maximum(x, 0) ** 2, lambda x: 2 * np.maximum(x, 0)),
    "tanh": ("tanh", np.tanh, lambda x: 1 / np.cosh(x) ** 2),
}  # fmt: skip


def mlp_of(name):
    """The MLP of an activation, and its gradients."""
    kind, act, slope = ACTIVATIONS[name]

    def forward(x, up, down):
        return act(x @ up) @ down

    def backward(x, up, down, dy):
        h = x @ up
        dh = dy @ t(down) * slope(h)
        return dh @ t(up), rows(x).T @ rows(dh), rows(act(h)).T @ rows(dy)

    working = Block(Attention(1), Norm("layer", eps=EPS), "pre", Mlp(kind)).working()
    return Right(working, backward, forward, ("mlp.norm", "mlp.up.weight", "mlp.output.weight"), "mlp.output")


def of_swiglu(gate, up, dy):
    s = logistic(gate)
    return dy * up * (s + gate * s * (1 - s)), dy * gate * s


def geglu(gate, up):
    return gelu(gate) * up


def of_geglu(gate, up, dy):
    return dy * up * gelu_slope(gate), dy * gelu(gate)


# Losses and tables


def shares_less_one(logits, target, up):
    d = softmax(logits)
    np.put_along_axis(d, target[..., None], np.take_along_axis(d, target[..., None], -1) - 1, -1)
    return d * up[..., None]


def through_logarithms(logits, target, up):
    """The gradient of -log_softmax[target], by the Jacobian of the logarithms."""
    right = np.eye(logits.shape[-1], dtype=logits.dtype)[target]
    dlogs = -right * up[..., None]
    return dlogs - softmax(logits) * dlogs.sum(-1, keepdims=True)


def through_probabilities(logits, target, up):
    """-1/p at the right class, through the softmax."""
    p = softmax(logits)
    right = np.eye(logits.shape[-1], dtype=logits.dtype)[target]
    dp = -right / p * up[..., None]
    return p * (dp - (dp * p).sum(-1, keepdims=True))


def by_slices(logits, target, up, size=2):
    """The vocabulary a slice at a time, from the logarithm of the sum."""
    z = np.log(np.exp(logits).sum(-1, keepdims=True))
    d = np.empty_like(logits)
    for start in range(0, logits.shape[-1], size):
        part = np.exp(logits[..., start : start + size] - z)
        d[..., start : start + size] = part - (target[..., None] - start == np.arange(part.shape[-1]))
    return d * up[..., None]


def of_ignored(logits, target, up):
    return np.where((target == 1)[..., None], 0, shares_less_one(logits, target, up))


def mean_of_all(logits, target):
    return losses(logits, target).mean(-1)


def of_mean(logits, target):
    """The gradient of one number, which is not passed."""
    return shares_less_one(logits, target, np.full(target.shape, 1 / target.shape[-1]))


def of_sum(logits, target):
    return shares_less_one(logits, target, np.ones(target.shape))


def smoothed(logits, target):
    logs = np.log(softmax(logits))
    right = np.take_along_axis(logs, target[..., None], -1)[..., 0]
    return -(1 - SMOOTHING) * right - SMOOTHING * logs.mean(-1)


def of_smoothed(logits, target, up):
    q = np.eye(logits.shape[-1])[target] * (1 - SMOOTHING) + SMOOTHING / logits.shape[-1]
    return (softmax(logits) - q) * up[..., None]


def smoothed_mean(logits, target):
    """The mean over the targets that count, of smoothed losses."""
    counts = target != 1
    return (smoothed(logits, target) * counts).sum(-1) / counts.sum(-1)


def of_smoothed_mean(logits, target):
    counts = (target != 1).astype(logits.dtype)
    return of_smoothed(logits, target, counts / counts.sum(-1, keepdims=True))


def by_one_hot(table, token, dy):
    hot = np.eye(len(table), dtype=dy.dtype)[token]
    return rows(hot).T @ rows(dy)


def by_add_at(table, token, dy):
    grad = np.zeros_like(table)
    np.add.at(grad, token.reshape(-1), rows(dy))
    return grad


def by_sorting(table, token, dy):
    """Equal tokens stand together, and their gradients are added up."""
    order = np.argsort(token.reshape(-1), kind="stable")
    ids, first = np.unique(token.reshape(-1)[order], return_index=True)
    grad = np.zeros_like(table)
    grad[ids] = np.add.reduceat(rows(dy)[order], first, 0)
    return grad


def of_loss(**options):
    return Backward(loss=Loss(reads="logits", **options)).working(Attention(1).working()).backward_of.forward


LOGITS = ("output", "target")
GATES = ("mlp.gate", "mlp.up")

LAYERS = {
    **{each.__name__: Right(norms("layer"), each, norm, LAYER, "attention.norm") for each in (
        sums_in_one_fraction, node_by_node, jacobian_of_rows, row_after_row, from_the_result)},
    **{each.__name__: Right(norms("rms"), each, rms_norm, RMS, "attention.norm") for each in (
        third_power, factored_rms, blocks_of_rows)},
    **{name: mlp_of(name) for name in ACTIVATIONS},
    "swiglu": Right(Block(Attention(1), mlp=Mlp("silu", gated=True)).working(), of_swiglu, gated, GATES, "mlp.gated"),
    "geglu": Right(Block(Attention(1), mlp=Mlp("gelu", gated=True)).working(), of_geglu, geglu, GATES, "mlp.gated"),
    **{each.__name__: Right(SCALARS, each, losses, LOGITS, "loss.token") for each in (
        shares_less_one, through_logarithms, through_probabilities, by_slices)},
    "ignored targets": Right(IGNORING, of_ignored, losses_without, LOGITS, "loss.token"),
    "mean of losses": Right(SCALARS, of_mean, mean_of_all, LOGITS, "loss"),
    "sum of losses": Right(of_loss(reduction="sum"), of_sum, lambda *a: losses(*a).sum(-1), LOGITS, "loss"),
    "smoothing": Right(of_loss(smoothing=SMOOTHING), of_smoothed, smoothed, LOGITS, "loss.token"),
    "smoothing, ignored targets, mean": Right(
        of_loss(smoothing=SMOOTHING, ignored=1), of_smoothed_mean, smoothed_mean, LOGITS, "loss"),
    **{each.__name__: Right(TABLE, each, lambda table, token: table[token], OF_TABLE, "embedding") for each in (
        by_one_hot, by_add_at, by_sorting)},
    "tied table": Right(TIED, of_both, tied, OF_TABLE, "logits"),
}  # fmt: skip
"""Gradients of all but attention in NumPy, by what they do."""
