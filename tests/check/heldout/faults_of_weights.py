"""One fault each in scale, masks, softmax and values: groups D, E and F of the fault catalogue."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clearhead import Attention, Rotary

from .case import collector
from .numpy_by_hand import angles, attend, causal, join, qkv, scaled, scores, softmax, turn_half

CASES, case = collector({"token": 4, "model": 5, "depth": 3})

PLAIN = Attention(heads=2)
CAUSAL = Attention(heads=3, causal=True)
HEADS = Attention(heads=2, output=False)
CAPPED = Attention(heads=2, softcap=2.0, causal=True)
BOOLEAN = Attention(heads=2, mask="boolean")
PADDED = Attention(heads=2, padding=True)
WINDOW = Attention(heads=2, causal=True, window=2)
CACHE = Attention(heads=2, causal=True, cache=True)

SEES = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [1, 0, 1, 1], [1, 1, 0, 1]], dtype=bool)
REAL = np.array([1, 1, 1, 0, 0], dtype=bool)


# D: scores and scale


@case(CAUSAL)
def scaled_by_model_width(g: Any) -> Any:
    """D1"""
    x = g["input"]
    q, k, v = qkv(g)
    s = np.einsum("hid,hjd->hij", q, k) / np.sqrt(x.shape[-1]) + causal(4)
    return {"output": join(softmax(s) @ v) @ g["output.weight"]}


@case(PLAIN)
def scaled_by_width_of_all_heads(g: Any) -> Any:
    """D1: d_model taken as heads * depth"""
    q, k, v = qkv(g)
    return {"weights": softmax(scores(q, k) / np.sqrt(6)), "head": softmax(scores(q, k) / np.sqrt(6)) @ v}


@case(HEADS, decimals=4)
def scaled_after_softmax(g: Any) -> Any:
    """D2"""
    q, k, v = qkv(g)
    return {"concat": join(softmax(scores(q, k)) / np.sqrt(3) @ v)}


@case(CAUSAL, decimals=4)
def scaled_after_softmax_and_mask(g: Any) -> Any:
    """D2"""
    q, k, v = qkv(g)
    return {"output": join(softmax(scores(q, k) + causal(4)) / np.sqrt(3) @ v) @ g["output.weight"]}


@case(Attention(heads=2, rotary=Rotary()), depth=4)
def scale_forgotten(g: Any) -> Any:
    """D3"""
    q, k, v = qkv(g)
    a = angles(4, 4)
    return {"output": join(softmax(scores(turn_half(q, a), turn_half(k, a))) @ v) @ g["output.weight"]}


@case(PADDED, token=5, key=5, given={"padding": REAL})
def scale_forgotten_under_padding(g: Any) -> Any:
    """D3"""
    q, k, v = qkv(g)
    s = np.where(g["padding"][None, None, :], scores(q, k), -1e9)
    return {"weights": softmax(s), "output": join(softmax(s) @ v) @ g["output.weight"]}


@case(CAUSAL)
def scaled_twice(g: Any) -> Any:
    """D4"""
    q, k, v = qkv(g)
    return {"output": attend(q / np.sqrt(3), k, v, causal(4)) @ g["output.weight"]}


@case(PLAIN, decimals=6)
def multiplied_by_the_root(g: Any) -> Any:
    """D5"""
    q, k, _v = qkv(g)
    return {"scaled": scores(q, k) * 3**0.5, "weights": softmax(scores(q, k) * 3**0.5)}


@case(Attention(heads=4, kv_heads=2))
def divided_by_depth(g: Any) -> Any:
    """D6"""
    q, k, v = qkv(g)
    k, v = k.repeat(2, axis=0), v.repeat(2, axis=0)
    return {"output": join(softmax(scores(q, k) / 3) @ v) @ g["output.weight"]}


@case(Attention(heads=2, scale=0.25, causal=True))
def scale_of_the_model_ignored(g: Any) -> Any:
    """D7"""
    return {"output": attend(*qkv(g), causal(4)) @ g["output.weight"]}


@case(PLAIN)
def scaled_by_number_of_tokens(g: Any) -> Any:
    """D: the root of n"""
    q, k, v = qkv(g)
    return {"output": join(softmax(scores(q, k) / np.sqrt(len(g["input"]))) @ v) @ g["output.weight"]}


@case(CAPPED)
def cap_forgotten(g: Any) -> Any:
    """D8"""
    return {"output": attend(*qkv(g), causal(4)) @ g["output.weight"]}


@case(CAPPED)
def cap_after_the_mask(g: Any) -> Any:
    """D8"""
    q, k, v = qkv(g)
    s = 2 * np.tanh((scaled(q, k) + causal(4)) / 2)
    return {"output": join(softmax(s) @ v) @ g["output.weight"]}


@case(Attention(heads=2, softcap=2.0))
def cap_before_the_scale(g: Any) -> Any:
    """D8"""
    q, k, v = qkv(g)
    s = 2 * np.tanh(scores(q, k) / 2) / math.sqrt(3)
    return {"output": join(softmax(s) @ v) @ g["output.weight"]}


ADDED = np.array([[0, -0.5, -2, 0.3], [0.7, 0, 0, -1], [0, -0.25, 0, 1], [-1.5, 0, 0.5, 0]])


@case(Attention(heads=2, mask="additive"), key=4, query=4, given={"mask": ADDED})
def bias_scaled_with_the_scores(g: Any) -> Any:
    """D9"""
    q, k, v = qkv(g)
    s = (scores(q, k) + g["mask"]) / np.sqrt(3)
    return {"weights": softmax(s), "output": join(softmax(s) @ v) @ g["output.weight"]}


@case(Attention(heads=2, mask="additive"), key=4, query=4, given={"mask": ADDED})
def bias_subtracted(g: Any) -> Any:
    """D9: the sign"""
    return {"output": attend(*qkv(g), -g["mask"]) @ g["output.weight"]}


# E: masks


def _masked(g: Any, s: Any) -> Any:
    _, _, v = qkv(g)
    return {"output": join(softmax(s) @ v) @ g["output.weight"]}


@case(BOOLEAN, query=4, key=4, given={"mask": SEES})
def polarity_of_the_mask_inverted(g: Any) -> Any:
    """E1"""
    q, k, _v = qkv(g)
    return _masked(g, np.where(g["mask"], -np.inf, scaled(q, k)))


@case(PADDED, token=5, key=5, given={"padding": REAL})
def padding_read_as_true_for_pads(g: Any) -> Any:
    """E1"""
    q, k, _v = qkv(g)
    s = scaled(q, k)
    s[:, :, g["padding"]] = -1e9
    return _masked(g, s)


@case(BOOLEAN, query=4, key=4, given={"mask": SEES})
def mask_of_ones_added(g: Any) -> Any:
    """E2"""
    q, k, _v = qkv(g)
    return _masked(g, scaled(q, k) + g["mask"].astype(float))


@case(PADDED, token=5, key=5, given={"padding": REAL})
def padding_of_ones_added(g: Any) -> Any:
    """E2"""
    q, k, _v = qkv(g)
    return _masked(g, scaled(q, k) + 1.0 * g["padding"])


@case(CAUSAL)
def causal_mask_multiplied(g: Any) -> Any:
    """E3"""
    q, k, _v = qkv(g)
    return _masked(g, scaled(q, k) * np.tril(np.ones((4, 4))))


@case(BOOLEAN, query=4, key=4, given={"mask": SEES})
def boolean_mask_multiplied(g: Any) -> Any:
    """E3"""
    q, k, _v = qkv(g)
    return _masked(g, scaled(q, k) * g["mask"])


@case(CAUSAL)
def causal_mask_after_softmax(g: Any) -> Any:
    """E4"""
    q, k, v = qkv(g)
    a = softmax(scaled(q, k)) * np.tril(np.ones((4, 4)))
    return {"weights": a, "output": join(a @ v) @ g["output.weight"]}


@case(PADDED, token=5, key=5, given={"padding": REAL}, decimals=4)
def padding_after_softmax(g: Any) -> Any:
    """E4"""
    q, k, v = qkv(g)
    return {"output": join((softmax(scaled(q, k)) * g["padding"]) @ v) @ g["output.weight"]}


@case(PADDED, token=5, key=5, given={"padding": REAL})
def padding_on_the_queries(g: Any) -> Any:
    """E5: rows of padding become uniform under a large finite fill"""
    q, k, _v = qkv(g)
    return _masked(g, np.where(g["padding"][None, :, None], scaled(q, k), -1e9))


@case(CAUSAL)
def diagonal_masked_by_infinity(g: Any) -> Any:
    """E8: the first row sees nothing and is NaN"""
    q, k, v = qkv(g)
    s = scaled(q, k)
    s[:, np.triu_indices(4)[0], np.triu_indices(4)[1]] = -np.inf
    e = np.exp(s)
    a = e / e.sum(-1, keepdims=True)
    return {"weights": a, "head": a @ v}


@case(CAUSAL)
def diagonal_masked_by_a_billion(g: Any) -> Any:
    """E8: the first row is uniform"""
    q, k, _v = qkv(g)
    return _masked(g, np.where(np.tril(np.ones((4, 4)), -1) == 0, -1e9, scaled(q, k)))


@case(CAUSAL, token=6)
def one_future_token_seen(g: Any) -> Any:
    """E8"""
    q, k, _v = qkv(g)
    return _masked(g, np.where(np.tril(np.ones((6, 6)), 1) == 1, scaled(q, k), -np.inf))


@case(CAUSAL)
def only_the_future_seen(g: Any) -> Any:
    """E9"""
    q, k, _v = qkv(g)
    return _masked(g, np.where(np.triu(np.ones((4, 4))) == 1, scaled(q, k), -np.inf))


def _with_cache(g: Any) -> Any:
    q, k, v = qkv(g)
    return q, np.concatenate([g["past.key"], k], axis=1), np.concatenate([g["past.value"], v], axis=1)


@case(CACHE, token=3, past=2)
def causal_from_the_top_left(g: Any) -> Any:
    """E10"""
    q, k, v = _with_cache(g)
    return {"output": attend(q, k, v, np.triu(np.full((3, 5), -np.inf), 1)) @ g["output.weight"]}


@case(CACHE, token=3, past=2)
def cache_hidden(g: Any) -> Any:
    """E17: the new tokens never see the cache"""
    return {"output": attend(*qkv(g), causal(3)) @ g["output.weight"]}


@case(CACHE, token=3, past=2)
def cache_behind_the_new_tokens(g: Any) -> Any:
    """E: concatenated in the wrong order, the mask as it should be"""
    q, k, v = qkv(g)
    k, v = np.concatenate([k, g["past.key"]], axis=1), np.concatenate([v, g["past.value"]], axis=1)
    return {"output": attend(q, k, v, np.triu(np.full((3, 5), -np.inf), 3)) @ g["output.weight"]}


@case(CAUSAL)
def causal_forgotten(g: Any) -> Any:
    """E11"""
    return {"output": attend(*qkv(g)) @ g["output.weight"]}


@case(CAUSAL)
def fill_of_minus_ten(g: Any) -> Any:
    """E13"""
    q, k, _v = qkv(g)
    return _masked(g, np.where(np.tri(4) == 1, scaled(q, k), -10.0))


@case(CAUSAL)
def fill_of_a_billionth(g: Any) -> Any:
    """E13: -1e-9 for -1e9"""
    q, k, _v = qkv(g)
    return _masked(g, np.where(np.tri(4) == 1, scaled(q, k), -1e-9))


@case(WINDOW, token=6)
def window_one_wider(g: Any) -> Any:
    """E16"""
    q, k, _v = qkv(g)
    back = np.arange(6)[:, None] - np.arange(6)
    return _masked(g, np.where((back >= 0) & (back <= 2), scaled(q, k), -np.inf))


@case(WINDOW, token=6)
def window_to_both_sides(g: Any) -> Any:
    """E16"""
    q, k, _v = qkv(g)
    back = np.arange(6)[:, None] - np.arange(6)
    return _masked(g, np.where(abs(back) < 2, scaled(q, k), -np.inf))


@case(WINDOW, token=6)
def window_forgotten(g: Any) -> Any:
    """E16"""
    return {"output": attend(*qkv(g), causal(6)) @ g["output.weight"]}


@case(PADDED, token=5, key=5, given={"padding": REAL})
def padding_ignored(g: Any) -> Any:
    """E18"""
    return {"output": attend(*qkv(g)) @ g["output.weight"]}


@case(Attention(heads=2, padding=True, causal=True), token=5, key=5, given={"padding": REAL[::-1]})
def causal_kept_padding_dropped(g: Any) -> Any:
    """E18"""
    q, k, v = qkv(g)
    return {"weights": softmax(scaled(q, k) + causal(5)), "head": softmax(scaled(q, k) + causal(5)) @ v}


BLIND = SEES & (np.arange(4) != 2)[:, None]


@case(BOOLEAN, query=4, key=4, given={"mask": BLIND})
def blind_row_uniform(g: Any) -> Any:
    """E12: from a large finite fill"""
    q, k, _v = qkv(g)
    return _masked(g, np.where(g["mask"], scaled(q, k), -1e9))


@case(BOOLEAN, query=4, key=4, given={"mask": BLIND})
def blind_row_not_a_number(g: Any) -> Any:
    """E12"""
    q, k, _v = qkv(g)
    e = np.exp(np.where(g["mask"], scaled(q, k), -np.inf))
    return {"weights": e / e.sum(-1, keepdims=True)}


@case(PADDED, token=5, key=5, given={"padding": REAL})
def padded_values_zeroed_instead(g: Any) -> Any:
    """E4: pads still take their share"""
    q, k, v = qkv(g)
    return {"output": attend(q, k, v * g["padding"][:, None]) @ g["output.weight"]}


# F: softmax and values


@case(HEADS, decimals=4)
def softmax_down_the_columns(g: Any) -> Any:
    """F1"""
    q, k, v = qkv(g)
    return {"weights": softmax(scaled(q, k), axis=1), "concat": join(softmax(scaled(q, k), axis=1) @ v)}


@case(CAUSAL)
def softmax_over_queries_under_a_mask(g: Any) -> Any:
    """F1"""
    q, k, v = qkv(g)
    return {"output": join(softmax(scaled(q, k) + causal(4), axis=-2) @ v) @ g["output.weight"]}


@case(PLAIN)
def softmax_over_the_matrix(g: Any) -> Any:
    """F2"""
    q, k, v = qkv(g)
    a = np.stack([np.exp(s) / np.exp(s).sum() for s in scaled(q, k)])
    return {"output": join(a @ v) @ g["output.weight"]}


@case(CAUSAL)
def softmax_over_heads(g: Any) -> Any:
    """F2: before the mask could be NaN, so masked by a finite number"""
    q, k, v = qkv(g)
    s = np.where(np.tri(4) == 1, scaled(q, k), -1e9)
    return {"output": join(softmax(s, axis=0) @ v) @ g["output.weight"]}


@case(PLAIN)
def softmax_over_heads_unmasked(g: Any) -> Any:
    """F2"""
    q, k, v = qkv(g)
    return {
        "weights": softmax(scaled(q, k), axis=0),
        "output": join(softmax(scaled(q, k), axis=0) @ v) @ g["output.weight"],
    }


@case(PLAIN)
def softmax_of_the_softmax(g: Any) -> Any:
    """F3"""
    q, k, v = qkv(g)
    return {"output": join(softmax(softmax(scaled(q, k))) @ v) @ g["output.weight"]}


@case(Attention(heads=3, output=False))
def softmax_plus_one(g: Any) -> Any:
    """F6"""
    q, k, v = qkv(g)
    e = np.exp(scaled(q, k))
    return {"concat": join(e / (1 + e.sum(-1, keepdims=True)) @ v)}


@case(PLAIN)
def divided_by_their_sum(g: Any) -> Any:
    """F7: no exponential at all"""
    q, k, _v = qkv(g)
    s = scaled(q, k)
    return {"weights": s / s.sum(-1, keepdims=True)}


@case(PLAIN)
def sigmoid_for_softmax(g: Any) -> Any:
    """F7"""
    q, k, v = qkv(g)
    return {"output": join(1 / (1 + np.exp(-scaled(q, k))) @ v) @ g["output.weight"]}


@case(PLAIN)
def denominator_without_exponentials(g: Any) -> Any:
    """F7"""
    q, k, _v = qkv(g)
    s = scaled(q, k)
    return {"weights": np.exp(s) / s.sum(-1, keepdims=True)}


@case(PLAIN, decimals=4)
def softmax_left_out(g: Any) -> Any:
    """F7: commented out"""
    q, k, v = qkv(g)
    return {"output": join(scaled(q, k) @ v) @ g["output.weight"]}


@case(PLAIN)
def exponentials_not_divided(g: Any) -> Any:
    """F7"""
    q, k, v = qkv(g)
    return {"head": np.exp(scaled(q, k)) @ v}


@case(CAUSAL)
def weights_transposed(g: Any) -> Any:
    """F9"""
    q, k, v = qkv(g)
    a = softmax(scaled(q, k) + causal(4))
    return {"output": join(a.swapaxes(1, 2) @ v) @ g["output.weight"]}


@case(PLAIN)
def averaged_weights_for_all_heads(g: Any) -> Any:
    """F12"""
    q, k, v = qkv(g)
    a = softmax(scaled(q, k)).mean(axis=0)
    return {"output": join(np.stack([a @ each for each in v])) @ g["output.weight"]}


@case(Attention(heads=2, causal=True))
def weights_of_the_first_head_for_all(g: Any) -> Any:
    """F12"""
    q, k, v = qkv(g)
    a = softmax(scaled(q, k) + causal(4))[0]
    return {"output": join(np.stack([a @ each for each in v])) @ g["output.weight"]}
