"""Small files that this machine keeps for the next process, in ``$XDG_CACHE_HOME/clearhead``.

A file is written whole or not at all, and the first process that writes it decides for all.
"""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path


def read(name: str) -> bytes | None:
    """What a file holds; None if there is none, or one that is not as it was written."""
    try:
        found = (_folder() / name).read_bytes()
    except OSError:
        return None
    check, _, held = found.partition(b"\n")
    return held if check == _check(held) else None


def possible() -> bool:
    """Whether files can be kept at all."""
    try:
        _folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(_folder(), os.W_OK)


def keep(name: str, held: bytes) -> None:
    """Writes a file, unless another process has written it meanwhile, or none can be written."""
    if not possible():
        return
    path = _folder() / name
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(_check(held) + b"\n" + held)
        new = Path(file.name)
        try:
            if read(name) is None:
                path.unlink(missing_ok=True)
            path.hardlink_to(new)
        except OSError:
            if not path.exists():  # it may be that the file system has no links
                new.replace(path)
        new.unlink(missing_ok=True)
    except OSError:
        return


def _check(held: bytes) -> bytes:
    """The first line of a file: a hash of the others."""
    return sha256(held).hexdigest().encode()


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clearhead"
