"""What a family's table says of a config: entries to read, what stands in their place, and choices between values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from msgspec import Struct

from clearhead.errors import CheckpointError, suggest

Config = Mapping[str, Any]
"""The entries of a config.json, or the metadata of a GGUF file."""


class At(Struct, frozen=True):
    """Where a value is read: a config, a layer's number from 0, the features of a head, the names of all arrays."""

    config: Config
    layer: int = 0
    depth: int = 0
    arrays: Collection[str] = ()


ABSENT: Any = object()
"""Stands for an entry that a config does not have; one that is null is None."""


class Key(Struct, frozen=True):
    """A value that a config states.

    Attributes:
        names: where it may stand; the first that is there counts. A dot leads into an object within.
        default: what holds where none is there. An entry that is null is None, whatever the default.
        words: what the config's values mean, where they are not ours: ``{"gelu_new": "gelu-tanh"}``.
        by: a function of the number that the config states, such as its inverse root.
        required: whether a config without it is refused.
    """

    names: tuple[str, ...]
    default: Any = None
    words: Mapping[Any, Any] | None = None
    by: Callable[[Any], Any] | None = None
    required: bool = False

    def read(self, at: At) -> Any:
        """The value in a config; it is the same in all layers.

        Raises:
            CheckpointError: it is required and not there, a word that is not known, or no number.
        """
        for name in self.names:
            value = within(at.config, name)
            if value is not ABSENT:
                return self._meaning(name, value)
        if self.required:
            raise CheckpointError(f"the config has no {' or '.join(self.names)}. Is it the config of this model?")
        return self.default

    def _meaning(self, name: str, value: Any) -> Any:
        if self.words is not None:
            if not isinstance(value, (str, bool, type(None))) or value not in self.words:
                known = [str(word) for word in self.words]
                raise CheckpointError(f"the config has {name} = {shown(value)}. {suggest(str(value), known)}")
            return self.words[value]
        if self.by is None or value is None:
            return value
        try:
            return self.by(value)
        except (TypeError, ValueError, ArithmeticError):
            raise CheckpointError(f"the config has {name} = {shown(value)}; expects a number above 0.") from None


def key(
    *names: str,
    default: Any = None,
    words: Mapping[Any, Any] | None = None,
    by: Callable[[Any], Any] | None = None,
) -> Key:
    """A value that a config may state."""
    return Key(names, default, words, by)


def required(*names: str) -> Key:
    """A value that a config must state."""
    return Key(names, required=True)


class Choice(Struct, frozen=True):
    """One of several values of a table, by what another value of it reads.

    Attributes:
        of: what is asked: a `Key`, or a `Layers` where layers differ.
        cases: for each answer the value that holds.
    """

    of: Any
    cases: Mapping[Any, Any]

    def read(self, at: At) -> Any:
        """The value that holds in a layer.

        Raises:
            CheckpointError: there is no case for the answer, or what is read is not known.
        """
        answer = self.of.read(at)
        if not isinstance(answer, (str, bool, int, type(None))) or answer not in self.cases:
            names = " or ".join(names_of(self.of))
            raise CheckpointError(
                f"the config has {names} = {shown(answer)}; expects one of {', '.join(map(str, self.cases))}."
            )
        return read(self.cases[answer], at)


def choice(of: Any, cases: Mapping[Any, Any]) -> Choice:
    """One of several values, by what another reads."""
    return Choice(of, cases)


class Sum(Struct, frozen=True):
    """The sum of what several keys read."""

    keys: tuple[Key, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all entries that are read."""
        return tuple(name for each in self.keys for name in each.names)

    def read(self, at: At) -> Any:
        """The sum.

        Raises:
            CheckpointError: one of them is no number.
        """
        found = [each.read(at) for each in self.keys]
        if not all(isinstance(each, int) for each in found):
            raise CheckpointError(f"the config has {' and '.join(self.names)} = {shown(found)}; expects numbers.")
        return sum(found)


class Layers(Struct, frozen=True):
    """What a config lists for each layer; where it lists nothing, what a rule says.

    Attributes:
        names: where the list may stand.
        rule: is called with a layer's number, from 0, and what the keys read.
        keys: what the rule asks for.
    """

    names: tuple[str, ...]
    rule: Callable[..., Any]
    keys: tuple[Any, ...] = ()

    def read(self, at: At) -> Any:
        """What is listed for a layer, or what the rule says of it.

        Raises:
            CheckpointError: the list is too short or no list, or the rule has no answer.
        """
        for name in self.names:
            listed = within(at.config, name)
            if listed is ABSENT or listed is None:
                continue
            if not isinstance(listed, (list, tuple)) or at.layer >= len(listed):
                raise CheckpointError(f"the config's {name} says nothing of layer {at.layer}; expects a list of all.")
            return listed[at.layer]
        asked = [each.read(at) for each in self.keys]
        try:
            return self.rule(at.layer, *asked)
        except (TypeError, ValueError, ArithmeticError):
            entries = ", ".join(
                f"{each.names[0]} = {shown(value)}" for each, value in zip(self.keys, asked, strict=True)
            )
            raise CheckpointError(f"the config has {entries}, which says nothing of layer {at.layer}.") from None


def read(value: Any, at: At) -> Any:
    """A value of a table as it holds in a layer: read from the config, or itself."""
    return value.read(at) if hasattr(value, "read") else value


def names_of(value: Any) -> Iterator[str]:
    """The names of all entries of a config that a value of a table may read."""
    if isinstance(value, Key):
        yield from value.names
    elif isinstance(value, Choice):
        yield from names_of(value.of)
        for case in value.cases.values():
            yield from names_of(case)
    elif isinstance(value, Layers):
        yield from value.names
        for each in value.keys:
            yield from names_of(each)
    elif hasattr(value, "names"):
        yield from value.names


def within(config: Any, path: str) -> Any:
    """An entry of a config, also one of an object within; `ABSENT` if it is not there."""
    if isinstance(config, Mapping) and path in config:
        return config[path]
    value: Any = config
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return ABSENT
        value = value[part]
    return value


def shown(value: Any) -> str:
    """A value of a config in a message: short, and escaped."""
    return repr(value)[:60]
