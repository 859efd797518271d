"""Heads for classes and questions that Transformers puts on any decoder, and on encoder-decoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from clearhead.models.families.parts import affine
from clearhead.models.family import Family
from clearhead.models.key import key

PLAIN = {"head.tied": False, "head.softcap": None, "head.scale": None, "head.transform": None}
"""A head that is one product."""

PATHS: Mapping[str, Mapping[str, Any]] = {
    "ForSequenceClassification": {**PLAIN, "head.reads": "last", "head.bias": False},
    "ForTokenClassification": {**PLAIN, "head.reads": "tokens", "head.bias": True},
    "ForQuestionAnswering": {**PLAIN, "head.reads": "tokens", "head.bias": True},
}
"""What each of them reads: the last token that is no padding, or every token."""

ROWS = {
    "ForSequenceClassification": {"logits.weight": "score.weight: linear"},
    "ForTokenClassification": affine("logits", "score"),
    "ForQuestionAnswering": affine("logits", "qa_outputs"),
}
"""Where its weights stand."""


def with_heads(
    family: Family,
    stem: str,
    *ends: str,
    prefix: str = "transformer.",
    pad: int | None = None,
    tokens: str = "score",
) -> Family:
    """A family with architectures for classes, classes of tokens, and questions.

    Args:
        family: the table.
        stem: what the names of the architectures begin with.
        ends: what they end with; all three, if none is named.
        prefix: what names of arrays have in front in those for questions.
        pad: the token of padding where the config states none.
        tokens: where the weights of classes of tokens stand.
    """
    rows = {**ROWS, "ForTokenClassification": affine("logits", tokens)}
    names = {stem + end: end for end in ends or PATHS}
    padding = {"head.pad": key("pad_token_id", default=pad)}
    return replace(
        family,
        architectures=(*family.architectures, *names),
        prefixes=tuple(dict.fromkeys((*family.prefixes, prefix))),
        by_architecture={**family.by_architecture, **{name: {**PATHS[end], **padding} for name, end in names.items()}},
        arrays_by_architecture={**family.arrays_by_architecture, **{name: rows[end] for name, end in names.items()}},
    )


def with_pair_heads(family: Family, stem: str, end: int) -> Family:
    """An encoder-decoder with architectures for classes and questions.

    Args:
        family: the table.
        stem: what the names of the architectures begin with.
        end: the number of the token that ends a text, where the config does not say it.
    """
    classes, questions = f"{stem}ForSequenceClassification", f"{stem}ForQuestionAnswering"
    marked = {
        **PLAIN, "head.reads": "marked", "head.mark": key("eos_token_id", default=end), "head.transform": "tanh",
        "head.normed": False, "head.bias": True,
    }  # fmt: skip
    rows = {**affine("transform", "classification_head.dense"), **affine("logits", "classification_head.out_proj")}
    return replace(
        family,
        architectures=(*family.architectures, classes, questions),
        by_architecture={**family.by_architecture, classes: marked, questions: PATHS["ForQuestionAnswering"]},
        arrays_by_architecture={
            **family.arrays_by_architecture, classes: rows, questions: ROWS["ForQuestionAnswering"],
        },
    )  # fmt: skip
