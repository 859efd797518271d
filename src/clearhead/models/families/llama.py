"""Llama and those that are nearly it: SmolLM2, Mistral, Ministral, Qwen 2 and 3, Phi-3."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.heads import with_heads
from clearhead.models.families.parts import (
    BASE,
    FULL,
    LISTED,
    QKV,
    SLIDING,
    activation,
    affine,
    biased,
    norms,
    sizes,
    windows,
    without,
)
from clearhead.models.family import Family
from clearhead.models.key import Layers, choice, key
from clearhead.models.rope import Rope

LAYER = "layers.{n}."

LLAMA = with_heads(
    Family(
        name="llama",
        architectures=("LlamaForCausalLM", "LlamaModel"),
        spec={
            **sizes(),
            **norms("rms", key("rms_norm_eps", default=1e-6)),
            "depth": key("head_dim"),
            "attention.kv_heads": key("num_key_value_heads"),
            "attention.causal": True,
            "attention.bias": biased("attention_bias", default=False),
            "attention.rotary": Rope(),
            "placement": "pre",
            "mlp.activation": activation("hidden_act", default="silu"),
            "mlp.gated": True,
            "mlp.bias": key("mlp_bias", default=False),
            "head.tied": key("tie_word_embeddings", default=False),
        },
        arrays={
            "embedding.weight": "embed_tokens.weight",
            **affine("layers.{n}.attention.query", LAYER + "self_attn.q_proj", "linear heads"),
            **affine("layers.{n}.attention.key", LAYER + "self_attn.k_proj", "linear groups"),
            **affine("layers.{n}.attention.value", LAYER + "self_attn.v_proj", "linear groups"),
            **affine("layers.{n}.attention.output", LAYER + "self_attn.o_proj"),
            "layers.{n}.attention.query.norm.gain": LAYER + "self_attn.q_norm.weight",
            "layers.{n}.attention.key.norm.gain": LAYER + "self_attn.k_norm.weight",
            **LISTED,
            "layers.{n}.attention.norm.gain": LAYER + "input_layernorm.weight",
            **affine("layers.{n}.mlp.gate", LAYER + "mlp.gate_proj"),
            **affine("layers.{n}.mlp.up", LAYER + "mlp.up_proj"),
            **affine("layers.{n}.mlp.output", LAYER + "mlp.down_proj"),
            "layers.{n}.mlp.norm.gain": LAYER + "post_attention_layernorm.weight",
            "norm.gain": "norm.weight",
            "logits.weight": "lm_head.weight: linear",
        },
        prefixes=("model.", ""),
        by_architecture={"LlamaModel": BASE},
        spare={"*rotary_emb.inv_freq": "rotary frequencies, which are computed from the config"},
    ),
    "Llama",
)

MISTRAL = with_heads(
    replace(
        LLAMA,
        name="mistral",
        architectures=("MistralForCausalLM", "MistralModel"),
        spec={
            **without(LLAMA.spec, "attention.bias", "mlp.bias"),
            "attention.kv_heads": key("num_key_value_heads", default=8),
            "attention.rotary": Rope(context=4096 * 32),
            "attention.window": key("sliding_window", default=4096),
        },
        by_architecture={"MistralModel": BASE},
    ),
    "Mistral",
)
"""As Llama, with a window in every layer."""


def _windowed(_layer: int, width: int | None) -> str:
    return FULL if width is None else SLIDING


_WINDOW = key("sliding_window", default=4096)

MINISTRAL = with_heads(
    replace(
        MISTRAL,
        name="ministral",
        architectures=("MinistralForCausalLM", "MinistralModel"),
        spec={**MISTRAL.spec, "attention.window": windows(_WINDOW, Layers(("layer_types",), _windowed, (_WINDOW,)))},
        by_architecture={"MinistralModel": BASE},
    ),
    "Ministral",
)
"""As Mistral, with a window in the layers that the config lists."""


def _upper(layer: int, width: int | None, first: int) -> str:
    return SLIDING if width is not None and layer >= first else FULL


_UPPER = Layers(("layer_types",), _upper, (_WINDOW, key("max_window_layers", default=28)))

QWEN2 = with_heads(
    replace(
        LLAMA,
        name="qwen2",
        architectures=("Qwen2ForCausalLM", "Qwen2Model"),
        spec={
            **without(LLAMA.spec, "mlp.bias"),
            "attention.kv_heads": key("num_key_value_heads", default=32),
            "attention.rotary": Rope(context=32768),
            "attention.bias": QKV,
            "attention.window": choice(
                key("use_sliding_window", default=False), {True: windows(_WINDOW, _UPPER), False: None}
            ),
        },
        by_architecture={"Qwen2Model": BASE},
    ),
    "Qwen2",
)
"""As Llama, with biases of queries, keys and values; a window, if at all, in the upper layers."""

QWEN3 = with_heads(
    replace(
        QWEN2,
        name="qwen3",
        architectures=("Qwen3ForCausalLM", "Qwen3Model"),
        spec={
            **QWEN2.spec,
            "depth": key("head_dim", default=128),
            "attention.bias": biased("attention_bias", default=False),
            "attention.qk_norm.kind": "rms",
            "attention.qk_norm.eps": key("rms_norm_eps", default=1e-6),
        },
        by_architecture={"Qwen3Model": BASE},
    ),
    "Qwen3",
)
"""As Qwen 2, with a norm of each head's query and key in place of the biases."""

_FUSED = LAYER + "self_attn.qkv_proj.weight: linear "

PHI3 = with_heads(
    replace(
        LLAMA,
        name="phi3",
        architectures=("Phi3ForCausalLM", "Phi3Model"),
        spec={
            **without(LLAMA.spec, "attention.bias", "mlp.bias"),
            **norms("rms", key("rms_norm_eps", default=1e-5)),
            "attention.rotary": Rope(
                share=1.0, words={"su": "longrope", "yarn": "longrope"}, context=4096, original=4096
            ),
            "attention.window": key("sliding_window"),
        },
        arrays={
            **LLAMA.arrays,
            "layers.{n}.attention.query.weight": _FUSED + "query heads",
            "layers.{n}.attention.key.weight": _FUSED + "key groups",
            "layers.{n}.attention.value.weight": _FUSED + "value groups",
            "layers.{n}.mlp.gate.weight": LAYER + "mlp.gate_up_proj.weight: linear first-half",
            "layers.{n}.mlp.up.weight": LAYER + "mlp.gate_up_proj.weight: linear second-half",
        },
        by_architecture={"Phi3Model": BASE},
    ),
    "Phi3",
    "ForSequenceClassification",
    "ForTokenClassification",
    pad=32000,
)
"""As Llama, with query, key and value in one matrix, gate and up in another."""
