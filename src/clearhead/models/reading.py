"""A family's table applied to a checkpoint: the spec and the sizes of a model, and notes on ignored parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from clearhead.errors import CheckpointError, SpecError
from clearhead.models.checkpoint import Checkpoint
from clearhead.models.family import Family, layer_in
from clearhead.models.key import At, names_of, read, shown
from clearhead.spec import Block, Embedding, Encoder, Frames, Head, Norm, Patches, Transformer

MAX_LAYERS = 1024
MAX_WIDTH = 1 << 20
MAX_HEADS = 1 << 12

SIZES = ("layers", "width", "depth", "turned", "value_depth", "delta_depth", "delta_value_depth")

TIED = "tie_word_embeddings"

OF_WHOLE = (TIED, "id2label", "label2id", "num_labels")
"""Entries of a head, which the config of a model that reads images too states for the whole."""

ENCODER = "encoder."
"""What paths of an encoder, and names of its lines and arrays, have in front."""


class Sizes(Struct, frozen=True):
    """The sizes of a model: layers, features of a token, query heads, key/value heads, features of a head.

    ``turned`` of a head's features are shared and rotated in latent attention; its values have ``value_depth``. Keys
    and values of gated delta nets have ``delta_depth`` and ``delta_value_depth``.
    """

    layers: int
    width: int
    heads: int
    groups: int
    depth: int
    turned: int = 0
    value_depth: int = 0
    delta_depth: int = 0
    delta_value_depth: int = 0

    def __post_init__(self) -> None:
        bounds = {"layers": MAX_LAYERS, "width": MAX_WIDTH, "heads": MAX_HEADS, "depth": MAX_WIDTH}
        for name, bound in bounds.items():
            value = getattr(self, name)
            if not 1 <= value <= bound:
                raise CheckpointError(f"the config gives {name} = {value}; expects 1 to {bound}.")


class Reading(Struct, frozen=True):
    """The result of applying a family's table to a checkpoint; ``notes`` say what was ignored, and why.

    ``encoder`` has the sizes of the encoder, where there is one; ``by_layer`` those of heads as they are in each layer.
    """

    spec: Transformer
    sizes: Sizes
    notes: tuple[str, ...] = ()
    encoder: Sizes | None = None
    by_layer: tuple[Sizes, ...] = ()

    def sizes_of(self, name: str) -> Sizes:
        """The sizes of the stack that an array belongs to, or of its layer's gated delta net."""
        if self.encoder is not None and name.startswith(ENCODER):
            return self.encoder
        number, _ = layer_in(name)
        if not number or ".attention." not in name:
            return self.sizes
        delta = self.spec.layers[int(number)].attention.delta
        if delta is None:
            return self.by_layer[int(number)] if self.by_layer else self.sizes
        own = {"depth": self.sizes.delta_depth, "value_depth": self.sizes.delta_value_depth}
        return msgspec.structs.replace(self.sizes, heads=delta.heads, groups=delta.groups, **own)


def text_of(family: Family, checkpoint: Checkpoint) -> Checkpoint:
    """The text model of a checkpoint that reads images too: its own config; what the head is the whole says.

    Raises:
        CheckpointError: the config of the text model is no object.
    """
    own = checkpoint.config.get(family.inside) if family.inside else None
    if own is None:
        return checkpoint
    if not isinstance(own, Mapping):
        raise CheckpointError(f"the config has {family.inside} = {shown(own)}; expects an object.")
    of_whole = {name: value for name, value in checkpoint.config.items() if name in OF_WHOLE}
    rest = {name: value for name, value in own.items() if name not in OF_WHOLE}
    return msgspec.structs.replace(checkpoint, config={**rest, **of_whole})


def read_spec(family: Family, checkpoint: Checkpoint) -> Reading:
    """The spec and the sizes of a model.

    Raises:
        CheckpointError: the config lacks an entry, or has a value that the table does not know.
    """
    checkpoint = text_of(family, checkpoint)
    paths = family.paths(checkpoint.architecture)
    above = {path: value for path, value in paths.items() if not path.startswith(ENCODER)}
    below = {path.removeprefix(ENCODER): value for path, value in paths.items() if path.startswith(ENCODER)}
    try:
        stack = _Stack.read(family, above, checkpoint)
        encoder = _Stack.read(family, {"width": paths["width"], **below}, checkpoint) if below else None
        spec = _spec(stack, encoder)
    except SpecError as error:
        raise CheckpointError(f"the config does not fit the family {family.name}: {error}") from None
    notes = ("Only the text model is read, no images.",) if family.inside else ()
    found = Reading(spec, stack.sizes, notes, None if encoder is None else encoder.sizes, stack.by_layer)
    return _with_what_is_there(found, family, checkpoint)


def _spec(stack: _Stack, encoder: _Stack | None) -> Transformer:
    """The spec of a table's values."""
    return Transformer(
        stack.embedding,
        stack.layers,
        stack.tree.part(Norm, "final_norm"),
        stack.tree.values.get("pooler"),
        stack.tree.part(Head, "head"),
        None if encoder is None else Encoder(encoder.layers, encoder.embedding, encoder.tree.part(Norm, "final_norm")),
        first=0,
        narrowed=stack.tree.values.get("narrowed", False),
    )


class _Stack(Struct, frozen=True):
    """A stack of blocks as a table gives it, read once for each layer: an encoder's, a decoder's, or the only one."""

    sizes: Sizes
    layers: tuple[Block, ...]
    embedding: Any
    tree: _Tree
    by_layer: tuple[Sizes, ...]

    @classmethod
    def read(cls, family: Family, paths: Mapping[str, Any], checkpoint: Checkpoint) -> _Stack:
        """The stack that these paths stand for."""
        sizes = _sizes(paths, checkpoint.config)
        config, arrays = checkpoint.config, checkpoint.tensors.keys()
        own = tuple(_sizes(paths, config, layer) for layer in range(sizes.layers))
        ats = [At(config, layer, each.depth, arrays) for layer, each in enumerate(own)]
        layers = tuple(
            _Tree(family, _grouped(paths, each), at).part(Block, "") for each, at in zip(own, ats, strict=True)
        )
        tree, embedding = _Tree(family, paths, ats[0]), paths.get("embedding")
        whole = isinstance(embedding, (Patches, Frames))
        return cls(sizes, layers, embedding if whole else tree.part(Embedding, "embedding"), tree, own)


class _Tree:
    """The values of a table's paths in one layer, as objects within objects."""

    def __init__(self, family: Family, paths: Mapping[str, Any], at: At) -> None:
        self.family, self.paths = family, paths
        self.values: dict[str, Any] = {}
        for path in sorted(paths, key=lambda path: path.count(".")):
            if path not in SIZES:
                self._put(path.split("."), read(paths[path], at))

    def _put(self, path: list[str], value: Any) -> None:
        inside = self.values
        for part in path[:-1]:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                return  # the whole is stated as one value, such as None for a model without
        inside[path[-1]] = dict(value) if isinstance(value, dict) else value

    def part(self, kind: Any, name: str) -> Any:
        """A part of the spec, made of the values under a path; the default where there are none."""
        if kind is Block:
            value: Any = {each: self.values[each] for each in Block.__struct_fields__ if each in self.values}
        else:
            value = self.values.get(name, {})
        if value is None:
            return None
        try:
            return msgspec.convert(value, kind)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter for half a character in a GGUF file
            raise CheckpointError(
                f"the config does not fit the family {self.family.name}: {self._where(error, name)}"
            ) from None

    def _where(self, error: Exception, name: str) -> str:
        """An error of a spec, with the entry of the config that the value came from."""
        says, _, where = str(error).partition(" - at `$")
        path = ".".join(filter(None, [name, where.strip("`.")]))
        path = re.sub(r"\[.*", "", path)
        entries = " or ".join(names_of(self.paths.get(path)))
        return f"{says} ({entries or path})." if path else f"{says}."


def _grouped(paths: Mapping[str, Any], sizes: Sizes) -> Mapping[str, Any]:
    """The paths of a layer, without groups of heads where each head has its own keys."""
    return {**paths, "attention.kv_heads": None} if sizes.groups == sizes.heads else paths


def _sizes(paths: Mapping[str, Any], config: Mapping[str, Any], layer: int = 0) -> Sizes:
    """The sizes of a model, those of heads as they are in a layer."""
    at = At(config, layer)
    stated = {name: read(paths.get(name), at) for name in SIZES}
    stated["heads"] = read(paths["attention.heads"], at)
    groups = read(paths.get("attention.kv_heads"), at)
    stated["groups"] = stated["heads"] if groups is None else groups
    for name, value in stated.items():
        optional = value is None and name not in ("layers", "width", "heads", "groups")
        if not optional and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            entries = " or ".join(names_of(paths.get(name, paths.get(f"attention.{name}"))))
            raise CheckpointError(
                f"the config gives {name} = {str(value)[:40]} ({entries}); expects a whole number from 1."
            )
    if stated["heads"] % stated["groups"]:
        raise CheckpointError(
            f"the config gives {stated['heads']} heads and {stated['groups']} key/value heads; expects a divisor."
        )
    if stated["depth"] is None and stated["width"] % stated["heads"]:
        raise CheckpointError(
            f"the config gives width = {stated['width']}, which {stated['heads']} heads do not divide."
        )
    stated["depth"] = stated["depth"] or stated["width"] // stated["heads"]
    return Sizes(**{name: value for name, value in stated.items() if value is not None})


def _with_what_is_there(found: Reading, family: Family, checkpoint: Checkpoint) -> Reading:
    """Not tied where a checkpoint has a separate head, as in Transformers; no pooler where it has none."""
    spec, notes = found.spec, list(found.notes)
    head = spec.head
    if head is not None and head.tied and family.find("logits.weight", checkpoint.tensors):
        spec = msgspec.structs.replace(spec, head=msgspec.structs.replace(head, tied=False))
    needed = head is not None and head.reads == "pooled"
    learned = spec.pooler not in (None, "first", "normed")
    if learned and not needed and family.find("pooler.weight", checkpoint.tensors) is None:
        spec = msgspec.structs.replace(spec, pooler=None)
        notes.append("The checkpoint has no pooler, so there is no line 'pooled'.")
    return msgspec.structs.replace(found, spec=spec, notes=tuple(notes))
