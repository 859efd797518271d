"""GPT-2, GPT-NeoX and Pythia."""

from __future__ import annotations

from clearhead.models.families.parts import ACTIVATIONS, SIZES, affine, norm
from clearhead.models.family import Family, key, required

_FUSED = "h.{n}.attn.c_attn"

GPT2 = Family(
    name="gpt2",
    architectures=("GPT2LMHeadModel", "GPT2Model"),
    conventions={
        "layers": required("n_layer", "num_hidden_layers"),
        "width": required("n_embd", "hidden_size"),
        "heads": required("n_head", "num_attention_heads"),
        "norm": "layer",
        "eps": key("layer_norm_epsilon", default=1e-5),
        "bias": True,
        "activation": key("activation_function", default="gelu-tanh", words=ACTIVATIONS),
        "mlp_bias": True,
        "positions": True,
        "tied": key("tie_word_embeddings", default=True),
    },
    arrays={
        "embedding.weight": "wte.weight",
        "embedding.position.weight": "wpe.weight",
        "layers.{n}.attention.query.weight": _FUSED + ".weight: query heads",
        "layers.{n}.attention.query.bias": _FUSED + ".bias: query heads",
        "layers.{n}.attention.key.weight": _FUSED + ".weight: key heads",
        "layers.{n}.attention.key.bias": _FUSED + ".bias: key heads",
        "layers.{n}.attention.value.weight": _FUSED + ".weight: value heads",
        "layers.{n}.attention.value.bias": _FUSED + ".bias: value heads",
        **affine("layers.{n}.attention.output", "h.{n}.attn.c_proj", ""),
        **norm("layers.{n}.attention.norm", "h.{n}.ln_1"),
        **affine("layers.{n}.mlp.up", "h.{n}.mlp.c_fc", ""),
        **affine("layers.{n}.mlp.output", "h.{n}.mlp.c_proj", ""),
        **norm("layers.{n}.mlp.norm", "h.{n}.ln_2"),
        **norm("norm", "ln_f"),
        "logits.weight": "lm_head.weight: linear",
    },
    prefixes=("", "transformer."),
    by_architecture={"GPT2Model": {"head": None, "tied": False}},
    refused={"scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False, "add_cross_attention": True},
)

_NEOX = "layers.{n}."
_NEOX_FUSED = _NEOX + "attention.query_key_value"

NEOX = Family(
    name="gpt_neox",
    architectures=("GPTNeoXForCausalLM", "GPTNeoXModel"),
    conventions={
        **SIZES,
        "norm": "layer",
        "eps": key("layer_norm_eps", default=1e-5),
        "parallel": key("use_parallel_residual", default=True),
        "bias": key("attention_bias", default=True),
        "rotary": "half",
        "rotary_base": key("rotary_emb_base", "rope_theta", "rope_parameters.rope_theta", default=10000.0),
        "rotary_share": key(
            "rotary_pct", "partial_rotary_factor", "rope_parameters.partial_rotary_factor", default=0.25
        ),
        "rotary_scaling": key("rope_scaling", "rope_parameters"),
        "activation": key("hidden_act", default="gelu", words=ACTIVATIONS),
        "mlp_bias": True,
        "tied": key("tie_word_embeddings", default=False),
    },
    arrays={
        "embedding.weight": "embed_in.weight",
        **{
            f"layers.{{n}}.attention.{part}.{end}": f"{_NEOX_FUSED}.{end}: {words} {part}-of-head heads"
            for part in ("query", "key", "value")
            for end, words in (("weight", "linear"), ("bias", ""))
        },
        **affine("layers.{n}.attention.output", _NEOX + "attention.dense"),
        **norm("layers.{n}.attention.norm", _NEOX + "input_layernorm"),
        **affine("layers.{n}.mlp.up", _NEOX + "mlp.dense_h_to_4h"),
        **affine("layers.{n}.mlp.output", _NEOX + "mlp.dense_4h_to_h"),
        **norm("layers.{n}.mlp.norm", _NEOX + "post_attention_layernorm"),
        **norm("norm", "final_layer_norm"),
        "logits.weight": ("embed_out.weight: linear", "lm_head.weight: linear"),
    },
    prefixes=("", "gpt_neox."),
    by_architecture={"GPTNeoXModel": {"head": None}},
)
