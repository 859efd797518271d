"""The matrix product of NumPy's own BLAS, as an address that compiled code can call."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


class Sgemm(NamedTuple):
    """Where ``cblas_sgemm`` lies, and whether its sizes are of 64 bits."""

    address: int
    wide: bool


NAMES = (("scipy_cblas_sgemm64_", True), ("cblas_sgemm64_", True), ("scipy_cblas_sgemm", False), ("cblas_sgemm", False))
"""What the function is called, by how the BLAS was built; True where sizes are of 64 bits."""


@cache
def sgemm() -> Sgemm | None:
    """The product of the BLAS that NumPy has loaded, or else of another; None where none is to be found."""
    paths = [library["filepath"] for library in _controller().info() if library["user_api"] == "blas"]
    for path in sorted(paths, key=lambda path: "numpy" not in path):
        library = ctypes.CDLL(path)
        for name, wide in NAMES:
            if hasattr(library, name):
                return Sgemm(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0, wide)
    return None


@contextmanager
def single() -> Iterator[None]:
    """While it lasts, the BLAS has no threads of its own: they would go on spinning where ours are to work.

    The limit holds for the whole process, so it is set by the first who asks and lifted by the last.
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
