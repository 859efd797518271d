"""Families of models: tables that say how a config and the names in a checkpoint become our spec and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from clearhead.errors import CheckpointError, suggest
from clearhead.models.conventions import Conventions
from clearhead.models.layout import turned
from clearhead.models.tensors import Floats, Tensor, Tensors


class Key(Struct, frozen=True):
    """A convention that a config states.

    Attributes:
        names: where it may stand, the first that is there counts; a dot leads into an object within.
        default: what holds if none is there, or if it is null.
        words: what the config's values mean, where they are not ours: ``{"gelu_new": "gelu-tanh"}``.
        required: whether a config without it is refused.
    """

    names: tuple[str, ...]
    default: Any = None
    words: Mapping[str, Any] | None = None
    required: bool = False

    def read(self, config: Mapping[str, Any]) -> Any:
        """The value in a config.

        Raises:
            CheckpointError: it is required and not there, or a word that is not known.
        """
        for name in self.names:
            value = _within(config, name)
            if value is not None:
                return self._meaning(name, value)
        if self.required:
            raise CheckpointError(f"the config has no {' or '.join(self.names)}. Is it the config of this model?")
        return self.default

    def _meaning(self, name: str, value: Any) -> Any:
        if self.words is None:
            return value
        if not isinstance(value, str) or value not in self.words:
            raise CheckpointError(f"the config has {name} = {str(value)[:60]!r}. {suggest(str(value), self.words)}")
        return self.words[value]


def key(*names: str, default: Any = None, words: Mapping[str, Any] | None = None) -> Key:
    """A convention that a config may state."""
    return Key(names, default, words)


def required(*names: str) -> Key:
    """A convention that a config must state."""
    return Key(names, required=True)


def _within(config: Mapping[str, Any], path: str) -> Any:
    if path in config:
        return config[path]
    value: Any = config
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


class Family(Struct, frozen=True):
    """How the models of a family lie in their checkpoints: a table, to read, to copy, and to give to `load`.

    Attributes:
        name: of the family.
        architectures: what ``architectures`` in a config.json, or ``general.architecture`` in a GGUF file, says.
        conventions: for the fields of `clearhead.models.Conventions` a value, or a `Key` that reads it from the config.
        arrays: for each given array of the working where it stands: ``"name: layout words"``, or several of these of
            which the first that is there counts. ``{n}`` in both is the number of a layer. The words are those of
            `clearhead.models.layout`.
        prefixes: what names in a checkpoint may have in front.
        by_architecture: conventions that hold for one of the architectures only: heads, mostly.
        refused: entries of a config with which its models are not worked out, each with the value that is refused.
        refused_arrays: arrays of a checkpoint that mean something the table has no words for.
    """

    name: str
    architectures: tuple[str, ...]
    conventions: Mapping[str, Any]
    arrays: Mapping[str, str | tuple[str, ...]]
    prefixes: tuple[str, ...] = ("",)
    by_architecture: Mapping[str, Mapping[str, Any]] = {}
    refused: Mapping[str, Any] = {}
    refused_arrays: tuple[str, ...] = ()

    def read(self, config: Mapping[str, Any], architecture: str, tensors: Tensors) -> Conventions:
        """The conventions of a model.

        Raises:
            CheckpointError: the config lacks something, or says what is not known.
        """
        self._refuse(config, tensors)
        said = {**self.conventions, **self.by_architecture.get(architecture, {})}
        values = {name: value for name, value in said.items() if not isinstance(value, Key)}
        read = {name: value.read(config) for name, value in said.items() if isinstance(value, Key)}
        values |= {name: value for name, value in read.items() if value is not None}
        try:
            model = msgspec.convert(values, Conventions)
        except msgspec.ValidationError as error:
            raise CheckpointError(f"the config does not fit the family {self.name}: {error}.") from None
        return self._with_what_is_there(model, tensors)

    def _refuse(self, config: Mapping[str, Any], tensors: Tensors) -> None:
        """Errors for what would be worked out wrongly."""
        for name, value in self.refused.items():
            if config.get(name) == value:
                raise CheckpointError(f"the config has {name} = {value!r}, which {self.name} is not worked out with.")
        for name in self.refused_arrays:
            if name in tensors:
                raise CheckpointError(f"the checkpoint has {name}, which {self.name} is not worked out with.")

    def _with_what_is_there(self, model: Conventions, tensors: Tensors) -> Conventions:
        """Tied where a checkpoint has no logits of its own; no pooler where it has none."""
        changes: dict[str, Any] = {}
        if model.head == "tokens" and not model.tied and self.find("logits.weight", tensors) is None:
            changes["tied"] = True
        if model.pooler and model.head != "pooled" and self.find("pooler.weight", tensors) is None:
            changes["pooler"] = False
        return msgspec.structs.replace(model, **changes)

    def find(self, name: str, tensors: Tensors) -> tuple[Tensor, tuple[str, ...]] | None:
        """The array of a checkpoint that holds a given one, and the words of its layout; None if there is none."""
        number, general = _layer(name)
        places = self.arrays.get(general, ())
        for place in (places,) if isinstance(places, str) else places:
            stored, _, words = place.partition(":")
            for prefix in self.prefixes:
                full = prefix + stored.strip().replace("{n}", number)
                if full in tensors:
                    return tensors[full], tuple(words.split())
        return None

    def array(self, name: str, tensors: Tensors, model: Conventions) -> Floats:
        """A given array of the working, as it wants it.

        Raises:
            CheckpointError: the checkpoint lacks it, or it does not lie as the table says.
        """
        found = self.find(name, tensors)
        if found is None:
            raise CheckpointError(f"the checkpoint has nothing for {name}. {self._expected(name, tensors)}")
        tensor, words = found
        return turned(tensor.name, tensor.array(), words, model)

    def _expected(self, name: str, tensors: Tensors) -> str:
        number, general = _layer(name)
        places = self.arrays.get(general)
        if places is None:
            return f"The table of {self.name} has no row for it."
        first = (places if isinstance(places, str) else places[0]).partition(":")[0].strip()
        expected = self.prefixes[0] + first.replace("{n}", number)
        return f"Expected {expected}. {suggest(expected, tensors)}"


def _layer(name: str) -> tuple[str, str]:
    """The number of a layer in a name, and the name with ``{n}`` in its place."""
    parts = name.split(".")
    if parts[0] != "layers":
        return "", name
    return parts[1], ".".join(["layers", "{n}", *parts[2:]])
