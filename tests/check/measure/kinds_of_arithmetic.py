"""More kinds of fault: norms that are none, gains, activations that are bent, sums that are not rescaled."""

from __future__ import annotations

import numpy as np

from clearhead import Attention, Block, Mlp, Norm, Rotary

from .block_pieces import ERF, silu
from .kinds import QKV, kind
from .pieces import banded, causal, frequencies, product, repeated, rotary, scaled, softmax

TWO = Attention(heads=2)
LAYER = Block(TWO, norm=Norm(eps=1e-5))
RMS = Block(TWO, norm=Norm("rms", eps=1e-6))
NORMED = {"takes": ("residual", "norm.gain", "norm.bias"), "returns": "norm"}
RMS_NORMED = {"takes": ("residual", "norm.gain"), "returns": "norm"}

# Norms


def affine(c, square, g, b):
    return c / np.sqrt(square + 1e-5) * g + b


def root(x, axis=-1):
    return np.sqrt((x * x).mean(axis, keepdims=True) + 1e-6)


@kind(LAYER, **NORMED, says="subtracts the mean of each token, but divides by", never="does not subtract")
def mean_square_for_the_variance(x, g, b):
    return affine(x - x.mean(-1, keepdims=True), (x * x).mean(-1, keepdims=True), g, b)


@kind(LAYER, **NORMED, verdict="unexplained", says="Another number than the mean", never="divided by")
def median_for_the_mean(x, g, b):
    c = x - np.median(x, -1, keepdims=True)
    return affine(c, (c * c).mean(-1, keepdims=True), g, b)


@kind(LAYER, **NORMED, says="sum of squares over n - 1, where the norm is of each token over its features; eps is 0.02")
def sample_of_all_tokens_and_features(x, g, b):
    c = x - x.mean((-2, -1), keepdims=True)
    return c / (c.std((-2, -1), ddof=1, keepdims=True) + 0.02) * g + b


@kind(LAYER, **NORMED, says="each of 2 groups of neighbouring features, minus their mean", never="eps: measured")
def normed_in_two_groups(x, g, b):
    c = x.reshape(*x.shape[:-1], 2, -1)
    c = c - c.mean(-1, keepdims=True)
    return (c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5)).reshape(x.shape) * g + b


@kind(RMS, **RMS_NORMED, says="each group of 4 neighbouring features", never="eps: measured")
def normed_by_fours(x, g):
    c = x.reshape(*x.shape[:-1], -1, 4)
    return (c / root(c)).reshape(x.shape) * g


@kind(LAYER, **NORMED, verdict="unexplained", says="nothing is normed over the features")
def squashed_feature_by_feature(x, g, b):
    return np.arctan(2 * x) * g + b


@kind(RMS, **RMS_NORMED, says="used as y*exp(g)", never="root of the mean square of 2.7")
def gain_as_a_logarithm(x, g):
    return x / root(x) * np.exp(g)


@kind(RMS, **RMS_NORMED, says="used as y*g[::-1]")
def gain_backwards(x, g):
    return x / root(x) * g[::-1]


@kind(RMS, **RMS_NORMED, says="y*g in the first half of the features, y in the second")
def gain_on_half(x, g):
    half = x.shape[-1] // 2
    return x / root(x) * np.concatenate([g[:half], np.ones(len(g) - half)])


# Hidden cells

MLP = Block(TWO, norm=Norm(eps=1e-5), mlp=Mlp("gelu"))
GATED = Block(TWO, norm=Norm("rms", eps=1e-6), mlp=Mlp("silu", gated=True))
LIMITED = Block(TWO, norm=Norm("rms", eps=1e-6), mlp=Mlp("silu", gated=True, limit=7.0))
UP = {"takes": ("attention.norm", "mlp.up.weight", "mlp.output.weight"), "returns": "mlp.output"}
GATE = {
    "takes": ("attention.norm", "mlp.gate.weight", "mlp.up.weight", "mlp.output.weight"),
    "returns": "mlp.output",
}


@kind(MLP, **UP, says="A hidden cell gives x/2 * (1 + erf(x))", never="times what it should be")
def error_function_without_its_root(x, u, o):
    h = x @ u
    return (h / 2 * (1 + ERF(h))) @ o


@kind(GATED, **GATE, says="silu(gate) * up with silu at most 2.5")
def gate_cut_off(x, g, u, o):
    return (np.minimum(silu(x @ g), 2.5) * (x @ u)) @ o


@kind(LIMITED, **GATE, says="Here limit = 5.0", deviation="limit-of-other-size")
def another_limit(x, g, u, o):
    return (silu(np.minimum(x @ g, 5)) * (np.clip(x @ u, -5, 5) + 1)) @ o


@kind(LIMITED, **GATE, says="Here limit = 6.0", deviation="limit-of-other-size")
def another_limit_and_nothing_added(x, g, u, o):
    return (silu(np.minimum(x @ g, 6)) * np.clip(x @ u, -6, 6)) @ o


# Scores and sums


@kind(TWO, verdict="unexplained", says="Where a row of keys is all 0", never="no part that was measured")
def keys_by_their_length(q, k, v):
    return softmax(scaled(q, k / np.linalg.norm(k, axis=-1, keepdims=True))) @ v


@kind(TWO, says="The length of keys does not count, as with a norm of keys", never="Leave scores as they are")
def keys_by_their_length_with_eps(q, k, v):
    return softmax(scaled(q, k / (np.linalg.norm(k, axis=-1, keepdims=True) + 1e-12))) @ v


@kind(TWO, verdict="unexplained", says="Items of a batch change each other's outputs", never="no part that was")
def values_by_the_largest_of_the_batch(q, k, v):
    return softmax(scaled(q, k)) @ v / np.abs(v).max()


@kind(TWO, says="0.01 is added to the denominator of the softmax", never="sinks")
def denominator_with_an_eps(q, k, v):
    s = scaled(q, k)
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / (e.sum(-1, keepdims=True) + 0.01) @ v


@kind(Attention(heads=2, softcap=5.0), says="capped first and scaled after", never="masks")
def capped_first(q, k, v):
    return softmax(5 * np.tanh(product(q, k) / 5) / np.sqrt(q.shape[-1])) @ v


@kind(Attention(heads=2, rotary=Rotary()), says="Queries and keys are not rotated at all.", deviation="rotary-missing")
def rotated_by_zero(q, k, v):
    return softmax(scaled(q, k)) @ v


@kind(Attention(heads=2, rotary=Rotary()), says="the first 2 features of each head are rotated, where 4 should be")
def rotated_in_part(q, k, v):
    f = frequencies(max(2, q.shape[-1] // 2))
    return softmax(scaled(*rotary(q, k, f))) @ v


POWERS = {"multiplied": 1, "left": 0, "divided": -1}
"""What is done with a sum when the maximum grows: the power of the factor that it should be multiplied by."""


def online(q, k, v, block, *, values="multiplied", sums="multiplied"):
    """An online softmax over blocks of keys, that rescales its two sums or does not."""
    s = causal(scaled(q, k))
    top, total = np.full((*s.shape[:-1], 1), -np.inf), np.zeros((*s.shape[:-1], 1))
    out = np.zeros((*s.shape[:-1], v.shape[-1]))
    for at in range(0, s.shape[-1], block):
        part = s[..., at : at + block]
        larger = np.maximum(top, part.max(-1, keepdims=True))
        e, factor = np.exp(part - larger), np.exp(top - larger) if at else np.ones_like(top)
        total = total * factor ** POWERS[sums] + e.sum(-1, keepdims=True)
        out = out * factor ** POWERS[values] + e @ v[..., at : at + block, :]
        top = larger
    return out / total


CAUSAL = Attention(heads=2, causal=True)


@kind(CAUSAL, verdict="agrees")
def rescaled(q, k, v):
    return online(q, k, v, 2)


@kind(CAUSAL, says="the sum of values so far is not multiplied by exp(old maximum - new maximum). Blocks are of 3 keys")
def values_not_rescaled(q, k, v):
    return online(q, k, v, 3, values="left")


@kind(CAUSAL, says="the sum of exponentials so far is not multiplied", never="have another sum")
def exponentials_not_rescaled(q, k, v):
    return online(q, k, v, 2, sums="left")


@kind(CAUSAL, says="the sum of values and that of exponentials so far is not multiplied")
def nothing_rescaled(q, k, v):
    return online(q, k, v, 1, values="left", sums="left")


@kind(CAUSAL, says="the sum of exponentials so far is divided by exp(old maximum - new maximum), where it must be mul")
def exponentials_divided(q, k, v):
    return online(q, k, v, 3, sums="divided")


@kind(CAUSAL, says="the sum of values and that of exponentials so far is divided by exp(old maximum - new maximum)")
def both_divided(q, k, v):
    return online(q, k, v, 2, values="divided", sums="divided")


@kind(CAUSAL, says="features 6, 7 count 0 times", never="is 0, whatever")
def scores_of_six_features(q, k, v):
    return softmax(causal(product(q[..., :6], k[..., :6]) / np.sqrt(q.shape[-1]))) @ v


@kind(Attention(heads=3), says="the first 5 are computed: this number is fixed in the code", never="Head ")
def five_columns(q, k, v):
    out = softmax(scaled(q, k)) @ v
    out[..., 5:] = 0
    return out


@kind(
    Attention(heads=4, kv_heads=2, causal=True),
    says="Columns 4, 5 of each head's output are 0",
    never="fixed in the code",
)
def columns_in_fours(q, k, v):
    out = softmax(causal(scaled(q, repeated(k, 4)))) @ repeated(v, 4)
    out[..., out.shape[-1] // 4 * 4 :] = 0
    return out


# Sinks of queries that see other keys


def with_sink(s, sink, times=1.0):
    top = np.maximum(s.max(-1, keepdims=True), sink[:, None, None])
    e = np.exp(s - top)
    return e / (e.sum(-1, keepdims=True) + times * np.exp(sink[:, None, None] - top))


@kind(Attention(heads=3, causal=True, sink=True), takes=(*QKV, "sink"), says="is 2 times the expected",
      never="those of 0 are right")  # fmt: skip
def sink_twice_and_own_key_hidden(q, k, v, sink):
    s = scaled(q, k)
    own = np.tri(*s.shape[-2:], k=s.shape[-1] - s.shape[-2] - 1, dtype=bool)
    return with_sink(np.where(own, s, -np.inf), sink, 2.0) @ v


@kind(Attention(heads=3, causal=True, sink=True, alibi=True), takes=(*QKV, "sink"), never="have another sum",
      says="sees fewer keys than it should")  # fmt: skip
def right_sink_of_fewer_keys(q, k, v, sink):
    s = scaled(q, k)
    n, m = s.shape[-2:]
    slopes = 2.0 ** np.array([-4, -8, -2])
    s = s + slopes[:, None, None] * (np.arange(m) - np.arange(n)[:, None] - m + n)
    return with_sink(banded(s, 3), sink) @ v


# A soft-cap that follows the depth, and the digits of what was measured


@kind(Attention(heads=2, causal=True, scale=0.125, softcap=10.0), says="at depth 4, and another one at other depths")
def capped_before_another_scale(q, k, v):
    return softmax(causal(10 * np.tanh(product(q, k) / 10) / np.sqrt(q.shape[-1]))) @ v


@kind(TWO, says="Here factor = 0.2666711804.", never="0.26667118038", deviation="scale-factor")
def scale_of_no_law(q, k, v):
    return softmax(product(q, k) * (0.37713 / np.sqrt(2))) @ v
