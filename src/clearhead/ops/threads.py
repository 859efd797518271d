"""Threads that share out work which gives the interpreter free while it runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

MAX_THREADS = 8
"""Threads at most: what they work on comes through one memory."""

SHARED = 1 << 18
"""Of this many numbers on, a work is shared out."""


_limit = [MAX_THREADS]


def limit(threads: int) -> None:
    """Sets how many threads share the work of this process, at most; called before the first of them starts."""
    _limit[0] = min(MAX_THREADS, threads)


@cache
def cores() -> int:
    """How many threads share a work."""
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
    """Does work on every part; by threads, if the parts have many numbers together."""
    if size < SHARED or len(parts) < 2 or cores() < 2:
        for part in parts:
            work(part)
        return

    def some(parts: Sequence[Any]) -> None:
        with np.errstate(all="ignore"):  # what NumPy warns of is a matter of each thread
            for part in parts:
                work(part)

    list(pool().map(some, [parts[first :: cores()] for first in range(cores())]))
