"""Parameters of other libraries in the working's layout: axes are named by their words."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.axes import Axes
from clearhead.axes import axes as words_of
from clearhead.errors import ShapeError
from clearhead.trace import to_numpy

Array = np.ndarray[Any, Any]


class Parameter(Struct, frozen=True):
    """A row of an adapter's table: a given array, its name in a module, and its layout there.

    ``stored`` has the module's axis words, the words of one axis joined by ``*``, slowest first;
    ``part`` says which one it is of several arrays that are stored together, along the axis word ``part``.
    """

    array: str
    path: str
    stored: str
    part: int = 0


def laid_out(array: Any, row: Parameter, wanted: Axes, sizes: Mapping[str, int]) -> Array:
    """A stored array with the axes ``wanted``.

    Raises:
        ShapeError: the array does not have the shape of the table.
    """
    stored = words_of(row.stored)
    numbers = to_numpy(array)
    apart = [word for axis in stored for word in axis.split("*")]
    shape = [sizes.get(word, -1) for word in apart]
    if numbers.ndim != len(stored) or shape.count(-1) > 1 or not _divides(numbers.size, shape):
        raise ShapeError(f"{row.path} expects ({', '.join(stored)}) with {dict(sizes)}, got shape {numbers.shape}.")
    split = numbers.reshape(shape)
    if "part" in apart:
        split = np.take(split, row.part, axis=apart.index("part"))
        apart.remove("part")
    order = [word for axis in wanted for word in axis.split("*")]
    if "group" not in order:  # there is one key/value head per query head
        apart = ["head" if word == "group" else word for word in apart]
    turned = np.transpose(split, [apart.index(word) for word in order])
    found = dict(zip(order, turned.shape, strict=True))
    return np.reshape(turned, [prod(found[word] for word in axis.split("*")) for axis in wanted]).astype(np.float64)


def _divides(size: int, shape: list[int]) -> bool:
    known = prod(n for n in shape if n != -1)
    return known > 0 and (size % known == 0 if -1 in shape else size == known)
