"""How much memory a trace may take."""

import ctypes
import os
from types import SimpleNamespace

from clearhead.models.budget import _MemoryStatus, free_memory


def test_free_memory_is_no_more_than_there_is():
    """The free memory is a part of the physical memory."""
    assert 0 < free_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_windows_is_asked_for_its_own_count(monkeypatch):
    """On Windows, which has no sysconf, the memory that GlobalMemoryStatusEx says is available counts as free."""

    def answer(pointer):
        status = ctypes.cast(pointer, ctypes.POINTER(_MemoryStatus)).contents
        assert status.length == 64  # as Windows demands of MEMORYSTATUSEX
        status.total, status.available = 16 << 30, 3 << 30
        return 1

    kernel32 = SimpleNamespace(GlobalMemoryStatusEx=answer)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel32), raising=False)
    monkeypatch.delattr(os, "sysconf")
    assert free_memory() == 3 << 30
