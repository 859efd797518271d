"""Causes that no sensible table has, which must come back unexplained."""

from __future__ import annotations

from typing import Any

import numpy as np

from clearhead import Attention, Block, Norm, Rotary

from .case import collector
from .numpy_by_hand import angles, attend, causal, join, layer_norm, qkv, relu, scaled, softmax, turn_half

CASES, case = collector({"token": 4, "model": 5, "depth": 3})

PLAIN = Attention(heads=2)
CAUSAL = Attention(heads=3, causal=True)


@case(PLAIN)
def weights_squared_and_shared(g: Any) -> Any:
    """the same as scores twice as large: explained only by a scale that is so"""
    q, k, v = qkv(g)
    a = softmax(scaled(q, k)) ** 2
    return {"output": join(a / a.sum(-1, keepdims=True) @ v) @ g["output.weight"]}


@case(CAUSAL)
def tanh_on_the_values(g: Any) -> Any:
    q, k, v = qkv(g)
    return {"output": attend(q, k, np.tanh(v), causal(4)) @ g["output.weight"]}


@case(PLAIN)
def noise_of_three_percent(g: Any) -> Any:
    y = attend(*qkv(g)) @ g["output.weight"]
    return {"output": y * (1 + 0.03 * np.random.default_rng(7).normal(size=y.shape))}


@case(PLAIN)
def one_weight_misread(g: Any) -> Any:
    w = g["value.weight"].copy()
    w[1, 2, 0] += 0.4
    return {"output": attend(*qkv({**g, "value.weight": w})) @ g["output.weight"]}


@case(CAUSAL)
def sign_of_one_input_lost(g: Any) -> Any:
    x = g["input"].copy()
    x[1, 3] = -x[1, 3]
    return {"output": attend(*qkv(g, x=x), causal(4)) @ g["output.weight"]}


@case(Attention(heads=2, output=False), decimals=4)
def second_token_dropped(g: Any) -> Any:
    q, k, v = qkv(g)
    keep = [0, 2, 3]
    return {"concat": attend(q, k[:, keep], v[:, keep])}


@case(PLAIN)
def key_rows_one_further(g: Any) -> Any:
    """a copy that starts one row late; values stay"""
    q, k, v = qkv(g)
    return {"output": attend(q, np.roll(k, 1, axis=1), v) @ g["output.weight"]}


@case(CAUSAL)
def values_rectified(g: Any) -> Any:
    q, k, v = qkv(g)
    return {"head": softmax(scaled(q, k) + causal(4)) @ relu(v)}


@case(PLAIN)
def two_best_keys_only(g: Any) -> Any:
    q, k, v = qkv(g)
    s = scaled(q, k)
    s = np.where(s >= np.sort(s, axis=-1)[..., -2:-1], s, -np.inf)
    return {"weights": softmax(s), "output": join(softmax(s) @ v) @ g["output.weight"]}


@case(PLAIN)
def distances_for_products(g: Any) -> Any:
    q, k, v = qkv(g)
    s = -((q[:, :, None] - k[:, None]) ** 2).sum(-1)
    return {"output": join(softmax(s) @ v) @ g["output.weight"]}


@case(Block(Attention(heads=2), norm=Norm(gain=False)))
def residual_halved(g: Any) -> Any:
    return {"norm": layer_norm(0.5 * g["input"] + attend(*qkv(g)) @ g["output.weight"])}


@case(PLAIN)
def dropout_left_on(g: Any) -> Any:
    """F10: a few of the weights dropped, the rest made larger; no table can know which"""
    q, k, v = qkv(g)
    kept = np.random.default_rng(3).random((2, 4, 4)) > 0.2
    return {"output": join(softmax(scaled(q, k)) * kept / 0.8 @ v) @ g["output.weight"]}


@case(Attention(heads=3, causal=True, rotary=Rotary()), depth=4)
def temperature_of_seven_tenths(g: Any) -> Any:
    q, k, v = qkv(g)
    a = angles(4, 4)
    return {"output": attend(turn_half(q, a) / 0.7, turn_half(k, a), v, causal(4)) @ g["output.weight"]}


@case(PLAIN)
def values_centred(g: Any) -> Any:
    q, k, v = qkv(g)
    return {"output": attend(q, k, v - v.mean(axis=1, keepdims=True)) @ g["output.weight"]}


@case(Block(Attention(heads=2), norm=Norm()), token=3)
def digits_transposed_in_the_result(g: Any) -> Any:
    y = layer_norm(g["input"] + attend(*qkv(g)) @ g["output.weight"], g["norm.gain"], g["norm.bias"])
    y[1, 2] += 0.27
    return {"norm": y}
