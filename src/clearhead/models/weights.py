"""Where the weights of a model lie in its checkpoint: found, and held against its spec, before a number is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from clearhead.axes import Shape, describe
from clearhead.errors import CheckpointError, ShapeError
from clearhead.line import Given
from clearhead.models.checkpoint import Checkpoint
from clearhead.models.family import Family
from clearhead.models.key import At, shown
from clearhead.models.layout import turned
from clearhead.models.packed import Packed
from clearhead.models.reading import Reading, Sizes
from clearhead.models.scaled import Scaled
from clearhead.models.tensors import Floats, Stacked, Tensor
from clearhead.working import Working

INPUTS = ("token", "type", "patch", "padding")
"""Given arrays that are no weights."""


class Place(Struct, frozen=True, eq=False):
    """Where a given array comes from: an array of the checkpoint with its layout words, or a list in the config."""

    given: Given
    shape: Shape
    tensor: Tensor | None = None
    words: tuple[str, ...] = ()
    numbers: Floats | None = None

    def array(self, sizes: Sizes) -> Floats:
        """The numbers, as the working wants them."""
        if self.tensor is None:
            assert self.numbers is not None  # noqa: S101 - one of the two is there
            return self.numbers
        return turned(self.tensor.name, self.tensor.array(), self.words, sizes)


def locate(family: Family, checkpoint: Checkpoint, reading: Reading, working: Working) -> dict[str, Place]:
    """Where each weight of a working lies.

    Raises:
        CheckpointError: some are missing, quantised, or do not lie as the family's table says.
    """
    weights = [each for each in working.givens if each.name not in INPUTS]
    places = {each.name: _place(family, checkpoint, reading, each) for each in weights}
    shapes = {name: place.shape for name, place in places.items()}
    inputs: dict[str, Shape] = {each.name: (1,) * len(each.axes) for each in working.givens if each.name in INPUTS}
    if "patch" in inputs:
        inputs["patch"] = (1, shapes["embedding.patch.weight"][0])
    try:
        working.shapes({**shapes, **inputs})
    except ShapeError as error:
        raise CheckpointError(
            f"the arrays do not fit each other: {error} Are config and weights of one model?"
        ) from None
    return places


def _place(family: Family, checkpoint: Checkpoint, reading: Reading, given: Given) -> Place:
    found = family.find(given.name, checkpoint.tensors)
    if found is None:
        entry = family.listed(given.name)
        if entry is None:
            raise family.missing(given.name, checkpoint.tensors)
        numbers = _numbers(entry.names[-1], entry.read(At(checkpoint.config)))
        return Place(given, _checked(given, numbers.shape, reading), numbers=numbers)
    tensor, words = found
    if tensor.kind.name.startswith(("I", "U", "BOOL")) and not _is_defined(tensor):
        raise CheckpointError(
            f"the checkpoint is quantised: {tensor.name} holds {tensor.kind.name} numbers, which are no weights "
            f"without their scales. Save the checkpoint dequantised, and read that."
        )
    # Laid out as the numbers will be, without reading one.
    phantom = np.broadcast_to(np.float32(0), tensor.shape)
    shape = turned(tensor.name, phantom, words, reading.sizes).shape
    return Place(given, _checked(given, shape, reading), tensor, words)


def _is_defined(tensor: Tensor) -> bool:
    parts = tensor.parts if isinstance(tensor, Stacked) else (tensor,)
    return all(isinstance(each, (Scaled, Packed)) for each in parts)


def _numbers(name: str, listed: object) -> Floats:
    numbers = isinstance(listed, Sequence) and all(isinstance(each, (int, float)) for each in listed)
    if not numbers or not listed:
        raise CheckpointError(f"the config has {name} = {shown(listed)}; expects a list of numbers.")
    return np.asarray(listed, np.float32)


def _checked(given: Given, shape: Shape, reading: Reading) -> Shape:
    """A shape that has the sizes that the config says."""
    known = _sizes(given.name, reading)
    said = tuple(known.get(word) for word in given.axes)
    if len(shape) != len(said) or any(n not in (None, size) for n, size in zip(said, shape, strict=True)):
        raise CheckpointError(
            f"by the config {given.name} has {describe(given.axes, said)}, in the checkpoint {shape}. "
            f"Are config and weights of one model?"
        )
    return shape


def _sizes(name: str, reading: Reading) -> Mapping[str, int]:
    """The sizes of axes in the part that an array belongs to."""
    s = reading.sizes
    known = {"model": s.width, "depth": s.depth, "head": s.heads, "group": s.groups, "head*depth": s.heads * s.depth}
    if name.startswith("layers."):
        attention = reading.spec.layers[int(name.split(".")[1])].attention
        if attention.latent is not None:
            del known["depth"]
            known["head*depth"] = s.heads * s.value_depth
        rotary = attention.rotary
        known["pair"] = 0 if rotary is None else math.floor((rotary.width or s.depth) / 2)
    return known
