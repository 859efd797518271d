"""Arrays in a file: found, checked, and converted only when they are needed."""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.axes import Shape
from clearhead.errors import CheckpointError
from clearhead.files import open_regular, read_bounded, why
from clearhead.ops.panels import Blocks

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, Any]

MAX_AXES = 8


class Kind(Struct, frozen=True):
    """A stored type of number: ``values`` numbers in ``bytes`` bytes, and their conversion.

    ``widen`` takes the bytes of whole blocks and returns their values in order, as one axis. Where values are small
    whole numbers with scales, ``split`` gives these: (block, part, number), as many parts as have a scale of their own.
    """

    name: str
    values: int
    bytes: int
    widen: Callable[[Bytes], Floats]
    split: Callable[[Bytes], Blocks] | None = None

    def size(self, shape: Shape) -> int | None:
        """The bytes that an array of this shape takes; None if its rows are no whole blocks."""
        if (shape[-1] if shape else 1) % self.values:
            return None
        return math.prod(shape) // self.values * self.bytes


class Tensor(Struct, frozen=True):
    """An array in a file: its ``name``, its ``kind`` of number, its ``shape``, and its bytes (``stored``), unread."""

    name: str
    kind: Kind
    shape: Shape
    stored: Bytes

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays of the file that it is made of."""
        return (self.name,)

    def array(self) -> Floats:
        """The numbers: a view of the file where it has float32, else converted into new memory."""
        values = self.kind.widen(self.stored).reshape(self.shape)
        if not np.may_share_memory(values, self.stored):
            release(self.stored)
        return values


class Stacked(Tensor, frozen=True, eq=False):
    """Arrays of one shape, each an array of the file: those of all experts, the first axis their number."""

    parts: tuple[Tensor, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays that it is made of."""
        return tuple(each.name for each in self.parts)

    def array(self) -> Floats:
        """The numbers of all, converted into new memory."""
        return np.stack([each.array() for each in self.parts])


def stacked(parts: Sequence[Tensor]) -> Stacked | None:
    """Arrays as one; None if they differ in shape."""
    first = parts[0]
    if any(each.shape != first.shape for each in parts):
        return None
    return Stacked(first.name, first.kind, (len(parts), *first.shape), first.stored, tuple(parts))


Tensors = Mapping[str, Tensor]
"""The arrays of a checkpoint by name."""


def mapped(path: Path) -> Bytes:
    """The bytes of a file, mapped into memory, read-only.

    Raises:
        CheckpointError: it cannot be opened, or is empty.
    """
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise CheckpointError(f"{path}: the file is empty. Fetch it again.")
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except CheckpointError:
        raise
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: the file cannot be read: {why(error)}.") from None


def release(stored: Bytes) -> None:
    """Gives the memory of a mapped file's whole pages back: they are read again from the file if they are needed."""
    owner: Any = stored
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    view = owner.base
    source = view.obj if isinstance(view, memoryview) else view
    if not isinstance(source, mmap.mmap) or not hasattr(source, "madvise"):
        return
    start = stored.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (start + stored.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - first
    if length > 0:
        source.madvise(mmap.MADV_DONTNEED, first, length)


def content(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file that is no larger than this.

    Raises:
        CheckpointError: it cannot be read, or is larger.
    """
    try:
        return read_bounded(path, max_bytes)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: the file cannot be read: {why(error)}.") from None


def plain(name: str, dtype: str) -> Kind:
    """A NumPy type: float32 as it is where it is aligned, else converted to float32; booleans and integers stay."""
    stored = np.dtype(dtype)

    def widen(data: Bytes) -> Floats:
        values = data.view(stored)
        if stored.kind != "f":
            return values.copy()
        if stored == np.float32 and values.flags.aligned:
            return values
        with np.errstate(over="ignore"):  # float64 beyond float32 is infinite
            return values.astype(np.float32)

    return Kind(name, 1, stored.itemsize, widen)


def bfloat16(data: Bytes) -> Floats:
    """The upper halves of float32 numbers, with zeros below."""
    wide = data.view("<u2").astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def table(values: Floats) -> Callable[[Bytes], Floats]:
    """Numbers of one byte, each looked up."""
    return lambda data: values[data]
