"""Encoders whose embeddings may be narrower than their tokens: ELECTRA and ALBERT."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clearhead.models.families.bert import BERT, PREDICTION
from clearhead.models.families.parts import BASE, activation, affine, heads, without
from clearhead.models.key import At, Key, choice, key


class Narrower(Struct, frozen=True):
    """Whether embeddings have fewer features than tokens."""

    embedding: Key
    width: Key

    @property
    def names(self) -> tuple[str, ...]:
        """The entries that are read."""
        return (*self.embedding.names, *self.width.names)

    def read(self, at: At) -> bool:
        """Whether the two sizes differ."""
        return bool(self.embedding.read(at) != self.width.read(at))


def _renamed(table: dict[str, Any], *ends: str) -> dict[str, Any]:
    """The rows of an embedding's norm, under its name where embeddings are narrow."""
    return {f"embedding.narrow.{end}": table[f"embedding.{end}"] for end in ends}


_NARROW = Narrower(key("embedding_size", default=128), key("hidden_size", default=256))
_HEAD = {"head.reads": "tokens", "head.bias": True}

ELECTRA = replace(
    BERT,
    name="electra",
    architectures=(
        "ElectraModel", "ElectraForMaskedLM", "ElectraForSequenceClassification", "ElectraForTokenClassification",
        "ElectraForQuestionAnswering",
    ),
    spec={**BERT.spec, "embedding.narrow": _NARROW},
    arrays={
        **BERT.arrays,
        **_renamed(dict(BERT.arrays), "gain", "bias"),
        **affine("embedding.project", "embeddings_project"),
        **affine("transform", "generator_predictions.dense"),
        "transform.norm.gain": "generator_predictions.LayerNorm.weight",
        "transform.norm.bias": "generator_predictions.LayerNorm.bias",
        "logits.weight": "generator_lm_head.weight: linear",
        "logits.bias": "generator_lm_head.bias",
    },
    prefixes=("", "electra."),
    by_architecture={
        "ElectraModel": BASE,
        "ElectraForMaskedLM": {**PREDICTION, "head.transform": "gelu", "head.narrow": _NARROW},
        "ElectraForSequenceClassification": {"head.reads": "pooled", "head.bias": True, "pooler": "gelu"},
        "ElectraForTokenClassification": _HEAD,
        "ElectraForQuestionAnswering": _HEAD,
    },
    arrays_by_architecture={
        **heads("ElectraFor", {"TokenClassification": "classifier", "QuestionAnswering": "qa_outputs"}),
        "ElectraForSequenceClassification": {
            **affine("pooler", "classifier.dense"), **affine("logits", "classifier.out_proj"),
        },
    },
    without_effect={
        "summary_type": "belongs to a head for multiple choice",
        "summary_use_proj": "belongs to a head for multiple choice",
        "summary_activation": "belongs to a head for multiple choice",
        "summary_last_dropout": "matters in training only",
    },
    spare={**BERT.spare, "discriminator_predictions.*": "the head that judges which tokens were replaced"},
)  # fmt: skip
"""As BERT, with embeddings that may be narrower, and GELU in its heads."""

_LAYER = "encoder.albert_layer_groups.0.albert_layers.0."
_ALBERT_NARROW = choice(key("embedding_size", default=True, by=bool), {True: True})

ALBERT = replace(
    BERT,
    name="albert",
    architectures=(
        "AlbertModel", "AlbertForMaskedLM", "AlbertForSequenceClassification", "AlbertForTokenClassification",
        "AlbertForQuestionAnswering",
    ),
    spec={
        **without(BERT.spec, "attention.causal"),
        "attention.causal": False,
        "mlp.activation": activation("hidden_act", default="gelu-tanh"),
        "embedding.narrow": _ALBERT_NARROW,
    },
    arrays={
        "embedding.weight": "embeddings.word_embeddings.weight",
        "embedding.position.weight": "embeddings.position_embeddings.weight",
        "embedding.type.weight": "embeddings.token_type_embeddings.weight",
        **_renamed(dict(BERT.arrays), "gain", "bias"),
        **affine("embedding.project", "encoder.embedding_hidden_mapping_in"),
        **affine("layers.{n}.attention.query", _LAYER + "attention.query", "linear heads"),
        **affine("layers.{n}.attention.key", _LAYER + "attention.key", "linear heads"),
        **affine("layers.{n}.attention.value", _LAYER + "attention.value", "linear heads"),
        **affine("layers.{n}.attention.output", _LAYER + "attention.dense"),
        "layers.{n}.attention.norm.gain": _LAYER + "attention.LayerNorm.weight",
        "layers.{n}.attention.norm.bias": _LAYER + "attention.LayerNorm.bias",
        **affine("layers.{n}.mlp.up", _LAYER + "ffn"),
        **affine("layers.{n}.mlp.output", _LAYER + "ffn_output"),
        "layers.{n}.mlp.norm.gain": _LAYER + "full_layer_layer_norm.weight",
        "layers.{n}.mlp.norm.bias": _LAYER + "full_layer_layer_norm.bias",
        **affine("pooler", "pooler"),
        **affine("transform", "predictions.dense"),
        "transform.norm.gain": "predictions.LayerNorm.weight",
        "transform.norm.bias": "predictions.LayerNorm.bias",
        "logits.weight": "predictions.decoder.weight: linear",
        "logits.bias": ("predictions.decoder.bias", "predictions.bias"),
    },
    prefixes=("", "albert."),
    by_architecture={
        "AlbertModel": {**BASE, "pooler": "tanh"},
        "AlbertForMaskedLM": {
            **PREDICTION, "head.transform": activation("hidden_act", default="gelu-tanh"), "head.narrow": True,
        },
        "AlbertForSequenceClassification": {"head.reads": "pooled", "head.bias": True, "pooler": "tanh"},
        "AlbertForTokenClassification": _HEAD,
        "AlbertForQuestionAnswering": _HEAD,
    },
    arrays_by_architecture=heads(
        "AlbertFor",
        {
            "SequenceClassification": "classifier", "TokenClassification": "classifier",
            "QuestionAnswering": "qa_outputs",
        },
    ),
    fixed={**BERT.fixed, "num_hidden_groups": (1,), "inner_group_num": (1,)},
    without_effect={
        "gap_size": "Transformers does not read it",
        "net_structure_type": "Transformers does not read it",
        "down_scale_factor": "Transformers does not read it",
        "num_memory_blocks": "Transformers does not read it",
        "layers_to_keep": "Transformers does not read it",
    },
    spare={**BERT.spare, "sop_classifier.*": "the head that judges the order of sentences",
           "predictions.bias": "stands for the bias of the product"},
)  # fmt: skip
"""As BERT, with the weights of one layer in all, and narrow embeddings."""
