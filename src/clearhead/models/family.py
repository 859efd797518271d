"""Families of models: tables that map a config and the names in a checkpoint to a spec and its arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count, takewhile
from typing import Any, Union

from msgspec import Struct
from msgspec.structs import replace

from clearhead.errors import CheckpointError, suggest
from clearhead.models.key import Key, names_of
from clearhead.models.tensors import Tensor, Tensors, stacked

Place = Union[str, Key]
"""Where an array is: ``"name: layout words"`` in a checkpoint, or a list in its config."""


class Family(Struct, frozen=True):
    """The checkpoints of a family of models, as a table, which can be copied, changed and given to `load`.

    All that a checkpoint holds is accounted for: each entry of its config and each of its arrays is read by this table,
    or named in it as without effect, or the checkpoint is refused.

    Attributes:
        name: of the family.
        architectures: the names in ``architectures`` of a config.json, or ``general.architecture`` of a GGUF file.
        spec: for paths of the spec a value, or what reads it from the config (`key`, `choice`, ...). A path in a block
            (``attention.softcap``, ``mlp.gated``, ``norm.eps``, ``placement``) holds in each layer; ``embedding.*``,
            ``final_norm.*``, ``pooler`` and ``head.*`` are those of `clearhead.Transformer`. Three are sizes:
            ``layers``, ``width`` and ``depth`` (features of a head). Paths that begin with ``encoder.`` are
            those of the encoder of an encoder-decoder.
        arrays: for each given array of the working its place: ``"name: layout words"``, or several of these, of
            which the first that exists counts. ``{n}`` in both is the number of a layer, and
            ``{e}`` in a stored name that of an expert: all experts' arrays are read as one. The words are those of
            `clearhead.models.layout`.
        prefixes: optional prefixes of names in a checkpoint.
        by_architecture: paths that hold for one of the architectures only: heads, mostly.
        arrays_by_architecture: rows that replace those of ``arrays`` for one of the architectures.
        fixed: entries of a config, with the values that the table allows.
        without_effect: entries of a config that change no number, each with the reason.
        spare: arrays of a checkpoint that change no number, each with the reason; ``*`` stands for anything,
            ``{layers}`` for the number of layers: what stands behind the last.
        constant: arrays that have to hold one number, which the lines compute with; ``*`` stands for anything.
        tied_to: the place of the array that a tied head reads, where a file has it beside other embeddings; "" where
            the head is tied to the embeddings.
        inside: the entry of a config that holds the text model's own config, where the checkpoint reads images too; ""
            where there is none.
        outside: entries beside it that change no number of a text, each with the reason.
        transformers: whether Transformers reads these checkpoints, by the architecture's name.
    """

    name: str
    architectures: tuple[str, ...]
    spec: Mapping[str, Any]
    arrays: Mapping[str, Place | tuple[Place, ...]]
    prefixes: tuple[str, ...] = ("",)
    by_architecture: Mapping[str, Mapping[str, Any]] = {}
    arrays_by_architecture: Mapping[str, Mapping[str, Place | tuple[Place, ...]]] = {}
    fixed: Mapping[str, tuple[Any, ...]] = {}
    without_effect: Mapping[str, str] = {}
    spare: Mapping[str, str] = {}
    constant: Mapping[str, float] = {}
    tied_to: str = ""
    inside: str = ""
    outside: Mapping[str, str] = {}
    transformers: bool = True

    def of(self, architecture: str) -> Family:
        """The table with the rows of ``architecture``."""
        own = self.arrays_by_architecture.get(architecture)
        return self if own is None else replace(self, arrays={**self.arrays, **own})

    def with_shared_head(self, tensors: Tensors) -> Family | None:
        """The table whose head reads, of ``tensors``, what a tied head is tied to; None where it is the embeddings."""
        shared = replace(self, arrays={**self.arrays, "logits.weight": self.tied_to})
        head, table = shared.find("logits.weight", tensors), self.find("embedding.weight", tensors)
        return None if head is None or table is None or head[0] is table[0] else shared

    def paths(self, architecture: str) -> Mapping[str, Any]:
        """The paths of the spec with their values, for ``architecture``."""
        return {**self.spec, **self.by_architecture.get(architecture, {})}

    def entries(self) -> frozenset[str]:
        """The names of all entries of a config that the table reads."""
        spec = (value for paths in (self.spec, *self.by_architecture.values()) for value in paths.values())
        places = (place for name in self.arrays for place in self._places(name) if isinstance(place, Key))
        return frozenset(name for value in (*spec, *places) for name in names_of(value))

    def find(self, name: str, tensors: Tensors) -> tuple[Tensor, tuple[str, ...]] | None:
        """The array of ``tensors`` that holds the given array ``name``, and its layout words; None if there is none."""
        number, general = layer_in(name)
        for place in self._places(general):
            if isinstance(place, Key):
                continue
            stored, _, words = place.partition(":")
            for prefix in self.prefixes:
                full = prefix + stored.strip().replace("{n}", number)
                if tensor := _tensor(full, tensors):
                    return tensor, tuple(words.split())
        return None

    def listed(self, name: str) -> Key | None:
        """The entry of a config that lists the given array ``name``; None if a checkpoint holds it."""
        places = self._places(layer_in(name)[1])
        return next((place for place in places if isinstance(place, Key)), None)

    def stored(self, name: str) -> Iterator[str]:
        """All names under which a checkpoint may hold the given array ``name``."""
        number, general = layer_in(name)
        for place in self._places(general):
            if not isinstance(place, Key):
                yield from (p + place.partition(":")[0].strip().replace("{n}", number) for p in self.prefixes)

    def missing(self, name: str, tensors: Tensors) -> CheckpointError:
        """The error for the given array ``name``, which a checkpoint with ``tensors`` lacks."""
        expected = next(self.stored(name), None)
        if expected is None:
            return CheckpointError(f"the table of {self.name} has no row for {name}.")
        return CheckpointError(
            f"the checkpoint has nothing for {name}. Expected {expected}. {suggest(expected, tensors)}"
        )

    def _places(self, general: str) -> tuple[Place, ...]:
        places = self.arrays.get(general, ())
        return places if isinstance(places, tuple) else (places,)


def _tensor(name: str, tensors: Tensors) -> Tensor | None:
    """The array of this name, or those of all experts as one; None if there is none."""
    if "{e}" not in name:
        return tensors.get(name)
    found = takewhile(bool, (tensors.get(name.replace("{e}", str(number))) for number in count()))
    parts = [each for each in found if each is not None]
    return stacked(parts) if parts else None


def layer_in(name: str) -> tuple[str, str]:
    """The number of a layer in a name, and the name with ``{n}`` in its place."""
    parts = name.split(".")
    if "layers" not in parts[:2]:
        return "", name
    at = parts.index("layers") + 1
    return parts[at], ".".join([*parts[:at], "{n}", *parts[at + 1 :]])
