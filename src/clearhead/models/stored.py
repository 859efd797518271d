"""Weights in panels as the checkpoint stores their numbers: no float32 number is made of any before it is read."""

from __future__ import annotations

import numpy as np

from clearhead.models.layout import turned
from clearhead.models.reading import Sizes
from clearhead.models.tensors import Floats, Tensor
from clearhead.ops.panels import Blocks, Panels, side_by_side

HALVES = {"F16": "<f2", "BF16": "<u2"}
"""The types of two bytes, and what NumPy reads of them: of bfloat16 the bits."""

MOVES = frozenset(
    {"linear", "interleaved-rows", "heads", "groups", "query", "key", "value", "first-half", "second-half"}
)
"""Layout words that move numbers, and whole rows of a matrix as it is stored with its inputs along a row."""


def panels_of(tensor: Tensor, words: tuple[str, ...], sizes: Sizes, lanes: int, *, of_turned: bool) -> Panels | None:
    """A tensor's numbers in panels, in fewer bits than float32 has; None if that cannot be had.

    ``words`` are those of its layout; ``of_turned``: see `Panels`.
    """
    if type(tensor) is not Tensor or not MOVES.issuperset(words):
        return None
    if tensor.kind.name in HALVES:
        halves = tensor.stored.view(HALVES[tensor.kind.name]).reshape(tensor.shape)
        return Panels(turned(tensor.name, halves, words, sizes), lanes, turned=of_turned)
    if tensor.kind.split is None or len(tensor.shape) != 2:
        return None
    columns, shape = _columns(tensor, words, sizes, of_turned=of_turned)
    if columns is None:
        return None
    blocks = tensor.kind.split(tensor.stored)

    def rows(part: Floats) -> Floats:
        found = part.reshape(tensor.shape[0], -1, *part.shape[2:])
        return found if np.array_equal(columns, np.arange(len(found))) else found[columns]

    offsets = None if blocks.offsets is None else rows(blocks.offsets)
    laid = Blocks(rows(blocks.whole), rows(blocks.scales), offsets, blocks.coding)
    return Panels(laid, lanes, turned=of_turned, shape=shape)


def _columns(
    tensor: Tensor, words: tuple[str, ...], sizes: Sizes, *, of_turned: bool
) -> tuple[Floats | None, tuple[int, ...]]:
    """For each column of all heads side by side the row as which it is stored, and the shape of the weight.

    They are found by moving a matrix that has these numbers in it. None if a column is no whole row.
    """
    count, inner = tensor.shape
    moved = turned(tensor.name, np.arange(2 * count).reshape(count, 2), words, sizes)
    first, second = moved.T if of_turned else side_by_side(moved)
    whole = len(first) and not (first % 2).any() and np.array_equal(first + 1, second)
    axis = -1 if of_turned else -2
    shape = list(moved.shape)
    shape[axis] = inner
    return (first // 2 if whole else None), tuple(shape)
