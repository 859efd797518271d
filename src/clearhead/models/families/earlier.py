"""Earlier models of text: GPT-Neo, OPT, BLOOM, and the encoder DistilBERT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clearhead.models.families.heads import with_heads
from clearhead.models.families.parts import BASE, EVERYWHERE, activation, affine, biased, heads, norm, norms, sizes
from clearhead.models.family import Family
from clearhead.models.key import Layers, choice, key


def _expanded(layer: int, types: Sequence[Any]) -> Any:
    """The kind of a layer, from pairs of kinds and how often they are repeated."""
    kinds = [kind for group, times in types for _ in range(times) for kind in group]
    return kinds[layer] if layer < len(kinds) else None


_NEO = "h.{n}."

GPT_NEO = with_heads(
    Family(
        name="gpt_neo",
        architectures=("GPTNeoForCausalLM", "GPTNeoModel"),
        spec={
            **sizes(("num_hidden_layers", "num_layers"), heads=("num_attention_heads", "num_heads")),
            **norms("layer", key("layer_norm_epsilon", default=1e-5)),
            "placement": "pre",
            "attention.causal": True,
            "attention.scale": 1.0,
            "attention.bias": ("output",),
            "attention.window": choice(
                Layers(
                    ("attention_layers",), _expanded, (key("attention_types", default=((("global", "local"), 12),)),)
                ),
                {"local": key("window_size", default=256), "global": None},
            ),
            "mlp.activation": activation("activation_function", default="gelu-tanh"),
            "mlp.bias": True,
            "embedding.positions": True,
            "head.tied": key("tie_word_embeddings", default=True),
        },
        arrays={
            "embedding.weight": "wte.weight",
            "embedding.position.weight": "wpe.weight",
            "layers.{n}.attention.query.weight": _NEO + "attn.attention.q_proj.weight: linear heads",
            "layers.{n}.attention.key.weight": _NEO + "attn.attention.k_proj.weight: linear heads",
            "layers.{n}.attention.value.weight": _NEO + "attn.attention.v_proj.weight: linear heads",
            **affine("layers.{n}.attention.output", _NEO + "attn.attention.out_proj"),
            **norm("layers.{n}.attention.norm", _NEO + "ln_1"),
            **affine("layers.{n}.mlp.up", _NEO + "mlp.c_fc"),
            **affine("layers.{n}.mlp.output", _NEO + "mlp.c_proj"),
            **norm("layers.{n}.mlp.norm", _NEO + "ln_2"),
            **norm("norm", "ln_f"),
            "logits.weight": "lm_head.weight: linear",
        },
        prefixes=("transformer.", ""),
        by_architecture={"GPTNeoModel": BASE},
        spare={
            "*attn.attention.bias": "the causal mask",
            "*attn.attention.masked_bias": "minus infinity, for the causal mask",
        },
    ),
    "GPTNeo",
    prefix="",
    tokens="classifier",
)
"""As GPT-2, scores not scaled, and a window in every other layer."""

_OPT = "decoder.layers.{n}."
_BEFORE = key("do_layer_norm_before", default=True)


def _differ(_layer: int, row: int | None, width: int) -> bool:
    return row is not None and row != width


_PROJECTED = Layers((), _differ, (key("word_embed_proj_dim"), key("hidden_size")))

OPT = with_heads(
    Family(
        name="opt",
        architectures=("OPTForCausalLM", "OPTModel"),
        spec={
            **sizes(),
            **norms("layer", 1e-5),
            "final_norm": choice(
                _BEFORE,
                {True: choice(key("_remove_final_layer_norm", default=False), {False: {}, True: None}), False: None},
            ),
            "placement": choice(_BEFORE, {True: "pre", False: "post"}),
            "attention.causal": True,
            "attention.bias": biased("enable_bias", default=True),
            "mlp.activation": activation("activation_function", default="relu"),
            "mlp.bias": key("enable_bias", default=True),
            "embedding.positions": True,
            "embedding.projected": _PROJECTED,
            "head.tied": key("tie_word_embeddings", default=True),
            "head.narrow": _PROJECTED,
            "narrowed": _PROJECTED,
        },
        arrays={
            "embedding.weight": "decoder.embed_tokens.weight",
            "embedding.project.weight": "decoder.project_in.weight: linear",
            "narrowed.weight": "decoder.project_out.weight: linear",
            "embedding.position.weight": "decoder.embed_positions.weight: skip-two",
            **affine("layers.{n}.attention.query", _OPT + "self_attn.q_proj", "linear heads"),
            **affine("layers.{n}.attention.key", _OPT + "self_attn.k_proj", "linear heads"),
            **affine("layers.{n}.attention.value", _OPT + "self_attn.v_proj", "linear heads"),
            **affine("layers.{n}.attention.output", _OPT + "self_attn.out_proj"),
            **norm("layers.{n}.attention.norm", _OPT + "self_attn_layer_norm"),
            **affine("layers.{n}.mlp.up", _OPT + "fc1"),
            **affine("layers.{n}.mlp.output", _OPT + "fc2"),
            **norm("layers.{n}.mlp.norm", _OPT + "final_layer_norm"),
            **norm("norm", "decoder.final_layer_norm"),
            "logits.weight": "lm_head.weight: linear",
        },
        prefixes=("model.", ""),
        by_architecture={"OPTModel": BASE},
        fixed={"layer_norm_elementwise_affine": (True,)},
        without_effect={
            "ffn_dim": "is a size that the arrays have",
        },
    ),
    "OPT",
    "ForSequenceClassification",
    "ForQuestionAnswering",
    prefix="",
    pad=1,
)
"""Learned positions from the third row on; norms before each half, or after each sum."""

_BLOOM = "h.{n}."

BLOOM = with_heads(
    Family(
        name="bloom",
        architectures=("BloomForCausalLM", "BloomModel"),
        spec={
            **sizes(("num_hidden_layers", "n_layer"), ("n_embed", "hidden_size"), ("num_attention_heads", "n_head")),
            **norms("layer", key("layer_norm_epsilon", default=1e-5)),
            "embedding.norm.kind": "layer",
            "embedding.norm.eps": key("layer_norm_epsilon", default=1e-5),
            "placement": "pre",
            "attention.causal": True,
            "attention.alibi": True,
            "attention.bias": EVERYWHERE,
            "mlp.activation": "gelu-tanh",
            "mlp.bias": True,
            "head.tied": key("tie_word_embeddings", default=True),
        },
        arrays={
            "embedding.weight": "word_embeddings.weight",
            **norm("embedding", "word_embeddings_layernorm"),
            **{
                f"layers.{{n}}.attention.{part}.{end}": (
                    f"{_BLOOM}self_attention.query_key_value.{end}: {words} {part}-of-group heads"
                )
                for part in ("query", "key", "value")
                for end, words in (("weight", "linear"), ("bias", ""))
            },
            **affine("layers.{n}.attention.output", _BLOOM + "self_attention.dense"),
            **norm("layers.{n}.attention.norm", _BLOOM + "input_layernorm"),
            **affine("layers.{n}.mlp.up", _BLOOM + "mlp.dense_h_to_4h"),
            **affine("layers.{n}.mlp.output", _BLOOM + "mlp.dense_4h_to_h"),
            **norm("layers.{n}.mlp.norm", _BLOOM + "post_attention_layernorm"),
            **norm("norm", "ln_f"),
            "logits.weight": "lm_head.weight: linear",
        },
        prefixes=("transformer.", ""),
        by_architecture={"BloomModel": BASE},
        fixed={"apply_residual_connection_post_layernorm": (False,), "slow_but_exact": (False,)},
        without_effect={
            "offset_alibi": "Transformers does not read it",
            "skip_bias_add": "Transformers does not read it",
            "skip_bias_add_qkv": "Transformers does not read it",
            "attention_softmax_in_fp32": "Transformers does not read it",
            "masked_softmax_fusion": "Transformers does not read it",
            "bias_dropout_fusion": "Transformers does not read it",
            "unk_token_id": "matters where text is read",
        },
    ),
    "Bloom",
    prefix="",
    tokens="classifier",
)
"""Scores fall with distance; query, key and value side by side in each head."""

_DISTIL = "transformer.layer.{n}."
_HEAD = {"head.reads": "tokens", "head.bias": True}

DISTILBERT = Family(
    name="distilbert",
    architectures=(
        "DistilBertModel", "DistilBertForMaskedLM", "DistilBertForSequenceClassification",
        "DistilBertForTokenClassification", "DistilBertForQuestionAnswering",
    ),
    spec={
        **sizes(("num_hidden_layers", "n_layers"), ("hidden_size", "dim"), ("num_attention_heads", "n_heads")),
        "norm.kind": "layer",
        "norm.eps": 1e-12,
        "embedding.norm.kind": "layer",
        "embedding.norm.eps": 1e-12,
        "final_norm": None,
        "placement": "post",
        "attention.causal": False,
        "attention.bias": EVERYWHERE,
        "mlp.activation": activation("activation", default="gelu"),
        "mlp.bias": True,
        "embedding.positions": True,
        "pooler": None,
    },
    arrays={
        "embedding.weight": "embeddings.word_embeddings.weight",
        "embedding.position.weight": "embeddings.position_embeddings.weight",
        **norm("embedding", "embeddings.LayerNorm"),
        **affine("layers.{n}.attention.query", _DISTIL + "attention.q_lin", "linear heads"),
        **affine("layers.{n}.attention.key", _DISTIL + "attention.k_lin", "linear heads"),
        **affine("layers.{n}.attention.value", _DISTIL + "attention.v_lin", "linear heads"),
        **affine("layers.{n}.attention.output", _DISTIL + "attention.out_lin"),
        **norm("layers.{n}.attention.norm", _DISTIL + "sa_layer_norm"),
        **affine("layers.{n}.mlp.up", _DISTIL + "ffn.lin1"),
        **affine("layers.{n}.mlp.output", _DISTIL + "ffn.lin2"),
        **norm("layers.{n}.mlp.norm", _DISTIL + "output_layer_norm"),
        **affine("pooler", "pre_classifier"),
        **affine("transform", "vocab_transform"),
        **norm("transform.norm", "vocab_layer_norm"),
        "logits.weight": ("vocab_projector.weight: linear", "classifier.weight: linear", "qa_outputs.weight: linear"),
        "logits.bias": ("vocab_projector.bias", "classifier.bias", "qa_outputs.bias"),
    },
    prefixes=("", "distilbert."),
    by_architecture={
        "DistilBertModel": BASE,
        "DistilBertForMaskedLM": {
            **_HEAD,
            "head.eps": 1e-12,
            "head.transform": activation("activation", default="gelu"),
            "head.tied": key("tie_word_embeddings", default=True),
        },
        "DistilBertForSequenceClassification": {"head.reads": "pooled", "head.bias": True, "pooler": "relu"},
        "DistilBertForTokenClassification": _HEAD,
        "DistilBertForQuestionAnswering": _HEAD,
    },
    arrays_by_architecture=heads(
        "DistilBertFor",
        {
            "SequenceClassification": "classifier", "TokenClassification": "classifier",
            "QuestionAnswering": "qa_outputs",
        },
    ),
    without_effect={
        "hidden_dim": "is a size that the arrays have",
        "sinusoidal_pos_embds": "says how positions were initialised, before training",
        "tie_weights_": "Transformers reads tie_word_embeddings",
        "output_past": "Transformers does not read it",
    },
    spare={"*embeddings.position_ids": "the numbers 0, 1, 2 ..."},
)  # fmt: skip
"""BERT with half of the layers, without types and without a pooler."""
