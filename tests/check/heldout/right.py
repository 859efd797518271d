"""Right answers in odd styles, which must come back as agreeing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from clearhead import Attention, Block, Mlp, Norm, Rotary

from .case import collector
from .numpy_by_hand import attend, causal, join, layer_norm, qkv, scaled, scores, softmax

CASES, case = collector({"token": 4, "model": 5, "depth": 3, "hidden": 6})

PLAIN = Attention(heads=2)
CAUSAL = Attention(heads=3, causal=True)


@case(PLAIN)
def tokens_as_columns(g: Any) -> Any:
    x = g["input"].T
    heads = []
    for wq, wk, wv in zip(g["query.weight"], g["key.weight"], g["value.weight"], strict=True):
        q, k, v = wq.T @ x, wk.T @ x, wv.T @ x
        heads.append(v @ softmax(k.T @ q / math.sqrt(3), axis=0))
    return {"output": (g["output.weight"].T @ np.concatenate(heads, axis=0)).T}


@case(CAUSAL)
def scale_split_over_queries_and_keys(g: Any) -> Any:
    q, k, v = qkv(g)
    s = (q / 3**0.25) @ (k / 3**0.25).swapaxes(1, 2) + causal(4)
    return {"weights": softmax(s), "output": join(softmax(s) @ v) @ g["output.weight"]}


@case(PLAIN, decimals=6)
def powers_of_two(g: Any) -> Any:
    q, k, v = qkv(g)
    e = np.exp2(scaled(q, k) * np.log2(np.e))
    return {"weights": e / e.sum(-1, keepdims=True), "head": e / e.sum(-1, keepdims=True) @ v}


@case(CAUSAL)
def one_einsum_after_another(g: Any) -> Any:
    q, k, v = (np.einsum("nm,hmd->hnd", g["input"], g[f"{n}.weight"]) for n in ("query", "key", "value"))
    s = np.einsum("hid,hjd->hij", q, k) / 3**0.5
    a = softmax(np.where(np.tri(4, dtype=bool), s, -1e30))
    wo = g["output.weight"].reshape(3, 3, 5)
    return {"weights": a, "output": np.einsum("hij,hjd,hdm->im", a, v, wo)}


@case(CAUSAL)
def mask_after_softmax_renormalised(g: Any) -> Any:
    q, k, v = qkv(g)
    a = softmax(scaled(q, k)) * np.tri(4)
    a = a / a.sum(-1, keepdims=True)
    return {"weights": a, "output": join(a @ v) @ g["output.weight"]}


@case(PLAIN)
def bias_on_the_keys(g: Any) -> Any:
    q, k, v = qkv(g)
    return {"output": attend(q, k + np.array([0.3, -1.2, 0.7]), v) @ g["output.weight"]}


@case(CAUSAL)
def constant_on_each_row(g: Any) -> Any:
    bias = causal(4) + np.array([5.0, -3.0, 1.5, 100.0])[:, None]
    return {"output": attend(*qkv(g), bias) @ g["output.weight"]}


@case(PLAIN)
def heads_and_output_rows_permuted(g: Any) -> Any:
    q, k, v = (y[::-1] for y in qkv(g))
    rows = np.concatenate([g["output.weight"][3:], g["output.weight"][:3]])
    return {"output": attend(q, k, v) @ rows}


@case(Attention(heads=2, rotary=Rotary(layout="interleaved")), depth=4, decimals=6)
def rotary_by_complex_numbers(g: Any) -> Any:
    q, k, v = qkv(g)
    turn = np.exp(1j * np.outer(np.arange(4), [1.0, 0.01]))

    def turned(x: Any) -> Any:
        z = (x[..., 0::2] + 1j * x[..., 1::2]) * turn
        return np.stack([z.real, z.imag], axis=-1).reshape(x.shape)

    return {"scores": scores(turned(q), turned(k)), "output": attend(turned(q), turned(k), v) @ g["output.weight"]}


@case(Attention(heads=4, kv_heads=2, causal=True))
def torch_with_shared_heads(g: Any) -> Any:
    q, k, v = (torch.tensor(y)[None] for y in qkv(g))
    head = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)[0]
    return {"output": join(head.numpy()) @ g["output.weight"]}


@case(Attention(heads=2, cache=True, causal=True), token=1, past=4)
def one_key_after_another(g: Any) -> Any:
    """the running maximum and sum of an online softmax"""
    q, k, v = qkv(g)
    k, v = np.concatenate([g["past.key"], k], axis=1), np.concatenate([g["past.value"], v], axis=1)
    out = []
    for h in range(2):
        top, total, mixed = -np.inf, 0.0, np.zeros(3)
        for j in range(5):
            s = float(q[h, 0] @ k[h, j]) / math.sqrt(3)
            new = max(top, s)
            total = total * math.exp(top - new) + math.exp(s - new)
            mixed = mixed * math.exp(top - new) + math.exp(s - new) * v[h, j]
            top = new
        out.append(mixed / total)
    return {"output": np.concatenate(out)[None] @ g["output.weight"]}


@case(Attention(heads=4, alibi=True, causal=True))
def slopes_times_key_position(g: Any) -> Any:
    """BLOOM's ALiBi: a constant per row away"""
    slope = 2.0 ** -np.array([2, 4, 6, 8])
    return {"output": attend(*qkv(g), slope[:, None, None] * np.arange(4) + causal(4)) @ g["output.weight"]}


@case(Block(Attention(heads=2), norm=Norm(), mlp=Mlp()), decimals=4)
def encoder_layer_in_single_precision(g: Any) -> Any:
    g = {name: array.astype(np.float32) for name, array in g.items()}
    x = g["input"]
    x = x + attend(*qkv(g, "attention.")) @ g["attention.output.weight"]
    x = layer_norm(x, g["attention.norm.gain"], g["attention.norm.bias"])
    up = torch.tensor(x @ g["mlp.up.weight"])
    x = x + torch.nn.functional.gelu(up).numpy() @ g["mlp.output.weight"]
    return {"mlp.norm": layer_norm(x, g["mlp.norm.gain"], g["mlp.norm.bias"])}


REAL = np.array([True, True, False, False])


@case(Attention(heads=2, padding=True), token=4, key=4, given={"padding": REAL})
def pads_cut_off(g: Any) -> Any:
    """the padded keys are not masked but never computed"""
    q, k, v = qkv(g)
    return {"output": attend(q, k[:, :2], v[:, :2]) @ g["output.weight"]}


@case(Attention(heads=2, softcap=3.0, output=False))
def pure_python(g: Any) -> Any:
    n, d = 4, 3
    out = []
    q, k, v = (y.tolist() for y in qkv(g))
    for i in range(n):
        row = []
        for h in range(2):
            s = [
                3 * math.tanh(sum(a * b for a, b in zip(q[h][i], k[h][j], strict=True)) / d**0.5 / 3) for j in range(n)
            ]
            total = math.fsum(math.exp(x) for x in s)
            row += [sum(math.exp(s[j]) / total * v[h][j][c] for j in range(n)) for c in range(d)]
        out.append(row)
    return {"concat": np.array(out)}


@case(Attention(heads=2, output=False), decimals=2)
def results_only_shown_rounded(g: Any) -> Any:
    """nothing is carried on"""
    q, k, v = qkv(g)
    return {"weights": softmax(scaled(q, k)), "concat": attend(q, k, v)}
