"""MPNet: RoBERTa with one table of distances for all layers."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.bert import LAYER, ROBERTA
from clearhead.models.families.parts import affine, heads, norm
from clearhead.models.key import key

_ATTENTION = LAYER + "attention.attn."

MPNET = replace(
    ROBERTA,
    name="mpnet",
    architectures=tuple(
        "MPNet" + ending
        for ending in (
            "Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering",
        )
    ),
    spec={
        **{path: value for path, value in ROBERTA.spec.items() if path != "embedding.types"},
        "attention.causal": False,
        "attention.relative.buckets": key("relative_attention_num_buckets", default=32),
        "embedding.pad": 1,
    },
    arrays={
        **ROBERTA.arrays,
        **affine("layers.{n}.attention.query", _ATTENTION + "q", "linear heads"),
        **affine("layers.{n}.attention.key", _ATTENTION + "k", "linear heads"),
        **affine("layers.{n}.attention.value", _ATTENTION + "v", "linear heads"),
        **affine("layers.{n}.attention.output", _ATTENTION + "o"),
        **norm("layers.{n}.attention.norm", LAYER + "attention.LayerNorm"),
        "layers.{n}.attention.relative.weight": "encoder.relative_attention_bias.weight",
    },
    prefixes=("", "mpnet."),
    by_architecture={
        "MPNet" + name.removeprefix("Roberta"): paths
        for name, paths in ROBERTA.by_architecture.items()
        if name.startswith("Roberta") and name != "RobertaForCausalLM"
    },
    arrays_by_architecture={
        **heads("MPNetFor", {"TokenClassification": "classifier", "QuestionAnswering": "qa_outputs"}),
        "MPNetForSequenceClassification": {
            **affine("pooler", "classifier.dense"), **affine("logits", "classifier.out_proj"),
        },
    },
    # Transformers gives 32 buckets of the table out, however many there are.
    fixed={"relative_attention_num_buckets": (32,), "is_decoder": (False, None)},
    spare={**ROBERTA.spare, "lm_head.bias": "stands for the bias of the product"},
)  # fmt: skip
"""As RoBERTa without types, with learned numbers for distances that all layers share (Song et al. 2020)."""
