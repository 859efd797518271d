"""The weights of a model in one file that several processes map: converted once, and in memory once."""

from __future__ import annotations

import mmap
from typing import Any, BinaryIO

import msgspec
import numpy as np
from msgspec import Struct

from clearhead.files import open_regular, replacing
from clearhead.models import Model

Numbers = np.ndarray[Any, Any]

ALIGNED = 64
"""Bytes in a line of the cache: each array begins with one."""


class Entry(Struct, frozen=True):
    """Where an array is in the file, and its layout."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


def _dense(array: Numbers) -> Numbers:
    """An array whose numbers lie side by side, its axes in memory in the order in which they were."""
    return np.copy(array, order="K") if not _is_dense(array) else array


def _is_dense(array: Numbers) -> bool:
    axes = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    return array.transpose(axes).flags.c_contiguous


def compact(model: Model) -> None:
    """Gives a model arrays in the layout of a mapped file, so that products of both are rounded in the same way."""
    model.arrays = {name: _dense(array) for name, array in model.arrays.items()}


def save(model: Model, path: str) -> None:
    """Writes the weights of a model.

    Raises:
        FileError: the file cannot be written.
    """
    entries, at = [], 0
    arrays = {name: _dense(array) for name, array in model.arrays.items()}
    for name, array in arrays.items():
        entries.append(Entry(name, array.dtype.str, array.shape, array.strides, at))
        at += -(-array.nbytes // ALIGNED) * ALIGNED
    header = msgspec.json.encode(entries)
    header += b" " * (-(len(header) + 8) % ALIGNED)
    with replacing(path) as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for array in arrays.values():
            _put(file, array)


def _put(file: BinaryIO, array: Numbers) -> None:
    axes = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    file.write(array.transpose(axes).data)
    file.write(b"\0" * (-array.nbytes % ALIGNED))


def use(model: Model, path: str) -> None:
    """Gives a model the weights in a file that `save` wrote, mapped."""
    with open_regular(path) as file:
        stored = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    length = int.from_bytes(stored[:8].tobytes(), "little")
    entries = msgspec.json.decode(stored[8 : 8 + length].tobytes(), type=list[Entry])
    model.arrays = {
        each.name: np.ndarray(each.shape, each.dtype, stored.data, 8 + length + each.offset, each.strides)
        for each in entries
    }
