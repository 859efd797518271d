"""Properties of a function: its results on inputs and on changed inputs, and where these violate a property."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.calls.calling import Caller
from clearhead.check.calls.drawing import Inputs
from clearhead.check.calls.observing import close
from clearhead.check.calls.task import Arrays, Task
from clearhead.errors import ClearheadError

Array = np.ndarray[Any, Any]


class Change(Struct, frozen=True, eq=False):
    """Changed inputs, and the outputs that then follow from the earlier ones.

    ``expected`` turns an output before the change into the one after; ``where`` are its cells that must agree. Both are
    given the axis words of the output.
    """

    says: str
    arrays: Arrays
    expected: Callable[[tuple[str, ...], Array], Array] = lambda _, before: before
    where: Callable[[tuple[str, ...], Array], Array] = lambda _, before: np.ones(before.shape, dtype=bool)


class Violation(Struct, frozen=True, eq=False):
    """A property that fails: on these inputs, after this change, at this cell."""

    says: str
    inputs: Inputs
    line: str
    cell: tuple[int, ...]
    expected: float
    got: float
    changed: Arrays = {}


class Trial(Struct, frozen=True):
    """A function under test: how it is called, and its task."""

    caller: Caller
    eps: float = 0.0
    """The relative precision of the function's numbers, where it is known."""

    @property
    def task(self) -> Task:
        """The task of the function."""
        return self.caller.task

    @property
    def batch(self) -> bool:
        """Whether it takes a batch."""
        return self.caller.form.batch

    def outputs(self, inputs: Inputs, arrays: Arrays | None = None) -> tuple[Array, ...] | None:
        """The function's results in the working's layout; None if it raises, or returns another shape."""
        try:
            shapes = self.task.working.shapes({name: array.shape for name, array in inputs.given(self.task).items()})
        except ClearheadError:
            return None
        return self.caller.numbers(arrays or inputs.arrays, [shapes[name] for name in self.task.returns])

    def words(self, name: str, array: Array) -> tuple[str, ...]:
        """The axis words of an array, with the batch."""
        axes = self.task.axes(name)
        return ("batch",) * (array.ndim - len(axes)) + axes


def violation(
    says: str, inputs: Inputs, line: str, off: Array, numbers: tuple[Array, Array], changed: Arrays | None = None
) -> Violation:
    """The violation at the first wrong cell, with the expected and the actual number."""
    expected, got = numbers
    cell = tuple(int(n) for n in np.argwhere(off)[0])
    return Violation(says, inputs, line, cell, float(expected[cell]), float(got[cell]), dict(changed or {}))


class Property(Struct, frozen=True):
    """A property: its sentence, the tasks that it applies to, and its test."""

    id: str
    says: str
    applies: Callable[[Task], bool]
    tried: Callable[[Trial, Inputs], Violation | None]


def by_changes(changes: Callable[[Trial, Inputs], Iterator[Change]]) -> Callable[[Trial, Inputs], Violation | None]:
    """A property that is tested by changing inputs."""

    def tried(trial: Trial, inputs: Inputs) -> Violation | None:
        before = trial.outputs(inputs)
        if before is None:
            return None
        for change in changes(trial, inputs):
            after = trial.outputs(inputs, {**inputs.arrays, **change.arrays})
            found = None if after is None else _moved(trial, inputs, change, before, after)
            if found:
                return found
        return None

    return tried


def _moved(
    trial: Trial, inputs: Inputs, change: Change, before: tuple[Array, ...], after: tuple[Array, ...]
) -> Violation | None:
    for name, one, other in zip(trial.task.returns, before, after, strict=True):
        words = trial.words(name, one)
        expected = change.expected(words, one)
        off = ~close(expected, other, trial.eps) & change.where(words, one)
        if off.any():
            return violation(change.says, inputs, name, off, (expected, other), change.arrays)
    return None


def at(words: tuple[str, ...], word: str, index: Any) -> tuple[Any, ...]:
    """The place of these entries along the axis of a word."""
    return tuple(index if each == word else slice(None) for each in words)


def shifted(trial: Trial, name: str, array: Array, **at: Any) -> Array:
    """The array with 1 added to all numbers at these entries of its axes; booleans inverted, and whole numbers too."""
    words = trial.words(name, array)
    place = tuple(at.get(word, slice(None)) for word in words)
    changed = array.copy()
    if changed.dtype.kind == "f":
        changed[place] += 1
    else:  # numbers of tokens and classes stay in their range
        changed[place] = ~changed[place] if changed.dtype.kind == "b" else changed.max() - changed[place]
    return changed


def along(words: tuple[str, ...], shape: tuple[int, ...], flags: Array, axes: tuple[str, ...]) -> Array:
    """Flags with these axes, broadcast over an array with axes ``words``."""
    for number, word in enumerate(words):
        if word not in axes:
            flags = np.expand_dims(flags, number)
    return np.broadcast_to(flags, shape)


QUERY_WORDS = ("token", "query")


def query_word(words: tuple[str, ...]) -> str | None:
    """The axis of an output that has one entry per query."""
    return next((word for word in words if word in QUERY_WORDS), None)
