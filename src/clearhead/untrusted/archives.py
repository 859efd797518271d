"""Zip archives and the arrays of NumPy in them, bounded as a whole before anything is unpacked, and never unpickled."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Collection
from typing import IO, Any, Literal

import numpy as np

from clearhead.budgets import MAX_DIRECTORY_BYTES

STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
"""The allowed compressions of entries. Others unpack without a bound on memory."""

MAX_AXES = 16
_MAX_HEADER = 1 << 16
_ENCRYPTED = 1

_MAGIC = b"\x93NUMPY"
_DESCRIPTION = re.compile(r"""["']descr["']\s*:\s*["']([<>|=]?[biuf][1248])["']""")
_ORDER = re.compile(r"""["']fortran_order["']\s*:\s*(True|False)""")
_SHAPE = re.compile(r"""["']shape["']\s*:\s*\(([\d\s,L]*)\)""")


class Archive:
    """The entries of a zip file by name, together at most ``max_bytes`` when unpacked.

    Raises:
        ValueError: it is no sound archive, has a name twice, is encrypted, packed in another way than ``packed``, or
            larger; the message says which.
    """

    def __init__(self, file: IO[bytes], *, max_bytes: int, packed: Collection[int] = (STORED, DEFLATED)) -> None:
        try:
            self._check_directory(file)
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
            raise ValueError(str(error)) from None
        entries = self._zip.infolist()
        self._entries = {info.filename: info for info in entries}
        if len(self._entries) != len(entries):
            raise ValueError("it has two entries of one name")
        if any(info.flag_bits & _ENCRYPTED for info in entries):
            raise ValueError("it is encrypted")
        if any(info.compress_type not in packed for info in entries):
            raise ValueError("it is compressed in a way that is not read")
        if sum(info.file_size for info in entries) > max_bytes:
            raise ValueError(f"it says that it holds more than {max_bytes} bytes")

    @staticmethod
    def _check_directory(file: IO[bytes]) -> None:
        """Bounds the archive's directory of entries, which zipfile reads at once."""
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # noqa: SLF001 - no public name has it before
        if end and end[5] > MAX_DIRECTORY_BYTES:
            raise ValueError(f"what it says of its entries has {end[5]} bytes; at most {MAX_DIRECTORY_BYTES} are read")

    @property
    def names(self) -> Collection[str]:
        """The names of the entries, in order."""
        return self._entries.keys()

    def read(self, name: str) -> bytes:
        """The content of an entry.

        Raises:
            ValueError: there is none, or it is damaged.
        """
        if name not in self._entries:
            raise ValueError(f"it has no {name[:100]!r}")
        info = self._entries[name]
        try:
            # With a size, since without one everything would be unpacked, whatever size the entry states.
            with self._zip.open(info) as file:
                return file.read(info.file_size + 1)
        except Exception as error:  # zipfile and the decompressors raise a dozen kinds
            raise ValueError(f"{name[:100]!r} is damaged: {error}") from None


def array_of(content: bytes) -> np.ndarray[Any, Any]:
    """The array of numbers or booleans in the content of a ``.npy`` file, as a copy.

    Raises:
        ValueError: it is no such file, holds anything else, or has another size than stated.
    """
    start, header = _header(content)
    description, order, shape = (pattern.search(header) for pattern in (_DESCRIPTION, _ORDER, _SHAPE))
    if description is None or order is None or shape is None:
        raise ValueError(f"{header[:100]!r} does not describe an array of numbers")
    try:
        dtype = np.dtype(description[1])
        sizes = tuple(int(size.strip().rstrip("L")) for size in shape[1].split(",") if size.strip())
        if len(sizes) > MAX_AXES:
            raise ValueError
        array = np.frombuffer(memoryview(content)[start:], dtype).reshape(sizes, order=_ORDERS[order[1]])
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"its {len(content) - start} bytes are not what {header[:100]!r} says") from None
    return array.astype(dtype.newbyteorder("="), copy=True)


_ORDERS: dict[str, Literal["C", "F"]] = {"True": "F", "False": "C"}


def _header(content: bytes) -> tuple[int, str]:
    """Where the numbers start, and the header."""
    if content[:6] != _MAGIC or len(content) < 12 or content[6] not in (1, 2, 3):
        raise ValueError("it is no .npy file")
    width = 2 if content[6] == 1 else 4
    start = 8 + width + int.from_bytes(content[8 : 8 + width], "little")
    if start > len(content) or start > _MAX_HEADER:
        raise ValueError("its header is cut off or too long")
    return start, content[8 + width : start].decode("latin-1")
