"""The one place that opens files for reading, and writes them.

Only regular files are read: opening them never waits, as a pipe may, and they end, unlike some devices. Files are
written completely or not at all.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from clearhead.errors import FileError

FilePath = str | os.PathLike[str]

STANDARD_OUTPUT = "-"
"""The path of standard output, whether a terminal, a pipe or a file."""

_MAX_SHOWN = 200

_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip

# Windows has only O_BINARY of these.
_NO_WAIT, _NO_FOLLOW, _PRIVATE, _BINARY = (
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY")
)


def open_regular(path: FilePath) -> BinaryIO:
    """A regular file, opened to be read.

    Raises:
        OSError: it cannot be opened, or is no regular file; ``strerror`` says what it is instead.
        ValueError: the path holds a NUL.
    """
    # Asked before it is opened, since opening a device can do something, and after, since it may have been replaced.
    _must_be_regular(Path(path).stat())
    descriptor = os.open(path, os.O_RDONLY | _NO_WAIT | _PRIVATE | _BINARY)
    try:
        _must_be_regular(os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _must_be_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, f"it is {_kind(found)}, and only regular files are read")


def _kind(found: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(found.st_mode), "no file")


def what_is(path: FilePath) -> str:
    """What stands at a path, in words, such as ``"a pipe"``; nothing where there is nothing.

    >>> what_is("."), what_is("no such name")
    ('a folder', '')
    """
    try:
        return _KINDS.get(stat.S_IFMT(os.stat(path).st_mode), "a file")  # noqa: PTH116 - a path may be any text
    except (OSError, ValueError):
        return "a link that leads to no file" if os.path.islink(path) else ""  # noqa: PTH114 - the same


def make_folder(path: FilePath) -> None:
    """Makes a folder, and those that it is in, unless they are there.

    Raises:
        FileError: it cannot be made.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        instead = isinstance(error, FileExistsError) and what_is(path)
        reason = f"{instead} has this name" if instead else why(error)
        raise FileError(f"{os.fspath(path)[:_MAX_SHOWN]}: the folder cannot be made: {reason}.") from None


def read_bounded(path: FilePath, max_bytes: int) -> bytes:
    """The bytes of a regular file that is no larger than this.

    Raises:
        OSError: it cannot be read, or is larger; ``strerror`` says so.
        ValueError: the path holds a NUL.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(max_bytes + 1) if size <= max_bytes else b""
    if max(size, len(content)) > max_bytes:
        raise OSError(errno.EFBIG, f"it has {max(size, len(content))} bytes; at most {max_bytes} bytes are read")
    return content


@contextmanager
def replacing(path: FilePath) -> Iterator[BinaryIO]:
    """A file to write to, which replaces the one at ``path``, with its permissions, once all of it is written.

    If writing fails, or the process is killed, the earlier file is unchanged. A link stays, and its target is
    replaced. The path ``-`` is standard output.

    Raises:
        FileError: the file cannot be written, or the path is no regular file.
    """
    try:
        with _standard_output() if os.fspath(path) == STANDARD_OUTPUT else _draft(path) as file:
            yield file
    except FileError:
        raise
    except (OSError, ValueError) as error:
        shown = os.fspath(path)[:_MAX_SHOWN]
        raise FileError(f"{shown}: the file cannot be written: {why(error)}.") from None


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        raise OSError(errno.EBADF, "standard output is closed, or takes no bytes")
    sys.stdout.flush()
    yield stream
    stream.flush()


@contextmanager
def _draft(path: FilePath) -> Iterator[BinaryIO]:
    """A new file in the folder of ``path``, which replaces it at the end if nothing is raised."""
    target = Path(os.path.realpath(path))
    before = _replaceable(target)
    # An unpredictable name, so that nobody can put a link there and two writers do not collide.
    draft = target.with_name(f".clearhead-{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _PRIVATE | _BINARY
    descriptor = os.open(draft, flags, 0o666 if before is None else 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if before is not None:
                _take_permissions(descriptor, before)
            os.fsync(descriptor)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _replaceable(target: Path) -> os.stat_result | None:
    """The file at a path, if it may be replaced; None if there is none."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(
            errno.EINVAL, f"it is {_kind(found)}, which this would destroy; name a file, or - for standard output"
        )
    if not os.access(target, os.W_OK):
        raise OSError(errno.EACCES, "it is write-protected")
    return found


def _take_permissions(descriptor: int, before: os.stat_result) -> None:
    """Gives a new file the owner and the mode of the one that it replaces, as far as this user is allowed to."""
    if sys.platform != "win32":
        with suppress(PermissionError):
            os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def why(error: Exception) -> str:
    """The system's message in an error, without the path and the number."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
