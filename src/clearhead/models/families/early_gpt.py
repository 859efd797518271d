"""Early decoders: GPT, BigCode's GPT, CodeGen, BioGPT, MPT."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.earlier import OPT
from clearhead.models.families.gpt import GPT2
from clearhead.models.families.heads import with_heads
from clearhead.models.families.parallel import GPTJ
from clearhead.models.families.parts import BASE, activation, affine, norm, norms, sizes, without
from clearhead.models.family import Family
from clearhead.models.key import choice, key

_FUSED = "h.{n}.attn.c_attn"
_SUMMARY = "belongs to a head for multiple choice"

GPT = with_heads(
    replace(
        GPT2,
        name="openai-gpt",
        architectures=("OpenAIGPTLMHeadModel", "OpenAIGPTModel"),
        spec={
            **without(GPT2.spec, "attention.scale"),
            "final_norm": None,
            "placement": "post",
            "mlp.activation": key(
                "afn", default="gelu-tanh", words={"gelu": "gelu-tanh", "relu": "relu", "silu": "silu", "swish": "silu"}
            ),
        },
        arrays={
            **GPT2.arrays,
            "embedding.weight": "tokens_embed.weight",
            "embedding.position.weight": "positions_embed.weight",
        },
        by_architecture={"OpenAIGPTModel": BASE},
        arrays_by_architecture={},
        fixed={},
        without_effect={
            **GPT2.without_effect,
            "predict_special_tokens": "matters where text is generated",
            "n_special": "is a size that the arrays have",
        },
        spare={**GPT2.spare, "*position_ids": "the numbers 0, 1, 2 ..."},
    ),
    "OpenAIGPT", "ForSequenceClassification", prefix="",
)  # fmt: skip
"""As GPT-2, with norms after each sum, and no last norm."""

_MULTI_QUERY = key("multi_query", default=True)

BIGCODE = with_heads(
    replace(
        GPT2,
        name="gpt_bigcode",
        architectures=("GPTBigCodeForCausalLM", "GPTBigCodeModel"),
        spec={
            **GPT2.spec,
            "attention.scale": choice(key("scale_attn_weights", default=True), {True: None, False: 1.0}),
            "attention.kv_heads": choice(_MULTI_QUERY, {True: 1, False: None}),
        },
        arrays={
            **GPT2.arrays,
            **{
                f"layers.{{n}}.attention.{part}.{end}": f"{_FUSED}.{end}: {words}{part}-of-group {heads}"
                for part, heads in (("query", "heads"), ("key", "groups"), ("value", "groups"))
                for end, words in (("weight", "linear "), ("bias", ""))
            },
            **affine("layers.{n}.attention.output", "h.{n}.attn.c_proj"),
            **affine("layers.{n}.mlp.up", "h.{n}.mlp.c_fc"),
            **affine("layers.{n}.mlp.output", "h.{n}.mlp.c_proj"),
        },
        by_architecture={"GPTBigCodeModel": BASE},
        arrays_by_architecture={},
        fixed={},
        without_effect={
            **GPT2.without_effect,
            "attention_softmax_in_fp32": "says how the same numbers are computed",
            "scale_attention_softmax_in_fp32": "says how the same numbers are computed",
            "inference_runner": "says how the same numbers are computed",
            "validate_runner_input": "says how the same numbers are computed",
            "pre_allocate_kv_cache": "says how the same numbers are computed",
            "max_batch_size": "says how the same numbers are computed",
            "num_key_value_heads": "Transformers takes it from multi_query",
        },
    ),
    "GPTBigCode",
    "ForSequenceClassification",
    "ForTokenClassification",
    prefix="",
    tokens="classifier",
)
"""As GPT-2, with one key and one value for all heads."""

CODEGEN = replace(
    GPTJ,
    name="codegen",
    architectures=("CodeGenForCausalLM", "CodeGenModel"),
    arrays={
        **GPTJ.arrays,
        **{
            f"layers.{{n}}.attention.{part}.weight": f"h.{{n}}.attn.qkv_proj.weight: linear {part}-of-four heads"
            for part in ("query", "key", "value")
        },
    },
    by_architecture={"CodeGenModel": BASE},
    arrays_by_architecture={},
    spare={**GPTJ.spare, "*h.*.attn.causal_mask": "the causal mask"},
    without_effect={
        **GPTJ.without_effect,
        **dict.fromkeys(("summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels"), _SUMMARY),
        "scale_attn_weights": "Transformers does not read it",
    },
)
"""As GPT-J, with query, value and key in four blocks of one matrix."""

_BIO = "layers.{n}."

BIOGPT = with_heads(
    replace(
        OPT,
        name="biogpt",
        architectures=("BioGptForCausalLM", "BioGptModel"),
        spec={
            **without(OPT.spec, "embedding.projected", "head.narrow", "narrowed"),
            **norms("layer", 1e-5),
            "final_norm": {},
            "placement": "pre",
            "attention.bias": True,
            "mlp.activation": activation("hidden_act", default="gelu"),
            "mlp.bias": True,
            "embedding.scale": choice(
                key("scale_embedding", default=True),
                {True: key("hidden_size", default=1024, by=lambda width: width**0.5), False: None},
            ),
        },
        arrays={
            **{name: place.replace("decoder.", "") for name, place in OPT.arrays.items() if isinstance(place, str)},
            **norm("norm", "layer_norm"),
            "logits.weight": "output_projection.weight: linear",
        },
        prefixes=("biogpt.", ""),
        by_architecture={"BioGptModel": BASE},
        fixed={},
        without_effect={
            "activation_dropout": "matters in training only",
            "layer_norm_eps": "Transformers does not read it: its norms have the eps of PyTorch",
        },
    ),
    "BioGpt", "ForSequenceClassification", "ForTokenClassification", pad=1, prefix="", tokens="classifier",
)  # fmt: skip
"""As OPT, with embeddings times the root of the width."""

_MPT = "blocks.{n}."

MPT = with_heads(
    Family(
        name="mpt",
        architectures=("MptForCausalLM", "MPTForCausalLM", "MptModel"),
        spec={
            **sizes(("num_hidden_layers", "n_layers"), ("hidden_size", "d_model"), ("num_attention_heads", "n_heads")),
            **norms("layer", key("layer_norm_epsilon", default=1e-5), bias=False),
            "placement": "pre",
            "attention.causal": True,
            "attention.alibi": True,
            "attention.clip": key("attn_config.clip_qkv", by=lambda limit: limit or None),
            "attention.scale": key("attn_config.softmax_scale"),
            "mlp.activation": "gelu",
            "head.tied": key("tie_word_embeddings", default=True),
        },
        arrays={
            "embedding.weight": "wte.weight",
            **{
                f"layers.{{n}}.attention.{part}.weight": f"{_MPT}attn.Wqkv.weight: linear {part} heads"
                for part in ("query", "key", "value")
            },
            "layers.{n}.attention.output.weight": _MPT + "attn.out_proj.weight: linear",
            "layers.{n}.attention.norm.gain": _MPT + "norm_1.weight",
            "layers.{n}.mlp.up.weight": _MPT + "ffn.up_proj.weight: linear",
            "layers.{n}.mlp.output.weight": _MPT + "ffn.down_proj.weight: linear",
            "layers.{n}.mlp.norm.gain": _MPT + "norm_2.weight",
            "norm.gain": "norm_f.weight",
            "logits.weight": "lm_head.weight: linear",
        },
        prefixes=("transformer.", ""),
        by_architecture={"MptModel": BASE},
        fixed={
            "attn_config.attn_type": ("multihead_attention",),
            "attn_config.prefix_lm": (False,),
            "attn_config.qk_ln": (False,),
            "attn_config.alibi": (True,),
            "attn_config.alibi_bias_max": (8,),
            "logit_scale": (None,),
            "no_bias": (True,),
            "embedding_fraction": (1.0,),
            "learned_pos_emb": (True,),
            "expansion_ratio": (4,),
        },
        without_effect={
            "attn_config.attn_impl": "says how the same numbers are computed",
            "attn_config.attn_pdrop": "matters in training only",
            "attn_config.attn_uses_sequence_id": "matters in training only",
            "attn_config.model_type": "says the model's name",
            "attn_config.softmax_in_fp32": "says how the same numbers are computed",
            "norm_type": "Transformers always has layer norms",
            "init_device": "matters in training only",
            "init_config": "matters in training only",
            "emb_pdrop": "matters in training only",
            "verbose": "says what is returned",
        },
    ),
    "Mpt",
    prefix="",
    tokens="classifier",
)
"""Scores fall with distance; no biases; query, key and value in three blocks of one matrix."""
