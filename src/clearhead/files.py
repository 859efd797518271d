"""Files that are there in whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from clearhead.errors import FileError

FilePath = str | os.PathLike[str]

_MOST_SHOWN = 200


@contextmanager
def replacing(path: FilePath) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of the one at ``path`` once all of it is written.

    If writing fails, or the process is killed, what was there before is still there, as it was.

    Raises:
        FileError: the file cannot be written; the message says which and why.
    """
    try:
        target = Path(os.path.realpath(path))
        draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        file = draft.open("wb")
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        draft.unlink(missing_ok=True)


def _unwritable(path: FilePath, error: Exception) -> FileError:
    shown = os.fspath(path)[:_MOST_SHOWN].encode("utf-8", "backslashreplace").decode()
    return FileError(f"{shown}: the file cannot be written: {why(error)}.")


def why(error: Exception) -> str:
    """What an error says of the system, without the path and the number."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
