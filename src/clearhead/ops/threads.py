"""Threads for work that releases Python's global lock while it runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

MAX_THREADS = 8
"""The most threads that are used: all share one memory bandwidth."""

SHARED = 1 << 18
"""Work on this many numbers or more is split among threads."""


_limit = [MAX_THREADS]


def limit(threads: int) -> None:
    """Sets how many threads this process may use; called before the first of them starts."""
    _limit[0] = min(MAX_THREADS, threads)


@cache
def cores() -> int:
    """How many threads share one piece of work."""
    return min(_limit[0], len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def pool() -> ThreadPoolExecutor:
    """A thread for each core."""
    return _pool(os.getpid())


@cache
def _pool(_process: int) -> ThreadPoolExecutor:
    # The threads of a process that forks are not in its child. Few runs need any, and importing them takes a while.
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(cores(), thread_name_prefix="clearhead")


def share(work: Callable[[Any], object], parts: Sequence[Any], size: int) -> None:
    """Calls ``work`` on every part, in threads if the parts have many numbers together."""
    if size < SHARED or len(parts) < 2 or cores() < 2:
        for part in parts:
            work(part)
        return

    def some(parts: Sequence[Any]) -> None:
        with np.errstate(all="ignore"):  # what NumPy warns of is a matter of each thread
            for part in parts:
                work(part)

    list(pool().map(some, [parts[first :: cores()] for first in range(cores())]))
