"""The length of a model's texts: existing positions, and frequencies that depend on the length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clearhead.errors import ShapeError
from clearhead.spec import Dynamic, Embedding, LongRope, Patches, Transformer

Arrays = Mapping[str, np.ndarray[Any, Any]]


def check_lengths(spec: Transformer, arrays: Mapping[str, Any]) -> None:
    """Checks that a model has a position for each token, and the same frequencies for all texts of a batch.

    Args:
        spec: of the model.
        arrays: its weights, or what has their shapes, the tokens or patches, and perhaps ``padding`` and a cache.

    Raises:
        ShapeError: the text is too long, or texts of several lengths would change each other's numbers.
    """
    before = next((array.shape[-2] for name, array in arrays.items() if name.endswith("past.key")), 0)
    extra = spec.embedding.first if isinstance(spec.embedding, Patches) else 0
    tokens = arrays["token"].shape[-1] if "token" in arrays else arrays["patch"].shape[-2] + extra
    _check_positions(spec.embedding, arrays.get("embedding.position.weight"), tokens + before)
    if spec.encoder is not None and "encoder.token" in arrays:
        table = arrays.get("encoder.embedding.position.weight")
        _check_positions(spec.encoder.embedding, table, arrays["encoder.token"].shape[-1])
    embedding = spec.embedding
    if isinstance(embedding, Embedding) and embedding.masked is not None and "padding" in arrays:
        _check_masks(arrays, embedding.masked)
    for block in spec.layers:
        scaling = None if block.attention.rotary is None else block.attention.rotary.scaling
        if isinstance(scaling, (Dynamic, LongRope)) and tokens + before > scaling.context:
            _check_one_length(arrays, scaling, before)


def _check_masks(arrays: Arrays, mask: int) -> None:
    """Rows are scaled by the share of masked tokens, for which padding must not count."""
    if (arrays["token"] == mask).any() and not arrays["padding"].all():
        raise ShapeError(
            "rows of this model depend on the share of masked tokens in a text, so texts of several lengths with masks "
            "are not read as a batch. Read them one by one."
        )


def _check_positions(embedding: object, table: np.ndarray[Any, Any] | None, tokens: int) -> None:
    if table is None:
        return
    unused = embedding.pad + 1 if isinstance(embedding, Embedding) and embedding.pad is not None else 0
    max_tokens = table.shape[0] - unused
    if tokens > max_tokens:
        raise ShapeError(f"the model has positions for {max_tokens} tokens, got {tokens}. Read the first {max_tokens}.")


def _check_one_length(arrays: Arrays, scaling: Dynamic | LongRope, before: int) -> None:
    """The frequencies of a text longer than the context of training depend on its length, in Transformers too."""
    hangs = f"rotary frequencies of this model depend on a text's length beyond {scaling.context} tokens"
    if "padding" in arrays and len(set(arrays["padding"].sum(-1).tolist())) > 1:
        raise ShapeError(f"{hangs}, so texts of several lengths are not read as a batch. Read them one by one.")
    if before and (isinstance(scaling, Dynamic) or before <= scaling.context):
        raise ShapeError(f"{hangs}, so it cannot go on from a cache of {before}. Read the whole text at once.")
