"""Public bug reports, each written anew in NumPy: what must be said of it, or which deviation must be named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
from msgspec import Struct

from clearhead import Attention, Block, Linear, Mlp, Norm, Rotary
from clearhead.working import Working

from .block_pieces import attention, gated, layer, rms
from .pieces import banded, causal, frequencies, joined, product, repeated, rotary, scaled, softmax, turned
from .rights import in_tables

QKV = ("query", "key", "value")
CACHED = (*QKV, "past.key", "past.value")


class Reported(Struct, frozen=True):
    """A function as it was reported, the words that say its cause, and the deviation that is named."""

    function: Callable[..., Any]
    working: Working
    link: str
    takes: str | tuple[str, ...] = QKV
    returns: str = "head"
    says: str = ""
    deviation: str = ""
    given: Mapping[str, Any] | None = None


REPORTS: dict[str, Reported] = {}


def reported(link, spec, **expected):
    """Keeps a function under its name."""

    def keep(function):
        REPORTS[function.__name__] = Reported(function, spec.working(), link, **expected)
        return function

    return keep


TURNED = Attention(heads=2, causal=True, rotary=Rotary())


@reported("mosaicml/llm-foundry#371", Block(Attention(heads=2), norm=Norm("rms", eps=1e-6)),
          takes=("residual", "norm.gain"), returns="norm", deviation="norm-multiplied",
          says="multiplies by the root of the mean square")  # fmt: skip
def multiplied(x, gain):
    return x / (1 / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)) * gain


@reported("mlfoundations/open_lm#4", TURNED, deviation="rotary-over-heads", says="such as the heads")
def turned_by_heads(q, k, v):
    q, k = (np.swapaxes(each, 1, 2) for each in rotary(np.swapaxes(q, 1, 2), np.swapaxes(k, 1, 2)))
    return softmax(causal(scaled(q, k))) @ v


@reported("PSAL-POSTECH/ONNXim#33", Attention(heads=8, kv_heads=4, causal=True), says="h // n_kv")
def groups_by_their_number(q, k, v):
    pick = np.arange(8) // 4
    return softmax(causal(scaled(q, k[:, pick]))) @ v[:, pick]


H, G, D, M = 4, 2, 8, 6
RNG = np.random.default_rng(3)
WQ, WK, WV = RNG.normal(size=(H, M, D)), RNG.normal(size=(G, M, D)), RNG.normal(size=(G, M, D))


def rows(w, n, shape):
    """Rows (n * depth) with the halves or pairs of each of n heads exchanged."""
    return w.reshape(n, *shape(w.shape[0] // n // 2), M).swapaxes(1, 2).reshape(w.shape)


BAD = rows(rows(WK.swapaxes(1, 2).reshape(G * D, M), G, lambda h: (2, h)), H, lambda h: (h, 2))


@reported("huggingface/transformers#31788",
          Attention(heads=H, kv_heads=G, causal=True, rotary=Rotary(), output=False), takes="input",
          given={"query.weight": WQ, "key.weight": WK, "value.weight": WV},
          says="key.weight has its rows (head*depth) put to pairs as of 2 heads and back as of 4 heads")  # fmt: skip
def key_rows_put_back_as_queries(x):
    n = x[:, None]
    wk = BAD.reshape(G, D, M).swapaxes(1, 2)
    q, k = rotary(n @ WQ, repeated(n @ wk, H))
    return softmax(causal(scaled(q, k))) @ repeated(n @ WV, H)


@reported("RobertCsordas/moeut#6", Attention(heads=2, causal=True, cache=True, rotary=Rotary()), takes=CACHED,
          deviation="rotary-past-forgotten-on-one-side", says="Queries stand at 0, 1, 2")  # fmt: skip
def queries_from_zero(q, k, v, pk, pv):
    f = frequencies(q.shape[-1])
    q, k = turned(q, np.arange(q.shape[-2]), f), turned(k, pk.shape[-2] + np.arange(k.shape[-2]), f)
    return softmax(causal(scaled(q, joined(pk, k)))) @ joined(pv, v)


@reported("trymirai/lalamo#200", Attention(heads=2, causal=True, cache=True, window=2), takes=CACHED,
          says="see keys that they should not see")  # fmt: skip
def window_of_new_rows(q, k, v, pk, pv):
    k, v = joined(pk, k), joined(pv, v)
    n, m = q.shape[-2], k.shape[-2]
    return softmax(np.where(np.triu(np.ones((n, m), bool), k=-1), causal(scaled(q, k)), -np.inf)) @ v


@reported("NVIDIA-NeMo/Megatron-Bridge#4875", Attention(heads=2, causal=True, softcap=50.0), says="4 keys at most")
def window_where_none_is(q, k, v):
    return softmax(banded(50 * np.tanh(scaled(q, k) / 50), 4)) @ v


@reported("Blaizzy/mlx-vlm#1709", Attention(heads=2, causal=True, rotary=Rotary(base=1e6, scaling=Linear(8.0))),
          says="8 times")  # fmt: skip
def scaling_unread(q, k, v):
    q, k = rotary(q, k, frequencies(q.shape[-1], 1e6))
    return softmax(causal(scaled(q, k))) @ v


FACTOR = 0.1 * 0.707 * np.log(40) + 1


@reported("kekzl/imp#880", Attention(heads=2, causal=True, rotary=Rotary(width=4)), says="1.2608")
def inflated(q, k, v):
    q, k = rotary(q, k, frequencies(4), factor=FACTOR)
    return softmax(causal(scaled(q, k))) @ v


ARRAYS = (
    "input", "attention.norm.gain", "attention.outer.norm.gain", "mlp.norm.gain", "mlp.outer.norm.gain",
    "attention.query.weight", "attention.key.weight", "attention.value.weight", "attention.output.weight",
    "mlp.gate.weight", "mlp.up.weight", "mlp.output.weight",
)  # fmt: skip


@reported("NVIDIA-NeMo/Megatron-Bridge#5712",
          Block(Attention(heads=2, causal=True), norm=Norm("rms", eps=1e-6), placement="sandwich",
                mlp=Mlp("silu", gated=True)),
          takes=ARRAYS, returns="mlp.residual", deviation="norm-eps-of-one", says="mlp.outer.norm")  # fmt: skip
def eps_of_outer_norms(x, g1, o1, g2, o2, wq, wk, wv, wo, wg, wu, wd):
    x = x + rms(attention(rms(x, g1), wq, wk, wv, wo), o1, 1e-5)
    return x + rms(gated(rms(x, g2), wg, wu, wd), o2, 1e-5)


@reported("georgepar/slp#26", Block(Attention(heads=2, memory=True), norm=Norm()),
          takes=("input", "memory", "query.weight", "key.weight", "value.weight", "output.weight", "norm.gain",
                 "norm.bias"),
          returns="norm", deviation="residual-from-memory", says="memory")  # fmt: skip
def residual_of_the_memory(x, mem, wq, wk, wv, wo, g, b):
    y = softmax(scaled(x[:, None] @ wq, mem[:, None] @ wk)) @ (mem[:, None] @ wv)
    return layer(mem + np.swapaxes(y, 1, 2).reshape(*x.shape[:-1], -1) @ wo, g, b)


@reported("ultralytics/ultralytics#24990", Attention(heads=2), says="overflow float16 (65504) before the scale")
def overflow_before_the_scale(q, k, v):
    s = product(q.astype(np.float16), k.astype(np.float16)) * np.float16(q.shape[-1] ** -0.5)
    return softmax(s.astype(np.float32)) @ v


TABLE = np.random.default_rng(2).normal(size=41)
AWAY = np.arange(6)[None] - np.arange(6)[:, None]


@reported("ml-explore/mlx-examples#113", Attention(heads=2, scale=1.0, mask="additive"),
          given={"mask": TABLE[20 + AWAY]}, says="The given mask is transposed")  # fmt: skip
def buckets_exchanged(q, k, v):
    return softmax(product(q, k) + TABLE[20 - AWAY]) @ v


@reported("gabrielmittag/NISQA#17", Attention(heads=2, padding=True), takes=(*QKV, "padding"),
          says="written after the softmax")  # fmt: skip
def infinite_weights(q, k, v, padding):
    return np.where(padding[:, None, None], softmax(scaled(q, k)), -np.inf) @ v


@reported("Avarok-Cybersecurity/atlas#276", Attention(heads=2, causal=True, window=3, rotary=Rotary()),
          deviation="rotary-base", says="160000")  # fmt: skip
def base_of_other_layers(q, k, v):
    q, k = rotary(q, k, frequencies(q.shape[-1], 160000.0))
    return softmax(banded(scaled(q, k), 3)) @ v


@reported("sgl-project/sglang-jax#1472", TURNED, says="Rotary frequencies are the expected ones, rounded to bfloat16")
def frequencies_in_bfloat16(q, k, v):
    return softmax(causal(scaled(*(in_tables(x, ml_dtypes.bfloat16) for x in (q, k))))) @ v


@reported("Dao-AILab/flash-attention#2082", Attention(heads=2, causal=True), says="bounded from below")
def maximum_of_masked_blocks(q, k, v):
    q, k, v = (x.astype(np.float32) for x in (q, k, v))
    s = causal(scaled(q, k))
    top, total, out = -np.inf, 0.0, 0.0
    for begin in reversed(range(0, k.shape[-2], 2)):
        block = s[..., begin : begin + 2]
        now = np.maximum(top, block.max(-1, keepdims=True))
        now = np.where(np.isneginf(now), 0.0, now)
        part, kept = np.exp(block - now), np.exp(top - now)
        top, total, out = (
            now,
            total * kept + part.sum(-1, keepdims=True),
            out * kept + part @ v[..., begin : begin + 2, :],
        )
    return out / np.where(total == 0, 1, total)


@reported("Biohub/esm#299", Attention(heads=2, padding=True), takes=(*QKV, "padding"),
          says="these parts explain everything measured")  # fmt: skip
def padding_sees_padding(q, k, v, real):
    alike = real[:, None, :, None] == real[:, None, None, :]
    return softmax(np.where(alike, scaled(q, k), -np.inf)) @ v
