"""A family's table applied to a checkpoint: the spec and the sizes of a model, and what was left aside."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from clearhead.errors import CheckpointError, SpecError
from clearhead.models.checkpoint import Checkpoint
from clearhead.models.family import Family
from clearhead.models.key import At, names_of, read
from clearhead.spec import Block, Embedding, Head, Norm, Patches, Transformer

MAX_LAYERS = 1024
MAX_WIDTH = 1 << 20
MAX_HEADS = 1 << 12

SIZES = ("layers", "width", "depth", "turned", "value_depth")


class Sizes(Struct, frozen=True):
    """How large a model is: layers, features of a token, query heads, key/value heads, features of a head.

    ``turned`` of a head's features are shared and turned by latent attention; its values have ``value_depth``.
    """

    layers: int
    width: int
    heads: int
    groups: int
    depth: int
    turned: int = 0
    value_depth: int = 0

    def __post_init__(self) -> None:
        bounds = {"layers": MAX_LAYERS, "width": MAX_WIDTH, "heads": MAX_HEADS, "depth": MAX_WIDTH}
        for name, bound in bounds.items():
            value = getattr(self, name)
            if not 1 <= value <= bound:
                raise CheckpointError(f"the config gives {name} = {value}; expects 1 to {bound}.")


class Reading(Struct, frozen=True):
    """What a family's table makes of a checkpoint; ``notes`` say what was left aside, and why."""

    spec: Transformer
    sizes: Sizes
    notes: tuple[str, ...] = ()


def read_spec(family: Family, checkpoint: Checkpoint) -> Reading:
    """The spec and the sizes of a model.

    Raises:
        CheckpointError: the config lacks something, or says what the table does not know.
    """
    paths = family.paths(checkpoint.architecture)
    sizes = _sizes(paths, checkpoint.config)
    ats = [At(checkpoint.config, n, sizes.depth, checkpoint.tensors.keys()) for n in range(sizes.layers)]
    if sizes.groups == sizes.heads:
        paths = {**paths, "attention.kv_heads": None}
    try:
        spec = _spec(family, paths, ats)
    except SpecError as error:
        raise CheckpointError(f"the config does not fit the family {family.name}: {error}") from None
    return _with_what_is_there(Reading(spec, sizes), family, checkpoint)


def _spec(family: Family, paths: Mapping[str, Any], ats: Sequence[At]) -> Transformer:
    """The spec that the values of a table stand for, read once for each layer."""
    layers = [_Tree(family, paths, at).part(Block, "") for at in ats]
    tree = _Tree(family, paths, ats[0])
    embedding = paths.get("embedding")
    return Transformer(
        embedding if isinstance(embedding, Patches) else tree.part(Embedding, "embedding"),
        tuple(layers),
        tree.part(Norm, "final_norm"),
        tree.values.get("pooler"),
        tree.part(Head, "head"),
        first=0,
    )


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
        """A part of the spec, made of what stands under a path; with nothing there, one of defaults."""
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


def _sizes(paths: Mapping[str, Any], config: Mapping[str, Any]) -> Sizes:
    at = At(config)
    stated = {name: read(paths.get(name), at) for name in SIZES}
    stated["heads"] = read(paths["attention.heads"], at)
    groups = read(paths.get("attention.kv_heads"), at)
    stated["groups"] = stated["heads"] if groups is None else groups
    for name, value in stated.items():
        optional = value is None and name in ("depth", "turned", "value_depth")
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
    """Not tied where a checkpoint has a head of its own, as Transformers has it; no pooler where it has none."""
    spec, notes = found.spec, list(found.notes)
    head = spec.head
    if head is not None and head.tied and family.find("logits.weight", checkpoint.tensors):
        spec = msgspec.structs.replace(spec, head=msgspec.structs.replace(head, tied=False))
    needed = head is not None and head.reads == "pooled"
    learned = spec.pooler not in (None, "first", "normed")
    if learned and not needed and family.find("pooler.weight", checkpoint.tensors) is None:
        spec = msgspec.structs.replace(spec, pooler=None)
        notes.append("The checkpoint has no pooler, so there is no line 'pooled'.")
    return Reading(spec, found.sizes, tuple(notes))
