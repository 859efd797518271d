"""Llama and those that came after it: SmolLM2, Mistral, Qwen, Gemma, Phi-3."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.parts import ACTIVATIONS, ROPE_SHARE, SIZES, affine
from clearhead.models.family import Family, key

_LLAMA = "layers.{n}."
_ROPE_BASE = key("rope_theta", "rope_parameters.rope_theta", default=10000.0)

LLAMA = Family(
    name="llama",
    architectures=("LlamaForCausalLM", "LlamaModel", "MistralForCausalLM", "MistralModel"),
    conventions={
        **SIZES,
        "kv_heads": key("num_key_value_heads"),
        "depth": key("head_dim"),
        "window": key("sliding_window"),
        "bias": key("attention_bias", default=False),
        "rotary": "half",
        "rotary_base": _ROPE_BASE,
        "rotary_scaling": key("rope_scaling", "rope_parameters"),
        "norm": "rms",
        "eps": key("rms_norm_eps", default=1e-6),
        "activation": key("hidden_act", default="silu", words=ACTIVATIONS),
        "gated": True,
        "mlp_bias": key("mlp_bias", default=False),
        "tied": key("tie_word_embeddings", default=False),
    },
    arrays={
        "embedding.weight": "embed_tokens.weight",
        **affine("layers.{n}.attention.query", _LLAMA + "self_attn.q_proj", "linear heads"),
        **affine("layers.{n}.attention.key", _LLAMA + "self_attn.k_proj", "linear groups"),
        **affine("layers.{n}.attention.value", _LLAMA + "self_attn.v_proj", "linear groups"),
        **affine("layers.{n}.attention.output", _LLAMA + "self_attn.o_proj"),
        "layers.{n}.attention.query.norm.gain": _LLAMA + "self_attn.q_norm.weight",
        "layers.{n}.attention.key.norm.gain": _LLAMA + "self_attn.k_norm.weight",
        "layers.{n}.attention.norm.gain": _LLAMA + "input_layernorm.weight",
        **affine("layers.{n}.mlp.gate", _LLAMA + "mlp.gate_proj"),
        **affine("layers.{n}.mlp.up", _LLAMA + "mlp.up_proj"),
        **affine("layers.{n}.mlp.output", _LLAMA + "mlp.down_proj"),
        "layers.{n}.mlp.norm.gain": _LLAMA + "post_attention_layernorm.weight",
        "norm.gain": "norm.weight",
        "logits.weight": "lm_head.weight: linear",
    },
    prefixes=("model.", ""),
    by_architecture={"LlamaModel": {"head": None, "tied": False}, "MistralModel": {"head": None, "tied": False}},
)

QWEN2 = replace(
    LLAMA,
    name="qwen2",
    architectures=("Qwen2ForCausalLM", "Qwen2Model"),
    conventions={
        **LLAMA.conventions,
        "bias": ("query", "key", "value"),
        "windows": key("use_sliding_window", default=False),
        "windowed": key("layer_types"),
        "window_from": key("max_window_layers", default=28),
    },
    by_architecture={"Qwen2Model": {"head": None, "tied": False}},
)
"""As Llama, with biases of queries, keys and values; a window, if at all, in the upper layers."""

QWEN3 = replace(
    QWEN2,
    name="qwen3",
    architectures=("Qwen3ForCausalLM", "Qwen3Model"),
    conventions={**QWEN2.conventions, "bias": key("attention_bias", default=False), "qk_norm": True},
    by_architecture={"Qwen3Model": {"head": None, "tied": False}},
)
"""As Qwen 2, with a norm of each head's query and key in place of the biases."""

_GEMMA_GAINS = {
    "layers.{n}.attention.norm.gain": _LLAMA + "input_layernorm.weight: plus-one",
    "layers.{n}.attention.outer.norm.gain": _LLAMA + "post_attention_layernorm.weight: plus-one",
    "layers.{n}.mlp.norm.gain": _LLAMA + "pre_feedforward_layernorm.weight: plus-one",
    "layers.{n}.mlp.outer.norm.gain": _LLAMA + "post_feedforward_layernorm.weight: plus-one",
    "layers.{n}.attention.query.norm.gain": _LLAMA + "self_attn.q_norm.weight: plus-one",
    "layers.{n}.attention.key.norm.gain": _LLAMA + "self_attn.k_norm.weight: plus-one",
    "norm.gain": "norm.weight: plus-one",
}

GEMMA2 = replace(
    LLAMA,
    name="gemma2",
    architectures=("Gemma2ForCausalLM", "Gemma2Model"),
    conventions={
        **LLAMA.conventions,
        "depth": key("head_dim", default=256),
        "placement": "sandwich",
        "inverse_scale": key("query_pre_attn_scalar", default=256),
        "softcap": key("attn_logit_softcapping"),
        "logit_softcap": key("final_logit_softcapping"),
        "windowed": key("layer_types"),
        "full_every": 2,
        "activation": key("hidden_activation", "hidden_act", default="gelu-tanh", words=ACTIVATIONS),
        "embedding_scale": True,
        "tied": key("tie_word_embeddings", default=True),
    },
    arrays={**LLAMA.arrays, **_GEMMA_GAINS},
    by_architecture={"Gemma2Model": {"head": None, "tied": False}},
)
"""As Llama, with norms before and after each half, capped scores and logits, and a window in every other layer."""

GEMMA3 = replace(
    GEMMA2,
    name="gemma3",
    architectures=("Gemma3ForCausalLM", "Gemma3TextModel"),
    conventions={
        **GEMMA2.conventions,
        "qk_norm": True,
        "rotary_base": key("rope_parameters.full_attention.rope_theta", "rope_theta", default=1_000_000.0),
        "local_base": key("rope_parameters.sliding_attention.rope_theta", "rope_local_base_freq", default=10000.0),
        "rotary_scaling": key("rope_parameters.full_attention", "rope_scaling"),
        "local_scaling": key("rope_parameters.sliding_attention"),
        "full_every": key("sliding_window_pattern", "_sliding_window_pattern", default=6),
    },
    by_architecture={"Gemma3TextModel": {"head": None, "tied": False}},
    refused={"use_bidirectional_attention": True},
)
"""As Gemma 2, with a norm of queries and keys, and another rotary base in the layers with a window."""

_PHI_FUSED = _LLAMA + "self_attn.qkv_proj.weight: linear "

PHI3 = replace(
    LLAMA,
    name="phi3",
    architectures=("Phi3ForCausalLM", "Phi3Model"),
    conventions={
        **{name: value for name, value in LLAMA.conventions.items() if name != "bias"},
        "eps": key("rms_norm_eps", default=1e-5),
        "rotary_share": key(*ROPE_SHARE, default=1.0),
    },
    arrays={
        **LLAMA.arrays,
        "layers.{n}.attention.query.weight": _PHI_FUSED + "query heads",
        "layers.{n}.attention.key.weight": _PHI_FUSED + "key groups",
        "layers.{n}.attention.value.weight": _PHI_FUSED + "value groups",
        "layers.{n}.mlp.gate.weight": _LLAMA + "mlp.gate_up_proj.weight: linear first-half",
        "layers.{n}.mlp.up.weight": _LLAMA + "mlp.gate_up_proj.weight: linear second-half",
    },
    by_architecture={"Phi3Model": {"head": None, "tied": False}},
)
"""As Llama, with query, key and value in one matrix, gate and up in another."""
