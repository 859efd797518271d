"""Heads for classes and questions that Transformers puts on any decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from clearhead.models.families.parts import affine
from clearhead.models.family import Family
from clearhead.models.key import key

_PLAIN = {"head.tied": False, "head.softcap": None, "head.scale": None, "head.transform": None}

PATHS: Mapping[str, Mapping[str, Any]] = {
    "ForSequenceClassification": {**_PLAIN, "head.reads": "last", "head.bias": False},
    "ForTokenClassification": {**_PLAIN, "head.reads": "tokens", "head.bias": True},
    "ForQuestionAnswering": {**_PLAIN, "head.reads": "tokens", "head.bias": True},
}
"""What each of them reads: the last token that is no padding, or every token."""

ROWS = {
    "ForSequenceClassification": {"logits.weight": "score.weight: linear"},
    "ForTokenClassification": affine("logits", "score"),
    "ForQuestionAnswering": affine("logits", "qa_outputs"),
}
"""Where its weights stand."""


def with_heads(family: Family, stem: str, *ends: str, prefix: str = "transformer.", pad: int | None = None) -> Family:
    """A family with architectures for classes, classes of tokens, and questions.

    Args:
        family: the table.
        stem: what the names of the architectures begin with.
        ends: what they end with; all three, if none is named.
        pad: the token of padding where the config states none.
        prefix: what names of arrays have in front in those for questions.
    """
    names = {stem + end: end for end in ends or PATHS}
    padding = {"head.pad": key("pad_token_id", default=pad)}
    return replace(
        family,
        architectures=(*family.architectures, *names),
        prefixes=tuple(dict.fromkeys((*family.prefixes, prefix))),
        by_architecture={**family.by_architecture, **{name: {**PATHS[end], **padding} for name, end in names.items()}},
        arrays_by_architecture={**family.arrays_by_architecture, **{name: ROWS[end] for name, end in names.items()}},
    )
