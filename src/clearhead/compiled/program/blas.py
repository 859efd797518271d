"""The matrix product of NumPy's own BLAS, as an address that compiled code can call."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


class Sgemm(NamedTuple):
    """The address of ``cblas_sgemm``, and whether its sizes are of 64 bits."""

    address: int
    wide: bool


NAMES = (("scipy_cblas_sgemm64_", True), ("cblas_sgemm64_", True), ("scipy_cblas_sgemm", False), ("cblas_sgemm", False))
"""The names of the function, by the build of the BLAS; True where sizes are of 64 bits."""


left_out = Event()
"""If it is set, compiled code does without it in this process: then no number depends on what a machine measured."""


@cache
def sgemm() -> Sgemm | None:
    """The product of the BLAS that NumPy has loaded, or else of another; None where there is none."""
    paths = [library["filepath"] for library in _controller().info() if library["user_api"] == "blas"]
    for path in sorted(paths, key=lambda path: "numpy" not in path):
        library = ctypes.CDLL(path)
        for name, wide in NAMES:
            if hasattr(library, name):
                return Sgemm(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0, wide)
    return None


def versions() -> tuple[str, ...]:
    """What is loaded of such libraries: their versions, and the processors that they take this one for."""
    libraries = (library for library in _controller().info() if library["user_api"] == "blas")
    return tuple(sorted(f"{each['internal_api']} {each['version']} {each.get('architecture')}" for each in libraries))


@contextmanager
def single() -> Iterator[None]:
    """Limits the BLAS to one thread meanwhile: its threads would keep spinning where ours work.

    The limit holds for the whole process, so the first caller sets it and the last removes it.
    """
    with _limit.lock:
        _limit.users += 1
        if _limit.users == 1:
            _limit.before = _controller().limit(limits=1, user_api="blas")
    try:
        yield
    finally:
        with _limit.lock:
            _limit.users -= 1
            if not _limit.users:
                _limit.before.restore_original_limits()


class _Limit:
    def __init__(self) -> None:
        self.lock = Lock()
        self.users = 0
        self.before: Any = None


_limit = _Limit()


@cache
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
