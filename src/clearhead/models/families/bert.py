"""Encoders of text: BERT, MiniLM, RoBERTa, XLM-R, CamemBERT."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.parts import BASE, EVERYWHERE, activation, affine, heads, sizes
from clearhead.models.family import Family
from clearhead.models.key import key

LAYER = "encoder.layer.{n}."


def either_norm(ours: str, theirs: str) -> dict[str, tuple[str, str]]:
    """The gain and the bias of a norm; the first checkpoints call them gamma and beta."""
    return {
        f"{ours}.gain": (f"{theirs}.weight", f"{theirs}.gamma"),
        f"{ours}.bias": (f"{theirs}.bias", f"{theirs}.beta"),
    }


_EPS = key("layer_norm_eps", default=1e-12)
_NORM = {"kind": "layer", "eps": _EPS}
_HEAD = {"head.reads": "tokens", "head.bias": True}
PREDICTION = {
    **_HEAD,
    "head.eps": _EPS,
    "head.transform": activation("hidden_act", default="gelu"),
    "head.tied": key("tie_word_embeddings", default=True),
    "pooler": None,
}

BERT = Family(
    name="bert",
    architectures=(
        "BertModel", "BertForMaskedLM", "BertForSequenceClassification", "BertForTokenClassification",
        "BertForQuestionAnswering", "BertLMHeadModel", "BertForPreTraining", "BertForNextSentencePrediction",
    ),
    spec={
        **sizes(),
        **{f"{place}.{name}": value for place in ("norm", "embedding.norm") for name, value in _NORM.items()},
        "final_norm": None,
        "placement": "post",
        "attention.causal": key("is_decoder", default=False),
        "attention.bias": EVERYWHERE,
        "mlp.activation": activation("hidden_act", default="gelu"),
        "mlp.bias": True,
        "embedding.positions": True,
        "embedding.types": True,
        "pooler": None,
    },
    arrays={
        "embedding.weight": "embeddings.word_embeddings.weight",
        "embedding.position.weight": "embeddings.position_embeddings.weight",
        "embedding.type.weight": "embeddings.token_type_embeddings.weight",
        **either_norm("embedding", "embeddings.LayerNorm"),
        **affine("layers.{n}.attention.query", LAYER + "attention.self.query", "linear heads"),
        **affine("layers.{n}.attention.key", LAYER + "attention.self.key", "linear heads"),
        **affine("layers.{n}.attention.value", LAYER + "attention.self.value", "linear heads"),
        **affine("layers.{n}.attention.output", LAYER + "attention.output.dense"),
        **either_norm("layers.{n}.attention.norm", LAYER + "attention.output.LayerNorm"),
        **affine("layers.{n}.mlp.up", LAYER + "intermediate.dense"),
        **affine("layers.{n}.mlp.output", LAYER + "output.dense"),
        **either_norm("layers.{n}.mlp.norm", LAYER + "output.LayerNorm"),
        **affine("pooler", "pooler.dense"),
        **affine("transform", "cls.predictions.transform.dense"),
        **either_norm("transform.norm", "cls.predictions.transform.LayerNorm"),
        "logits.weight": (
            "cls.predictions.decoder.weight: linear", "classifier.weight: linear", "qa_outputs.weight: linear",
        ),
        "logits.bias": ("cls.predictions.decoder.bias", "cls.predictions.bias", "classifier.bias", "qa_outputs.bias"),
    },
    prefixes=("", "bert."),
    by_architecture={
        "BertModel": {**BASE, "pooler": "tanh"},
        "BertForMaskedLM": PREDICTION,
        "BertLMHeadModel": PREDICTION,
        "BertForPreTraining": PREDICTION,
        "BertForNextSentencePrediction": {"head.reads": "pooled", "head.bias": True, "pooler": "tanh"},
        "BertForSequenceClassification": {"head.reads": "pooled", "head.bias": True, "pooler": "tanh"},
        "BertForTokenClassification": _HEAD,
        "BertForQuestionAnswering": _HEAD,
    },
    arrays_by_architecture=heads(
        "BertFor",
        {
            "SequenceClassification": "classifier", "TokenClassification": "classifier",
            "QuestionAnswering": "qa_outputs", "NextSentencePrediction": "cls.seq_relationship",
        },
    ),
    fixed={"position_embedding_type": ("absolute", None)},
    spare={
        "*embeddings.position_ids": "the numbers 0, 1, 2 ...",
        "cls.seq_relationship.*": "the head that judges whether one sentence follows another",
    },
)  # fmt: skip

_ROBERTA = {
    **{path: value for path, value in BERT.spec.items() if path != "attention.causal"},
    "attention.causal": key("is_decoder", default=False),
    "embedding.pad": key("pad_token_id", default=1),
}

ROBERTA = replace(
    BERT,
    name="roberta",
    architectures=tuple(
        prefix + ending
        for prefix in ("Roberta", "XLMRoberta", "Camembert")
        for ending in (
            "Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering",
            "ForCausalLM",
        )
    ),
    spec=_ROBERTA,
    arrays={
        **BERT.arrays,
        "pooler.weight": ("pooler.dense.weight: linear", "classifier.dense.weight: linear"),
        "pooler.bias": ("pooler.dense.bias", "classifier.dense.bias"),
        **affine("transform", "lm_head.dense"),
        **either_norm("transform.norm", "lm_head.layer_norm"),
        "logits.weight": (
            "lm_head.decoder.weight: linear", "classifier.out_proj.weight: linear", "classifier.weight: linear",
            "qa_outputs.weight: linear",
        ),
        "logits.bias": (
            "lm_head.decoder.bias", "lm_head.bias", "classifier.out_proj.bias", "classifier.bias", "qa_outputs.bias",
        ),
    },
    prefixes=("", "roberta."),
    arrays_by_architecture={
        architecture: rows
        for prefix in ("Roberta", "XLMRoberta", "Camembert")
        for architecture, rows in {
            prefix + "Model": affine("pooler", "pooler.dense"),
            **heads(prefix + "For", {"TokenClassification": "classifier", "QuestionAnswering": "qa_outputs"}),
            prefix + "ForSequenceClassification": {
                **affine("pooler", "classifier.dense"), **affine("logits", "classifier.out_proj"),
            },
        }.items()
    },
    by_architecture={
        prefix + architecture.removeprefix("Bert").replace("LMHeadModel", "ForCausalLM"): {
            **paths, **({"head.transform": "gelu"} if "head.transform" in paths else {}),
        }
        for prefix in ("Roberta", "XLMRoberta", "Camembert")
        for architecture, paths in BERT.by_architecture.items()
        if architecture not in ("BertForPreTraining", "BertForNextSentencePrediction")
    },
)  # fmt: skip
"""As BERT, with positions that skip padding, and always GELU in the masked language model."""
