"""Weights of projections that are read from other places are said: their layout, where they start, or their heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec import Struct

import clearhead
from clearhead import Attention, Block, Norm
from clearhead.working import Working

from .block_pieces import layer
from .pieces import causal, repeated, scaled, softmax

WEIGHTS = ("query.weight", "key.weight", "value.weight", "output.weight")


class Reading(Struct, frozen=True):
    """A function that reads its projections from elsewhere, and what is said of it."""

    function: Callable[..., Any]
    working: Working
    says: str
    takes: tuple[str, ...] = ("input", *WEIGHTS)
    returns: str = "output"


READINGS: dict[str, Reading] = {}


def reads(spec, says, **more):
    """Keeps a function under its name."""

    def keep(function):
        READINGS[function.__name__] = Reading(function, spec.working(), says, **more)
        return function

    return keep


def rows(*weights):
    """The rows of several weights, one below the other."""
    return np.concatenate([np.moveaxis(w, -1, 1).reshape(-1, w.shape[1]) for w in weights])


def heads(x, stored):
    """Tokens projected by rows (head, depth, model) to (batch, head, token, depth)."""
    return np.einsum("btm,hdm->bhtd", x, stored)


def attend(q, k, v, wo):
    n = q.shape[1]
    out = softmax(causal(scaled(q, repeated(k, n)))) @ repeated(v, n)
    return np.swapaxes(out, 1, 2).reshape(len(q), q.shape[2], -1) @ wo


def attention(x, q, k, v, wo):
    return attend(heads(x, q), heads(x, k), heads(x, v), wo)


def split(stored, n, groups, depth):
    """Rows taken apart as [query | key | value]."""
    q, k, v = np.split(stored, [n * depth, (n + groups) * depth])
    return (each.reshape(-1, depth, stored.shape[-1]) for each in (q, k, v))


GROUPED = Attention(heads=6, kv_heads=3, causal=True)


@reads(GROUPED, "[key | query | value], and are read as [query | key | value]")
def keys_stored_first(x, wq, wk, wv, wo):
    return attention(x, *split(rows(wk, wq, wv), 6, 3, wq.shape[-1]), wo)


@reads(GROUPED, "as [query key value] of each key/value head after the other, and are read as [query | key | value]")
def stored_by_group(x, wq, wk, wv, wo):
    stored = rows(*(each for g in range(3) for each in (wq[2 * g : 2 * g + 2], wk[g : g + 1], wv[g : g + 1])))
    return attention(x, *split(stored, 6, 3, wq.shape[-1]), wo)


@reads(Attention(heads=4), "as [query | key | value], and are read as 2 shards of [query | key | value] each")
def shards_of_two(x, wq, wk, wv, wo):
    d = wq.shape[-1]
    parts = [list(split(shard, 2, 2, d)) for shard in np.split(rows(wq, wk, wv), 2)]
    q, k, v = (heads(x, np.concatenate(each)) for each in zip(*parts, strict=True))
    out = softmax(scaled(q, k)) @ v
    return np.swapaxes(out, 1, 2).reshape(*x.shape[:-1], -1) @ wo


@reads(GROUPED, "The weight of value is read from row depth * key/value heads of [query | key | value] on")
def offset_of_values_without_queries(x, wq, wk, wv, wo):
    d, stored = wq.shape[-1], rows(wq, wk, wv)
    q, k, _ = split(stored, 6, 3, d)
    return attention(x, q, k, stored[3 * d : 6 * d].reshape(3, d, -1), wo)


@reads(GROUPED, "The weights of query, key and value are read for other heads: in reversed order")
def heads_in_reversed_order(x, wq, wk, wv, wo):
    return attention(x, *(np.moveaxis(w[::-1], -1, 1) for w in (wq, wk, wv)), wo)


@reads(GROUPED, "The weight of key is read from row depth * query heads - 1 of [query | key | value]")
def keys_one_row_too_early(x, wq, wk, wv, wo):
    d, stored = wq.shape[-1], rows(wq, wk, wv)
    q, _, v = split(stored, 6, 3, d)
    return attention(x, q, stored[6 * d - 1 : 9 * d - 1].reshape(3, d, -1), v, wo)


BIASES = ("query.bias", "key.bias", "value.bias")


@reads(
    Block(Attention(heads=4, kv_heads=2, causal=True, bias=("query", "key", "value")), norm=Norm(), placement="pre"),
    "as [query | key | value], and are read as [query key value] of each key/value head after the other",
    takes=("input", "norm.gain", "norm.bias", *WEIGHTS, *BIASES),
    returns="residual",
)
def read_by_group_with_biases_in_a_block(x, g, b, wq, wk, wv, wo, bq, bk, bv):
    y = layer(x, g, b) @ rows(wq, wk, wv).T + np.concatenate([each.reshape(-1) for each in (bq, bk, bv)])
    y = np.moveaxis(y.reshape(*x.shape[:-1], 2, 4, wq.shape[-1]), (2, 3), (1, 2))  # (batch, group, slot, token, depth)
    q = y[:, :, :2].reshape(len(x), 4, *y.shape[-2:])
    return x + attend(q, y[:, :, 2], y[:, :, 3], wo)


@pytest.mark.parametrize("name", READINGS)
def test_a_reading_is_said(name):
    """What projections read is said in the first line, and explains all numbers."""
    case = READINGS[name]
    report = clearhead.probe(case.function, case.working, case.takes, case.returns)
    assert report.verdict == "explained", str(report)
    assert case.says in str(report).splitlines()[0], str(report)
