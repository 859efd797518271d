"""Two faults at once, and solutions by hand that round."""

from __future__ import annotations

from typing import Any

import numpy as np

from clearhead import Attention, Block, Mlp, Norm, Positions, Rotary

from .case import collector
from .numpy_by_hand import (
    angles,
    attend,
    causal,
    join,
    layer_norm,
    qkv,
    scaled,
    scores,
    silu,
    sinusoids,
    softmax,
    turn_pairs,
)

CASES, case = collector({"token": 4, "model": 5, "depth": 3, "hidden": 6})

PLAIN = Attention(heads=2)
CAUSAL = Attention(heads=3, causal=True)
BLOCK = Block(Attention(heads=2), norm=Norm(gain=False))


@case(CAUSAL)
def unscaled_and_off_by_one(g: Any) -> Any:
    """D3 and E8"""
    q, k, v = qkv(g)
    s = np.where(np.tri(4, k=1) == 1, scores(q, k), -np.inf)
    return {"output": join(softmax(s) @ v) @ g["output.weight"]}


@case(PLAIN)
def columns_and_model_width(g: Any) -> Any:
    """F1 and D1"""
    q, k, v = qkv(g)
    return {"output": join(softmax(scores(q, k) / np.sqrt(5), axis=1) @ v) @ g["output.weight"]}


@case(BLOCK, decimals=4)
def the_notebook(g: Any) -> Any:
    """F1 and G5: the two of the seed"""
    q, k, v = qkv(g)
    y = g["input"] + join(softmax(scaled(q, k), axis=1) @ v) @ g["output.weight"]
    return {"residual": y, "norm": (y - y.mean()) / np.sqrt(y.var() + 1e-5)}


@case(PLAIN)
def merged_by_view_and_unscaled(g: Any) -> Any:
    """B3 and D3"""
    q, k, v = qkv(g)
    return {"output": (softmax(scores(q, k)) @ v).reshape(4, 6) @ g["output.weight"]}


@case(Block(Attention(heads=2, causal=True), norm=Norm()))
def sample_deviation_and_no_mask(g: Any) -> Any:
    """G6 and E11"""
    y = g["input"] + attend(*qkv(g)) @ g["output.weight"]
    y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, ddof=1, keepdims=True) + 1e-5)
    return {"norm": y * g["norm.gain"] + g["norm.bias"]}


@case(Attention(heads=2, causal=True, rotary=Rotary()), depth=4)
def pairs_turned_and_unscaled(g: Any) -> Any:
    """C1 and D3"""
    q, k, v = qkv(g)
    a = angles(4, 4)
    s = scores(turn_pairs(q, a), turn_pairs(k, a)) + causal(4)
    return {"output": join(softmax(s) @ v) @ g["output.weight"]}


@case(CAUSAL)
def keys_for_values_and_diagonal(g: Any) -> Any:
    """B8 and E8"""
    q, k, v = qkv(g)
    s = np.where(np.tri(4, k=-1) == 1, scaled(q, v), -1e9)
    return {"output": join(softmax(s) @ k) @ g["output.weight"]}


@case(Block(Attention(heads=2), norm=Norm(eps=0.01, gain=False), positions=Positions("sinusoidal")), model=6)
def from_one_and_eps_outside(g: Any) -> Any:
    """A9 and G7"""
    e = g["embedding"]
    x = e + sinusoids(5, 6)[1:]
    y = x + attend(*qkv(g, x=x)) @ g["output.weight"]
    return {"norm": (y - y.mean(1, keepdims=True)) / (y.std(1, keepdims=True) + 0.01)}


@case(PLAIN, model=6)
def twice_and_without_output(g: Any) -> Any:
    """F3 and G2"""
    q, k, v = qkv(g)
    return {"output": join(softmax(softmax(scaled(q, k))) @ v)}


@case(
    Block(
        Attention(heads=2, causal=True), norm=Norm(kind="rms"), placement="pre", mlp=Mlp(activation="silu", gated=True)
    ),
    token=3,
)
def unscaled_and_layer_norm_in_a_decoder(g: Any) -> Any:
    """D3 and G10, seen at the end of the block"""
    x = g["input"]
    q, k, v = qkv(g, "attention.", layer_norm(x, g["attention.norm.gain"]))
    x = x + join(softmax(scores(q, k) + causal(3)) @ v) @ g["attention.output.weight"]
    y = layer_norm(x, g["mlp.norm.gain"])
    return {"mlp.residual": x + silu(y @ g["mlp.gate.weight"]) * (y @ g["mlp.up.weight"]) @ g["mlp.output.weight"]}


# Roundings


@case(Attention(heads=2, output=False), decimals=4)
def weights_to_two_decimals(g: Any) -> Any:
    """carried on into the sum"""
    q, k, v = qkv(g)
    return {"concat": join(np.round(softmax(scaled(q, k)), 2) @ v)}


@case(PLAIN, decimals=5)
def scores_to_one_decimal(g: Any) -> Any:
    """carried on"""
    q, k, v = qkv(g)
    a = softmax(np.round(scaled(q, k), 1))
    return {"weights": a, "output": join(a @ v) @ g["output.weight"]}


@case(Attention(heads=1, output=False), decimals=4)
def weights_truncated(g: Any) -> Any:
    """cut after two decimals, carried on"""
    q, k, v = qkv(g)
    return {"concat": join(np.floor(softmax(scaled(q, k)) * 100) / 100 @ v)}


EVEN = {
    "input": np.array([[0.5, 1.0, 0], [1.5, 0, 1.0], [0.5, 0.5, 0.5]]),
    "query.weight": np.array([[[1.0], [0.5], [-0.5]], [[0.5], [1.0], [0]]]),
    "key.weight": np.array([[[0.5], [1.0], [0.5]], [[1.0], [-0.5], [0.5]]]),
    "value.weight": np.array([[[1.0], [2.0], [0]], [[0], [1.0], [3.0]]]),
}


@case(Attention(heads=2, output=False), token=3, model=3, depth=1, decimals=4, given=EVEN)
def round_of_python(g: Any) -> Any:
    """half to even: the scores end in 5, rounded to one decimal"""
    q, k, v = qkv(g)
    s = np.array([[[round(float(c), 1) for c in row] for row in head] for head in scores(q, k)])
    return {"scaled": s, "weights": softmax(s), "concat": join(softmax(s) @ v)}


@case(Block(Attention(heads=2), norm=Norm(gain=False)), decimals=3)
def each_line_to_three_decimals(g: Any) -> Any:
    """each line is rounded, written down, and carried on"""
    q, k, v = (y.round(3) for y in qkv(g))
    a = softmax(scaled(q, k).round(3)).round(3)
    out = (join((a @ v).round(3)) @ g["output.weight"]).round(3)
    return {"weights": a, "output": out, "residual": out + g["input"], "norm": layer_norm(out + g["input"])}


@case(Attention(heads=2, output=False), decimals=5, depth=2)
def root_of_two_as_1_41(g: Any) -> Any:
    """a rounded scale"""
    q, k, v = qkv(g)
    return {"concat": join(softmax(scores(q, k) / 1.41) @ v)}


@case(PLAIN, decimals=4)
def head_rounded_before_output(g: Any) -> Any:
    """heads to two decimals, half-even"""
    q, k, v = qkv(g)
    return {"output": np.array(attend(q, k, v)).round(2) @ g["output.weight"]}


@case(CAUSAL, decimals=4)
def weights_to_two_decimals_in_the_second_head(g: Any) -> Any:
    """only in one of the heads"""
    q, k, v = qkv(g)
    a = softmax(scaled(q, k) + causal(4))
    a[1] = a[1].round(2)
    return {"head": a @ v}


@case(BLOCK, decimals=4)
def weights_to_one_decimal_and_columns(g: Any) -> Any:
    """a rounding and a fault: F1"""
    q, k, v = qkv(g)
    a = softmax(scaled(q, k), axis=1).round(1)
    return {"norm": layer_norm(g["input"] + join(a @ v) @ g["output.weight"])}
