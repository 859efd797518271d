"""The places of a model's weights in its checkpoint: found, and checked against its spec, before a number is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from clearhead.axes import Shape, describe
from clearhead.errors import CheckpointError, ShapeError
from clearhead.line import Given
from clearhead.models.checkpoint import Checkpoint
from clearhead.models.family import Family, layer_in
from clearhead.models.key import At, shown
from clearhead.models.layout import turned
from clearhead.models.packed import Packed
from clearhead.models.reading import ENCODER, Reading, Sizes
from clearhead.models.scaled import Scaled
from clearhead.models.stored import panels_of
from clearhead.models.tensors import Floats, Stacked, Tensor
from clearhead.ops.panels import Panels
from clearhead.working import Working

CLASSES = ("SequenceClassification", "TokenClassification", "QuestionAnswering", "ImageClassification")
"""How the names of architectures end whose logits are labels, as many as the config names."""

INPUTS = ("token", "type", "patch", "padding", "encoder.token", "encoder.padding", "encoder.frame")
"""Given arrays that are no weights."""


class Place(Struct, frozen=True, eq=False):
    """The source of a given array: an array of the checkpoint with its layout words, or a list in the config."""

    given: Given
    shape: Shape
    sizes: Sizes
    tensor: Tensor | None = None
    words: tuple[str, ...] = ()
    numbers: Floats | None = None

    def array(self) -> Floats:
        """The numbers, in the working's layout."""
        if self.tensor is None:
            assert self.numbers is not None  # noqa: S101 - one of the two is there
            return self.numbers
        return turned(self.tensor.name, self.tensor.array(), self.words, self.sizes)

    def panels(self, lanes: int, *, of_turned: bool) -> Panels | None:
        """The numbers in panels of this many lanes, in fewer bits than float32 has; None if they are not stored so."""
        if self.tensor is None:
            return None
        return panels_of(self.tensor, self.words, self.sizes, lanes, of_turned=of_turned)


def locate(family: Family, checkpoint: Checkpoint, reading: Reading, working: Working) -> dict[str, Place]:
    """The place of each weight of a working.

    Raises:
        CheckpointError: some are missing, quantised, or do not have the layout of the family's table.
    """
    weights = [each for each in working.givens if each.name not in INPUTS]
    places = {each.name: _place(family, checkpoint, reading, each) for each in weights}
    _check_norms(family, reading, places)
    shapes = {name: place.shape for name, place in places.items()}
    inputs: dict[str, Shape] = {each.name: (1,) * len(each.axes) for each in working.givens if each.name in INPUTS}
    if "patch" in inputs:
        inputs["patch"] = (1, shapes["embedding.patch.weight"][0])
    if "encoder.frame" in inputs:
        inputs["encoder.frame"] = (1, shapes["encoder.embedding.frame.weight"][1])
    try:
        working.shapes({**shapes, **inputs})
    except ShapeError as error:
        raise CheckpointError(
            f"the arrays do not fit each other: {error} Are config and weights of one model?"
        ) from None
    return places


def _place(family: Family, checkpoint: Checkpoint, reading: Reading, given: Given) -> Place:
    found, sizes = family.find(given.name, checkpoint.tensors), reading.sizes_of(given.name)
    if found is None:
        entry = family.listed(given.name)
        if entry is None:
            raise family.missing(given.name, checkpoint.tensors)
        numbers = _numbers(entry.names[-1], entry.read(At(checkpoint.config)))
        return Place(given, _checked(given, numbers.shape, _sizes(given.name, reading)), sizes, numbers=numbers)
    tensor, words = found
    if (whole := _undefined(tensor)) is not None:
        raise CheckpointError(
            f"the checkpoint is quantised: {whole.name} holds {whole.kind.name} numbers, which are no weights "
            f"without their scales. Save the checkpoint dequantised, and read that."
        )
    # In the layout that the numbers will have, without reading any.
    phantom = np.broadcast_to(np.float32(0), tensor.shape)
    shape = turned(tensor.name, phantom, words, sizes).shape
    known = {**_sizes(given.name, reading), **_stated(given.name, family, checkpoint)}
    return Place(given, _checked(given, shape, known), sizes, tensor, words)


def _undefined(tensor: Tensor) -> Tensor | None:
    """An array of whole numbers without scales: this one, or that of one of the experts; None if there is none."""
    parts = tensor.parts if isinstance(tensor, Stacked) else (tensor,)
    plain = (each for each in parts if not isinstance(each, (Scaled, Packed)))
    return next((each for each in plain if each.kind.name.startswith(("I", "U", "BOOL"))), None)


def _numbers(name: str, listed: object) -> Floats:
    numbers = isinstance(listed, Sequence) and all(isinstance(each, (int, float)) for each in listed)
    if not numbers or not listed:
        raise CheckpointError(f"the config has {name} = {shown(listed)}; expects a list of numbers.")
    return np.asarray(listed, np.float32)


def _checked(given: Given, shape: Shape, known: Mapping[str, int]) -> Shape:
    """A shape with the sizes of the config."""
    said = tuple(known.get(word) for word in given.axes)
    if len(shape) != len(said) or any(n not in (None, size) for n, size in zip(said, shape, strict=True)):
        raise CheckpointError(
            f"by the config {given.name} has {describe(given.axes, said)}, in the checkpoint {shape}. "
            f"Are config and weights of one model?"
        )
    return shape


def _stated(name: str, family: Family, checkpoint: Checkpoint) -> Mapping[str, int]:
    """The tokens or labels that a config states; Transformers refuses tables and heads that have others."""
    config, part = checkpoint.config, name.removeprefix(ENCODER)
    if not family.transformers or part not in ("embedding.weight", "logits.weight", "logits.bias"):
        return {}
    axes: tuple[str, ...] = ("vocabulary",)
    if part != "embedding.weight" and checkpoint.architecture.endswith(CLASSES):
        named, axes = config.get("id2label"), ("vocabulary", "class")
        stated = len(named) if isinstance(named, Mapping) else config.get("num_labels", 2)
        if checkpoint.architecture.endswith("QuestionAnswering"):
            stated = 2  # where the answer starts and ends, whatever labels are named
    else:
        own = None if name.startswith(ENCODER) else config.get("decoder_vocab_size")
        stated = config.get("vocab_size") if own is None else own
    return dict.fromkeys(axes, stated) if isinstance(stated, int) else {}


def _check_norms(family: Family, reading: Reading, places: Mapping[str, Place]) -> None:
    """Whether both halves of a block share a norm in all layers or in none, and only where both read one line.

    Some tables take the one norm of a file for both; that must not stand in for one that is missing.
    """
    for end in ("gain", "bias"):
        shared = []
        for number, block in enumerate(reading.spec.layers):
            one, other = (places.get(f"layers.{number}.{half}.norm.{end}") for half in ("attention", "mlp"))
            same = one is not None and other is not None and one.tensor is not None and one.tensor is other.tensor
            if same and block.placement != "parallel":
                name = f"layers.{number}.mlp.norm.{end}"
                raise CheckpointError(
                    f"the checkpoint has nothing for {name}. Expected {next(family.stored(name))}, since the halves of "
                    f"its layers follow each other."
                )
            shared.append(same)
        if len(set(shared)) > 1:
            raise CheckpointError(
                f"the halves of layer {shared.index(True)} share the {end} of a norm, and those of layer "
                f"{shared.index(False)} do not. Is an array missing?"
            )


def _sizes(name: str, reading: Reading) -> Mapping[str, int]:
    """The sizes of axes in the part of an array."""
    s = reading.sizes_of(name)
    known = {"model": s.width, "depth": s.depth, "head": s.heads, "group": s.groups, "head*depth": s.heads * s.depth}
    number, general = layer_in(name)
    if number:
        encoder = reading.spec.encoder
        layers = encoder.layers if encoder is not None and general.startswith(ENCODER) else reading.spec.layers
        attention = layers[int(number)].attention
        if attention.latent is not None or attention.delta is not None:
            del known["depth"]
            known["head*depth"] = s.heads * s.value_depth
        rotary = attention.rotary
        known["pair"] = 0 if rotary is None else math.floor((rotary.width or s.depth) / 2)
    return known
