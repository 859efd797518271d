"""The same families as llama.cpp keeps them in GGUF files."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.experts import experts
from clearhead.models.families.parts import QKV, affine, norms, sizes, without
from clearhead.models.family import Family
from clearhead.models.key import choice, key, required
from clearhead.models.rope import GgufRope

_BLOCK = "blk.{n}."
_EPS = required("attention.layer_norm_rms_epsilon")
_EACH: dict[str, str | tuple[str, ...]] = {
    "layers.{n}.mlp.router.weight": _BLOCK + "ffn_gate_inp.weight: linear",
    **{
        f"layers.{{n}}.mlp.{ours}.weight": tuple(
            f"{_BLOCK}ffn_{theirs}{end}.weight: linear" for end in ("", "_exps", ".{e}")
        )
        for ours, theirs in (("gate", "gate"), ("up", "up"), ("output", "down"))
    },
}
"""The MLPs of experts, also as the first files had them, each in an array of its own."""

DENSE = {
    **sizes(("block_count",), ("embedding_length",), ("attention.head_count",)),
    **norms("rms", _EPS),
    "depth": key("attention.key_length"),
    "placement": "pre",
    "attention.kv_heads": key("attention.head_count_kv"),
    "attention.causal": True,
    "attention.rotary": GgufRope(),
    "mlp.activation": "silu",
    "mlp.gated": True,
    "head.tied": True,
}
"""Llama's spec, without experts."""

DENSE_ONLY = {"expert_count": (0,), "expert_used_count": (0,), "attention.causal": (True,)}
"""The metadata of files without experts."""

GGUF_LLAMA = Family(
    name="llama (GGUF)",
    architectures=("llama",),
    spec={
        **DENSE,
        "mlp.experts": choice(key("expert_count", default=False, by=bool), {True: {}, False: None}),
        **experts(key("expert_count", default=1), key("expert_used_count", default=1)),
    },
    arrays={
        "embedding.weight": "token_embd.weight",
        **affine("layers.{n}.attention.query", _BLOCK + "attn_q", "interleaved-rows linear heads"),
        **affine("layers.{n}.attention.key", _BLOCK + "attn_k", "interleaved-rows linear groups"),
        **affine("layers.{n}.attention.value", _BLOCK + "attn_v", "linear groups"),
        **affine("layers.{n}.attention.output", _BLOCK + "attn_output"),
        "layers.{n}.attention.query.norm.gain": _BLOCK + "attn_q_norm.weight",
        "layers.{n}.attention.key.norm.gain": _BLOCK + "attn_k_norm.weight",
        "layers.{n}.attention.rotary.factors": "rope_freqs.weight",
        "layers.{n}.attention.norm.gain": _BLOCK + "attn_norm.weight",
        **affine("layers.{n}.mlp.gate", _BLOCK + "ffn_gate"),
        **affine("layers.{n}.mlp.up", _BLOCK + "ffn_up"),
        **affine("layers.{n}.mlp.output", _BLOCK + "ffn_down"),
        **_EACH,
        "layers.{n}.mlp.norm.gain": _BLOCK + "ffn_norm.weight",
        "norm.gain": "output_norm.weight",
        "logits.weight": "output.weight: linear",
    },
    fixed={"attention.causal": (True,)},
    without_effect={
        "expert_feed_forward_length": "is a size that the arrays have",
        "feed_forward_length": "is a size that the arrays have",
        "attention.value_length": "is a size that the arrays have",
        "attention.sliding_window": "llama.cpp has no window in this architecture",
        "general.*": "says the model's name or purpose",
        "quantize.*": "says how the file was made",
    },
    transformers=False,
)
"""Llama and Mixtral: the rows of queries and keys stand in the order of interleaved rotary positions."""

_QWEN = replace(
    GGUF_LLAMA,
    spec=DENSE,
    fixed=DENSE_ONLY,
    arrays={
        **without(GGUF_LLAMA.arrays, "layers.{n}.mlp.router.weight"),
        **affine("layers.{n}.attention.query", _BLOCK + "attn_q", "linear heads"),
        **affine("layers.{n}.attention.key", _BLOCK + "attn_k", "linear groups"),
    },
)

GGUF_QWEN2 = replace(_QWEN, name="qwen2 (GGUF)", architectures=("qwen2",), spec={**DENSE, "attention.bias": QKV})
GGUF_QWEN3 = replace(
    _QWEN,
    name="qwen3 (GGUF)",
    architectures=("qwen3",),
    spec={**DENSE, "attention.qk_norm.kind": "rms", "attention.qk_norm.eps": _EPS},
)
