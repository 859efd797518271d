"""Small numbers and little sentences, drawn the same on any machine."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

import numpy as np

from clearhead.exercises.recipe import Recipe
from clearhead.line import Given

Array = np.ndarray[Any, Any]

MAX_IN_ROW = 3
"""So many numbers of a row, or of a column of weights, are not 0 at most: a hand can add up their products."""
Item = TypeVar("Item")

SENTENCES: dict[int, tuple[str, ...]] = {
    2: ("birds sing", "rivers rise", "snow falls", "stars shine"),
    3: ("cats chase mice", "rain feeds rivers", "children love stories", "bees make honey"),
    4: ("the cat is asleep", "our train arrives late", "every child likes cake", "my brother plays chess"),
    5: ("old trees shelter many birds", "my sister plays the drums", "they found a hidden door"),
    6: ("we read one book every week", "the baker wakes up before sunrise", "small boats cross our wide lake"),
    7: ("she taught her little brother to swim", "on clear nights we count falling stars"),
    8: ("every morning the old fisherman mends his nets", "our teacher writes very long sums on boards"),
}
"""Sentences by their number of words, none of which comes twice in one."""


def seeded(seed: int | str, purpose: str) -> Random:
    """Random numbers for one purpose, the same for the same seed."""
    return Random(f"{purpose} {seed}")  # noqa: S311 - numbers for an exercise, not a secret


def choose(rng: Random, items: Sequence[Item]) -> Item:
    """One of the items. Of all that `Random` has, only ``random`` is promised to stay the same."""
    return items[int(rng.random() * len(items))]


def sentence(rng: Random, words: int) -> tuple[str, ...]:
    """The tokens of a sentence with this number of words."""
    return tuple(choose(rng, SENTENCES[words]).split())


def sizes(recipe: Recipe) -> dict[str, int]:
    """How many there are along each axis."""
    groups = recipe.heads // 2 if "grouped" in recipe.parts else recipe.heads
    return {
        "token": recipe.tokens, "model": recipe.width, "depth": recipe.width // recipe.heads, "head": recipe.heads,
        "group": groups, "head*depth": recipe.width, "hidden": recipe.width + 1,
    }  # fmt: skip


def array(rng: Random, given: Given, recipe: Recipe) -> Array:
    """Small numbers for a given array: each token has a few, and each column of a weight has a few."""
    along, level = sizes(recipe), recipe.level
    *lead, rows, columns = (1, *(along[word] for word in given.axes))
    for_tokens = given.axes[0] == "token"
    numbers = level.weights if given.name == "position" else level.entries  # a position only shifts an entry a little
    matrices = np.zeros((int(np.prod(lead)), rows, columns))
    for matrix in matrices:
        while not _is_varied(matrix):
            if for_tokens:
                matrix[:] = _sparse(rng, rows, columns, numbers, fewest=2)
            else:
                matrix[:] = _sparse(rng, columns, rows, level.weights, fewest=1).T
    return matrices.reshape([along[word] for word in given.axes])


def _sparse(rng: Random, rows: int, columns: int, numbers: Sequence[float], *, fewest: int) -> Array:
    """In each row a few numbers, up to three, and zeros."""
    drawn = np.zeros((rows, columns))
    fewest = min(fewest, columns)
    for row in drawn:
        free = list(range(columns))
        for _ in range(choose(rng, range(fewest, min(columns, MAX_IN_ROW) + 1))):
            place = choose(rng, free)
            free.remove(place)
            row[place] = choose(rng, numbers)
    return drawn


def _is_varied(matrix: Array) -> bool:
    """Whether a matrix is not all zeros, nor all its rows or all its columns the same."""
    return bool(matrix.any()) and all(
        len({line.tobytes() for line in lines}) > 1 or len(lines) == 1 for lines in (matrix, matrix.T)
    )
