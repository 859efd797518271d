"""The same families as llama.cpp keeps them in GGUF files."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.parts import affine
from clearhead.models.family import Family, key, required

_BLOCK = "blk.{n}."

GGUF_LLAMA = Family(
    name="llama (GGUF)",
    architectures=("llama",),
    conventions={
        "layers": required("block_count"),
        "width": required("embedding_length"),
        "heads": required("attention.head_count"),
        "kv_heads": key("attention.head_count_kv"),
        "depth": key("attention.key_length"),
        "window": key("attention.sliding_window"),
        "rotary": "half",
        "rotary_base": key("rope.freq_base", default=10000.0),
        "norm": "rms",
        "eps": key("attention.layer_norm_rms_epsilon", default=1e-6),
        "activation": "silu",
        "gated": True,
    },
    arrays={
        "embedding.weight": "token_embd.weight",
        **affine("layers.{n}.attention.query", _BLOCK + "attn_q", "interleaved-rows linear heads"),
        **affine("layers.{n}.attention.key", _BLOCK + "attn_k", "interleaved-rows linear groups"),
        **affine("layers.{n}.attention.value", _BLOCK + "attn_v", "linear groups"),
        **affine("layers.{n}.attention.output", _BLOCK + "attn_output"),
        "layers.{n}.attention.query.norm.gain": _BLOCK + "attn_q_norm.weight",
        "layers.{n}.attention.key.norm.gain": _BLOCK + "attn_k_norm.weight",
        "layers.{n}.attention.norm.gain": _BLOCK + "attn_norm.weight",
        **affine("layers.{n}.mlp.gate", _BLOCK + "ffn_gate"),
        **affine("layers.{n}.mlp.up", _BLOCK + "ffn_up"),
        **affine("layers.{n}.mlp.output", _BLOCK + "ffn_down"),
        "layers.{n}.mlp.norm.gain": _BLOCK + "ffn_norm.weight",
        "norm.gain": "output_norm.weight",
        "logits.weight": "output.weight: linear",
    },
    refused={"rope.scaling.type": "yarn"},
    refused_arrays=("rope_freqs.weight",),
)
"""Llama as llama.cpp keeps it: the rows of queries and keys in the order of interleaved rotary positions."""

_GGUF_QWEN = replace(
    GGUF_LLAMA,
    arrays={
        **GGUF_LLAMA.arrays,
        **affine("layers.{n}.attention.query", _BLOCK + "attn_q", "linear heads"),
        **affine("layers.{n}.attention.key", _BLOCK + "attn_k", "linear groups"),
    },
)

GGUF_QWEN2 = replace(
    _GGUF_QWEN,
    name="qwen2 (GGUF)",
    architectures=("qwen2",),
    conventions={**GGUF_LLAMA.conventions, "bias": ("query", "key", "value")},
)
GGUF_QWEN3 = replace(
    _GGUF_QWEN,
    name="qwen3 (GGUF)",
    architectures=("qwen3",),
    conventions={**GGUF_LLAMA.conventions, "qk_norm": True},
)
