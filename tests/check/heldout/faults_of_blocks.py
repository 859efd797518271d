"""One fault each in output, residual, norm and MLP: group G of the fault catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np

from clearhead import Attention, Block, Mlp, Norm

from .case import collector
from .numpy_by_hand import attend, causal, gelu, join, layer_norm, qkv, relu, rms_norm, scaled, silu, softmax

CASES, case = collector({"token": 3, "model": 4, "depth": 3, "hidden": 5})

POST = Block(Attention(heads=2), norm=Norm(gain=False))
AFFINE = Block(Attention(heads=2), norm=Norm())
PRE = Block(Attention(heads=2, causal=True), norm=Norm(), placement="pre")
ENCODER = Block(Attention(heads=2), norm=Norm(), mlp=Mlp(activation="relu", bias=True))
DECODER = Block(
    Attention(heads=2, causal=True), norm=Norm(kind="rms"), placement="pre", mlp=Mlp(activation="silu", gated=True)
)
GELU = Block(Attention(heads=2), norm=Norm(), placement="pre", mlp=Mlp())


def _residual(g: Any) -> Any:
    return g["input"] + attend(*qkv(g)) @ g["output.weight"]


def _params(g: Any, where: str = "") -> Any:
    return g[f"{where}norm.gain"], g[f"{where}norm.bias"]


@case(Attention(heads=2, causal=True), model=6)
def output_projection_forgotten(g: Any) -> Any:
    """G2"""
    return {"output": attend(*qkv(g), causal(3))}


@case(Attention(heads=2), model=3)
def heads_averaged(g: Any) -> Any:
    """G1: the mean of the heads, as wide as the model"""
    q, k, v = qkv(g)
    return {"output": (softmax(scaled(q, k)) @ v).mean(axis=0)}


@case(AFFINE)
def residual_forgotten(g: Any) -> Any:
    """G3"""
    return {"norm": layer_norm(attend(*qkv(g)) @ g["output.weight"], *_params(g))}


@case(POST)
def residual_twice(g: Any) -> Any:
    """G3"""
    return {"residual": _residual(g) + g["input"], "norm": layer_norm(_residual(g) + g["input"])}


@case(PRE)
def residual_from_the_normed(g: Any) -> Any:
    """G3"""
    x = layer_norm(g["input"], *_params(g))
    return {"residual": x + attend(*qkv(g, x=x), causal(3)) @ g["output.weight"]}


@case(PRE)
def post_for_pre(g: Any) -> Any:
    """G4"""
    y = g["input"] + attend(*qkv(g), causal(3)) @ g["output.weight"]
    return {"residual": layer_norm(y, *_params(g))}


@case(AFFINE)
def pre_for_post(g: Any) -> Any:
    """G4"""
    x = layer_norm(g["input"], *_params(g))
    return {"norm": g["input"] + attend(*qkv(g, x=x)) @ g["output.weight"]}


@case(POST)
def norm_over_everything(g: Any) -> Any:
    """G5"""
    y = _residual(g)
    return {"norm": (y - np.mean(y)) / np.sqrt(np.var(y) + 1e-5)}


@case(AFFINE)
def norm_over_tokens(g: Any) -> Any:
    """G5"""
    y = _residual(g)
    return {"norm": (y - y.mean(axis=0)) / np.sqrt(y.var(axis=0) + 1e-5) * g["norm.gain"] + g["norm.bias"]}


@case(AFFINE)
def deviation_of_a_sample(g: Any) -> Any:
    """G6"""
    y = _residual(g)
    y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, ddof=1, keepdims=True) + 1e-5)
    return {"norm": y * g["norm.gain"] + g["norm.bias"]}


@case(Block(Attention(heads=2), norm=Norm(eps=0.1, gain=False)))
def eps_outside_the_root(g: Any) -> Any:
    """G7"""
    y = _residual(g)
    return {"norm": (y - y.mean(1, keepdims=True)) / (y.std(1, keepdims=True) + 0.1)}


@case(Block(Attention(heads=2), norm=Norm(eps=1e-3)), decimals=6)
def eps_of_another_library(g: Any) -> Any:
    """G8"""
    return {"norm": layer_norm(_residual(g), *_params(g), eps=1e-5)}


@case(Block(Attention(heads=2), norm=Norm(eps=0.01, gain=False)), decimals=6)
def eps_forgotten(g: Any) -> Any:
    """G8"""
    y = _residual(g)
    return {"norm": (y - y.mean(1, keepdims=True)) / y.std(1, keepdims=True)}


@case(POST)
def divided_by_the_variance(g: Any) -> Any:
    """G9"""
    y = _residual(g)
    return {"norm": (y - y.mean(1, keepdims=True)) / (y.var(1, keepdims=True) + 1e-5)}


@case(POST)
def mean_not_subtracted(g: Any) -> Any:
    """G10"""
    return {"norm": rms_norm(_residual(g))}


@case(POST)
def deviation_not_divided(g: Any) -> Any:
    """G9: centred only"""
    y = _residual(g)
    return {"norm": y - y.mean(1, keepdims=True)}


@case(AFFINE)
def gain_and_bias_exchanged(g: Any) -> Any:
    """G12"""
    gain, bias = _params(g)
    return {"norm": layer_norm(_residual(g), bias, gain)}


@case(AFFINE)
def gain_forgotten(g: Any) -> Any:
    """G12"""
    return {"norm": layer_norm(_residual(g), 1, g["norm.bias"])}


@case(AFFINE)
def norm_bias_forgotten(g: Any) -> Any:
    """G12"""
    return {"norm": layer_norm(_residual(g), g["norm.gain"])}


@case(AFFINE)
def norm_forgotten(g: Any) -> Any:
    """G: returned as it was added"""
    return {"norm": _residual(g)}


def _encoder(g: Any, act: Any = relu) -> Any:
    x = g["input"]
    x = layer_norm(x + attend(*qkv(g, "attention.")) @ g["attention.output.weight"], *_params(g, "attention."))
    up = x @ g["mlp.up.weight"] + g["mlp.up.bias"]
    return x, up, act(up) @ g["mlp.output.weight"] + g["mlp.output.bias"]


@case(ENCODER)
def first_norm_used_twice(g: Any) -> Any:
    """G12"""
    x, _, y = _encoder(g)
    return {"mlp.norm": layer_norm(x + y, *_params(g, "attention."))}


@case(ENCODER)
def activation_forgotten(g: Any) -> Any:
    """G"""
    x, _, y = _encoder(g, lambda up: up)
    return {"mlp.norm": layer_norm(x + y, *_params(g, "mlp."))}


@case(ENCODER)
def gelu_for_relu(g: Any) -> Any:
    """G14: another activation"""
    x, _, y = _encoder(g, gelu)
    return {"mlp.norm": layer_norm(x + y, *_params(g, "mlp."))}


@case(ENCODER)
def second_residual_forgotten(g: Any) -> Any:
    """G3"""
    _, _, y = _encoder(g)
    return {"mlp.norm": layer_norm(y, *_params(g, "mlp."))}


@case(ENCODER)
def second_residual_from_the_input(g: Any) -> Any:
    """G3"""
    _, _, y = _encoder(g)
    return {"mlp.norm": layer_norm(g["input"] + y, *_params(g, "mlp."))}


@case(ENCODER)
def bias_of_the_mlp_forgotten(g: Any) -> Any:
    """G"""
    x, up, _ = _encoder(g)
    y = relu(up - g["mlp.up.bias"]) @ g["mlp.output.weight"] + g["mlp.output.bias"]
    return {"mlp.norm": layer_norm(x + y, *_params(g, "mlp."))}


def _decoder(g: Any, norm: Any = rms_norm) -> Any:
    x = g["input"]
    y = norm(x, g["attention.norm.gain"])
    x = x + attend(*qkv(g, "attention.", y), causal(3)) @ g["attention.output.weight"]
    return x, norm(x, g["mlp.norm.gain"])


def _gated(g: Any, y: Any, gate: str = "gate", up: str = "up") -> Any:
    return silu(y @ g[f"mlp.{gate}.weight"]) * (y @ g[f"mlp.{up}.weight"]) @ g["mlp.output.weight"]


@case(DECODER)
def gain_of_gemma(g: Any) -> Any:
    """G11: 1 + w"""
    x, y = _decoder(g, lambda x, gain: rms_norm(x, 1 + gain))
    return {"mlp.residual": x + _gated(g, y)}


@case(DECODER)
def layer_norm_for_rms(g: Any) -> Any:
    """G10"""
    x, y = _decoder(g, layer_norm)
    return {"mlp.residual": x + _gated(g, y)}


@case(DECODER)
def gate_and_up_exchanged(g: Any) -> Any:
    """G: of the MLP"""
    x, y = _decoder(g)
    return {"mlp.residual": x + _gated(g, y, "up", "gate")}


@case(DECODER)
def gate_ungated(g: Any) -> Any:
    """G: silu(up) alone, no gate"""
    x, y = _decoder(g)
    return {"mlp.residual": x + silu(y @ g["mlp.up.weight"]) @ g["mlp.output.weight"]}


@case(DECODER)
def mlp_of_the_unnormed(g: Any) -> Any:
    """G4: the second norm left out"""
    x, _ = _decoder(g)
    return {"mlp.residual": x + _gated(g, x)}


@case(DECODER)
def scale_forgotten_in_a_decoder(g: Any) -> Any:
    """D3: seen only through the whole block"""
    x = g["input"]
    q, k, v = qkv(g, "attention.", rms_norm(x, g["attention.norm.gain"]))
    x = x + attend(q * 3**0.5, k, v, causal(3)) @ g["attention.output.weight"]
    return {"mlp.residual": x + _gated(g, rms_norm(x, g["mlp.norm.gain"]))}


@case(DECODER)
def heads_merged_by_view_in_a_decoder(g: Any) -> Any:
    """B3: seen only through the whole block"""
    x = g["input"]
    q, k, v = qkv(g, "attention.", rms_norm(x, g["attention.norm.gain"]))
    head = (softmax(scaled(q, k) + causal(3)) @ v).reshape(3, 6)
    x = x + head @ g["attention.output.weight"]
    return {"mlp.residual": x + _gated(g, rms_norm(x, g["mlp.norm.gain"]))}


@case(GELU, decimals=6)
def gelu_by_tanh(g: Any) -> Any:
    """G14"""
    x = g["input"]
    x = x + attend(*qkv(g, "attention.", layer_norm(x, *_params(g, "attention.")))) @ g["attention.output.weight"]
    up = layer_norm(x, *_params(g, "mlp.")) @ g["mlp.up.weight"]
    active = 0.5 * up * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
    return {"mlp.residual": x + active @ g["mlp.output.weight"]}


@case(AFFINE)
def norm_before_the_residual(g: Any) -> Any:
    """G4: x + norm(f(x))"""
    return {"norm": g["input"] + layer_norm(attend(*qkv(g)) @ g["output.weight"], *_params(g))}


@case(PRE)
def heads_joined_last_first(g: Any) -> Any:
    """B4: the heads in reverse order, the output weight as it is"""
    q, k, v = qkv(g, x=layer_norm(g["input"], *_params(g)))
    head = softmax(scaled(q, k) + causal(3)) @ v
    return {"residual": g["input"] + join(head[::-1]) @ g["output.weight"]}
