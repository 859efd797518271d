"""The smallest input on which a property fails: first fewer tokens, heads and features, then simpler numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

import numpy as np
from msgspec.structs import replace

from clearhead.check.calls.drawing import Inputs, Sizes, draw, known_sizes, sizes_of
from clearhead.check.probing.metamorphic import Array, Property, Trial, Violation

MAX_CALLS = 150
"""The most tests of a property in the search for a smaller input."""

SEEDS = 3
"""How many inputs of a size are drawn before the size counts as too small."""

SHRINKABLE = ("batch", "token", "past", "apart", "head", "depth", "model", "hidden")
"""The axes to make smaller, in this order. One token less changes both queries and keys."""

SIMPLE = (0.0, 1.0)
"""The numbers to try in place of each other one."""


def smallest(
    prop: Property, trial: Trial, found: Violation, tied: tuple[str, ...] = (), most: int = MAX_CALLS
) -> Violation:
    """The violation of a property on the smallest inputs that a greedy search finds; ``tied`` sizes stay equal.

    ``most``: the most tests of the property.
    """
    budget = iter(range(most))
    return _simpler(prop, trial, _fewer(prop, trial, found, tied, budget), budget)


def _fewer(prop: Property, trial: Trial, found: Violation, tied: tuple[str, ...], budget: Iterator[int]) -> Violation:
    """Smaller axes, one after the other, and whole numbers."""
    found = _at_size(prop, trial, found, found.inputs.sizes, budget) or found
    known = known_sizes(trial.task).keys()
    for word in SHRINKABLE:
        words = tied if word in tied else (word,)
        if known & {*words} or word not in found.inputs.sizes:
            continue
        for size in range(1, found.inputs.sizes[word]):
            shrunk = _at_size(prop, trial, found, _with(trial, found.inputs.sizes, words, size), budget)
            if shrunk:
                found = shrunk
                break
    return found


FOLLOWING = {
    "token": ("query", "key"), "past": ("key",), "head": ("head*depth", "group"), "depth": ("head*depth",)
}  # fmt: skip
"""The sizes that follow from others."""


def _with(trial: Trial, sizes: Sizes, words: Sequence[str], size: int) -> Sizes:
    """The sizes with some changed, and those that follow from them."""
    following = {each for word in words for each in FOLLOWING.get(word, ())}
    kept = {each: n for each, n in sizes.items() if each not in following}
    return sizes_of(trial.task, {**kept, **dict.fromkeys(words, size)})


def _at_size(prop: Property, trial: Trial, found: Violation, sizes: Sizes, budget: Iterator[int]) -> Violation | None:
    for seed in range(SEEDS):
        if next(budget, None) is None:
            return None
        again = _again(prop, trial, found, draw(trial.task, sizes, seed, batch=trial.batch, kind="whole"))
        if again:
            return again
    return None


def _again(prop: Property, trial: Trial, found: Violation, inputs: Inputs) -> Violation | None:
    """The violation on other inputs; None where there is NaN or infinity there alone, which is another one."""
    again = prop.tried(trial, inputs)
    return again if again and (isfinite(again.got) or not isfinite(found.got)) else None


def _simpler(prop: Property, trial: Trial, found: Violation, budget: Iterator[int]) -> Violation:
    """Zeros, or else ones, wherever the property still fails: in whole arrays, then rows, then single cells."""
    for axes in (None, -1, 0):
        for name, array in found.inputs.arrays.items():
            places = [] if array.dtype.kind != "f" else list(_places(array, axes))
            for place in places:
                found = _with_simple(prop, trial, found, name, place, budget)
    return found


def _places(array: Array, depth: int | None) -> Iterator[tuple[int, ...]]:
    """The parts of an array: the whole, or slices along the leading axes."""
    yield from np.ndindex(array.shape[: 0 if depth is None else array.ndim + depth])


def _with_simple(
    prop: Property, trial: Trial, found: Violation, name: str, place: tuple[int, ...], budget: Iterator[int]
) -> Violation:
    for simple in SIMPLE:
        now = found.inputs.arrays[name][place]
        if np.isin(now, SIMPLE[: SIMPLE.index(simple) + 1]).all() or next(budget, None) is None:
            break
        better = _again(prop, trial, found, _replaced(found.inputs, name, place, simple))
        if better:
            return better
    return found


def _replaced(inputs: Inputs, name: str, place: tuple[int, ...], number: float) -> Inputs:
    array = inputs.arrays[name].copy()
    array[place] = number
    return replace(inputs, arrays={**inputs.arrays, name: array})
