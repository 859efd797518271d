"""How a family's table reads a config: entries, defaults, and choices between values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from msgspec import Struct

from clearhead.errors import CheckpointError, suggest

Config = Mapping[str, Any]
"""The entries of a config.json, or the metadata of a GGUF file."""


class At(Struct, frozen=True):
    """The context of reading a value: a config, a layer's number from 0, the depth of a head, all arrays' names."""

    config: Config
    layer: int = 0
    depth: int = 0
    arrays: Collection[str] = ()


ABSENT: Any = object()
"""Marks an entry that a config does not have; an entry that is null is None."""


class Key(Struct, frozen=True):
    """A value that a config states.

    Attributes:
        names: its possible names; the first that exists counts. A dot leads into an inner object.
        default: the value where none exists. An entry that is null is None, whatever the default.
        words: translations of the config's values: ``{"gelu_new": "gelu-tanh"}``.
        by: a function of the number that the config states, such as its inverse root.
        required: whether a config without it is refused.
    """

    names: tuple[str, ...]
    default: Any = None
    words: Mapping[Any, Any] | None = None
    by: Callable[[Any], Any] | None = None
    required: bool = False

    def read(self, at: At) -> Any:
        """The value in a config, ``at`` any layer; it is the same in all.

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
    """One of several values of a table, depending on another value of it.

    Attributes:
        of: the value that decides: a `Key`, or a `Layers` where layers differ.
        cases: the result for each value.
    """

    of: Any
    cases: Mapping[Any, Any]

    def read(self, at: At) -> Any:
        """The value that holds in a layer.

        Raises:
            CheckpointError: there is no case for the value, or the value is not known.
        """
        answer = self.of.read(at)
        if not isinstance(answer, (str, bool, int, type(None))) or answer not in self.cases:
            names = " or ".join(names_of(self.of))
            raise CheckpointError(
                f"the config has {names} = {shown(answer)}; expects one of {', '.join(map(str, self.cases))}."
            )
        return read(self.cases[answer], at)


def choice(of: Any, cases: Mapping[Any, Any]) -> Choice:
    """One of several values, depending on another."""
    return Choice(of, cases)


class Either(Struct, frozen=True):
    """What the first of several keys reads for which a config has an entry that is not null; else the last.

    Attributes:
        keys: in order.
    """

    keys: tuple[Key, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all entries that are read."""
        return tuple(name for each in self.keys for name in each.names)

    def read(self, at: At) -> Any:
        """The value.

        Raises:
            CheckpointError: it is not known.
        """
        there = (
            each for each in self.keys if any(within(at.config, name) not in (ABSENT, None) for name in each.names)
        )
        return next(there, self.keys[-1]).read(at)


class There(Struct, frozen=True):
    """Whether a checkpoint has an array of one of these names.

    Attributes:
        arrays: the names.
    """

    arrays: tuple[str, ...]

    def read(self, at: At) -> bool:
        """Whether one is there."""
        return any(name in at.arrays for name in self.arrays)


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
    """A list with a value for each layer in a config, or, where there is none, the result of a rule.

    Attributes:
        names: the possible names of the list.
        rule: is called with a layer's number, from 0, and the values of the keys.
        keys: the keys that the rule reads.
    """

    names: tuple[str, ...]
    rule: Callable[..., Any]
    keys: tuple[Any, ...] = ()

    def read(self, at: At) -> Any:
        """The listed value of a layer, or that of the rule.

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
