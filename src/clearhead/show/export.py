"""A trace as a file: the kind of file for each ending of a name."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from clearhead.errors import UnknownName, suggest
from clearhead.files import FilePath, replacing
from clearhead.show.certain import as_certain
from clearhead.show.media import KINDS
from clearhead.show.view import View
from clearhead.trace import Trace


class Export(Struct, frozen=True):
    """A trace as a file of a kind, made but not written: errors are raised before any file is replaced."""

    path: FilePath
    content: bytes | memoryview

    @classmethod
    def of(cls, trace: Trace, path: FilePath, view: View) -> Export:
        """A trace as a file of the kind of its ending.

        Raises:
            UnknownName: no kind of file has this ending.
            MissingPackage: the kind needs a package that is not installed.
        """
        ending = Path(path).suffix.lower()
        if ending not in KINDS:
            raise UnknownName(f"{path}: no export has the ending {ending!r}. {suggest(ending, KINDS)}")
        return cls(path, KINDS[ending].content(*as_certain(trace, view)))

    def write(self) -> None:
        """Writes the file completely or not at all.

        Raises:
            FileError: it cannot be written.
        """
        with replacing(self.path) as file:
            file.write(self.content)


def save(trace: Trace, path: FilePath, view: View | None = None) -> None:
    """Writes a trace to a file of the kind of its ending, completely or not at all.

    Raises:
        UnknownName: no kind of file has this ending.
        FileError: the file cannot be written.
        MissingPackage: the kind needs a package that is not installed.
    """
    Export.of(trace, path, view or View()).write()
