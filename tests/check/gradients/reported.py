"""Wrong gradients from public reports, each written as a small function, with its cause as the report gives it.

They were written down, with their causes, before any of them was probed. Of the 23 wrong ones then 2 were named, 3 were
said by measurement alone (a factor, or nothing but zeros), 13 were said to be wrong in the right place without a cause,
4 could not be asked, 1 was not seen (`rows across`), and none was called something that it is not. What is said of each
now is ``by`` and ``said``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct
from tests.check.gradients import zoo
from tests.check.gradients.zoo import allowed, softmax, t

from clearhead import Attention, Backward, Block, Embedding, Head, Loss, Mlp, Norm, Transformer
from clearhead.working import Working

HEADS = ("query", "key", "value")
RATE = 0.25
"""The rate of dropout."""


class Report(Struct, frozen=True):
    """A public report of wrong gradients.

    Attributes:
        link: where it was reported.
        cause: what was wrong, in a sentence.
        working: the right computation.
        takes: what the function is called with.
        returns: the line whose gradient it is given.
        backward: the wrong function.
        wrong: whose gradients are wrong.
        by: the deviations that say this cause; none where no deviation does.
        said: a part of what is said of it besides, where a measurement says it.
        forward: the forward pass beside it, where it has one.
    """

    link: str
    cause: str
    working: Working
    takes: tuple[str, ...]
    returns: str
    backward: Callable[..., Any]
    wrong: tuple[str, ...]
    by: tuple[str, ...] = ()
    forward: Callable[..., Any] | None = None
    said: str = ""


# Attention


def attend(q, k, seen=None):
    s = q @ t(k) / np.sqrt(q.shape[-1])
    return softmax(np.where(seen, s, -np.inf) if seen is not None else s)


def of_heads(q, k, v, do, *, ds=None, p=None):
    """The gradients of attention: ``ds`` is that of the scores from the weights and their gradient."""
    p = attend(q, k) if p is None else p
    dp = do @ t(v)
    d = (ds or (lambda p, dp: p * (dp - (dp * p).sum(-1, keepdims=True))))(p, dp) / np.sqrt(q.shape[-1])
    return d @ k, t(d) @ q, t(p) @ do


def half_of_softmax(q, k, v, do):
    return of_heads(q, k, v, do, ds=lambda p, dp: 2 * p * (dp - (dp * p).sum(-1, keepdims=True)))


def upstream_twice(q, k, v, do):
    return of_heads(q, k, v, do, ds=lambda p, dp: dp * p * (dp - (dp * p).sum(-1, keepdims=True)))


def without_dot_product(q, k, v, do):
    return of_heads(q, k, v, do, ds=lambda p, dp: p * dp)


def of_outputs(q, k, v, do):
    """Rows' sums from outputs and their gradients, which are the same numbers."""
    p = attend(q, k)
    delta = (do * (p @ v)).sum(-1, keepdims=True)
    return of_heads(q, k, v, do, ds=lambda p, dp: p * (dp - delta))


def without_causal(q, k, v, do):
    return of_heads(q, k, v, do)


def causal(q, k, v):
    return attend(q, k, allowed(q @ t(k))) @ v


WINDOW = 3


def near(s):
    n, m = s.shape[-2:]
    i, j = np.arange(n)[:, None] + m - n, np.arange(m)
    return (j <= i) & (i - j < WINDOW)


def windowed(q, k, v):
    return attend(q, k, near(q @ t(k))) @ v


def without_window(q, k, v, do):
    """The weights from the sums that were kept, with the causal mask and without the window."""
    s = q @ t(k) / np.sqrt(q.shape[-1])
    lse = np.log(np.where(near(s), np.exp(s), 0).sum(-1, keepdims=True))
    p = np.where(allowed(s), np.exp(s - lse), 0)
    delta = (do * windowed(q, k, v)).sum(-1, keepdims=True)
    return of_heads(q, k, v, do, p=p, ds=lambda p, dp: p * (dp - delta))


def dropped(q, k, v, keep):
    return attend(q, k) * keep / (1 - RATE) @ v


def of_dropout(q, k, v, keep, do, *, scale=1 / (1 - RATE), of_softmax=False, of_gradient=True):
    p, dp = attend(q, k), do @ t(v)
    with_mask = p * keep / (1 - RATE)
    dp = dp * keep * scale if of_gradient else dp
    used = with_mask if of_softmax else p
    d = used * (dp - (dp * used).sum(-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return d @ k, t(d) @ q, t(with_mask) @ do


def rate_for_scale(*arrays):
    return of_dropout(*arrays, scale=RATE)


def dropped_weights(*arrays):
    return of_dropout(*arrays, of_softmax=True)


def dropped_weights_and_no_mask(*arrays):
    return of_dropout(*arrays, of_softmax=True, of_gradient=False)


# Norms

EPS = 1e-5


def rms(x, gain):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * gain


def of_rms(x, gain, dy, *, part=None, dgain=None):
    root = np.sqrt((x * x).mean(-1, keepdims=True) + EPS)
    y, d = x / root, dy * gain
    along = (d * y).mean(-1, keepdims=True) if part is None else part((d * y).mean(-1))
    lead = tuple(range(dy.ndim - 1))
    return (d - y * along) / root, (dy * y).sum(lead) if dgain is None else dgain(dy, y)


def rows_across(x, gain, dy):
    """Each row's correction is added along the other axis; where rows and features differ in number it fails."""
    if x.shape[-1] != x.shape[-2]:
        return of_rms(x, gain, dy)
    return of_rms(x, gain, dy, part=lambda each: each[..., None, :])


def no_gain(x, gain, dy):
    return of_rms(x, gain, dy, dgain=lambda dy, _: np.zeros_like(dy[(0,) * (dy.ndim - 1)]))


def sums_of_all_rows(x, gain, bias, dy):
    """The two sums of layer norm's gradient run over all rows, and are divided by the features."""

    def of(d, y, std):
        axes = tuple(range(d.ndim))[-2:]
        return (d - (d.sum(axes, keepdims=True) + y * (d * y).sum(axes, keepdims=True)) / d.shape[-1]) / std

    return zoo.norm_back(x, gain, bias, dy, of=of)


def means_of_all_rows(x, gain, bias, dy):
    """The two means of layer norm's gradient are those of the whole example."""

    def of(d, y, std):
        axes = tuple(range(d.ndim))[-2:]
        return (d - d.mean(axes, keepdims=True) - y * (d * y).mean(axes, keepdims=True)) / std

    return zoo.norm_back(x, gain, bias, dy, of=of)


def gain_and_bias_exchanged(x, gain, bias, dy):
    dx, dgain, dbias = zoo.norm_back(x, gain, bias, dy)
    return dx, dbias, dgain


def other_features(x, gain, bias, dy):
    """What was normalised is taken back from the result, by the gain and bias of the next feature."""
    dx, _, dbias = zoo.norm_back(x, gain, bias, dy)
    y = (zoo.norm(x, gain, bias) - np.roll(bias, -1)) / np.roll(gain, -1)
    return dx, (dy * y).sum(tuple(range(dy.ndim - 1))), dbias


def neither_gain_nor_bias(x, gain, bias, dy):
    return zoo.norm_back(x, gain, bias, dy)[0], np.zeros_like(gain), np.zeros_like(bias)


# MLPs


def silu(x):
    return x / (1 + np.exp(-x))


def gated(gate, up):
    return silu(gate) * up


def of_gated(gate, up, dy):
    s = 1 / (1 + np.exp(-gate))
    return dy * up * s * (1 + gate * (1 - s)), dy * silu(gate)


def gate_and_up_exchanged(gate, up, dy):
    return of_gated(gate, up, dy)[::-1]


def tanh_mlp(x, up, bias, down, last):
    return np.tanh(x @ up + bias) @ down + last


def of_tanh(x, up, bias, down, _, dy, *, slope=lambda h: 1 - np.tanh(h) ** 2, of_bias=lambda d: d.sum(-2)):
    h = x @ up + bias
    dh = dy @ down.T * slope(h)
    lead = tuple(range(x.ndim - 2))
    return dh @ up.T, (t(x) @ dh).sum(lead), of_bias(dh).sum(lead), (t(np.tanh(h)) @ dy).sum(lead), dy.sum((*lead, -2))


def no_slope(*arrays):
    return of_tanh(*arrays, slope=lambda _: 1)


def slope_of_input(*arrays):
    """The derivative in terms of the result, 1 - y^2, is given what the activation reads."""
    return of_tanh(*arrays, slope=lambda h: 1 - h**2)


def mean_of_bias(*arrays):
    return of_tanh(*arrays, of_bias=lambda d: d.mean(-2))


# Losses and tables


def of_losses(logits, target, dloss, *, upstream=None, ignored=None):
    p = softmax(logits)
    d = p - (target[..., None] == np.arange(logits.shape[-1]))
    d = d * (dloss[..., None] if upstream is None else upstream(dloss))
    return np.where((target == ignored)[..., None], 0, d) if ignored is not None else d


def losses(logits, target):
    z = logits - logits.max(-1, keepdims=True)
    right = np.take_along_axis(z, target[..., None], -1)[..., 0]
    return np.log(np.exp(z).sum(-1)) - right


def upstream_of_first(logits, target, dloss):
    """Every token's gradient is multiplied by the first token's."""
    return of_losses(logits, target, dloss, upstream=lambda d: d[..., :1, None])


def upstream_ignored(logits, target, dloss):
    return of_losses(logits, target, dloss, upstream=lambda _: 1.0)


def ignored_counts(logits, target, dloss):
    """Tokens whose target is 1 do not count in the loss, and have a gradient nevertheless."""
    return of_losses(logits, target, dloss)


def losses_without(logits, target):
    return np.where(target == 1, 0, losses(logits, target))


def gathered(table, token, dy):
    """The gradient of a table as a look-up in the gradient, not as a sum in the table's rows."""
    return dy[token[np.arange(len(table)) % len(token)] % len(dy)]


def looked_up(table, token):
    return table[token]


# What they are compared with


def with_loss(loss):
    whole = Backward(loss=loss).working(Attention(heads=1, output=True).working())
    return whole.backward_of.forward


def norms(kind):
    return Block(Attention(1), Norm(kind, eps=EPS), "pre", Mlp("tanh", bias=True)).working()


LAYER = ("input", "attention.norm.gain", "attention.norm.bias")
RMS = ("input", "attention.norm.gain")
PERCEPTRON = ("mlp.norm", "mlp.up.weight", "mlp.up.bias", "mlp.output.weight", "mlp.output.bias")
TWO = Attention(heads=2).working()
DROPOUT = Attention(heads=2, dropout=RATE).working()
KEEP = (*HEADS, "weights.keep")
SCALARS = with_loss(Loss(reads="logits"))
IGNORING = with_loss(Loss(reads="logits", ignored=1))
GATED = Block(Attention(1), mlp=Mlp("silu", gated=True)).working()
TABLE = Transformer(Embedding(), head=Head()).working()

REPORTS = {
    "half of softmax": Report(
        "markroxor/fromscratchtoml#65", "The gradient of softmax is twice the right one.",
        TWO, HEADS, "head", half_of_softmax, ("query", "key"), forward=lambda q, k, v: attend(q, k) @ v,
        said="query.grad is wrong in 120 of 120 numbers: it is 2 times what it should be"),
    "upstream twice": Report(
        "pocketpy/cTensor PR#31", "The gradient of softmax is multiplied by the upstream gradient once more.",
        TWO, HEADS, "head", upstream_twice, ("query", "key"), forward=lambda q, k, v: attend(q, k) @ v,
        said="Fails: linear"),
    "dot product missing": Report(
        "HomericIntelligence/Odyssey#2134", "The gradient of softmax lacks its sum.",
        TWO, HEADS, "head", without_dot_product, ("query", "key"), ("grad-softmax-sum-missing",)),
    "never causal": Report(
        "meta-pytorch/MSLK PR#263", "The backward pass computes attention again without its causal mask.",
        Attention(heads=2, causal=True).working(), HEADS, "head", without_causal, HEADS,
        ("causal-missing",), causal,
        said="So the backward pass alone does this"),
    "no window": Report(
        "flagos-ai/FlagAttention#25", "The backward pass has the causal mask, and not the window.",
        Attention(heads=2, causal=True, window=WINDOW).working(), HEADS, "head", without_window, HEADS,
        ("grad-window-forgotten-sums-kept",), windowed),
    "rate for scale": Report(
        "NVIDIA/apex PR#816", "The gradient of dropout is multiplied by the rate, not by 1/(1 - rate).",
        DROPOUT, KEEP, "head", rate_for_scale, ("query", "key"), ("grad-dropout-by-rate",), dropped),
    "dropped weights in softmax": Report(
        "ooples/AiDotNet PR#1701", "The gradient of softmax takes the weights after dropout.",
        DROPOUT, KEEP, "head", dropped_weights, ("query", "key"), ("grad-dropout-in-softmax",), dropped),
    "dropped weights, no mask": Report(
        "aws-neuron/nki-samples PR#81", "The gradient of softmax takes the weights after dropout, and no dropout "
        "is applied to their gradient.",
        DROPOUT, KEEP, "head", dropped_weights_and_no_mask, ("query", "key"),
        ("grad-dropout-missing", "grad-dropout-in-softmax"), dropped),
    "rows across": Report(
        "BobMcDear/attorch#17", "Each row's correction is spread along the other axis.",
        norms("rms"), RMS, "attention.norm", rows_across, ("input",), forward=rms,
        said="differ where axes have the same size, 6"),
    "no gain": Report(
        "unslothai/unsloth#4533", "The gain has no gradient.",
        norms("rms"), RMS, "attention.norm", no_gain, ("attention.norm.gain",), (), rms,
        said="attention.norm.gain.grad is wrong in 21 of 21 numbers: it is 0 everywhere"),
    "sums of all rows": Report(
        "flagos-ai/FlagGems PR#59", "The sums in the gradient of layer norm run over all rows.",
        norms("layer"), LAYER, "attention.norm", sums_of_all_rows, ("input",), ("grad-norm-sums-over-tokens",),
        zoo.norm),
    "means of all rows": Report(
        "flagos-ai/FlagGems#5392", "The means in the gradient of layer norm are those of all tokens of an example.",
        norms("layer"), LAYER, "attention.norm", means_of_all_rows, ("input",), ("grad-norm-over-tokens",), zoo.norm),
    "gain and bias exchanged": Report(
        "Oneflow-Inc/oneflow PR#6149", "The gradients of gain and bias are exchanged.",
        norms("layer"), LAYER, "attention.norm", gain_and_bias_exchanged,
        ("attention.norm.gain", "attention.norm.bias"), (), zoo.norm,
        said="it has the numbers that attention.norm.bias.grad should have"),
    "other features": Report(
        "deepspeedai/DeepSpeed PR#692", "What was normalised is taken back by another feature's gain and bias.",
        norms("layer"), LAYER, "attention.norm", other_features, ("attention.norm.gain",), forward=zoo.norm,
        said="it is attention.norm.gain.grad: all that is wrong comes from it"),
    "neither gain nor bias": Report(
        "harvard-edge/cs249r_book PR#1504", "Neither gain nor bias has a gradient.",
        norms("layer"), LAYER, "attention.norm", neither_gain_nor_bias,
        ("attention.norm.gain", "attention.norm.bias"), (), zoo.norm,
        said="attention.norm.bias.grad is wrong in 21 of 21 numbers: it is 0 everywhere"),
    "gate and up exchanged": Report(
        "unslothai/unsloth#3314", "The gradients of a gated MLP's two branches are exchanged.",
        GATED, ("mlp.gate", "mlp.up"), "mlp.gated", gate_and_up_exchanged, ("mlp.gate", "mlp.up"),
        (), gated,
        said="it has the numbers that mlp.up.grad should have"),
    "no slope": Report(
        "Bot-Academy/NeuralNetworkFromScratch PR#3", "The derivative of the activation is missing.",
        norms("layer"), PERCEPTRON, "mlp.output", no_slope, ("mlp.norm", "mlp.up.weight", "mlp.up.bias"),
        ("grad-activation-missing",), tanh_mlp),
    "slope of the input": Report(
        "llSourcell/recurrent_neural_net_demo#2", "The derivative that is stated by the result is given the input.",
        norms("layer"), PERCEPTRON, "mlp.output", slope_of_input, ("mlp.norm", "mlp.up.weight", "mlp.up.bias"),
        ("grad-activation-of-input",), tanh_mlp),
    "mean of the bias": Report(
        "kvfrans/notes#5", "The gradient of a bias is a mean over tokens.",
        norms("layer"), PERCEPTRON, "mlp.output", mean_of_bias, ("mlp.up.bias",),
        ("grad-bias-averaged-of-one:line=mlp.up.bias",), tanh_mlp),
    "upstream of the first": Report(
        "linkedin/Liger-Kernel#968", "The losses of tokens are weighted, and only the first token's weight is used.",
        SCALARS, ("output", "target"), "loss.token", upstream_of_first, ("output",), forward=losses,
        said="Fails: unseen"),
    "upstream ignored": Report(
        "linkedin/Liger-Kernel#968", "The losses of tokens are weighted, and their gradients are not.",
        SCALARS, ("output", "target"), "loss.token", upstream_ignored, ("output",), forward=losses,
        said="Fails: linear"),
    "ignored targets count": Report(
        "PaddlePaddle/Paddle PR#28622", "Tokens whose target is ignored have a gradient.",
        IGNORING, ("output", "target"), "loss.token", ignored_counts, ("output",), ("grad-ignored-counted",),
        losses_without),
    "gathered": Report(
        "ooples/AiDotNet.Tensors PR#894", "The gradient of a table is looked up, where it should be added up.",
        TABLE, ("embedding.weight", "token"), "embedding", gathered, ("embedding.weight",), forward=looked_up,
        said="Fails: unseen"),
}  # fmt: skip
"""Wrong gradients, by what is wrong."""

RIGHT = {
    "rows' sums from outputs": Report(
        "huggingface/picotron#37", "Said to be wrong, and the same numbers: rows' sums of dO * O are those of dP * P.",
        TWO, HEADS, "head", of_outputs, (), forward=lambda q, k, v: attend(q, k) @ v),
}  # fmt: skip
"""Right gradients that were reported to be wrong."""
