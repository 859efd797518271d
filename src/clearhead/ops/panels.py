"""Weights in the order in which compiled products read them: in panels of columns, in the place of the matrix."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from clearhead.axes import Shape

Numbers = np.ndarray[Any, Any]


class Coding(NamedTuple):
    """How a number of a panel is stored: as it is, or as a whole number with a scale and an offset.

    Attributes:
        bits: of a number as it is stored.
        length: how many whole numbers of a column share a scale and an offset; 0 where each number is its own.
        zero: what is added to each whole number, so that it is not negative.
        is_short: a float32 number without its lower half (bfloat16).
    """

    bits: int = 32
    length: int = 0
    zero: int = 0
    is_short: bool = False


FLOAT32, FLOAT16, BFLOAT16 = Coding(), Coding(16), Coding(16, is_short=True)

BY_TYPE = {np.dtype(np.float32): FLOAT32, np.dtype(np.float16): FLOAT16, np.dtype(np.uint16): BFLOAT16}
"""How numbers of a NumPy type are stored; the upper halves of float32 numbers are whole numbers to NumPy."""

FOUR_BYTES, FOUR_BITS = 4, 4
LOW, HIGH = np.uint8(15), np.uint8(4)


class Blocks(NamedTuple):
    """Numbers as small whole numbers: ``scales*whole + offsets``, or without offsets ``scales*whole``.

    ``whole`` is (column, block, number), of one byte each; a scale and an offset, (column, block), hold for
    ``coding.length`` numbers.
    """

    whole: Numbers
    scales: Numbers
    offsets: Numbers | None
    coding: Coding

    def floats(self) -> Numbers:
        """The numbers, (column, block, number), each step of the formula rounded to float32."""
        return _floats(self.whole, self.scales, self.offsets)


def _floats(whole: Numbers, scales: Numbers, offsets: Numbers | None) -> Numbers:
    """Numbers of blocks that run along axis 2."""
    out = whole.astype(np.float32)
    # A damaged scale gives NaN or infinity, which the lines computed with it show.
    with np.errstate(over="ignore", invalid="ignore"):
        out *= np.expand_dims(scales, 2)
        if offsets is not None:
            out += np.expand_dims(offsets, 2)
    return out


class Panels:
    """A matrix (inner, column), or those of heads side by side (head, inner, depth), whose numbers lie in panels.

    ``turned``: a matrix (column, inner), as a table of embeddings that logits are computed with; ``panels[rows]`` are
    some of its rows. ``numbers`` is (panel, inner, lane): a panel has as many columns as it has lanes, and its rows lie
    one after the other; behind the last column are zeros. `plain` gives the matrix itself, in new memory.

    ``coding`` says how numbers are stored. Where it has a length, ``numbers`` is (panel, block, byte): of each block
    the scales of all lanes, the offsets, and row by row the whole numbers. One of 4 bits shares a byte with the one
    that is half a block behind, which has the upper half.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self, matrix: Numbers | Blocks, lanes: int, *, turned: bool = False, shape: Shape | None = None
    ) -> None:
        """Lays a matrix out in panels of this many lanes, in new memory.

        It may be stored in one of the types of BY_TYPE. Blocks have the columns of all heads side by side; ``shape`` is
        that of the matrix that they make, if it has heads.
        """
        self.lanes, self.turned = lanes, turned
        if isinstance(matrix, Blocks):
            self.numbers, self.coding = _in_bytes(matrix, lanes), matrix.coding
            self.shape = shape or _turned_shape(matrix, turned=turned)
            return
        self.shape, self.coding = matrix.shape, BY_TYPE[matrix.dtype]
        columns_of = matrix.T if turned else side_by_side(matrix)
        inner, columns = columns_of.shape
        self.numbers = np.zeros((-(-columns // lanes), inner, lanes), matrix.dtype)
        for at, panel in enumerate(self.numbers):
            part = columns_of[:, at * lanes : (at + 1) * lanes]
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
        numbers = self._read((slice(None),), ())
        panels, inner, lanes = numbers.shape
        wide = numbers.swapaxes(0, 1).reshape(inner, panels * lanes)
        wide.flags.writeable = False
        if self.turned:
            return wide.T[: self.shape[0]]
        if len(self.shape) == 2:
            return wide[:, : self.shape[1]]
        heads, _, depth = self.shape
        return wide[:, : heads * depth].reshape(inner, heads, depth).swapaxes(0, 1)

    def __getitem__(self, rows: Numbers) -> Numbers:
        """Rows of a turned matrix, by their numbers, which may count from its end."""
        places = np.arange(self.shape[0])[rows]
        return self._read((places // self.lanes,), (places % self.lanes,))

    def _read(self, panels: tuple[Any, ...], lane: tuple[Any, ...]) -> Numbers:
        """Some panels, or a lane of each, as float32: (panel, inner, lane) or (panel, inner)."""
        coding, at = self.coding, (*panels, ..., *lane)
        if not coding.length:
            found = self.numbers[at]
            return _widened(found) if found.dtype == np.uint16 else found.astype(np.float32, copy=False)
        end = self.lanes * FOUR_BYTES
        scales, offsets = (self.numbers[..., edge : edge + end].view(np.float32)[at] for edge in (0, end))
        stored = self.numbers[..., 2 * end :]
        whole = stored.reshape(*stored.shape[:2], -1, self.lanes)[at]
        if coding.bits == FOUR_BITS:
            whole = np.concatenate([whole & LOW, whole >> HIGH], axis=2)
        found = _floats(whole.view(np.int8) - np.int8(coding.zero), scales, offsets)
        return found.reshape(len(found), -1, *found.shape[3:])


def side_by_side(heads: Numbers) -> Numbers:
    """The columns of all heads, (inner, column), of (head, inner, depth); a matrix as it is."""
    if heads.ndim == 2:
        return heads
    count, inner, depth = heads.shape
    return heads.swapaxes(0, 1).reshape(inner, count * depth)


def _widened(upper: Numbers) -> Numbers:
    """Float32 numbers of their upper halves."""
    wide = upper.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def _turned_shape(blocks: Blocks, *, turned: bool) -> Shape:
    columns, count, length = blocks.whole.shape
    return (columns, count * length) if turned else (count * length, columns)


def _in_bytes(blocks: Blocks, lanes: int) -> Numbers:
    """Blocks in panels of this many lanes."""
    columns, count, length = blocks.whole.shape
    panels, rows = -(-columns // lanes), length * blocks.coding.bits // 8
    end = lanes * FOUR_BYTES
    out = np.zeros((panels, count, 2 * end + rows * lanes), np.uint8)
    out[..., end : 2 * end].view(np.float32)[...] = -0.0  # changes no number that it is added to
    for at, panel in enumerate(out):
        part = slice(at * lanes, (at + 1) * lanes)
        whole = blocks.whole[part]
        here = len(whole)
        panel[:, :end].view(np.float32)[:, :here] = blocks.scales[part].T
        if blocks.offsets is not None:
            panel[:, end : 2 * end].view(np.float32)[:, :here] = blocks.offsets[part].T
        stored = (whole + np.int8(blocks.coding.zero)).view(np.uint8)
        if blocks.coding.bits == FOUR_BITS:
            stored = stored[..., : length // 2] | stored[..., length // 2 :] << HIGH
        panel[:, 2 * end :].reshape(count, rows, lanes)[..., :here] = stored.transpose(1, 2, 0)
    return out


def plain(array: Any) -> Any:
    """An array as it is; of one in panels, its matrix."""
    return array.matrix() if isinstance(array, Panels) else array


def layout_of(array: Any) -> object:
    """How the numbers of an array lie: its strides, or how its panels are stored."""
    return (array.coding, array.turned) if isinstance(array, Panels) else getattr(array, "strides", None)
