"""DeBERTa v2 and v3: encoders whose scores add what content says of distances."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clearhead.errors import CheckpointError
from clearhead.models.families.bert import BERT, LAYER, PREDICTION
from clearhead.models.families.parts import ACTIVATIONS, BASE, affine, heads, norm
from clearhead.models.key import At, Key, choice, key, shown

_TYPES = {"c2p": "content-position", "p2c": "position-content"}


class _Terms(Struct, frozen=True):
    """The terms that are added to scores, of a list or of words with ``|`` between them."""

    names: tuple[str, ...] = ("pos_att_type",)

    def read(self, at: At) -> tuple[str, ...]:
        """The terms in the spec's order.

        Raises:
            CheckpointError: one of them is not known.
        """
        stated = at.config.get("pos_att_type") or []
        said = [each.strip() for each in stated.lower().split("|")] if isinstance(stated, str) else stated
        if not isinstance(said, list) or not set(said) <= {*_TYPES, "", "none"}:
            raise CheckpointError(f"the config has pos_att_type = {shown(stated)}; expects c2p, p2c or both.")
        return tuple(ours for theirs, ours in _TYPES.items() if theirs in said)


class _Scale(Struct, frozen=True):
    """1 / sqrt(depth * n), where scores are a sum of n terms; Transformers counts them without distances too."""

    terms: _Terms = _Terms()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all entries that are read."""
        return self.terms.names

    def read(self, at: At) -> float:
        """The factor of scores."""
        return float((at.depth * (1 + len(self.terms.read(at)))) ** -0.5)


class _Span(Struct, frozen=True):
    """How many buckets of distances there are to each side, or from which distance on all are alike."""

    reach: bool
    buckets: Key = key("position_buckets", default=-1)
    stated: Key = key("max_relative_positions", default=-1)
    context: Key = key("max_position_embeddings", default=512)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all entries that are read."""
        return (*self.buckets.names, *self.stated.names, *self.context.names)

    def read(self, at: At) -> int | None:
        """The number; None for no such distance."""
        buckets, stated, context = (each.read(at) for each in (self.buckets, self.stated, self.context))
        try:
            whole = int(context if stated < 1 else stated)
            if buckets > 0:
                return whole if self.reach else int(buckets)
        except (TypeError, ValueError):
            raise CheckpointError(
                f"the config has {', '.join(self.names)} = {shown([buckets, stated, context])}; expects numbers."
            ) from None
        return None if self.reach else whole


class _Normed(Struct, frozen=True):
    """Whether rows of distances are normed."""

    names: tuple[str, ...] = ("norm_rel_ebd",)

    def read(self, at: At) -> bool:
        """Whether they are.

        Raises:
            CheckpointError: what is stated is not known.
        """
        said = at.config.get("norm_rel_ebd", "none")
        words = {each.strip() for each in said.lower().split("|")} if isinstance(said, str) else {""}
        if not words <= {"none", "layer_norm"}:
            raise CheckpointError(f"the config has norm_rel_ebd = {shown(said)}; expects none or layer_norm.")
        return "layer_norm" in words


class _Relative(Struct, frozen=True):
    """Whether scores read distances at all: there are terms, and distances."""

    names: tuple[str, ...] = ("relative_attention", "pos_att_type")

    def read(self, at: At) -> bool:
        """Whether they do."""
        return bool(at.config.get("relative_attention", False)) and bool(_Terms().read(at))


_EPS = key("layer_norm_eps", default=1e-7)
_ATTENTION = LAYER + "attention.self."
_POOLED = {
    "pooler": key("pooler_hidden_act", default="gelu", words=ACTIVATIONS), "head.reads": "pooled", "head.bias": True,
}  # fmt: skip


def _norms() -> dict[str, Any]:
    return {f"{place}.eps": _EPS for place in ("norm", "embedding.norm")}


DEBERTA_V2 = replace(
    BERT,
    name="deberta_v2",
    architectures=tuple(
        "DebertaV2" + ending
        for ending in (
            "Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering",
        )
    ),
    spec={
        **BERT.spec,
        **_norms(),
        "depth": key("attention_head_size"),
        "attention.causal": False,
        "attention.scale": _Scale(),
        "attention.disentangled": choice(_Relative(), {True: {}, False: None}),
        "attention.disentangled.span": _Span(reach=False),
        "attention.disentangled.reach": _Span(reach=True),
        "attention.disentangled.terms": _Terms(),
        "attention.disentangled.shared": key("share_att_key", default=False),
        "attention.disentangled.norm": choice(_Normed(), {True: {"kind": "layer"}, False: None}),
        "attention.disentangled.norm.eps": _EPS,
        "embedding.positions": key("position_biased_input", default=True),
        "embedding.types": key("type_vocab_size", default=False, by=bool),
    },
    arrays={
        **BERT.arrays,
        **affine("layers.{n}.attention.query", _ATTENTION + "query_proj", "linear heads"),
        **affine("layers.{n}.attention.key", _ATTENTION + "key_proj", "linear heads"),
        **affine("layers.{n}.attention.value", _ATTENTION + "value_proj", "linear heads"),
        **affine("layers.{n}.attention.relative.query", _ATTENTION + "pos_query_proj", "linear heads"),
        **affine("layers.{n}.attention.relative.key", _ATTENTION + "pos_key_proj", "linear heads"),
        "layers.{n}.attention.relative.weight": "encoder.rel_embeddings.weight",
        **norm("layers.{n}.attention.relative.norm", "encoder.LayerNorm"),
    },
    prefixes=("", "deberta."),
    by_architecture={
        "DebertaV2Model": BASE,
        "DebertaV2ForMaskedLM": {
            **PREDICTION, "head.eps": _EPS, "head.tied": choice(
                key("legacy", default=True), {True: key("tie_word_embeddings", default=True)},
            ),
        },
        "DebertaV2ForSequenceClassification": _POOLED,
        "DebertaV2ForTokenClassification": BERT.by_architecture["BertForTokenClassification"],
        "DebertaV2ForQuestionAnswering": BERT.by_architecture["BertForQuestionAnswering"],
    },
    arrays_by_architecture=heads(
        "DebertaV2For",
        {
            "SequenceClassification": "classifier", "TokenClassification": "classifier",
            "QuestionAnswering": "qa_outputs",
        },
    ),
    fixed={"conv_kernel_size": (0, None), "is_decoder": (False, None)},
    without_effect={
        "pooler_hidden_size": "is a size that the arrays have",
        "embedding_size": "is a size that the arrays have",
        "pooler_dropout": "matters in training only",
        "cls_dropout": "matters in training only",
        "conv_act": "belongs to a convolution, which is not read",
        "conv_groups": "belongs to a convolution, which is not read",
    },
    spare={
        "*embeddings.position_ids": "the numbers 0, 1, 2 ...",
        "*embeddings.position_embeddings.weight": "positions that the config leaves out",
        "*mask_predictions.*": "a head of the training that Transformers does not read",
        "*lm_predictions.*": "a head that the architecture does not have",
    },
)  # fmt: skip
"""As BERT, with scores of content and distance, of which one table serves all layers (He et al. 2020, 2021)."""
