"""What a model is given to read: text, numbers of tokens, several texts, or an image, as arrays that are checked."""

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
    """The arrays of a reading by name, and the names of the tokens where there is one text."""

    arrays: dict[str, np.ndarray[Any, Any]]
    tokens: tuple[str, ...] | None = None

    @property
    def padded(self) -> bool:
        """Whether some tokens only fill up a batch."""
        return "padding" in self.arrays


def inputs_of(model: Model, source: Source) -> Inputs:
    """What a model is given, as arrays.

    Raises:
        ShapeError: numbers of tokens that the model does not have, or an image of another size.
    """
    if model.reads_images:
        return Inputs({"patch": patches(np.asarray(source, np.float32), *model.patch_size)})
    encoded = _encoded(model, source)
    if isinstance(encoded, Encoded):
        arrays = {"token": _ids(encoded.ids), "type": _ids(encoded.types)}
        tokens: tuple[str, ...] | None = encoded.tokens
    else:
        arrays, tokens = _batch(encoded, _filler(model, encoded)), None
    _check_ids(arrays["token"], model.vocabulary)
    if not model.has_types:
        del arrays["type"]
    return Inputs(arrays, tokens)


def _encoded(model: Model, source: Source) -> Encoded | list[Encoded]:
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
    found = [_encoded(model, part) for part in parts]
    if not all(isinstance(each, Encoded) for each in found):
        raise ShapeError("a batch holds texts, or numbers of tokens, one list for each; these are nested deeper.")
    return [each for each in found if isinstance(each, Encoded)]


def _ids(numbers: Sequence[int]) -> Integers:
    return np.asarray(numbers, dtype=np.int64)


def _filler(model: Model, texts: Sequence[Encoded]) -> int:
    """The token that fills up a batch: padding where the head asks which token is the last, else any.

    Raises:
        ShapeError: the head reads the last token, and the model has no padding.
    """
    head = model.spec.head
    if head is None or head.reads != "last" or len({len(text.ids) for text in texts}) == 1:
        return 0
    if head.pad is None:
        raise ShapeError(
            "the model's head reads the last token of all, so texts of several lengths are not read as a batch: its "
            "config has no pad_token_id. Read them one by one."
        )
    return head.pad


def _batch(texts: list[Encoded], filler: int) -> dict[str, np.ndarray[Any, Any]]:
    """Texts side by side, the shorter ones filled up behind their end."""
    longest = max(len(text.ids) for text in texts)
    shape = len(texts), longest
    arrays = {"token": np.full(shape, filler, np.int64), "type": np.zeros(shape, np.int64)}
    real = np.zeros(shape, bool)
    for row, text in enumerate(texts):
        arrays["token"][row, : len(text.ids)] = text.ids
        arrays["type"][row, : len(text.ids)] = text.types
        real[row, : len(text.ids)] = True
    return arrays if real.all() else {**arrays, "padding": real}


def _check_ids(ids: Integers, vocabulary: int) -> None:
    if ids.size == 0:
        raise ShapeError("there is nothing to read: the text has no tokens. Give at least one token.")
    wrong = ids[(ids < 0) | (ids >= vocabulary)]
    if wrong.size:
        raise ShapeError(f"the model has tokens 0 to {vocabulary - 1}, not {wrong[0]}. Is the tokenizer of this model?")


def patches(image: np.ndarray[Any, Any], size: int, channels: int) -> np.ndarray[Any, Any]:
    """An image (*batch, channel, row, column) as patches (*batch, token, pixel), row by row.

    Raises:
        ShapeError: another number of channels, or sides that are no whole patches.
    """
    if image.ndim < 3 or image.shape[-3] != channels or image.shape[-1] % size or image.shape[-2] % size:
        raise ShapeError(
            f"an image expects (channel={channels}, row, column), sides multiples of {size}; got shape {image.shape}."
        )
    *lead, _, height, width = image.shape
    grid = image.reshape(*lead, channels, height // size, size, width // size, size)
    tokens = np.moveaxis(grid, (-5, -3, -1), (-3, -2, -1))
    return tokens.reshape(*lead, (height // size) * (width // size), channels * size * size)
