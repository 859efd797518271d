"""GPT-2, GPT-NeoX and Pythia."""

from __future__ import annotations

from msgspec import Struct

from clearhead.models.families.heads import with_heads
from clearhead.models.families.parts import BASE, EVERYWHERE, LISTED, activation, affine, biased, norm, norms, sizes
from clearhead.models.family import Family
from clearhead.models.key import At, choice, key
from clearhead.models.rope import Rope

_FUSED = "h.{n}.attn.c_attn"

_SUMMARY = "belongs to a head for multiple choice"

_ROOT = key("scale_attn_weights", default=True, words={True: True, False: False})
_SHARED = key("scale_attn_by_inverse_layer_idx", default=False, words={True: True, False: False})


class LayerScale(Struct, frozen=True):
    """The factor of scores: 1 / sqrt(depth), or 1, and in some models divided by the layer's number from 1."""

    names: tuple[str, ...] = (*_ROOT.names, *_SHARED.names)

    def read(self, at: At) -> float | None:
        """The factor in a layer; None for the usual one."""
        rooted, shared = _ROOT.read(at), _SHARED.read(at)
        if rooted and not shared:
            return None
        return float(at.depth**-0.5 if rooted else 1) / (at.layer + 1 if shared else 1)


GPT2 = with_heads(
    Family(
        name="gpt2",
        architectures=("GPT2LMHeadModel", "GPT2Model"),
        spec={
            **sizes(("num_hidden_layers", "n_layer"), ("hidden_size", "n_embd"), ("num_attention_heads", "n_head")),
            **norms("layer", key("layer_norm_epsilon", default=1e-5)),
            "placement": "pre",
            "attention.causal": True,
            "attention.bias": EVERYWHERE,
            "attention.scale": LayerScale(),
            "mlp.activation": activation("activation_function", default="gelu-tanh"),
            "mlp.bias": True,
            "embedding.positions": True,
            "head.tied": key("tie_word_embeddings", default=True),
        },
        arrays={
            "embedding.weight": "wte.weight",
            "embedding.position.weight": "wpe.weight",
            **{
                f"layers.{{n}}.attention.{part}.{end}": f"{_FUSED}.{end}: {part} heads"
                for part in ("query", "key", "value")
                for end in ("weight", "bias")
            },
            **affine("layers.{n}.attention.output", "h.{n}.attn.c_proj", ""),
            **norm("layers.{n}.attention.norm", "h.{n}.ln_1"),
            **affine("layers.{n}.mlp.up", "h.{n}.mlp.c_fc", ""),
            **affine("layers.{n}.mlp.output", "h.{n}.mlp.c_proj", ""),
            **norm("layers.{n}.mlp.norm", "h.{n}.ln_2"),
            **norm("norm", "ln_f"),
            "logits.weight": "lm_head.weight: linear",
        },
        prefixes=("", "transformer."),
        by_architecture={"GPT2Model": BASE},
        without_effect={
            "reorder_and_upcast_attn": "says how the same numbers are computed",
            "summary_type": _SUMMARY,
            "summary_use_proj": _SUMMARY,
            "summary_activation": _SUMMARY,
            "summary_proj_to_labels": _SUMMARY,
        },
        spare={"*h.*.attn.bias": "the causal mask", "*h.*.attn.masked_bias": "minus infinity, for the causal mask"},
    ),
    "GPT2",
    prefix="",
    tokens="classifier",
)

_NEOX = "layers.{n}."
_NEOX_FUSED = _NEOX + "attention.query_key_value"

NEOX = with_heads(
    Family(
        name="gpt_neox",
        architectures=("GPTNeoXForCausalLM", "GPTNeoXModel"),
        spec={
            **sizes(),
            **norms("layer", key("layer_norm_eps", default=1e-5)),
            "placement": choice(key("use_parallel_residual", default=True), {True: "parallel", False: "pre"}),
            "attention.causal": True,
            "attention.bias": biased("attention_bias", default=True),
            "attention.rotary": Rope(theta_names=("rotary_emb_base",), share=0.25, share_names=("rotary_pct",)),
            "mlp.activation": activation("hidden_act", default="gelu"),
            "mlp.bias": True,
            "head.tied": key("tie_word_embeddings", default=False),
        },
        arrays={
            "embedding.weight": "embed_in.weight",
            **{
                f"layers.{{n}}.attention.{part}.{end}": f"{_NEOX_FUSED}.{end}: {words} {part}-of-group heads"
                for part in ("query", "key", "value")
                for end, words in (("weight", "linear"), ("bias", ""))
            },
            **LISTED,
            **affine("layers.{n}.attention.output", _NEOX + "attention.dense"),
            **norm("layers.{n}.attention.norm", _NEOX + "input_layernorm"),
            **affine("layers.{n}.mlp.up", _NEOX + "mlp.dense_h_to_4h"),
            **affine("layers.{n}.mlp.output", _NEOX + "mlp.dense_4h_to_h"),
            **norm("layers.{n}.mlp.norm", _NEOX + "post_attention_layernorm"),
            **norm("norm", "final_layer_norm"),
            "logits.weight": ("embed_out.weight: linear", "lm_head.weight: linear"),
        },
        prefixes=("", "gpt_neox."),
        by_architecture={"GPTNeoXModel": BASE},
        without_effect={
            "is_decoder": "Transformers does not read it in this family",
        },
        spare={
            "*.attention.bias": "the causal mask",
            "*.attention.masked_bias": "minus infinity, for the causal mask",
            "*rotary_emb.inv_freq": "rotary frequencies, which are computed from the config",
        },
    ),
    "GPTNeoX",
    prefix="",
    tokens="classifier",
)
