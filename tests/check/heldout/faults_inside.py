"""One fault each in positions, projections, heads and rotary angles: groups A, B and C of the fault catalogue."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clearhead import Attention, Block, Norm, Positions, Rotary

from .case import collector
from .numpy_by_hand import (
    angles,
    attend,
    causal,
    join,
    layer_norm,
    qkv,
    rms_norm,
    scaled,
    scores,
    sinusoids,
    softmax,
    turn_half,
    turn_pairs,
)

CASES, case = collector({"token": 4, "model": 5, "depth": 3})

PLAIN = Attention(heads=2)
CAUSAL = Attention(heads=3, causal=True)
WAVES = Block(Attention(heads=2), norm=Norm(gain=False), positions=Positions("sinusoidal"))
HALF = Attention(heads=2, causal=True, rotary=Rotary())
PAIRS = Attention(heads=3, rotary=Rotary(layout="interleaved", base=100.0))
PARTIAL = Attention(heads=2, rotary=Rotary(width=4))
GROUPED = Attention(heads=4, kv_heads=2, causal=True)
CROSS = Attention(heads=2, memory=True)
CACHE = Attention(heads=2, causal=True, cache=True, rotary=Rotary())
ALIBI = Attention(heads=4, causal=True, alibi=True)


def _block(g: Any, x: Any) -> Any:
    return layer_norm(x + attend(*qkv(g, x=x)) @ g["output.weight"])


# A: positions


@case(WAVES, model=6)
def embeddings_times_root_of_width(g: Any) -> Any:
    """A1"""
    e = g["embedding"]
    x = e * np.sqrt(e.shape[1]) + sinusoids(*e.shape)
    return {"input": x, "norm": _block(g, x)}


@case(WAVES, model=6)
def sines_then_cosines(g: Any) -> Any:
    """A2"""
    e = g["embedding"]
    pe = sinusoids(*e.shape)
    x = e + np.concatenate([pe[:, 0::2], pe[:, 1::2]], axis=1)
    return {"norm": _block(g, x)}


@case(WAVES, model=6)
def exponent_by_dimension(g: Any) -> Any:
    """A3"""
    e = g["embedding"]
    n, d = e.shape
    pe = np.zeros((n, d))
    for pos in range(n):
        for i in range(d):
            angle = pos / 10000 ** (2 * i / d)
            pe[pos, i] = np.sin(angle) if i % 2 == 0 else np.cos(angle)
    return {"position": pe, "norm": _block(g, e + pe)}


@case(WAVES, model=6)
def base_thousand(g: Any) -> Any:
    """A4"""
    e = g["embedding"]
    return {"norm": _block(g, e + sinusoids(*e.shape, base=1000.0))}


@case(WAVES, model=6)
def position_and_dimension_swapped(g: Any) -> Any:
    """A5"""
    e = g["embedding"]
    n, d = e.shape
    pe = np.zeros((n, d))
    for pos in range(n):
        for i in range(d):
            angle = i / 10000 ** ((pos - pos % 2) / d)
            pe[pos, i] = np.sin(angle) if pos % 2 == 0 else np.cos(angle)
    return {"position": pe}


@case(WAVES, model=6)
def positions_from_one(g: Any) -> Any:
    """A9"""
    e = g["embedding"]
    return {"input": e + sinusoids(len(e) + 1, e.shape[1])[1:]}


@case(WAVES, model=6)
def positions_shifted_by_two(g: Any) -> Any:
    """A6"""
    e = g["embedding"]
    return {"norm": _block(g, e + sinusoids(len(e) + 2, e.shape[1])[2:])}


@case(WAVES, model=6)
def positions_forgotten(g: Any) -> Any:
    """A"""
    return {"norm": _block(g, g["embedding"])}


@case(WAVES, model=6)
def positions_twice(g: Any) -> Any:
    """A"""
    e = g["embedding"]
    return {"norm": _block(g, e + 2 * sinusoids(*e.shape))}


# B: projections and heads


@case(PLAIN, model=6)
def torch_weights_not_transposed(g: Any) -> Any:
    """B1: every projection square, taken the other way round"""
    x = g["input"]
    h, _, d = g["query.weight"].shape
    q, k, v = (x @ join(g[f"{n}.weight"]).T for n in ("query", "key", "value"))
    q, k, v = (y.reshape(len(x), h, d).transpose(1, 0, 2) for y in (q, k, v))
    return {"output": attend(q, k, v) @ g["output.weight"].T}


@case(Attention(heads=1, output=False), model=3)
def query_weight_transposed(g: Any) -> Any:
    """B1: by hand, one head"""
    x = g["input"]
    q, k, v = x @ g["query.weight"][0].T, x @ g["key.weight"][0], x @ g["value.weight"][0]
    return {"concat": softmax(q @ k.T / math.sqrt(3)) @ v}


@case(Attention(heads=2, causal=True), model=6)
def output_weight_transposed(g: Any) -> Any:
    """B1: only the last"""
    return {"output": attend(*qkv(g), causal(4)) @ g["output.weight"].T}


def _long(g: Any) -> Any:
    return (g["input"] @ join(g[f"{n}.weight"]) for n in ("query", "key", "value"))


@case(PLAIN)
def heads_split_by_view(g: Any) -> Any:
    """B2"""
    q, k, v = (y.reshape(2, 4, 3) for y in _long(g))
    return {"output": attend(q, k, v) @ g["output.weight"]}


@case(CAUSAL)
def heads_merged_by_view(g: Any) -> Any:
    """B3"""
    q, k, v = qkv(g)
    head = softmax(scaled(q, k) + causal(4)) @ v
    return {"weights": softmax(scaled(q, k) + causal(4)), "output": head.reshape(4, 9) @ g["output.weight"]}


@case(PLAIN)
def heads_viewed_in_and_out(g: Any) -> Any:
    """B2 and B3 as one habit"""
    q, k, v = (y.reshape(2, 4, 3) for y in _long(g))
    return {"output": (softmax(scaled(q, k)) @ v).reshape(4, 6) @ g["output.weight"]}


@case(CAUSAL)
def one_projection_for_all_heads(g: Any) -> Any:
    """B5"""
    x = g["input"]
    q, k, v = (np.stack([x @ g[f"{n}.weight"][0]] * 3) for n in ("query", "key", "value"))
    return {"output": attend(q, k, v, causal(4)) @ g["output.weight"]}


@case(PLAIN)
def heads_interleaved_in_channels(g: Any) -> Any:
    """B6"""
    q, k, v = (y.reshape(4, 3, 2).transpose(2, 0, 1) for y in _long(g))
    return {"output": attend(q, k, v) @ g["output.weight"]}


@case(PLAIN)
def fused_block_read_in_thirds(g: Any) -> Any:
    """B7: stored [q0 k0 v0 q1 k1 v1], read [Q K V]"""
    parts = [g[f"{n}.weight"][h] for h in range(2) for n in ("query", "key", "value")]
    q, k, v = np.split(g["input"] @ np.concatenate(parts, axis=1), 3, axis=1)
    q, k, v = (y.reshape(4, 2, 3).swapaxes(0, 1) for y in (q, k, v))
    return {"output": attend(q, k, v) @ g["output.weight"]}


@case(CAUSAL, decimals=4)
def values_by_key_weights(g: Any) -> Any:
    """B8"""
    q, k, _ = qkv(g)
    return {"head": softmax(scaled(q, k) + causal(4)) @ k}


@case(PLAIN)
def keys_and_values_swapped(g: Any) -> Any:
    """B8"""
    q, k, v = qkv(g)
    return {"weights": softmax(scaled(q, v)), "output": attend(q, v, k) @ g["output.weight"]}


@case(CAUSAL)
def keys_times_queries(g: Any) -> Any:
    """B9"""
    q, k, v = qkv(g)
    return {"output": attend(k, q, v, causal(4)) @ g["output.weight"]}


@case(PLAIN)
def query_and_key_weights_exchanged(g: Any) -> Any:
    """B9: with the projections claimed too"""
    q, k, v = qkv(g)
    q, k = k, q
    return {"query": q, "key": k, "scores": scores(q, k), "head": softmax(scaled(q, k)) @ v}


@case(CROSS, token=4, key=4)
def cross_values_from_the_decoder(g: Any) -> Any:
    """B10"""
    q, _, v = qkv(g)
    _, k, _ = qkv(g, x=g["memory"])
    return {"output": attend(q, k, v) @ g["output.weight"]}


@case(CROSS, token=4, key=4)
def cross_attends_to_itself(g: Any) -> Any:
    """B10"""
    return {"output": attend(*qkv(g)) @ g["output.weight"]}


@case(CROSS, token=4, key=4)
def cross_queries_from_the_memory(g: Any) -> Any:
    """B10: the streams exchanged"""
    q, _, _ = qkv(g, x=g["memory"])
    _, k, v = qkv(g)
    return {"output": attend(q, k, v) @ g["output.weight"]}


@case(GROUPED)
def groups_tiled(g: Any) -> Any:
    """B11"""
    q, k, v = qkv(g)
    return {"output": attend(q, np.tile(k, (2, 1, 1)), np.tile(v, (2, 1, 1)), causal(4)) @ g["output.weight"]}


@case(GROUPED)
def only_keys_tiled(g: Any) -> Any:
    """B11: keys tiled, values repeated"""
    q, k, v = qkv(g)
    k, v = np.concatenate([k, k]), np.repeat(v, 2, axis=0)
    return {"weights": softmax(scaled(q, k) + causal(4)), "output": attend(q, k, v, causal(4)) @ g["output.weight"]}


@case(GROUPED)
def groups_repeated_along_the_tokens(g: Any) -> Any:
    """B12: on (token, head, depth)"""
    q, k, v = qkv(g)
    k, v = (y.swapaxes(0, 1).repeat(2, axis=0).reshape(4, 4, 3).swapaxes(0, 1) for y in (k, v))
    return {"output": attend(q, k, v, causal(4)) @ g["output.weight"]}


@case(PLAIN)
def heads_attend_to_heads(g: Any) -> Any:
    """B14"""
    q, k, v = (y.reshape(4, 2, 3) for y in _long(g))
    head = softmax(scores(q, k) / math.sqrt(3)) @ v
    return {"concat": head.reshape(4, 6), "output": head.reshape(4, 6) @ g["output.weight"]}


BIASED = Attention(heads=2, bias=("query", "key", "value", "output"))


def _biased(g: Any, names: str) -> Any:
    q, k, v = (
        y + g[f"{n}.bias"][:, None] * (n in names) for n, y in zip(("query", "key", "value"), qkv(g), strict=True)
    )
    return attend(q, k, v) @ g["output.weight"] + g["output.bias"] * ("output" in names)


@case(BIASED)
def query_bias_forgotten(g: Any) -> Any:
    """B15"""
    return {"output": _biased(g, "key value output")}


@case(BIASED)
def value_bias_forgotten(g: Any) -> Any:
    """B15"""
    return {"output": _biased(g, "query key output")}


@case(BIASED)
def output_bias_forgotten(g: Any) -> Any:
    """B15"""
    return {"output": _biased(g, "query key value")}


NORMED = Attention(heads=2, qk_norm=Norm(kind="rms"), rotary=Rotary())


@case(NORMED, depth=4)
def query_and_key_norm_forgotten(g: Any) -> Any:
    """B16"""
    q, k, v = qkv(g)
    a = angles(4, 4)
    return {"output": attend(turn_half(q, a), turn_half(k, a), v) @ g["output.weight"]}


@case(Attention(heads=2, qk_norm=Norm(kind="rms", gain=False)), depth=4)
def query_norm_over_all_heads(g: Any) -> Any:
    """B16: over the whole projection"""
    q, k, v = qkv(g)
    q, k = (rms_norm(join(y)).reshape(4, 2, 4).swapaxes(0, 1) for y in (q, k))
    return {"output": attend(q, k, v) @ g["output.weight"]}


@case(NORMED, depth=4)
def query_norm_after_rotation(g: Any) -> Any:
    """B16: the gain then meets other features"""
    q, k, v = qkv(g)
    a = angles(4, 4)
    q, k = (rms_norm(turn_half(y, a), g[f"{n}.norm.gain"]) for y, n in ((q, "query"), (k, "key")))
    return {"output": attend(q, k, v) @ g["output.weight"]}


@case(Attention(heads=1), model=3)
def values_not_projected(g: Any) -> Any:
    """F12"""
    q, k, _ = qkv(g)
    return {"output": attend(q, k, g["input"][None]) @ g["output.weight"]}


# C: rotary positions and ALiBi


def _turned(g: Any, turn: Any, a: Any, bias: Any = 0.0) -> Any:
    q, k, v = qkv(g)
    return {"output": attend(turn(q, a), turn(k, a), v, bias) @ g["output.weight"]}


@case(HALF, depth=6)
def pairs_turned_instead_of_halves(g: Any) -> Any:
    """C1"""
    return _turned(g, turn_pairs, angles(4, 6), causal(4))


@case(PAIRS, depth=4, token=5, model=7)
def halves_turned_instead_of_pairs(g: Any) -> Any:
    """C1"""
    return _turned(g, turn_half, angles(5, 4, 100.0))


@case(HALF, depth=6)
def table_of_halves_for_pairs(g: Any) -> Any:
    """C3: cos and sin laid out for halves, the partner taken from the pair"""
    q, k, v = qkv(g)
    a = np.tile(angles(4, 6), 2)

    def turn(x: Any) -> Any:
        partner = np.stack([-x[..., 1::2], x[..., 0::2]], axis=-1).reshape(x.shape)
        return x * np.cos(a) + partner * np.sin(a)

    return {"output": attend(turn(q), turn(k), v, causal(4)) @ g["output.weight"]}


@case(HALF, depth=4)
def rotary_base_of_another_model(g: Any) -> Any:
    """C4"""
    return _turned(g, turn_half, angles(4, 4, 500000.0), causal(4))


@case(PARTIAL, depth=6)
def frequencies_over_the_whole_head(g: Any) -> Any:
    """C6"""
    q, k, v = qkv(g)
    a = np.outer(np.arange(4), 10000.0 ** (-np.arange(0, 4, 2) / 6))
    q, k = (np.concatenate([turn_half(y[..., :4], a), y[..., 4:]], axis=-1) for y in (q, k))
    return {"scores": scores(q, k), "output": attend(q, k, v) @ g["output.weight"]}


@case(PARTIAL, depth=6)
def whole_head_turned(g: Any) -> Any:
    """C6"""
    return _turned(g, turn_half, angles(4, 6))


@case(PAIRS, depth=4)
def turned_by_head_number(g: Any) -> Any:
    """C7: only keys and queries of different heads would tell; here positions come from the wrong axis of q alone"""
    q, k, v = qkv(g)
    by_head = np.arange(3)[:, None, None] * (100.0 ** (-np.arange(0, 4, 2) / 4))
    q = turn_pairs(q, np.broadcast_to(by_head, (3, 4, 2)))
    k = turn_pairs(k, angles(4, 4, 100.0))
    return {"output": attend(q, k, v) @ g["output.weight"]}


@case(CACHE, depth=4, past=2, token=3)
def cached_positions_from_zero(g: Any) -> Any:
    """C8"""
    return _cached(g, 0)


@case(CACHE, depth=4, past=2, token=3)
def cached_positions_one_late(g: Any) -> Any:
    """C8"""
    return _cached(g, 3)


def _cached(g: Any, start: int, mask: Any = None) -> Any:
    q, k, v = qkv(g)
    a = angles(3, 4, start=start)
    q, k = turn_half(q, a), np.concatenate([g["past.key"], turn_half(k, a)], axis=1)
    v = np.concatenate([g["past.value"], v], axis=1)
    mask = np.triu(np.full((3, 5), -np.inf), 3) if mask is None else mask
    return {"output": attend(q, k, v, mask) @ g["output.weight"]}


@case(HALF, depth=4)
def rotated_backwards(g: Any) -> Any:
    """C9"""
    return _turned(g, turn_half, -angles(4, 4), causal(4))


@case(HALF, depth=4)
def exponent_without_its_minus(g: Any) -> Any:
    """C9"""
    return _turned(g, turn_half, np.outer(np.arange(4), 10000.0 ** (np.arange(0, 4, 2) / 4)), causal(4))


@case(HALF, depth=4)
def values_rotated_too(g: Any) -> Any:
    """C"""
    a = angles(4, 4)
    q, k, v = (turn_half(y, a) for y in qkv(g))
    return {"output": attend(q, k, v, causal(4)) @ g["output.weight"]}


@case(PAIRS, depth=4)
def only_queries_rotated(g: Any) -> Any:
    """C"""
    q, k, v = qkv(g)
    return {"output": attend(turn_pairs(q, angles(4, 4, 100.0)), k, v) @ g["output.weight"]}


@case(HALF, depth=4)
def rotary_forgotten(g: Any) -> Any:
    """C"""
    return {"output": attend(*qkv(g), causal(4)) @ g["output.weight"]}


@case(HALF, depth=4)
def positions_interpolated(g: Any) -> Any:
    """C5: linear scaling by four that nobody asked for"""
    return _turned(g, turn_half, angles(4, 4) / 4, causal(4))


def _alibi(g: Any, slopes: Any, sign: int = -1) -> Any:
    n = len(g["input"])
    distance = np.abs(np.arange(n)[:, None] - np.arange(n))
    return attend(*qkv(g), sign * np.asarray(slopes)[:, None, None] * distance + causal(n)) @ g["output.weight"]


@case(ALIBI)
def slopes_from_one(g: Any) -> Any:
    """C11: the exponent starts at 0"""
    return {"output": _alibi(g, [2.0 ** (-8 * h / 4) for h in range(4)])}


@case(ALIBI)
def distance_rewarded(g: Any) -> Any:
    """C11"""
    return {"output": _alibi(g, [2.0 ** (-8 * (h + 1) / 4) for h in range(4)], +1)}


@case(Attention(heads=3, alibi=True))
def slopes_of_three_heads_naively(g: Any) -> Any:
    """C11: the rule for powers of two"""
    n = len(g["input"])
    distance = np.abs(np.arange(n)[:, None] - np.arange(n))
    slope = np.array([2.0 ** (-8 * (h + 1) / 3) for h in range(3)])
    return {"output": attend(*qkv(g), -slope[:, None, None] * distance) @ g["output.weight"]}


@case(ALIBI)
def distances_scaled_with_the_scores(g: Any) -> Any:
    """C12"""
    q, k, v = qkv(g)
    distance = np.abs(np.arange(4)[:, None] - np.arange(4))
    slope = np.array([2.0 ** (-2 * (h + 1)) for h in range(4)])[:, None, None]
    s = (scores(q, k) - slope * distance) / math.sqrt(3) + causal(4)
    return {"output": join(softmax(s) @ v) @ g["output.weight"]}
