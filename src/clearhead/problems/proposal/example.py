"""One worked example of a notebook: the lines that it computes, and what it printed of them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from msgspec import Struct, field

from clearhead.problems.names import role_of, role_of_layer
from clearhead.problems.proposal.events import Event
from clearhead.problems.proposal.reading import Reader
from clearhead.problems.proposal.values import NOTHING, NumpyArray, Value, array_of

LINES = (
    "input", "query", "key", "value", "scores", "scaled", "masked", "weights", "softmax", "head", "concat", "output",
    "residual", "norm", "affine", "positions", "loss.token",
)  # fmt: skip

Address = tuple[str, int]
"""A line, and its head as the notebook numbers it; 0 for none."""


class Shown(Struct, frozen=True):
    """Numbers that were printed, or written out over a computed line."""

    numbers: Any
    place: str


class Example(Struct):
    """What one example computes.

    Attributes:
        lines: what is known of each line.
        shown: what was printed for each line, the last time.
        facts: what was seen on the way.
        unsure: what could not be decided, in words.
        unplaced: where numbers were printed whose line is not known.
        noted: the values that were looked at.
    """

    lines: dict[Address, Value] = field(default_factory=dict)
    shown: dict[Address, Shown] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    unsure: list[str] = field(default_factory=list)
    unplaced: list[str] = field(default_factory=list)
    noted: dict[int, Value] = field(default_factory=dict)

    def note(self, value: Value) -> None:
        """Keeps a line, and all that it was made of."""
        if id(value) in self.noted:
            return
        self.noted[id(value)] = value  # which keeps it, and so its number
        if value.role in LINES:
            known = self.lines.get((value.role, value.head))
            if known is None or value.parts or value.array is not None:
                self.lines[value.role, value.head] = value
        for each in value.parts:
            self.note(each)

    def claim(self, value: Value, numbers: Any, place: str) -> None:
        """Keeps what was printed for a line."""
        address = value.role, value.head
        if value.turned and (array := array_of(numbers)) is not None and array.ndim == 2:
            numbers = [list(column) for column in zip(*numbers, strict=True)]
        before = self.shown.get(address)
        if before is not None and not np.array_equal(_plain(before.numbers), _plain(numbers)):
            self.unsure.append(f"{value.role} is printed more than once; the numbers of {place} are taken.")
        self.shown[address] = Shown(numbers, place)

    def numbers(self, address: Address) -> NumpyArray | None:
        """The numbers of a line, as they are written out or were printed."""
        value = self.lines.get(address, NOTHING)
        if value.array is not None:
            return value.array
        return array_of(self.shown[address].numbers) if address in self.shown else None

    @property
    def heads(self) -> list[int]:
        """The heads as the notebook numbers them; [0] for one without a number."""
        found = {head for role, head in self.lines if role in ("query", "key", "value", "scores", "weights", "head")}
        return sorted(found - {0}) or [0]


def _plain(numbers: Any) -> NumpyArray:
    found = array_of(numbers)
    return np.zeros(0) if found is None else found


def examples(events: Iterable[Event]) -> Iterator[Example]:
    """The examples of a notebook. A new one begins where an input that was used gets other numbers."""
    reader = Reader()
    current = Example()
    for event in events:
        if isinstance(event.function, ast.ClassDef):
            reader.modules.define(event.function)
            continue
        if event.function is not None:
            reader.functions[event.name] = event.function
            continue
        if (layer := _layer(event, reader)) is not None:
            reader.keep_layer(*layer)
            continue
        reader.modules.assign(event.name, event.value)
        reader.keep_table(event.name, event.value, event.source)
        value = reader.value(event.value, event.source, event.name)
        before = reader.known.get(event.name, NOTHING)
        if event.name and current.shown and _was_input(before, current) and value.array is not None:
            yield _ended(current, reader)
            current = Example()
        if event.name:
            value = _kept(value, before, event, current)
            reader.known[event.name] = value
        if (printed := _as_printed(event, value, current)) is not None:
            value = reader.known[printed[0]] = printed[1]
            current.unsure.append(f"{printed[0]} is not written out; it is taken with the digits that were printed.")
        current.note(value)
        if event.shown is not None and not _is_given(value):
            if value.role in LINES:
                current.claim(value, event.shown, event.place)
            else:
                current.unplaced.append(event.place)
    yield _ended(current, reader)


def _as_printed(event: Event, value: Value, example: Example) -> tuple[str, Value] | None:
    """A name for an input or a weight that is computed unseen, and what it holds, as it was printed."""
    if not isinstance(event.value, ast.Name) or event.shown is None or value.array is not None or value.role:
        return None
    role, head = role_of(event.value.id)
    array = array_of(event.shown)
    is_given = role.endswith(".weight") or (role == "input" and ("input", 0) not in example.lines)
    return (event.value.id, Value(array, role, head)) if is_given and array is not None else None


def _layer(event: Event, reader: Reader) -> tuple[str, NumpyArray] | None:
    """The weight of a layer that an event assigns or shows, by its path, and its numbers."""
    shown = "" if event.name or event.shown is None or event.value is None else reader.modules.path(event.value)
    path = event.name if "." in event.name else shown
    if not role_of_layer(path)[0]:
        return None
    array = array_of(event.shown) if shown else reader.value(event.value, event.source).array
    return None if array is None else (path, array)


def _ended(example: Example, reader: Reader) -> Example:
    example.facts, reader.facts = reader.facts, {}
    example.unsure += reader.unsure
    reader.unsure = []
    return example


def _is_given(value: Value) -> bool:
    """Whether numbers that are printed only repeat what is written out."""
    return value.array is not None and not value.parts


def _was_input(value: Value, example: Example) -> bool:
    """Whether projections of an example read this array."""
    return value.array is not None and any(
        each.parts and each.parts[0].array is value.array for each in example.lines.values()
    )


def _kept(value: Value, before: Value, event: Event, example: Example) -> Value:
    """What a name holds now: a computed line that is written over by numbers stays the line, with these as a claim."""
    if value.array is not None and not value.role and before.role in LINES and before.array is None:
        example.claim(before, value.array.tolist(), event.place)
        return before
    if not value.role and value.array is not None:
        role, head = role_of(event.name)
        return Value(value.array, role, head, value.turned, value.parts)
    return value
