"""Small numbers and short sentences, drawn the same on any machine."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

import numpy as np

from clearhead.exercises.recipe import Recipe
from clearhead.line import Given

Array = np.ndarray[Any, Any]

MAX_IN_ROW = 3
"""The most numbers of a row, or of a column of weights, that are not 0: their products are easy to sum by hand."""
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
"""Sentences by their number of words; no sentence has a word twice."""


def seeded(seed: int | str, purpose: str) -> Random:
    """Random numbers for one purpose, the same for the same seed."""
    return Random(f"{purpose} {seed}")  # noqa: S311 - numbers for an exercise, not a secret


def choose(rng: Random, items: Sequence[Item]) -> Item:
    """One of the items. Of all that `Random` has, only ``random`` is promised to stay the same."""
    return items[int(rng.random() * len(items))]


def sentence(rng: Random, words: int) -> tuple[str, ...]:
    """The tokens of a sentence with this number of words."""
    return tuple(choose(rng, SENTENCES[words]).split())


MEMORY = 2
"""The tokens of a given memory."""


def shape_of(given: Given, recipe: Recipe) -> tuple[int, ...]:
    """The shape of a given array."""
    groups = recipe.heads // 2 if "grouped" in recipe.parts else recipe.heads
    sizes = {
        "token": recipe.tokens, "query": recipe.tokens, "key": MEMORY if given.name == "memory" else recipe.tokens,
        "model": recipe.width, "depth": recipe.width // recipe.heads, "head": recipe.heads, "group": groups,
        "head*depth": recipe.width, "hidden": recipe.width + 1, "vocabulary": recipe.tokens + 1,
    }  # fmt: skip
    return tuple(sizes[word] for word in given.axes)


def array(rng: Random, given: Given, recipe: Recipe) -> Array:
    """Small numbers for a given array: each token has a few, and each column of a weight has a few."""
    shape = shape_of(given, recipe)
    if given.holds == "integers":
        return _words(rng, shape[0], recipe.tokens + 1)
    if given.holds == "booleans":
        return _halves(rng, shape)
    level = recipe.level
    *lead, rows, columns = (1, *shape)
    for_tokens = given.axes[0] in ("token", "vocabulary", "key")
    # A position only shifts an entry a little.
    numbers = level.weights if given.name.rpartition(".")[2] == "position" else level.entries
    matrices = np.zeros((int(np.prod(lead)), rows, columns))
    for matrix in matrices:
        while not _is_varied(matrix):
            if for_tokens:
                matrix[:] = _sparse(rng, rows, columns, numbers, fewest=2)
            else:
                matrix[:] = _sparse(rng, columns, rows, level.weights, fewest=1).T
    return matrices.reshape(shape)


def _words(rng: Random, count: int, vocabulary: int) -> Array:
    """Different words of a vocabulary, by their numbers."""
    free = list(range(vocabulary))
    return np.array([free.pop(int(rng.random() * len(free))) for _ in range(count)])


def _halves(rng: Random, shape: tuple[int, ...]) -> Array:
    """Booleans of which each row has True and False, as evenly as it can."""
    rows = np.zeros((int(np.prod(shape[:-1])), shape[-1]), dtype=bool)
    for row in rows:
        row[_words(rng, (len(row) + 1) // 2, len(row))] = True
    return rows.reshape(shape)


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
