"""Attention as people write it: right in odd styles, wrong in ways that were seen, wrong in ways that no table has.

Each animal is a function with the task it should do. `expects` is "agrees", the id of the deviation or the kind of the
symptom that is the cause, or "unexplained"; `fails` has the properties that must be found to fail.
"""

# ruff: noqa: N803, ARG001 - written as people write it: capital matrices, arguments that go unused

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from msgspec import Struct

from clearhead import Attention, Block, Norm, Rotary
from clearhead.working import Working

rng = np.random.default_rng(7)
HEADS, MODEL, DEPTH = 2, 7, 4
WQ, WK, WV = (rng.normal(size=(HEADS, MODEL, DEPTH)) for _ in range(3))
WO = rng.normal(size=(HEADS * DEPTH, MODEL))
GAIN, BIAS = rng.normal(size=MODEL), rng.normal(size=MODEL)
WEIGHTS = {"query.weight": WQ, "key.weight": WK, "value.weight": WV}
PROJECTED = {**WEIGHTS, "output.weight": WO}
NORMED = {**PROJECTED, "norm.gain": GAIN, "norm.bias": BIAS}


class Animal(Struct, frozen=True):
    function: Callable[..., Any]
    working: Working
    expects: str
    takes: tuple[str, ...] = ("query", "key", "value")
    returns: str | tuple[str, ...] = "head"
    given: dict[str, Any] = {}
    fails: tuple[str, ...] = ()


ZOO: dict[str, Animal] = {}


def animal(working, expects, *, fails=(), **task):
    def keep(function):
        ZOO[function.__name__] = Animal(function, working, expects, fails=tuple(fails), **task)
        return function

    return keep


PLAIN = Attention(heads=2).working()
ONE = Attention(heads=1).working()
CAUSAL = Attention(heads=2, causal=True).working()
MASKED = Attention(heads=2, mask="boolean").working()
BIASED = Attention(heads=2, mask="additive").working()
PADDED = Attention(heads=2, padding=True).working()
GROUPED = Attention(heads=4, kv_heads=2).working()
CAPPED = Attention(heads=2, softcap=2.0).working()
WINDOW = Attention(heads=2, causal=True, window=3).working()
TURNED = Attention(heads=2, rotary=Rotary("half")).working()
NORM = Block(Attention(heads=2), norm=Norm(eps=1e-5)).working()

OF_INPUT = {"takes": ("input",), "returns": "output", "given": PROJECTED}
OF_BLOCK = {"takes": ("input",), "returns": "norm", "given": NORMED}
WITH_MASK = {"takes": ("query", "key", "value", "mask")}
WITH_PADDING = {"takes": ("query", "key", "value", "padding")}


def softmax(s, axis=-1):
    e = np.exp(s - s.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def scores(q, k):
    return q @ np.swapaxes(k, -1, -2)


def lower(n):
    return np.tril(np.ones((n, n), dtype=bool))


# Right, in odd styles


@animal(PLAIN, "agrees")
def einsum(q, k, v):
    return np.einsum("bhij,bhjd->bhid", softmax(np.einsum("bhid,bhjd->bhij", q, k) / sqrt(q.shape[-1])), v)


@animal(PLAIN, "agrees")
def loops(q, k, v):
    out = np.zeros(q.shape)
    for b, h, i in np.ndindex(q.shape[:3]):
        s = [float(np.dot(q[b, h, i], k[b, h, j])) / sqrt(q.shape[3]) for j in range(k.shape[2])]
        e = [np.exp(x - max(s)) for x in s]
        for j, w in enumerate(e):
            out[b, h, i] += w / sum(e) * v[b, h, j]
    return out


@animal(ONE, "agrees")
def two_dimensions(Q, K, V):
    return softmax(Q @ K.T / np.sqrt(Q.shape[1])) @ V


@animal(ONE, "agrees")
def column_tokens_inside(Q, K, V):
    q, k, v = Q.T, K.T, V.T
    a = softmax(k.T @ q / np.sqrt(q.shape[0]), axis=0)
    return (v @ a).T


@animal(ONE, "agrees")
def column_tokens(q, k, v):
    return v @ softmax(k.T @ q / np.sqrt(q.shape[0]), axis=0)


@animal(PLAIN, "agrees")
def scale_split(q, k, v):
    root = q.shape[-1] ** 0.25
    return softmax(scores(q / root, k / root)) @ v


@animal(PLAIN, "agrees")
def powers_of_two(q, k, v):
    s = scores(q, k) * (np.log2(np.e) / sqrt(q.shape[-1]))
    p = np.exp2(s - s.max(-1, keepdims=True))
    return (p @ v) / p.sum(-1, keepdims=True)


@animal(PLAIN, "agrees")
def online_softmax(q, k, v):
    top = np.full((*q.shape[:-1], 1), -np.inf)
    total, out = np.zeros_like(top), np.zeros_like(q)
    for j in range(k.shape[-2]):
        s = (q * k[..., j : j + 1, :]).sum(-1, keepdims=True) / sqrt(q.shape[-1])
        new = np.maximum(top, s)
        total = total * np.exp(top - new) + np.exp(s - new)
        out = out * np.exp(top - new) + np.exp(s - new) * v[..., j : j + 1, :]
        top = new
    return out / total


@animal(PLAIN, "agrees")
def sdpa(q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)


@animal(PLAIN, "agrees")
def torch_by_hand(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1).matmul(v)


@animal(PLAIN, "agrees")
def jax_by_hand(q, k, v):
    return jnp.einsum(
        "...ij,...jd->...id", jax.nn.softmax(jnp.einsum("...id,...jd->...ij", q, k) / sqrt(q.shape[-1])), v
    )


@animal(CAUSAL, "agrees")
def causal_for_square(q, k, v):
    s = scores(q, k) / sqrt(q.shape[-1])
    return softmax(np.where(lower(s.shape[-1]), s, -1e30)) @ v


@animal(CAUSAL, "agrees")
def causal_by_prefix(q, k, v):
    rows = [
        softmax(scores(q[..., i : i + 1, :], k[..., : i + 1, :]) / sqrt(q.shape[-1])) @ v[..., : i + 1, :]
        for i in range(q.shape[-2])
    ]
    return np.concatenate(rows, axis=-2)


@animal(CAUSAL, "agrees")
def sdpa_causal(q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


@animal(MASKED, "agrees", fails=["large"], **WITH_MASK)
def mask_after_softmax_renormalised(q, k, v, mask):
    w = softmax(scores(q, k) / sqrt(q.shape[-1])) * mask
    return w / w.sum(-1, keepdims=True) @ v


@animal(PADDED, "agrees", **WITH_PADDING)
def padding_by_selection(q, k, v, padding):
    out = []
    for b in range(q.shape[0]):
        keys, values = k[b][:, padding[b]], v[b][:, padding[b]]
        out.append(softmax(scores(q[b], keys) / sqrt(q.shape[-1])) @ values)
    return np.stack(out)


@animal(GROUPED, "agrees")
def grouped(q, k, v):
    k, v = np.repeat(k, 2, axis=1), np.repeat(v, 2, axis=1)
    return softmax(scores(q, k) / sqrt(q.shape[-1])) @ v


@animal(PLAIN, "agrees", returns=("head", "weights"))
def with_weights(q, k, v):
    w = softmax(scores(q, k) / sqrt(q.shape[-1]))
    return w @ v, w


@animal(PLAIN, "agrees", **OF_INPUT)
def sum_of_heads(x):
    out = 0
    for h in range(HEADS):
        q, k, v = x @ WQ[h], x @ WK[h], x @ WV[h]
        out = out + softmax(scores(q, k) / sqrt(DEPTH)) @ v @ WO[h * DEPTH : (h + 1) * DEPTH]
    return out


@animal(PLAIN, "agrees", **OF_INPUT)
def fused_projection(x):
    packed = np.concatenate([np.concatenate(list(w), axis=-1) for w in (WQ, WK, WV)], axis=-1)
    q, k, v = (np.swapaxes(p.reshape(*x.shape[:-1], HEADS, DEPTH), -3, -2) for p in np.split(x @ packed, 3, axis=-1))
    a = softmax(scores(q, k) / sqrt(DEPTH)) @ v
    return np.swapaxes(a, -3, -2).reshape(*x.shape[:-1], HEADS * DEPTH) @ WO


@animal(NORM, "agrees", **OF_BLOCK)
def block(x):
    y = x + fused_projection(x)
    mean = y.mean(-1, keepdims=True)
    return (y - mean) / np.sqrt(((y - mean) ** 2).mean(-1, keepdims=True) + 1e-5) * GAIN + BIAS


@animal(PLAIN, "agrees")
def key_bias(q, k, v):
    return softmax(scores(q, k + np.arange(k.shape[-1])) / sqrt(q.shape[-1])) @ v


# Wrong, as seen in the wild


@animal(PLAIN, "softmax-over-queries")
def softmax_over_queries(q, k, v):
    return softmax(scores(q, k) / sqrt(q.shape[-1]), axis=-2) @ v


@animal(ONE, "softmax-over-queries", fails=["equal-values"])
def softmax_first_axis(Q, K, V):
    s = Q @ K.T / np.sqrt(Q.shape[1])
    return np.exp(s) / np.sum(np.exp(s), axis=0) @ V


@animal(PLAIN, "softmax-over-heads")
def softmax_over_heads(q, k, v):
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=1) @ v


@animal(PLAIN, "scale-missing")
def unscaled(q, k, v):
    return softmax(scores(q, k)) @ v


@animal(PLAIN, "scale-after-softmax", fails=["equal-values"])
def scaled_after(q, k, v):
    return softmax(scores(q, k)) / sqrt(q.shape[-1]) @ v


@animal(PLAIN, "scale-squared")
def scaled_twice(q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q / q.shape[-1] ** 0.5, k, v)


@animal(PLAIN, "scale-inverted")
def multiplied(q, k, v):
    return jax.nn.softmax(jnp.matmul(q, jnp.swapaxes(k, -1, -2)) * jnp.sqrt(q.shape[-1])) @ v


@animal(PLAIN, "scale-by-model", **OF_INPUT)
def scaled_by_model(x):
    q, k, v = (np.einsum("...tm,hmd->...htd", x, w) for w in (WQ, WK, WV))
    a = softmax(scores(q, k) / sqrt(MODEL)) @ v
    return np.swapaxes(a, -3, -2).reshape(*x.shape[:-1], -1) @ WO


@animal(PLAIN, "heads-merged-by-reshape", **OF_INPUT)
def merged_by_reshape(x):
    q, k, v = (np.einsum("...tm,hmd->...htd", x, w) for w in (WQ, WK, WV))
    a = softmax(scores(q, k) / sqrt(DEPTH)) @ v
    return a.reshape(*x.shape[:-1], -1) @ WO


@animal(PLAIN, "weights-transposed")
def transposed_weights(q, k, v):
    return np.swapaxes(softmax(scores(q, k) / sqrt(q.shape[-1])), -1, -2) @ v


@animal(PLAIN, "softmax-twice")
def softmax_twice(q, k, v):
    return softmax(softmax(scores(q, k) / sqrt(q.shape[-1]))) @ v


@animal(PLAIN, "softmax-one", fails=["equal-values"])
def one_more(q, k, v):
    e = np.exp(scores(q, k) / sqrt(q.shape[-1]))
    return e / (1 + e.sum(-1, keepdims=True)) @ v


@animal(PLAIN, "attention-over-heads", **OF_INPUT)
def over_heads(x):
    q, k, v = (np.einsum("...tm,hmd->...thd", x, w) for w in (WQ, WK, WV))
    a = softmax(scores(q, k) / sqrt(DEPTH)) @ v
    return a.reshape(*x.shape[:-1], -1) @ WO


@animal(CAUSAL, "causal-off-by-one", fails=["future"])
def one_future_key(q, k, v):
    s = scores(q, k) / sqrt(q.shape[-1])
    return softmax(np.where(np.tri(*s.shape[-2:], k=1) > 0, s, -np.inf)) @ v


@animal(CAUSAL, "causal-missing", fails=["future"])
def causal_dropped(q, k, v):
    return torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1) @ v


@animal(CAUSAL, "causal-transposed", fails=["future"])
def sees_the_future(q, k, v):
    s = q @ k.mT / q.shape[-1] ** 0.5
    return s.masked_fill(torch.ones(s.shape[-2:]).tril(-1).bool(), float("-inf")).softmax(-1) @ v


@animal(MASKED, "mask-inverted", fails=["masked"], **WITH_MASK)
def polarity(q, k, v, mask):
    return (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(mask, -1e9).softmax(-1) @ v


@animal(MASKED, "mask-added", fails=["masked"], **WITH_MASK)
def mask_added(q, k, v, mask):
    return softmax(scores(q, k) / sqrt(q.shape[-1]) + mask) @ v


@animal(MASKED, "mask-multiplied", fails=["masked"], **WITH_MASK)
def mask_multiplied(q, k, v, mask):
    return softmax(scores(q, k) / sqrt(q.shape[-1]) * mask) @ v


@animal(MASKED, "mask-after-softmax", fails=["equal-values"], **WITH_MASK)
def masked_after(q, k, v, mask):
    return (softmax(scores(q, k) / sqrt(q.shape[-1])) * mask) @ v


@animal(BIASED, "scale-after-mask", **WITH_MASK)
def mask_scaled(q, k, v, mask):
    return softmax((scores(q, k) + mask) / sqrt(q.shape[-1])) @ v


@animal(PADDED, "padding-missing", fails=["masked"], **WITH_PADDING)
def padding_ignored(q, k, v, padding):
    return softmax(scores(q, k) / sqrt(q.shape[-1])) @ v


@animal(GROUPED, "groups-tiled", fails=["heads"])
def tiled_groups(q, k, v):
    k, v = k.repeat(1, 2, 1, 1), v.repeat(1, 2, 1, 1)
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)


@animal(CAPPED, "softcap-missing")
def uncapped(q, k, v):
    return softmax(scores(q, k) / sqrt(q.shape[-1])) @ v


@animal(WINDOW, "window-off-by-one", fails=["masked"])
def wide_window(q, k, v):
    s, n = scores(q, k) / sqrt(q.shape[-1]), q.shape[-2]
    back = np.arange(n)[:, None] - np.arange(n)
    return softmax(np.where((back >= 0) & (back <= 3), s, -np.inf)) @ v


@animal(TURNED, "rotary-other-layout")
def interleaved(q, k, v):
    def turn(x):
        n, d = x.shape[-2:]
        angle = np.arange(n)[:, None] * 10000.0 ** (-2 * np.arange(d // 2) / d)
        even, odd = x[..., ::2], x[..., 1::2]
        pairs = [even * np.cos(angle) - odd * np.sin(angle), odd * np.cos(angle) + even * np.sin(angle)]
        return np.stack(pairs, axis=-1).reshape(x.shape)

    return softmax(scores(turn(q), turn(k)) / sqrt(q.shape[-1])) @ v


@animal(NORM, "norm-over-matrix", **OF_BLOCK)
def norm_over_all(x):
    y = x + fused_projection(x)
    mean, var = y.mean((-2, -1), keepdims=True), y.var((-2, -1), keepdims=True)
    return (y - mean) / np.sqrt(var + 1e-5) * GAIN + BIAS


@animal(NORM, "norm-eps", **OF_BLOCK)
def other_eps(x):
    y = x + fused_projection(x)
    return (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-12) * GAIN + BIAS


@animal(NORM, "scale-missing", **OF_BLOCK)
def two_faults(x):
    q, k, v = (np.einsum("...tm,hmd->...htd", x, w) for w in (WQ, WK, WV))
    a = softmax(scores(q, k)) @ v
    y = x + np.swapaxes(a, -3, -2).reshape(*x.shape[:-1], -1) @ WO
    mean, var = y.mean((-2, -1), keepdims=True), y.var((-2, -1), keepdims=True)
    return (y - mean) / np.sqrt(var + 1e-5) * GAIN + BIAS


# Wrong in ways that no table has


@animal(PLAIN, "unexplained", fails=["row-constant"])
def squared_scores(q, k, v):
    return softmax(scores(q, k) ** 2 / sqrt(q.shape[-1])) @ v


@animal(PLAIN, "unexplained", fails=["batch"])
def mixes_the_batch(q, k, v):
    s = scores(q, k) / sqrt(q.shape[-1])
    return softmax(0.9 * s + 0.1 * s.mean(0, keepdims=True)) @ v


@animal(PLAIN, "unexplained", fails=["heads"])
def mixes_the_heads(q, k, v):
    s = scores(q, k) / sqrt(q.shape[-1])
    return softmax(s + 0.3 * np.roll(s, 1, axis=1)) @ v


@animal(PLAIN, "bias", fails=["order"])
def prefers_the_first(q, k, v):
    s = scores(q, k) / sqrt(q.shape[-1])
    s[..., 0] += 0.5
    return softmax(s) @ v


@animal(PLAIN, "selection", fails=["equal-values"])
def drops_small_weights(q, k, v):
    w = softmax(scores(q, k) / sqrt(q.shape[-1]))
    return np.where(w > 0.15, w, 0) @ v


@animal(CAUSAL, "unexplained", fails=["future"])
def peeks_through_the_mean(q, k, v):
    s = scores(q, k - k.mean(-2, keepdims=True) * 0.5 * q.shape[-2]) / sqrt(q.shape[-1])
    s = s - s.mean(-1, keepdims=True)
    return softmax(np.where(lower(s.shape[-1]), s * (1 + 0.1 * np.tanh(v.mean())), -np.inf)) @ v


@animal(PLAIN, "unexplained", fails=["shares"], returns=("head", "weights"))
def negative_weights(q, k, v):
    w = softmax(scores(q, k) / sqrt(q.shape[-1])) * 1.2 - 0.04
    return w @ v, w


# Wrong in where things stand


@animal(PLAIN, "layout")
def tokens_first(q, k, v):
    s = jnp.einsum("bihd,bjhd->bhij", q, k) / sqrt(q.shape[-1])
    return jnp.einsum("bhij,bjhd->bihd", jax.nn.softmax(s), v)


@animal(PLAIN, "axis-order")
def returns_tokens_first(q, k, v):
    return np.swapaxes(softmax(scores(q, k) / sqrt(q.shape[-1])) @ v, 1, 2)


@animal(PLAIN, "step")
def values_are_keys(q, k, v):
    return softmax(scores(q, k) / sqrt(q.shape[-1])) @ k


@animal(PLAIN, "heads-summed", returns="concat")
def summed_heads(q, k, v):
    return (softmax(scores(q, k) / sqrt(q.shape[-1])) @ v).sum(1)


@animal(PLAIN, "line", returns="scaled")
def returns_weights(q, k, v):
    return softmax(scores(q, k) / sqrt(q.shape[-1]))
