"""What is no deviation: other ways to the same numbers, written in plain NumPy, come back as "agrees"."""

import numpy as np
import pytest

from clearhead import Attention, Claim, Rotary, diagnose
from clearhead.deviations import deviate

from .test_wild import SIZES, as_people_have_them, drawn
from .wild import attend, merge, qkv, scores, softmax, split
from .wild_positions import angles, turn_neighbours


def masked_after_and_shared_again(g):
    q, k, v = qkv(g)
    weights = softmax(scores(q, k)) * g.mask
    return merge(weights / weights.sum(axis=-1, keepdims=True) @ v) @ g.wo


def without_key_bias(g):
    q, k, v = split(g.x @ g.wq + g.bq, g.h), split(g.x @ g.wk, g.h), split(g.x @ g.wv, g.h)
    return attend(g, q, k, v)


def another_constant_for_each_query(g):
    q, k, v = qkv(g)
    shift = np.linspace(-2, 5, g.h * len(g.x)).reshape(g.h, -1, 1)
    return merge(softmax(scores(q, k) + shift) @ v) @ g.wo


def heads_in_another_order(g):
    order = np.roll(np.arange(g.h), 1)
    q, k, v = (each[order] for each in qkv(g))
    rows = np.concatenate([np.split(g.wo, g.h)[head] for head in order])
    return merge(softmax(scores(q, k)) @ v) @ rows


def other_rotary_layout_with_columns_to_match(g):
    q, k, v = qkv(g)
    d = q.shape[-1]
    columns = np.arange(d).reshape(2, d // 2).T.reshape(-1)
    angle = angles(len(g.x), d)
    return attend(g, turn_neighbours(q[..., columns], angle), turn_neighbours(k[..., columns], angle), v)


def scale_on_both(g):
    q, k, v = qkv(g)
    part = q.shape[-1] ** -0.25
    return merge(softmax((q * part) @ (k * part).transpose(0, 2, 1)) @ v) @ g.wo


def tokens_as_columns(g):
    x, heads = g.x.T, []
    for wq, wk, wv in zip(*(np.split(w, g.h, axis=1) for w in (g.wq, g.wk, g.wv)), strict=True):
        q, k, v = wq.T @ x, wk.T @ x, wv.T @ x
        heads.append(v @ softmax(k.T @ q / np.sqrt(len(q)), axis=0))
    return (g.wo.T @ np.concatenate(heads, axis=0)).T


def sum_of_projected_heads(g):
    q, k, v = qkv(g)
    o = softmax(scores(q, k)) @ v
    return sum(head @ rows for head, rows in zip(o, np.split(g.wo, g.h), strict=True))


def causal_from_the_top_left(g):
    q, k, v = qkv(g)
    seen = np.arange(len(g.x))[:, None] >= np.arange(len(g.x))[None, :]
    return merge(softmax(np.where(seen, scores(q, k), -np.inf)) @ v) @ g.wo


def one_group_tiled(g):
    q = split(g.x @ g.wq, g.h)
    k, v = (np.tile(split(g.x @ w, 1), (g.h, 1, 1)) for w in (g.wk, g.wv))
    return attend(g, q, k, v)


WAYS = {
    "mask after the softmax, shared out again": (Attention(2, mask="boolean"), masked_after_and_shared_again),
    "no key bias": (Attention(2, bias=("query", "key")), without_key_bias),
    "a constant for each query": (Attention(2), another_constant_for_each_query),
    "heads in another order": (Attention(2), heads_in_another_order),
    "other rotary layout, permuted columns": (
        Attention(2, rotary=Rotary()),
        other_rotary_layout_with_columns_to_match,
    ),
    "scale on queries and keys": (Attention(2), scale_on_both),
    "tokens as columns": (Attention(2), tokens_as_columns),
    "sum of projected heads": (Attention(2), sum_of_projected_heads),
    "causal from the top left": (Attention(2, causal=True), causal_from_the_top_left),
    "one group, tiled": (Attention(2, kv_heads=1), one_group_tiled),
}


@pytest.mark.parametrize(("spec", "way"), WAYS.values(), ids=WAYS)
def test_another_way_to_the_same_numbers_agrees(spec, way):
    """The last line, to nine decimals, has nothing to explain."""
    working = spec.working()
    arrays = drawn(working, SIZES | {"depth": 4}, 1.0)
    claims = [Claim.of("output", way(as_people_have_them(working, arrays)), decimals=9)]
    report = diagnose(claims, working.run(arrays))
    assert report.verdict == "agrees"
    assert report.findings == ()


REWRITES = {
    "the key's bias": (Attention(2, bias=("query", "key")), "bias-missing:array=key.bias"),
    "top left, as many keys as queries": (Attention(2, causal=True), "causal-top-left"),
    "one group, tiled": (Attention(4, kv_heads=1), "groups-tiled"),
    "a later start of rotary positions": (Attention(2, rotary=Rotary()), "rotary-offset:by=1"),
    "ALiBi by key under a causal mask": (Attention(2, causal=True, alibi=True), "alibi-by-key"),
}


@pytest.mark.parametrize(("spec", "id"), REWRITES.values(), ids=REWRITES)
def test_rewrites_that_change_nothing_here_agree(spec, id):
    """Where a row of the table is invisible, as it says itself, its numbers agree."""
    working = spec.working()
    arrays = drawn(working, SIZES | {"depth": 4}, 1.0)
    rewritten = deviate(working, id).run(arrays)
    report = diagnose([Claim.of("output", rewritten["output"], decimals=9)], working.run(arrays))
    assert report.verdict == "agrees"
