"""The inputs of a model: text, numbers of tokens, several texts, or an image, as checked arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clearhead.errors import ShapeError
from clearhead.models.pairs import pair_of
from clearhead.models.texts import Inputs, Source, encoded, text_inputs

if TYPE_CHECKING:
    from clearhead.models.model import Model


def inputs_of(model: Model, source: Source, decoder: Source | None = None) -> Inputs:
    """The inputs of a model, as arrays.

    Raises:
        ShapeError: numbers of tokens that the model does not have, an image of another size, or a text for the decoder
            of a model that has none.
    """
    if model.spec.encoder is not None:
        return pair_of(model, source, decoder)
    if decoder is not None:
        raise ShapeError("decoder: the model has one stack of layers, which reads the text itself. Leave decoder out.")
    if model.reads_images:
        return Inputs({"patch": patches(_image(source), *model.patch_size)})
    return text_inputs(model, encoded(model, source), model.vocabulary, types=model.has_types)


def _image(source: Source) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(source, np.float32)
    except (TypeError, ValueError):
        raise ShapeError(f"the model reads images, (channel, row, column); got {type(source).__name__}.") from None


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
