"""Weights in the order in which compiled products read them: in panels of columns, in the place of the matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from clearhead.axes import Shape

Numbers = np.ndarray[Any, Any]


class Panels:
    """A matrix (inner, column), or those of heads side by side (head, inner, depth), whose numbers lie in panels.

    ``turned``: a matrix (column, inner), as a table of embeddings that logits are computed with; ``panels[rows]`` are
    some of its rows. ``numbers`` is (panel, inner, lane): a panel has as many columns as it has lanes, and its rows lie
    one after the other; behind the last column are zeros. `plain` gives the matrix itself, in new memory.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, matrix: Numbers, lanes: int, *, turned: bool = False) -> None:
        """Lays a matrix out in panels of this many lanes, in new memory."""
        self.shape: Shape = matrix.shape
        self.turned = turned
        side_by_side = matrix.T if turned else matrix if matrix.ndim == 2 else _side_by_side(matrix)
        inner, columns = side_by_side.shape
        self.numbers = np.zeros((-(-columns // lanes), inner, lanes), np.float32)
        for at, panel in enumerate(self.numbers):
            part = side_by_side[:, at * lanes : (at + 1) * lanes]
            panel[:, : part.shape[1]] = part

    @property
    def ndim(self) -> int:
        """How many axes the matrix has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many numbers the matrix has."""
        return int(np.prod(self.shape))

    def matrix(self) -> Numbers:
        """The matrix, in new memory, which is read-only: what is written there would be lost."""
        panels, inner, lanes = self.numbers.shape
        wide = self.numbers.swapaxes(0, 1).reshape(inner, panels * lanes)
        wide.flags.writeable = False
        if self.turned:
            return wide.T[: self.shape[0]]
        if len(self.shape) == 2:
            return wide[:, : self.shape[1]]
        heads, _, depth = self.shape
        return wide[:, : heads * depth].reshape(inner, heads, depth).swapaxes(0, 1)

    def __getitem__(self, rows: Numbers) -> Numbers:
        """Rows of a turned matrix, by their numbers, which may count from its end."""
        count, lanes = self.shape[0], self.numbers.shape[-1]
        places = np.arange(count)[rows]
        return self.numbers[places // lanes, :, places % lanes]


def _side_by_side(heads: Numbers) -> Numbers:
    count, inner, depth = heads.shape
    return heads.swapaxes(0, 1).reshape(inner, count * depth)


def plain(array: Any) -> Any:
    """An array as it is; of one in panels, its matrix."""
    return array.matrix() if isinstance(array, Panels) else array
