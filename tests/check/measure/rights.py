"""Right attention as people write it and as libraries have it, in double, single and half precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from msgspec import Struct

from clearhead import Attention, Norm, Rotary
from clearhead.working import Working

from .pieces import banded, causal, frequencies, joined, product, repeated, rotary, rows_and_columns, scaled, softmax

sdpa = torch.nn.functional.scaled_dot_product_attention


class Right(Struct, frozen=True):
    """A right function, and the type that its arithmetic is like."""

    function: Callable[..., Any]
    working: Working
    like: str = "float64"
    takes: tuple[str, ...] = ("query", "key", "value")


RIGHTS: dict[str, Right] = {}


def right(working, like="float64", **task):
    """Keeps a function under its name."""

    def keep(function):
        RIGHTS[function.__name__] = Right(function, working, like, **task)
        return function

    return keep


PLAIN = Attention(heads=2).working()
CAUSAL = Attention(heads=2, causal=True).working()
GROUPED = Attention(heads=4, kv_heads=2, causal=True).working()
TURNED = Attention(heads=4, kv_heads=2, causal=True, rotary=Rotary()).working()


@right(PLAIN)
def plain(q, k, v):
    return softmax(scaled(q, k)) @ v


def in_tables(x, kept):
    """Halves rotated by cosines and sines that are kept in single precision, from frequencies of a type."""
    f = frequencies(x.shape[-1]).astype(kept).astype(float)
    a = np.arange(x.shape[-2])[:, None] * f
    (x1, x2), cos, sin = np.split(x, 2, -1), np.cos(a).astype(np.float32), np.sin(a).astype(np.float32)
    return np.concatenate([x1 * cos - x2 * sin, x2 * cos + x1 * sin], -1)


@right(Attention(heads=2, causal=True, rotary=Rotary()).working(), "float32")
def tables_in_single(q, k, v):
    return softmax(causal(scaled(in_tables(q, float), in_tables(k, float)))) @ v


@right(PLAIN, "float32")
def in_single(q, k, v):
    q, k, v = (x.astype(np.float32) for x in (q, k, v))
    return softmax(product(q, k) * np.float32(q.shape[-1] ** -0.5)) @ v


@right(PLAIN, "float16")
def in_half(q, k, v):
    q, k, v = (x.astype(np.float16) for x in (q, k, v))
    return softmax(product(q * np.float16(q.shape[-1] ** -0.5), k)) @ v


@right(CAUSAL, "float16")
def scores_in_half_only(q, k, v):
    q, k = (x.astype(np.float16) for x in (q * q.shape[-1] ** -0.5, k))
    return softmax(causal(product(q, k).astype(np.float64))) @ v


@right(PLAIN, "float32")
def softmax_in_single(q, k, v):
    return softmax(scaled(q, k).astype(np.float32)).astype(q.dtype) @ v


@right(CAUSAL, "bfloat16")
def in_bfloat16(q, k, v):
    q, k, v = (torch.from_numpy(np.asarray(x)).bfloat16() for x in (q, k, v))
    return sdpa(q, k, v, is_causal=True).double().numpy()


@right(PLAIN, "bfloat16")
def values_in_bfloat16(q, k, v):
    w = torch.from_numpy(softmax(scaled(q, k))).bfloat16()
    return (w @ torch.from_numpy(np.asarray(v)).bfloat16()).double().numpy()


@right(GROUPED, "float32")
def library_in_single(q, k, v):
    q, k, v = (torch.from_numpy(np.asarray(x)).float() for x in (q, k, v))
    return sdpa(q, k, v, is_causal=True, enable_gqa=True).numpy()


@right(GROUPED)
def library_in_double(q, k, v):
    q, k, v = (torch.from_numpy(np.asarray(x)) for x in (q, k, v))
    return sdpa(q, k, v, is_causal=True, enable_gqa=True).numpy()


@right(PLAIN, "float16")
def library_in_half(q, k, v):
    q, k, v = (torch.from_numpy(np.asarray(x)).half() for x in (q, k, v))
    return sdpa(q, k, v).double().numpy()


@right(PLAIN, "float32")
def jax_attention(q, k, v):
    q, k, v = (np.swapaxes(x, 1, 2).astype(np.float32) for x in (q, k, v))
    return np.swapaxes(np.asarray(jax.nn.dot_product_attention(q, k, v)), 1, 2)


@right(Attention(heads=4, kv_heads=2, causal=True, window=3).working())
def windows(q, k, v):
    return softmax(banded(scaled(q, repeated(k, 4)), 3)) @ repeated(v, 4)


@right(TURNED)
def turned_halves(q, k, v):
    q, k = rotary(q, k)
    return softmax(causal(scaled(q, repeated(k, 4)))) @ repeated(v, 4)


@right(TURNED, "float16")
def turned_in_half(q, k, v):
    q, k = (x.astype(np.float16) for x in rotary(q, k))
    return softmax(causal(product(q * np.float16(q.shape[-1] ** -0.5), repeated(k, 4)))) @ repeated(
        v.astype(np.float16), 4
    )


@right(Attention(heads=2, causal=True, rotary=Rotary(layout="interleaved", base=5e5, width=2)).working())
def turned_neighbours(q, k, v):
    q, k = rotary(q, k, frequencies(2, 5e5), layout="interleaved")
    return softmax(causal(scaled(q, k))) @ v


@right(
    Attention(heads=2, causal=True, cache=True, rotary=Rotary()).working(),
    takes=("query", "key", "value", "past.key", "past.value"),
)
def behind_a_cache(q, k, v, pk, pv):
    q, k = rotary(q, k, past=pk.shape[-2])
    return softmax(causal(scaled(q, joined(pk, k)))) @ joined(pv, v)


@right(Attention(heads=2, causal=True, softcap=25.0, scale=0.2).working(), "float32")
def capped(q, k, v):
    q, k, v = (x.astype(np.float32) for x in (q, k, v))
    return softmax(causal(25 * np.tanh(product(q, k) * np.float32(0.2) / 25))) @ v


@right(Attention(heads=4, causal=True, alibi=True).working())
def alibi(q, k, v):
    s = scaled(q, k)
    i, j = rows_and_columns(s)
    return softmax(causal(s - 4.0 ** -np.arange(1, 5)[:, None, None] * (i - j))) @ v


@right(Attention(heads=2, qk_norm=Norm("rms", eps=1e-6, gain=False), causal=True, rotary=Rotary()).working())
def normed(q, k, v):
    q, k = (x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) for x in (q, k))
    q, k = rotary(q, k)
    return softmax(causal(scaled(q, k))) @ v


@right(Attention(heads=2, mask="boolean").working(), takes=("query", "key", "value", "mask"))
def with_a_mask(q, k, v, mask):
    return softmax(np.where(mask, scaled(q, k), -np.inf)) @ v


@right(Attention(heads=2, padding=True).working(), "float32", takes=("query", "key", "value", "padding"))
def with_padding(q, k, v, real):
    q, k, v = (x.astype(np.float32) for x in (q, k, v))
    return softmax(np.where(real[:, None, None], scaled(q, k), np.float32(-1e30))) @ v


@right(Attention(heads=1).working())
def one_at_a_time(q, k, v):
    assert q.ndim == 2
    return softmax(scaled(q, k)) @ v
