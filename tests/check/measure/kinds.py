"""Kinds of fault that measuring once missed or said falsely: what must be said, and what must not be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
import torch
from msgspec import Struct

from clearhead import Attention, Block, Mlp, Norm, Rotary
from clearhead.spec.rotary import Factors
from clearhead.working import Working

from .block_pieces import attention, gated, layer, rms
from .pieces import banded, causal, frequencies, joined, product, rotary, rows_and_columns, scaled, softmax, turned

QKV = ("query", "key", "value")
NORM = ("residual", "norm.gain", "norm.bias")


class Kind(Struct, frozen=True):
    """A function, the verdict on it, words of the report, words that would be false, and the deviation if any."""

    function: Callable[..., Any]
    working: Working
    takes: tuple[str, ...] = QKV
    returns: str = "head"
    verdict: str = "explained"
    says: str = ""
    never: str = ""
    deviation: str = ""
    given: Mapping[str, Any] | None = None


KINDS: dict[str, Kind] = {}


def kind(spec, **expected):
    """Keeps a function under its name."""

    def keep(function):
        KINDS[function.__name__] = Kind(function, spec.working(), **expected)
        return function

    return keep


# Fills of masks


def filled(s, seen, fill):
    return softmax(np.where(seen, s, fill))


def earlier(s):
    i, j = rows_and_columns(s)
    return j <= i


@kind(Attention(heads=2, causal=True), says="a score of -30000")
def causal_fill_that_scores_reach(q, k, v):
    q, k, v = (x.astype(np.float32) for x in (q, k, v))
    s = scaled(q, k)
    return filled(s, earlier(s), np.float32(-3e4)) @ v


@kind(Attention(heads=2, padding=True), takes=(*QKV, "padding"), says="hidden by padding get a score of -200000")
def padding_fill_that_scores_reach(q, k, v, real):
    return filled(scaled(q, k), real[:, None, None], -2e5) @ v


@kind(Attention(heads=3, causal=True, window=3, rotary=Rotary()), says="a score of -4321")
def window_fill_that_scores_reach(q, k, v):
    s = banded(scaled(*rotary(q, k)), 3)
    return softmax(np.where(np.isfinite(s), s, -4321.0)) @ v


@kind(Attention(heads=2, mask="boolean"), takes=(*QKV, "mask"), verdict="agrees")
def fill_of_the_usual_size(q, k, v, mask):
    return filled(scaled(q, k), mask, -1e9) @ v


@kind(Attention(heads=2, causal=True, softcap=20.0), verdict="agrees")
def fill_that_capped_scores_never_reach(q, k, v):
    s = 20 * np.tanh(scaled(q, k) / 20)
    return filled(s, earlier(s), -1e4) @ v


# Sinks and slots


@kind(Attention(heads=2, sink=True), takes=(*QKV, "sink"), says="3 times the expected")
def sink_three_times(q, k, v, sink):
    s = scaled(q, k)
    top = s.max(-1, keepdims=True)
    e = np.exp(s - top)
    return e / (e.sum(-1, keepdims=True) + 3 * np.exp(sink[:, None, None] - top)) @ v


@kind(Attention(heads=2, causal=True, sink=True), takes=(*QKV, "sink"), verdict="agrees")
def sink_as_a_column(q, k, v, sink):
    s = causal(scaled(q, k))
    column = np.broadcast_to(sink[:, None, None], (*s.shape[:-1], 1))
    return softmax(np.concatenate([s, column], -1))[..., :-1] @ v


@kind(Attention(heads=2, causal=True), says="has the largest score, and not 0", never="with a score of 0")
def one_added_behind_the_shift(q, k, v):
    s = causal(scaled(q, k))
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / (1 + e.sum(-1, keepdims=True)) @ v


# Frequencies


@kind(Attention(heads=2, causal=True, rotary=Rotary(base=5e5)), says="rounded to float16", never="base of the")
def frequencies_kept_in_half(q, k, v):
    f = frequencies(q.shape[-1], 5e5).astype(np.float16).astype(float)
    return softmax(causal(scaled(*rotary(q, k, f)))) @ v


@kind(Attention(heads=2, causal=True, rotary=Rotary(layout="interleaved")), says="rounded to bfloat16")
def frequencies_kept_in_brain_floats(q, k, v):
    f = frequencies(q.shape[-1]).astype(ml_dtypes.bfloat16).astype(float)
    return softmax(causal(scaled(*rotary(q, k, f, layout="interleaved")))) @ v


@kind(Attention(heads=2, causal=True, rotary=Rotary()), never="base of the")
def frequencies_of_no_base(q, k, v):
    f = frequencies(q.shape[-1])
    f[1:] *= 1.07
    return softmax(causal(scaled(*rotary(q, k, f)))) @ v


@kind(Attention(heads=2, causal=True, rotary=Rotary(scaling=Factors())), says="expected (0,3)",
      given={"rotary.factors": np.array([1.0, 1e30, 1e30])})  # fmt: skip
def pairs_within_the_turned_features(q, k, v):
    return softmax(causal(scaled(*rotary(q, k, frequencies(6)[:1])))) @ v


# Masks read the other way round


@kind(Attention(heads=2, mask="boolean"), takes=(*QKV, "mask"), says="the other way round",
      never="does not follow the inputs")  # fmt: skip
def mask_true_means_hidden(q, k, v, mask):
    with np.errstate(all="ignore"):
        s = np.where(mask, -np.inf, scaled(q, k))
        e = np.exp(s - s.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True) @ v


@kind(Attention(heads=4, kv_heads=2, padding=True), takes=(*QKV, "padding"), says="the other way round",
      never="does not follow the inputs", deviation="padding-inverted")  # fmt: skip
def padding_true_means_hidden(q, k, v, real):
    q, k, v = map(torch.as_tensor, (q, k, v))
    hide = torch.as_tensor(~real)[:, None, None]
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=hide, enable_gqa=True).numpy()


@kind(Attention(heads=3, causal=True), says="over the head and key axes")
def softmax_over_heads_and_keys(q, k, v):
    s = np.moveaxis(causal(scaled(q, k)), 1, 2)
    w = softmax(s.reshape(*s.shape[:2], -1)).reshape(s.shape)
    return np.moveaxis(w, 2, 1) @ v


# Norms: what is small is no rounding


@kind(Block(Attention(heads=2), norm=Norm(eps=1e-3)), takes=NORM, returns="norm", says="divided by n - 1",
      never="worked out in float32")  # fmt: skip
def sample_deviation_and_eps_beside_it(x, g, b):
    return g * (x - x.mean(-1, keepdims=True)) / (x.std(-1, ddof=1, keepdims=True) + 1e-5) + b


@kind(Block(Attention(heads=2), norm=Norm(eps=1e-5)), takes=NORM, returns="norm", says="divided by n - 1",
      never="eps:", deviation="norm-sample-std")  # fmt: skip
def sample_variance_alone(x, g, b):
    return g * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, ddof=1, keepdims=True) + 1e-5) + b


POST = ("input", "query.weight", "key.weight", "value.weight", "output.weight", "norm.gain", "norm.bias")


@kind(Block(Attention(heads=2, causal=True), norm=Norm(eps=1e-6)), takes=POST, returns="norm",
      says="residual is output + output", never="worked out in float32")  # fmt: skip
def output_added_to_itself(x, wq, wk, wv, wo, g, b):
    y = attention(x, wq, wk, wv, wo)
    return layer(y + y, g, b, 1e-6)


# Half precision and layouts


@kind(Attention(heads=2, scale=1.0), verdict="agrees")
def no_scale_in_half(q, k, v):
    q, k = (x.astype(np.float16) for x in (q, k))
    return softmax(product(q, k).astype(np.float32)) @ v


@kind(Attention(heads=2), takes=("query", "key"), returns="weights", deviation="softmax-over-queries",
      never="another layout")  # fmt: skip
def weights_over_queries(q, k):
    return softmax(scaled(q, k), -2)


@kind(Attention(heads=2, causal=True), says="needs another layout")
def heads_behind_tokens(q, k, v):
    q, k, v = (np.swapaxes(x, -2, -3) for x in (q, k, v))
    return np.swapaxes(softmax(causal(scaled(q, k))) @ v, -2, -3)


@kind(Attention(heads=2), says="1/sqrt(heads) at 2 heads")
def scale_by_heads(q, k, v):
    return softmax(product(q, k) / np.sqrt(q.shape[-3])) @ v


@kind(Attention(heads=2, causal=True, cache=True, rotary=Rotary()), takes=(*QKV, "past.key", "past.value"),
      says="Keys stand at")  # fmt: skip
def new_keys_one_further(q, k, v, pk, pv):
    f, past = frequencies(q.shape[-1]), pk.shape[-2]
    q, k = turned(q, past + np.arange(q.shape[-2]), f), turned(k, past + 1 + np.arange(k.shape[-2]), f)
    return softmax(causal(scaled(q, joined(pk, k)))) @ joined(pv, v)


BLOCK = (
    "input", "attention.norm.gain", "attention.query.weight", "attention.key.weight", "attention.value.weight",
    "attention.output.weight", "mlp.norm.gain", "mlp.gate.weight", "mlp.up.weight", "mlp.output.weight",
)  # fmt: skip
GATED = Block(Attention(heads=2, causal=True), norm=Norm("rms", eps=1e-6), placement="pre", mlp=Mlp("silu", gated=True))


@kind(GATED, takes=BLOCK, returns="mlp.residual", says="mlp.residual is mlp.output + mlp.output")
def second_output_added_to_itself(x, g1, wq, wk, wv, wo, g2, wg, wu, wd):
    x = x + attention(rms(x, g1), wq, wk, wv, wo)
    x = gated(rms(x, g2), wg, wu, wd)
    return x + x


@kind(GATED, takes=BLOCK, returns="mlp.residual", says="mlp.residual is mlp.norm + mlp.output")
def both_residuals_mixed(x, g1, wq, wk, wv, wo, g2, wg, wu, wd):
    y = attention(rms(x, g1), wq, wk, wv, wo)
    x = y + y
    n = rms(x, g2)
    return n + gated(n, wg, wu, wd)


# State, sums of many keys, and parts of the queries


KEPT: dict[int, Any] = {}


@kind(Attention(heads=4, kv_heads=2, causal=True, cache=True, rotary=Rotary(base=5e5)),
      takes=(*QKV, "past.key", "past.value"), says="depends on calls before")  # fmt: skip
def places_kept_by_their_number(q, k, v, pk, pv):
    at = KEPT.setdefault(q.shape[-2], pk.shape[-2] + np.arange(q.shape[-2]))
    f = frequencies(q.shape[-1], 5e5)
    k, v = joined(pk, turned(k, at, f)), joined(pv, v)
    return softmax(causal(scaled(turned(q, at, f), np.repeat(k, 2, 1)))) @ np.repeat(v, 2, 1)


@kind(Attention(heads=2, causal=True), says="a sum of ones stops at 256", never="the cause is found")
def sums_in_brain_floats(q, k, v):
    bf = ml_dtypes.bfloat16
    e = np.exp(causal(scaled(q, k)) - 1).astype(bf)
    total = np.zeros(e.shape[:-1], bf)
    for j in range(e.shape[-1]):
        total = (total + e[..., j]).astype(bf)
    return (e / total[..., None]).astype(float) @ v


@kind(Attention(heads=3, sink=True), takes=(*QKV, "sink"), says="The weights of query 0 have another sum")
def sink_not_of_the_first_query(q, k, v, sink):
    s = scaled(q, k)
    e, more = np.exp(s), np.exp(sink)[:, None, None] * (np.arange(q.shape[-2]) > 0)[:, None]
    return e / (e.sum(-1, keepdims=True) + more) @ v


@kind(Attention(heads=2, memory=True, padding=True), returns="output", deviation="padding-missing",
      takes=("input", "memory", "padding", "query.weight", "key.weight", "value.weight", "output.weight"))  # fmt: skip
def padding_of_the_memory_unread(x, memory, _, wq, wk, wv, wo):
    y = softmax(scaled(x[:, None] @ wq, memory[:, None] @ wk)) @ (memory[:, None] @ wv)
    return np.swapaxes(y, 1, 2).reshape(*x.shape[:-1], -1) @ wo


# Grids of keys that have a name, and queries of padding


@kind(Attention(heads=2, memory=True), says="j <= i: a causal mask that is aligned at the top left",
      never="bottom right")  # fmt: skip
def causal_mask_over_a_memory(q, k, v):
    s = scaled(q, k)
    return softmax(np.where(np.tri(*s.shape[-2:]) > 0, s, -np.inf)) @ v


CACHED = Attention(heads=2, causal=True, cache=True, window=3)


@kind(CACHED, takes=(*QKV, "past.key", "past.value"), says="a window of 3 keys that is aligned at the top left")
def window_by_the_number_of_new_tokens(q, k, v, pk, pv):
    s = scaled(q, joined(pk, k))
    i, j = np.ogrid[: s.shape[-2], : s.shape[-1]]
    return softmax(np.where((j <= i) & (j > i - 3), s, -np.inf)) @ joined(pv, v)


@kind(Attention(heads=2, causal=True, cache=True), takes=(*QKV, "past.key", "past.value"),
      says="see all keys but the first, of those that they should see")  # fmt: skip
def oldest_key_lost(q, k, v, pk, pv):
    return softmax(causal(scaled(q, joined(pk, k)[..., 1:, :]))) @ joined(pv, v)[..., 1:, :]


@kind(Attention(heads=4, kv_heads=2, padding=True), takes=(*QKV, "padding"),
      says="Only queries at the places of hidden keys differ: they get the mean of all values")  # fmt: skip
def padding_of_queries_too(q, k, v, real):
    s = scaled(q, np.repeat(k, 2, 1))
    return filled(s, real[:, None, None] & real[:, None, :, None], -1e9) @ np.repeat(v, 2, 1)


@kind(Attention(heads=2, padding=True, rotary=Rotary()), takes=(*QKV, "padding"), says="the other way round",
      never="are not rotated", deviation="padding-inverted")  # fmt: skip
def padding_true_means_filled(q, k, v, real):
    return filled(scaled(*rotary(q, k)), ~real[:, None, None], -1e4) @ v


# Batch and heads in one axis, norms of other cells, shares of other tokens


@kind(Attention(heads=2, padding=True), takes=(*QKV, "padding"), deviation="padding-repeated-for-heads",
      says="repeated as 1 1 2 2")  # fmt: skip
def padding_of_heads_that_stand_first(q, k, v, real):
    b, h = q.shape[:2]
    q, k, v = (np.concatenate(list(np.swapaxes(each, 0, 1))) for each in (q, k, v))
    s = np.where(np.repeat(real, h, axis=0)[:, None], scaled(q, k), -1e30)
    return np.swapaxes((softmax(s) @ v).reshape(h, b, q.shape[1], v.shape[2]), 0, 1)


@kind(Attention(heads=2, output=False), takes=("input", "query.weight", "key.weight", "value.weight"),
      returns="concat", deviation="heads-merged-over-batch", says="joined as if they were (batch, head")  # fmt: skip
def heads_in_a_list_joined_as_examples(x, wq, wk, wv):
    heads = np.stack([softmax(scaled(x @ q, x @ k)) @ (x @ v) for q, k, v in zip(wq, wk, wv, strict=True)])
    return np.swapaxes(heads, 1, 2).reshape(*x.shape[:2], -1)


@kind(Attention(heads=3, qk_norm=Norm("rms", eps=1e-6), qk_norm_over="heads", output=False),
      takes=("input", "query.weight", "key.weight", "value.weight", "query.norm.gain", "key.norm.gain"),
      returns="concat", deviation="qk-norm-head-by-head", says="head by head")  # fmt: skip
def queries_normed_in_each_head(x, wq, wk, wv, gq, gk):
    q, k, v = (x[:, None] @ each for each in (wq, wk, wv))
    y = softmax(scaled(rms(q, gq[:, None], 1e-6), rms(k, gk[:, None], 1e-6))) @ v
    return np.swapaxes(y, 1, 2).reshape(*x.shape[:2], -1)


@kind(Attention(heads=2, padding=True), takes=(*QKV, "padding"), deviation="padding-on-queries",
      says="or another.")  # fmt: skip
def padding_on_queries_with_a_fill_that_does_not_matter(q, k, v, real):
    return softmax(np.where(real[:, None, :, None], scaled(q, k), -777.0)) @ v


# Softmaxes over a batch, scores of nothing, what is added where nothing should be


@kind(Attention(heads=2, scale=1.0), says="sum to 1 over the batch and query axes, and not over the keys")
def softmax_of_the_first_axis_of_a_reshape(q, k, v):
    s = product(q, k)
    flat = np.swapaxes(s, 0, 1).reshape(s.shape[1], -1, s.shape[-1])
    return np.swapaxes(softmax(flat, 1).reshape(s.shape[1], s.shape[0], *s.shape[2:]), 0, 1) @ v


@kind(Attention(heads=3, causal=True, rotary=Rotary(layout="interleaved")), says="Scores follow no queries and keys",
      never="rotate")  # fmt: skip
def waves_that_are_all_zero(q, k, v):
    return softmax(causal(scaled(0 * q, k))) @ v


@kind(Attention(heads=3, memory=True), returns="output", says="input is added to output, where nothing should be",
      takes=("input", "memory", "query.weight", "key.weight", "value.weight", "output.weight"))  # fmt: skip
def residual_of_no_block(x, memory, wq, wk, wv, wo):
    y = softmax(scaled(x[:, None] @ wq, memory[:, None] @ wk)) @ (memory[:, None] @ wv)
    return x + np.swapaxes(y, 1, 2).reshape(*x.shape[:-1], -1) @ wo
