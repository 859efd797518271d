"""Files on this machine, or in storage that fsspec reaches by an address such as s3://bucket/name."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from clearhead.errors import ClearheadError, FileError
from clearhead.extras import need
from clearhead.files import make_folder, open_regular, replacing, why

TRIES, PAUSE = 3, 0.5
"""How often a remote request is tried, and the seconds before the second try; each pause is twice the one before."""

Found = TypeVar("Found")


def is_remote(path: str) -> bool:
    """Whether a path is an address."""
    return "://" in path


def plain(path: str) -> str:
    """An address on this machine, file:///name, as a path; any other as it is."""
    return path.removeprefix("file://") if path.startswith("file:///") else path


def join(folder: str, name: str) -> str:
    """A path inside a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else os.fspath(Path(folder) / name)


def open_read(path: str) -> BinaryIO:
    """A file, opened to be read.

    Raises:
        FileError: it cannot be opened.
    """
    return _tried(path, "read", lambda: _remote(path).open(path, "rb") if is_remote(path) else open_regular(path))


def read(path: str, max_bytes: int = -1) -> bytes:
    """All of a file, or this number of its bytes.

    Raises:
        FileError: it cannot be read.
    """

    def whole() -> bytes:
        with open_read(path) as file:
            return file.read(max_bytes)

    return _tried(path, "read", whole)


def write(path: str, content: bytes) -> None:
    """Writes a file completely or not at all.

    Raises:
        FileError: it cannot be written.
    """
    if is_remote(path):
        _tried(path, "written", lambda: _put(path, content))
        return
    make(os.fspath(Path(path).parent))
    with replacing(path) as file:
        file.write(content)


def _put(path: str, content: bytes) -> None:
    """Writes an object. Object stores show it once it is complete, and have no folders; others want theirs made."""
    try:
        _remote(path).pipe_file(path, content)
    except FileNotFoundError:
        _remote(path).makedirs(path.rpartition("/")[0], exist_ok=True)
        _remote(path).pipe_file(path, content)


def make(folder: str) -> None:
    """Makes a folder, where folders are made."""
    if not is_remote(folder):
        make_folder(folder)


def remove(path: str) -> None:
    """Removes a file, if it is there."""
    if not is_remote(path):
        Path(path).unlink(missing_ok=True)
    elif _remote(path).exists(path):
        _remote(path).rm_file(path)


def names(folder: str) -> list[str]:
    """The names in a folder, sorted; none if there is no folder."""

    def listed() -> list[str]:
        if is_remote(folder):
            system = _remote(folder)
            system.invalidate_cache()
            found = system.ls(folder, detail=False) if system.exists(folder) else []
            return sorted(str(each).rstrip("/").rpartition("/")[2] for each in found)
        return sorted(each.name for each in Path(folder).iterdir()) if Path(folder).is_dir() else []

    return _tried(folder, "listed", listed)


def is_folder(path: str) -> bool:
    """Whether a path is that of a folder."""
    return bool(_remote(path).isdir(path)) if is_remote(path) else Path(path).is_dir()


def matching(pattern: str) -> list[str]:
    """The paths that a pattern matches, sorted; a path without ``*``, ``?`` or ``[`` matches itself."""
    if not glob.has_magic(pattern):
        return [pattern]
    if is_remote(pattern):
        scheme = pattern.partition("://")[0]
        return sorted(f"{scheme}://{str(each).lstrip('/')}" for each in _remote(pattern).glob(pattern))
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - a pattern may begin anywhere


def _remote(path: str) -> Any:
    fsspec = need("fsspec", "corpus")
    try:
        return fsspec.core.url_to_fs(path)[0]
    except (ValueError, ImportError) as error:
        raise FileError(f"{path}: the address cannot be used: {error}.") from None


def _tried(path: str, done: str, work: Callable[[], Found]) -> Found:
    """The result of work; remote work is tried again where it fails.

    Raises:
        FileError: it failed.
    """
    tries = TRIES if is_remote(path) else 1
    for count in range(1, tries + 1):
        try:
            return work()
        except ClearheadError:
            raise
        except FileNotFoundError:
            raise FileError(f"{path}: the file cannot be {done}: there is none of this name.") from None
        except (OSError, ValueError) as error:
            if count == tries:
                raise FileError(f"{path}: the file cannot be {done}: {why(error)}.") from None
            time.sleep(PAUSE * 2 ** (count - 1))
    raise AssertionError
