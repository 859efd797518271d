"""The smallest input on which a property fails: fewer tokens, heads and features first, then simpler numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec.structs import replace

from clearhead.check.probing.drawing import Inputs, Sizes, draw, known_sizes, sizes_of
from clearhead.check.probing.trials import Property, Trial, Violation

MOST_CALLS = 150
"""How often a property is tried at most on the way to a smaller input."""

SEEDS = 3
"""How many inputs of a size are drawn before it counts as too small to show anything."""

SHRINKABLE = ("batch", "token", "past", "apart", "head", "depth", "model", "hidden")
"""The axes to make smaller, in this order. One token less changes queries and keys alike."""

SIMPLE = (0.0, 1.0)
"""The numbers to try in place of each other one."""


def smallest(prop: Property, trial: Trial, found: Violation) -> Violation:
    """The violation of a property on the smallest inputs that a greedy search finds."""
    budget = iter(range(MOST_CALLS))
    return _simpler(prop, trial, _fewer(prop, trial, found, budget), budget)


def _fewer(prop: Property, trial: Trial, found: Violation, budget: Iterator[int]) -> Violation:
    """Smaller axes, one after the other, and whole numbers."""
    found = _at_size(prop, trial, found.inputs.sizes, budget) or found
    known = known_sizes(trial.task)
    for word in SHRINKABLE:
        if word in known or word not in found.inputs.sizes:
            continue
        for size in range(1, found.inputs.sizes[word]):
            shrunk = _at_size(prop, trial, _with(trial, found.inputs.sizes, word, size), budget)
            if shrunk:
                found = shrunk
                break
    return found


def _with(trial: Trial, sizes: Sizes, word: str, size: int) -> Sizes:
    """The sizes with one changed, and those that follow from it."""
    dependent = {"token": ("query", "key"), "past": ("key",), "head": ("head*depth",), "depth": ("head*depth",)}
    kept = {each: n for each, n in sizes.items() if each not in dependent.get(word, ())}
    return sizes_of(trial.task, {**kept, word: size})


def _at_size(prop: Property, trial: Trial, sizes: Sizes, budget: Iterator[int]) -> Violation | None:
    for seed in range(SEEDS):
        if next(budget, None) is None:
            return None
        found = prop.tried(trial, draw(trial.task, sizes, seed, batch=trial.batch, kind="whole"))
        if found:
            return found
    return None


def _simpler(prop: Property, trial: Trial, found: Violation, budget: Iterator[int]) -> Violation:
    """Zeros, or else ones, wherever they still show it."""
    for name, array in found.inputs.arrays.items():
        if array.dtype.kind == "b":
            continue
        for cell in np.ndindex(array.shape):
            for simple in SIMPLE:
                if found.inputs.arrays[name][cell] in SIMPLE[: SIMPLE.index(simple) + 1]:
                    break
                if next(budget, None) is None:
                    return found
                tried = _replaced(found.inputs, name, cell, simple)
                better = prop.tried(trial, tried)
                if better:
                    found = better
                    break
    return found


def _replaced(inputs: Inputs, name: str, cell: tuple[int, ...], number: float) -> Inputs:
    array = inputs.arrays[name].copy()
    array[cell] = number
    return replace(inputs, arrays={**inputs.arrays, name: array})
