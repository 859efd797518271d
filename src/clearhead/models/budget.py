"""Memory, counted before it is spent."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Iterable, Mapping

from clearhead.axes import Shape
from clearhead.errors import CheckpointError

BYTES = 4
"""The bytes of a number: models compute in float32."""


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of Windows."""

    _fields_ = (
        ("length", ctypes.c_uint32), ("load", ctypes.c_uint32), ("total", ctypes.c_uint64),
        ("available", ctypes.c_uint64), ("others", ctypes.c_uint64 * 5),
    )  # fmt: skip


def free_memory() -> int:
    """The bytes that are available without swapping; where a system does not report them, half of its memory."""
    windows = getattr(ctypes, "windll", None)
    if windows is not None:
        status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
        windows.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.available)
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123 - no file in the usual sense
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def size_of(names: Iterable[str], shapes: Mapping[str, Shape]) -> int:
    """The bytes of these lines."""
    return sum(BYTES * math.prod(shapes[name]) for name in names)


def in_words(size: int) -> str:
    """A size as text: ``1.5 GB``."""
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if size >= 10**power:
            return f"{size / 10**power:.1f} {unit}"
    return f"{size} bytes"


def check(needed: int, budget: int, fits: str | None) -> None:
    """Refuses a trace that does not fit in memory, and names one that would.

    Raises:
        CheckpointError: more is needed than may be spent.
    """
    if needed <= budget:
        return
    remedy = f"This would fit: keep={fits}." if fits else "Nothing smaller fits; read fewer tokens."
    raise CheckpointError(
        f"This trace would take {in_words(needed)}, and {in_words(budget)} may be spent. {remedy} Or raise budget=."
    )
