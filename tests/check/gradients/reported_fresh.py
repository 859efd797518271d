"""Wrong gradients from public reports, searched for when `reported` and `reported_later` were done.

They were written down, with their causes, before any of them was probed. Of the 13 wrong ones then 4 were named (2 of
them by a deviation of the forward pass with the same gradients), of 2 a measurement said it (zeros), of 7 the right
gradients and lines were said to be wrong without a cause, and none was called something that it is not. What is said of
each now is ``by`` and ``said``.
"""

import numpy as np
from tests.check.gradients.reported import (
    EPS,
    HEADS,
    LAYER,
    RMS,
    SCALARS,
    TWO,
    Report,
    losses,
    norms,
    of_heads,
    of_losses,
    of_rms,
    rms,
    with_loss,
)
from tests.check.gradients.zoo import Heads, norm, norm_back, softmax, standard, t

from clearhead import Attention, Block, Loss, Mlp, Norm

# Attention

PLAIN = Heads()


def copied(q, k, v, do):
    return of_heads(q, k, v, do, ds=lambda _, dp: dp)


def hidden(q, k, v, real):
    return softmax(np.where(real[..., None, None, :], q @ t(k) / np.sqrt(q.shape[-1]), -np.inf)) @ v


def hidden_counts(q, k, v, real, do):
    """The weights of all keys from the logsumexp of the real ones."""
    s = q @ t(k) / np.sqrt(q.shape[-1])
    p = np.exp(s - np.log(np.where(real[..., None, None, :], np.exp(s), 0).sum(-1, keepdims=True)))
    delta = (do * hidden(q, k, v, real)).sum(-1, keepdims=True)
    return of_heads(q, k, v, do, p=p, ds=lambda p, dp: p * (dp - delta))


def late_keys_dropped(q, k, v, do):
    """A bound that is none of keys: what goes to keys from the fourth on is not stored."""
    dq, dk, dv = PLAIN.backward(q, k, v, do)
    early = (np.arange(k.shape[-2]) < 3)[:, None]
    return dq, np.where(early, dk, 0), np.where(early, dv, 0)


def other_columns(q, k, v, do):
    """The last columns of the values' gradient are stored one to the right of their place."""
    dq, dk, dv = PLAIN.backward(q, k, v, do)
    return dq, dk, np.concatenate([dv[..., :2], np.roll(dv[..., 2:], 1, -1)], -1)


def by_sign(q, k, v, do):
    """Where a weight is at least 0, which all are: the gradient less its mean, and elsewhere the mean."""
    p = softmax(q @ t(k) / np.sqrt(q.shape[-1]))
    delta = (do * (p @ v)).sum(-1, keepdims=True)
    return of_heads(q, k, v, do, ds=lambda p, dp: p * np.where(p >= 0, dp - delta, delta))


# Norms


def mean_twice(x, gain, bias, dy):
    def of(d, y, std):
        return (d - 2 * d.mean(-1, keepdims=True) - y * (d * y).mean(-1, keepdims=True)) / std

    return norm_back(x, gain, bias, dy, of=of)


def last_block(x, gain, bias, dy):
    """Of the sum along what is normalised only the last three features are left."""

    def of(d, y, std):
        along = (d * y)[..., -3:].sum(-1, keepdims=True) / d.shape[-1]
        return (d - d.mean(-1, keepdims=True) - y * along) / std

    return norm_back(x, gain, bias, dy, of=of)


def root_of_root(x, gain, _, dy):
    """What is kept is 1/std, which is read as a variance."""
    inverse = 1 / np.sqrt(1 / standard(x, EPS)[1] + EPS)
    y = (x - x.mean(-1, keepdims=True)) * inverse
    d = dy * gain
    dx = (d - d.mean(-1, keepdims=True) - y * (d * y).mean(-1, keepdims=True)) * inverse
    lead = tuple(range(dy.ndim - 1))
    return dx, (dy * y).sum(lead), dy.sum(lead)


def root_is_constant(x, gain, dy):
    return dy * gain / np.sqrt((x * x).mean(-1, keepdims=True) + EPS), of_rms(x, gain, dy)[1]


def in_memory_order(x, gain, dy):
    """The gradient that comes lies column by column, and is read row by row."""
    return of_rms(x, gain, np.ascontiguousarray(np.swapaxes(dy, -1, -2)).reshape(dy.shape))


def gain_not_written(x, gain, dy):
    return of_rms(x, gain, dy)[0], np.zeros_like(gain)


# A residual connection around a norm and an MLP


def half(x, up, down):
    y = x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS)
    return x + np.tanh(y @ up) @ down


def added_before_norm(x, up, down, dy):
    """What comes straight through is added before the gradient goes through the norm."""
    y = x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS)
    h = np.tanh(y @ up)
    dh = dy @ t(down) * (1 - h * h)
    lead = tuple(range(x.ndim - 2))
    dx = of_rms(x, np.ones(x.shape[-1]), dy + dh @ t(up))[0]
    return dx, (t(y) @ dh).sum(lead), (t(h) @ dy).sum(lead)


# Losses


def sum_of_losses(logits, target):
    return losses(logits, target).sum(-1)


def mean_for_sum(logits, target):
    return of_losses(logits, target, np.full(target.shape, 1 / target.shape[-1]))


def upstream_of_first_averaged(logits, target, dloss):
    return of_losses(logits, target, dloss, upstream=lambda d: d[..., :1, None] / d.shape[-1])


SUMMED = with_loss(Loss(reads="logits", reduction="sum"))
PADDED = Attention(heads=2, padding=True).working()
HALF = Block(Attention(1), Norm("rms", eps=EPS, gain=False), "pre", Mlp("tanh")).working()
STRAIGHT = ("attention.residual", "mlp.up.weight", "mlp.output.weight")

FRESH = {
    "copied": Report(
        "pjreddie/darknet PR#96", "The gradient of softmax is a copy of the gradient that comes.",
        TWO, HEADS, "head", copied, ("query", "key"), ("grad-softmax-missing",), PLAIN.forward),
    "hidden keys count": Report(
        "hao-ai-lab/FastVideo PR#925", "Padding counts in the weights that the backward pass computes again.",
        PADDED, (*HEADS, "padding"), "head", hidden_counts, HEADS,
        ("grad-padding-forgotten-sums-kept",), hidden),
    "late keys dropped": Report(
        "NVIDIA/cudnn-frontend PR#298", "What goes to keys beyond a bound is dropped, for keys and values.",
        TWO, HEADS, "head", late_keys_dropped, ("key", "value"), (), PLAIN.forward,
        said="only at token 3, 4 of 5 (counted from 0), where it is 0"),
    "other columns": Report(
        "Dao-AILab/flash-attention#2552", "Some columns of the values' gradient are stored at another's place.",
        TWO, HEADS, "head", other_columns, ("value",), (), PLAIN.forward,
        said="it is value.grad: all that is wrong comes from it"),
    "mean twice": Report(
        "tenstorrent/tt-metal#53204 (1)", "The mean is taken off twice in the gradient of layer norm.",
        norms("layer"), LAYER, "attention.norm", mean_twice, ("input",), ("grad-norm-mean-twice",), norm),
    "last block": Report(
        "tenstorrent/tt-metal#53204 (2)", "Of a sum over features only the last block is left.",
        norms("layer"), LAYER, "attention.norm", last_block, ("input",), (), norm,
        said="it is attention.norm.normalized.grad or input.grad"),
    "root of the root": Report(
        "flagos-ai/FlagGems#5222 (a batch norm; here a layer norm)", "The kept 1/std is read as a variance.",
        norms("layer"), LAYER, "attention.norm", root_of_root, LAYER[:2], (), norm,
        said="it is attention.norm.normalized"),
    "root is constant": Report(
        "ooples/AiDotNet PR#695", "The root of the mean square is taken for a constant.",
        norms("rms"), RMS, "attention.norm", root_is_constant, ("input",), ("grad-norm-fixed",), rms),
    "memory order": Report(
        "flagos-ai/FlagGems#1068", "The gradient that comes is not contiguous, and is read as if it were.",
        norms("rms"), RMS, "attention.norm", in_memory_order, RMS, (), rms, said="Fails: unseen"),
    "gain not written": Report(
        "paiml/trueno PR#178", "The gradient of the gain is never written.",
        norms("rms"), RMS, "attention.norm", gain_not_written, RMS[1:], (), rms,
        said="it is 0 everywhere"),
    "added before the norm": Report(
        "Dao-AILab/quack PR#53", "What comes straight through a residual connection goes through the norm too.",
        HALF, STRAIGHT, "mlp.residual", added_before_norm, ("attention.residual",),
        ("residual-from-norm",), half, said="So the backward pass alone does this"),
    "mean for sum": Report(
        "paiml/aprender PR#2182 (sum)", "The loss is a sum, and its gradient that of a mean.",
        SUMMED, ("output", "target"), "loss", mean_for_sum, ("output",),
        ("grad-loss-averaged",), sum_of_losses),
    "upstream of the first, averaged": Report(
        "paiml/aprender PR#2182 (none)", "Of losses of tokens only the first's gradient is read, and it is divided.",
        SCALARS, ("output", "target"), "loss.token", upstream_of_first_averaged, ("output",), (), losses,
        said="Fails: unseen"),
}  # fmt: skip
"""Wrong gradients, by what is wrong."""

RIGHT_FRESH = {
    "by sign": Report(
        "HKUSTDial/flash-sparse-attention PR#109", "Said to be wrong; no weight is below 0 without dropout.",
        TWO, HEADS, "head", by_sign, (), forward=PLAIN.forward),
}  # fmt: skip
"""Right gradients that were taken for wrong ones."""
