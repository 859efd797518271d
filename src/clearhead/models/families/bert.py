"""Encoders of text: BERT, MiniLM, RoBERTa."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.parts import ACTIVATIONS, SIZES, affine, norm
from clearhead.models.family import Family, key

_BERT_LAYER = "encoder.layer.{n}."

BERT = Family(
    name="bert",
    architectures=(
        "BertModel", "BertForMaskedLM", "BertForSequenceClassification", "BertForTokenClassification",
        "BertForQuestionAnswering", "BertLMHeadModel",
    ),
    conventions={
        **SIZES,
        "causal": key("is_decoder", default=False),
        "norm": "layer",
        "eps": key("layer_norm_eps", default=1e-12),
        "placement": "post",
        "final_norm": False,
        "bias": True,
        "activation": key("hidden_act", default="gelu", words=ACTIVATIONS),
        "mlp_bias": True,
        "positions": True,
        "types": True,
        "embedding_norm": True,
        "head": None,
        "pooler": False,
    },
    arrays={
        "embedding.weight": "embeddings.word_embeddings.weight",
        "embedding.position.weight": "embeddings.position_embeddings.weight",
        "embedding.type.weight": "embeddings.token_type_embeddings.weight",
        **norm("embedding", "embeddings.LayerNorm"),
        **affine("layers.{n}.attention.query", _BERT_LAYER + "attention.self.query", "linear heads"),
        **affine("layers.{n}.attention.key", _BERT_LAYER + "attention.self.key", "linear heads"),
        **affine("layers.{n}.attention.value", _BERT_LAYER + "attention.self.value", "linear heads"),
        **affine("layers.{n}.attention.output", _BERT_LAYER + "attention.output.dense"),
        **norm("layers.{n}.attention.norm", _BERT_LAYER + "attention.output.LayerNorm"),
        **affine("layers.{n}.mlp.up", _BERT_LAYER + "intermediate.dense"),
        **affine("layers.{n}.mlp.output", _BERT_LAYER + "output.dense"),
        **norm("layers.{n}.mlp.norm", _BERT_LAYER + "output.LayerNorm"),
        **affine("pooler", "pooler.dense"),
        **affine("transform", "cls.predictions.transform.dense"),
        **norm("transform.norm", "cls.predictions.transform.LayerNorm"),
        "logits.weight": (
            "cls.predictions.decoder.weight: linear", "classifier.weight: linear", "qa_outputs.weight: linear",
        ),
        "logits.bias": ("cls.predictions.decoder.bias", "cls.predictions.bias", "classifier.bias", "qa_outputs.bias"),
    },
    prefixes=("", "bert."),
    by_architecture={
        "BertModel": {"pooler": True},
        "BertForMaskedLM": {
            "head": "tokens", "head_bias": True, "transform": key("hidden_act", default="gelu", words=ACTIVATIONS),
            "tied": key("tie_word_embeddings", default=True),
        },
        "BertLMHeadModel": {
            "head": "tokens", "head_bias": True, "transform": key("hidden_act", default="gelu", words=ACTIVATIONS),
            "tied": key("tie_word_embeddings", default=True),
        },
        "BertForSequenceClassification": {"head": "pooled", "head_bias": True, "pooler": True},
        "BertForTokenClassification": {"head": "tokens", "head_bias": True},
        "BertForQuestionAnswering": {"head": "tokens", "head_bias": True},
    },
    refused={"position_embedding_type": "relative_key", "add_cross_attention": True},
)  # fmt: skip

ROBERTA = replace(
    BERT,
    name="roberta",
    architectures=(
        "RobertaModel", "RobertaForMaskedLM", "RobertaForSequenceClassification", "RobertaForTokenClassification",
        "XLMRobertaModel", "XLMRobertaForMaskedLM", "XLMRobertaForSequenceClassification",
    ),
    arrays={
        **BERT.arrays,
        "embedding.position.weight": "embeddings.position_embeddings.weight: skip-two",
        "pooler.weight": ("pooler.dense.weight: linear", "classifier.dense.weight: linear"),
        "pooler.bias": ("pooler.dense.bias", "classifier.dense.bias"),
        **affine("transform", "lm_head.dense"),
        **norm("transform.norm", "lm_head.layer_norm"),
        "logits.weight": (
            "lm_head.decoder.weight: linear", "classifier.out_proj.weight: linear", "classifier.weight: linear",
        ),
        "logits.bias": ("lm_head.decoder.bias", "lm_head.bias", "classifier.out_proj.bias", "classifier.bias"),
    },
    prefixes=("", "roberta."),
    by_architecture={
        prefix + architecture.removeprefix("Bert"): {**says, **({"transform": "gelu"} if "transform" in says else {})}
        for prefix in ("Roberta", "XLMRoberta")
        for architecture, says in BERT.by_architecture.items()
    },
)  # fmt: skip
"""As BERT, with two unused rows before the positions, and GELU in the masked language model whatever the MLPs have."""
