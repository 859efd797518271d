"""GGUF files, opened by memory map: metadata, and arrays that are converted when they are needed.

The format (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), versions 2 and 3: counts, metadata by name,
the descriptions of arrays, and, aligned, the arrays. Every length is checked against the rest of the file before it is
used, so a damaged file costs no memory.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

from msgspec import Struct

from clearhead.axes import Shape
from clearhead.budgets import MAX_METADATA_BYTES, MAX_METADATA_VALUES, Budget
from clearhead.errors import CheckpointError
from clearhead.models.quantised import KINDS
from clearhead.models.tensors import MAX_AXES, Bytes, Tensor, mapped

MAGIC = b"GGUF"
VERSIONS = (2, 3)
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""The types of metadata by their number in the file, as `struct` writes them."""

SMALLEST_ENTRY = 8 + 4 + 1
"""The fewest bytes of a metadata entry, or of an array's description."""

MAX_NAME = 1 << 16
MAX_ALIGNMENT = 1 << 16


class Gguf(Struct, frozen=True):
    """The content of a file: metadata by name, and arrays by name."""

    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


def read_gguf(path: Path) -> Gguf:
    """The metadata and the arrays of one file.

    Raises:
        CheckpointError: it is no such file, or a damaged one; the message says where.
    """
    data = mapped(path)
    return _Reader(path, data).read()


class _Said(Struct, frozen=True):
    """The description of an array; the shape has the longest stride first, as in NumPy."""

    name: str
    shape: Shape
    kind: int
    offset: int


class _Reader:
    """A place in a file, which moves on as it is read."""

    def __init__(self, path: Path, data: Bytes) -> None:
        self._path = path
        self._data = data
        self._view = data.data
        self._at = 0
        self._values = Budget(MAX_METADATA_VALUES, "values of metadata", CheckpointError)
        self._characters = Budget(MAX_METADATA_BYTES, "bytes of text in metadata", CheckpointError)

    def read(self) -> Gguf:
        if self._data[:4].tobytes() != MAGIC:
            raise self._wrong("a GGUF file begins with GGUF", repr(self._data[:4].tobytes()))
        self._at = 4
        version = self._scalar("I")
        if version not in VERSIONS:
            raise self._wrong("version 2 or 3, low byte first", f"{version}")
        arrays, entries = self._scalar("Q"), self._scalar("Q")
        for what, count in (("arrays", arrays), ("metadata entries", entries)):
            if count > (len(self._data) - self._at) // SMALLEST_ENTRY:
                raise self._wrong(f"as many {what} as the file has room for", f"{count}")
        metadata: dict[str, Any] = {}
        for _ in range(entries):
            name = self._name(metadata)
            self._values.spend(1)
            metadata[name] = self._value(self._scalar("I"))
        said: dict[str, _Said] = {}
        for _ in range(arrays):
            name = self._name(said)
            said[name] = self._array_said(name)
        return Gguf(metadata, self._tensors(said, self._numbers_begin(metadata)))

    def _wrong(self, expected: str, got: str) -> CheckpointError:
        return CheckpointError(f"{self._path}: at byte {self._at}: expects {expected}, got {got}. Fetch it again.")

    def _take(self, size: int) -> int:
        """Moves on by ``size`` bytes; returns where they start."""
        if size > len(self._data) - self._at:
            raise self._wrong(f"{size} more bytes", f"the end of the file after {len(self._data) - self._at}")
        start, self._at = self._at, self._at + size
        return start

    def _scalar(self, code: str) -> Any:
        return struct.unpack_from("<" + code, self._view, self._take(struct.calcsize("<" + code)))[0]

    def _text(self) -> str:
        size = self._scalar("Q")
        start = self._take(size)
        self._characters.spend(size)
        return str(self._view[start : start + size], "utf-8", "surrogateescape")

    def _name(self, taken: dict[str, Any]) -> str:
        name = self._text()
        if len(name) > MAX_NAME or name in taken:
            raise self._wrong("a new name", repr(name[:80]))
        return name

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._text()
        if kind in SCALARS:
            return self._scalar(SCALARS[kind])
        if kind != ARRAY:
            raise self._wrong("a type of metadata from 0 to 12", f"{kind}")
        inner, count = self._scalar("I"), self._scalar("Q")
        if inner == STRING:
            return self._texts(count)
        if inner not in SCALARS:
            raise self._wrong("an array of strings or numbers", f"one of type {inner}")
        size = struct.calcsize("<" + SCALARS[inner])
        start = self._take(count * size)
        self._values.spend(count)
        return list(struct.unpack_from(f"<{count}{SCALARS[inner]}", self._view, start))

    def _texts(self, count: int) -> list[str]:
        """Many strings: a vocabulary has a hundred thousand, so this loop is kept short."""
        if count > (len(self._data) - self._at) // 8:
            raise self._wrong("as many strings as the file has room for", f"{count}")
        self._values.spend(count)
        view, at, end, length = self._view, self._at, len(self._data), struct.Struct("<Q").unpack_from
        found: list[str] = []
        for _ in range(count):
            stop = at + 8 + length(view, at)[0] if at + 8 <= end else end + 1
            if stop > end:
                self._at = at
                raise self._wrong("a string", "the end of the file")
            found.append(str(view[at + 8 : stop], "utf-8", "surrogateescape"))
            at = stop
        self._characters.spend(at - self._at)
        self._at = at
        return found

    def _array_said(self, name: str) -> _Said:
        axes = self._scalar("I")
        if axes > MAX_AXES:
            raise self._wrong(f"up to {MAX_AXES} axes of {name[:80]}", f"{axes}")
        shape = tuple(self._scalar("Q") for _ in range(axes))[::-1]
        return _Said(name, shape, self._scalar("I"), self._scalar("Q"))

    def _numbers_begin(self, metadata: dict[str, Any]) -> int:
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 8 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
            raise self._wrong("an alignment that is a power of two from 8", repr(alignment)[:80])
        return -(-self._at // alignment) * alignment

    def _tensors(self, said: dict[str, _Said], begin: int) -> dict[str, Tensor]:
        end, before = 0, "the metadata"
        found: dict[str, Tensor] = {}
        for each in sorted(said.values(), key=lambda each: each.offset):
            tensor = self._tensor(each, begin)
            if each.offset < end:
                raise CheckpointError(f"{self._path}: {each.name[:80]} overlaps {before}. Fetch it again.")
            end, before = each.offset + len(tensor.stored), each.name[:80]
            found[each.name] = tensor
        return {name: found[name] for name in said}

    def _tensor(self, said: _Said, begin: int) -> Tensor:
        if said.kind not in KINDS:
            known = ", ".join(kind.name for kind in KINDS.values())
            raise CheckpointError(
                f"{self._path}: {said.name[:80]} is stored as type {said.kind}; known are {known}. Convert it to one."
            )
        kind = KINDS[said.kind]
        size = kind.size(said.shape)
        if size is None:
            raise CheckpointError(
                f"{self._path}: {said.name[:80]} has rows of {said.shape[-1]}, and {kind.name} needs {kind.values}s."
            )
        start = begin + said.offset
        if math.prod(said.shape) == 0 or start + size > len(self._data):
            raise CheckpointError(
                f"{self._path}: {said.name[:80]} of shape {said.shape} is said to stand at bytes {start} to "
                f"{start + size}, and the file ends at {len(self._data)}. It is cut off or damaged; fetch it again."
            )
        return Tensor(said.name, kind, said.shape, self._data[start : start + size])
