"""More families as llama.cpp keeps them in GGUF files: renames of their arrays, and metadata for entries of configs."""

from __future__ import annotations

import math
from typing import Any

from msgspec.structs import replace

from clearhead.models.families.experts import experts
from clearhead.models.families.gguf import DENSE, DENSE_ONLY, GGUF_LLAMA, GGUF_QWEN2, GGUF_QWEN3
from clearhead.models.families.parts import (
    EVERYWHERE,
    every,
    inverse,
    norm,
    norms,
    windows,
    without,
)
from clearhead.models.family import Family
from clearhead.models.key import Layers, There, choice, key, required

_BLOCK = "blk.{n}."
RMS = required("attention.layer_norm_rms_epsilon")
EPS = required("attention.layer_norm_epsilon")
PLAIN = GGUF_QWEN2.arrays
"""Queries and keys as Hugging Face has them, in halves."""

LAYER_NORMS = {
    **norm("layers.{n}.attention.norm", _BLOCK + "attn_norm"),
    **norm("layers.{n}.mlp.norm", _BLOCK + "ffn_norm"),
    **norm("norm", "output_norm"),
}
_NORMED = {
    "layers.{n}.attention.query.norm.gain": _BLOCK + "attn_q_norm.weight",
    "layers.{n}.attention.key.norm.gain": _BLOCK + "attn_k_norm.weight",
}
_TIED = {"head.tied": True}


def gguf_family(name: str, spec: dict[str, Any], arrays: Any = PLAIN, **more: Any) -> Family:
    """A table of an architecture."""
    own = {"name": f"{name} (GGUF)", "architectures": (name,), "spec": spec, "arrays": arrays}
    stated = {**own, "fixed": DENSE_ONLY, **more}
    return replace(GGUF_LLAMA, **stated)


_SCALED = key("embedding_length", by=lambda width: width**0.5)

GGUF_GEMMA = gguf_family("gemma", {**DENSE, "mlp.activation": "gelu-tanh", "embedding.scale": _SCALED})
"""As Llama in halves, with embeddings times the root of the width; 1 was added to gains when the file was made."""


def _scale(_layer: int, blocks: int, width: int, heads: int, depth: int) -> float:
    """What llama.cpp scales scores by: in the largest, of 46 layers, by the width for each head."""
    return 1 / math.sqrt(width / heads if blocks == 46 else depth)


GGUF_GEMMA2 = gguf_family(
    "gemma2",
    {
        **GGUF_GEMMA.spec,
        "placement": "sandwich",
        "attention.scale": Layers(
            (),
            _scale,
            tuple(
                key(name)
                for name in ("block_count", "embedding_length", "attention.head_count", "attention.key_length")
            ),
        ),
        "attention.softcap": key("attn_logit_softcapping", default=50.0),
        "head.softcap": key("final_logit_softcapping", default=30.0),
        "attention.window": windows(
            key("attention.sliding_window", default=4096), Layers((), lambda layer: every(layer, 2))
        ),
    },
    {
        **PLAIN,
        "layers.{n}.attention.outer.norm.gain": _BLOCK + "post_attention_norm.weight",
        "layers.{n}.mlp.outer.norm.gain": _BLOCK + "post_ffw_norm.weight",
    },
    without_effect=without(GGUF_LLAMA.without_effect, "attention.sliding_window"),
)
"""As Gemma, with norms around each half, caps, and windows in every other layer."""

OF_THREE = {
    f"layers.{{n}}.attention.{part}.{end}": f"{_BLOCK}attn_qkv.{end}: {words} {part} {heads}"
    for part, heads in (("query", "heads"), ("key", "groups"), ("value", "groups"))
    for end, words in (("weight", "linear"), ("bias", ""))
}

GATE_AND_UP = {
    "layers.{n}.mlp.gate.weight": _BLOCK + "ffn_up.weight: linear first-half",
    "layers.{n}.mlp.up.weight": _BLOCK + "ffn_up.weight: linear second-half",
}
"""The two in one matrix."""

GGUF_GPT2 = gguf_family(
    "gpt2",
    {
        **without(DENSE, "attention.rotary", "depth", "mlp.gated"),
        **norms("layer", EPS),
        "attention.bias": EVERYWHERE,
        "mlp.activation": "gelu-tanh",
        "mlp.bias": True,
        "embedding.positions": True,
    },
    {**PLAIN, **OF_THREE, **LAYER_NORMS, "embedding.position.weight": "position_embd.weight"},
    without_effect={**GGUF_LLAMA.without_effect, "context_length": "is a size that the arrays have"},
)
"""GPT-2, its matrices turned as those of others are."""

GGUF_PHI3 = gguf_family(
    "phi3",
    without(DENSE, "depth"),
    {
        **PLAIN,
        **OF_THREE,
        **GATE_AND_UP,
    },
)
"""As Llama in halves, with query, key and value in one matrix, gate and up in another; without longrope."""

GGUF_STARCODER2 = gguf_family(
    "starcoder2",
    {
        **without(DENSE, "depth", "mlp.gated"),
        **norms("layer", EPS),
        "attention.bias": EVERYWHERE,
        "mlp.activation": "gelu-tanh",
        "mlp.bias": True,
    },
    {**PLAIN, **LAYER_NORMS},
)
"""As Llama in halves, with layer norms, biases and a plain MLP."""

GGUF_STABLELM = gguf_family(
    "stablelm",
    {
        **without(DENSE, "depth"),
        **norms("layer", EPS),
        "placement": choice(key("use_parallel_residual", default=False), {True: "parallel", False: "pre"}),
        "attention.bias": choice(There(("blk.0.attn_q.bias",)), {True: ("query", "key", "value"), False: ()}),
        "attention.qk_norm": choice(There(("blk.0.attn_q_norm.weight",)), {True: {}, False: None}),
        "attention.qk_norm.kind": "layer",
        "attention.qk_norm.eps": EPS,
        "attention.qk_norm.bias": False,
        "attention.qk_norm_over": "depth-own",
    },
    {
        **PLAIN,
        **LAYER_NORMS,
        "layers.{n}.mlp.norm.gain": (_BLOCK + "ffn_norm.weight", _BLOCK + "attn_norm.weight"),
        "layers.{n}.mlp.norm.bias": (_BLOCK + "ffn_norm.bias", _BLOCK + "attn_norm.bias"),
    },
)
"""As Llama in halves, with layer norms, part of each head turned, and perhaps both halves side by side."""

GGUF_NEMOTRON = gguf_family(
    "nemotron",
    {
        **without(DENSE, "depth", "mlp.gated"),
        **norms("layer", EPS),
        "mlp.activation": "relu-squared",
    },
    {**PLAIN, **LAYER_NORMS},
)
"""As StableLM, with a plain MLP of squared ReLU; 1 was added to gains when the file was made."""

GGUF_GRANITE = gguf_family(
    "granite",
    {
        **DENSE,
        "embedding.scale": key("embedding_scale"),
        "residual_scale": key("residual_scale"),
        "attention.scale": key("attention.scale"),
        "head.scale": key("logit_scale", by=inverse),
    },
    GGUF_LLAMA.arrays,
)
"""As Llama, with multipliers of embeddings, halves, scores and logits."""

_COUNT, _CHOSEN = key("expert_count"), key("expert_used_count")
POOLED = {"pooling_type": "says what becomes of the states, after the last line"}

BESIDE = {
    "layers.{n}.mlp.router.weight": _BLOCK + "ffn_gate_inp.weight: linear",
    "layers.{n}.mlp.shared.up.weight": _BLOCK + "ffn_up_shexp.weight: linear",
    "layers.{n}.mlp.shared.gate.weight": _BLOCK + "ffn_gate_shexp.weight: linear",
    "layers.{n}.mlp.shared.output.weight": _BLOCK + "ffn_down_shexp.weight: linear",
    "layers.{n}.mlp.shared.share.weight": _BLOCK + "ffn_gate_inp_shexp.weight: flat",
}
"""What stands beside the experts: the router, and the MLP that all tokens use."""

ROUTED = {
    **GGUF_LLAMA.without_effect,
    "expert_feed_forward_length": "is a size that the arrays have",
    "expert_shared_feed_forward_length": "is a size that the arrays have",
}

GGUF_QWEN2_MOE = gguf_family(
    "qwen2moe",
    {
        **GGUF_QWEN2.spec,
        **experts(_COUNT, _CHOSEN, renormalise=False, shared=True, shared_gate=True),
    },
    {**PLAIN, **BESIDE},
    fixed={"attention.causal": (True,)},
    without_effect=ROUTED,
)
"""As Qwen 2, with experts."""

GGUF_QWEN3_MOE = gguf_family(
    "qwen3moe",
    {**GGUF_QWEN3.spec, **experts(_COUNT, _CHOSEN, renormalise=True)},
    {**PLAIN, **BESIDE},
    fixed={"attention.causal": (True,)},
    without_effect=ROUTED,
)
"""As Qwen 3, with experts."""
