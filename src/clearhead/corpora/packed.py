"""Files that are compressed, by the ending of their names, as the bytes that they hold."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from clearhead.corpora import storage
from clearhead.extras import need

PACKED = (".gz", ".zst")

READ, BUFFER = 1 << 10, 1 << 20
"""Bytes that are decompressed at once (four of them can stand for 128 kB), and bytes that are read at once."""


@contextmanager
def unpacked(path: str, offset: int = 0) -> Iterator[BinaryIO]:
    """A file from an offset on, decompressed if its name says that it is compressed."""
    with storage.open_read(path) as file:
        if path.lower().endswith(".gz"):
            with gzip.open(file) as inner:
                yield inner  # type: ignore[misc]  # it reads bytes
        elif path.lower().endswith(".zst"):
            yield io.BufferedReader(_Zstandard(file), BUFFER)
        else:
            file.seek(offset)
            yield file


class _Zstandard(io.RawIOBase):
    """Frames of Zstandard, decompressed. The library's own reader takes the end of the file for the end of a frame.

    Raises:
        EOFError: the last frame is not complete.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.rest, self.made = io.BufferedReader(file, BUFFER), b"", memoryview(b"")  # type: ignore[type-var]
        self.library = need("zstandard", "corpus").ZstdDecompressor()
        self.frame: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self.made:
            if not (packed := self.rest or self.file.read(READ)):
                if self.frame is not None:
                    raise EOFError("it ends in the middle of a Zstandard frame")
                return 0
            self.frame = self.frame or self.library.decompressobj()
            self.made = memoryview(self.frame.decompress(packed))
            self.rest = self.frame.unused_data if self.frame.eof else b""
            if self.frame.eof:
                self.frame = None
        count = min(len(into), len(self.made))
        into[:count], self.made = self.made[:count], self.made[count:]
        return count
