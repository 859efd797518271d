"""Texts as arrays: numbers of tokens, one text or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from msgspec import Struct

from clearhead.errors import ShapeError
from clearhead.models.tokenizer import Encoded

if TYPE_CHECKING:
    from clearhead.models.model import Model

Integers = np.ndarray[Any, np.dtype[np.int64]]
Source = Union[str, Encoded, Sequence[int], Sequence[str], Sequence[Encoded], np.ndarray[Any, Any]]
"""A text, an encoded text or pair, numbers of tokens, or several texts for a batch; for a ViT an image."""


class Inputs(Struct, frozen=True, eq=False):
    """The inputs of a model: ``arrays`` by name, and the names of the ``tokens`` where there is one text.

    ``source`` has those of an encoder-decoder's source, where ``tokens`` are the decoder's.
    """

    arrays: dict[str, np.ndarray[Any, Any]]
    tokens: tuple[str, ...] | None = None
    source: tuple[str, ...] | None = None

    @property
    def labels(self) -> tuple[str, ...] | None:
        """What to write beside axes of tokens: nothing where two texts have the same length."""
        sources = [each.shape[-1] for name, each in self.arrays.items() if name == "encoder.token"]
        sources += [each.shape[-2] // 2 for name, each in self.arrays.items() if name == "encoder.frame"]
        return None if self.tokens is not None and len(self.tokens) in sources else self.tokens

    @property
    def padded(self) -> bool:
        """Whether some tokens are padding."""
        return "padding" in self.arrays


def text_inputs(
    model: Model, texts: Encoded | list[Encoded], vocabulary: int, where: str = "", *, types: bool = False
) -> Inputs:
    """Encoded texts as arrays.

    Args:
        model: that reads them.
        texts: one, or several for a batch.
        vocabulary: how many tokens there are.
        where: what an error begins with.
        types: whether each token has a type.

    Raises:
        ShapeError: a number of a token is none of these.
    """
    if isinstance(texts, Encoded):
        arrays = {"token": _ids(texts.ids), "type": _ids(texts.types)}
        tokens: tuple[str, ...] | None = texts.tokens
    else:
        arrays, tokens = _batch(texts, _filler(model, texts)), None
    _check_ids(arrays["token"], vocabulary, where)
    if not types:
        del arrays["type"]
    return Inputs(arrays, tokens)


def encoded(model: Model, source: Source) -> Encoded | list[Encoded]:
    """A text, encoded texts or numbers of tokens as encoded text; several as a list.

    Raises:
        ShapeError: there is nothing, or it is nested too deep.
    """
    if isinstance(source, str):
        return model.tokenizer.encode(source)
    if isinstance(source, Encoded):
        return source
    parts = list(source)
    if not parts:
        raise ShapeError("there is nothing to read: no text, or no tokens. Give at least one token.")
    if all(isinstance(part, (int, np.integer)) for part in parts):
        ids = tuple(map(int, parts))
        return Encoded(ids, (0,) * len(ids), model.names(ids))
    found = [encoded(model, part) for part in parts]
    if not all(isinstance(each, Encoded) for each in found):
        raise ShapeError("a batch holds texts, or numbers of tokens, one list for each; these are nested deeper.")
    return [each for each in found if isinstance(each, Encoded)]


def _ids(numbers: Sequence[int]) -> Integers:
    return np.asarray(numbers, dtype=np.int64)


def _filler(model: Model, texts: Sequence[Encoded]) -> int:
    """The token for padding: the model's own where the head needs to know the last token, else any that marks nothing.

    Raises:
        ShapeError: the head reads the last token, and the model has no padding.
    """
    head = model.spec.head
    if head is None or head.reads != "last" or len({len(text.ids) for text in texts}) == 1:
        return int(head is not None and head.mark == 0)
    if head.pad is None:
        raise ShapeError(
            "the model's head reads the last token of all, so texts of several lengths are not read as a batch: its "
            "config has no pad_token_id. Read them one by one."
        )
    return head.pad


def _batch(texts: list[Encoded], filler: int) -> dict[str, np.ndarray[Any, Any]]:
    """Texts as a batch, the shorter ones padded at their end."""
    longest = max(len(text.ids) for text in texts)
    shape = len(texts), longest
    arrays = {"token": np.full(shape, filler, np.int64), "type": np.zeros(shape, np.int64)}
    real = np.zeros(shape, bool)
    for row, text in enumerate(texts):
        arrays["token"][row, : len(text.ids)] = text.ids
        arrays["type"][row, : len(text.ids)] = text.types
        real[row, : len(text.ids)] = True
    return arrays if real.all() else {**arrays, "padding": real}


def _check_ids(ids: Integers, vocabulary: int, where: str) -> None:
    if ids.size == 0:
        raise ShapeError(f"{where}there is nothing to read: the text has no tokens. Give at least one token.")
    wrong = ids[(ids < 0) | (ids >= vocabulary)]
    if wrong.size:
        raise ShapeError(
            f"{where}the model has tokens 0 to {vocabulary - 1}, not {wrong[0]}. Is the tokenizer of this model?"
        )
