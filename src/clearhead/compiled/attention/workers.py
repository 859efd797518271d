"""Threads for work that releases Python's global lock while it runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import NamedTuple

Progress = Callable[[int, int], object]

EVERY = 0.1
"""Seconds from one report of progress to the next."""


class Task(NamedTuple):
    """A piece of work: how much it is, and which rows of a table of blocks."""

    cost: int
    first: int
    last: int


def share_out(tasks: Sequence[Task], workers: Sequence[Callable[[Task], None]], progress: Progress | None) -> None:
    """Lets each worker, in its own thread, take the next task until none is left. Costly tasks should come first.

    The caller's thread only waits, so that it may be interrupted: then each worker finishes its task, and the
    interruption is raised when all have. ``progress`` is called in the caller's thread, with the cost that is
    done and the whole cost; what it raises ends the work in the same way. A single worker works in the caller's thread.
    """
    if len(workers) == 1:
        _alone(tasks, workers[0], progress)
        return
    waiting, done, whole = deque(tasks), [0] * len(workers), sum(task.cost for task in tasks)

    def drain(number: int) -> None:
        try:
            while True:
                task = waiting.popleft()
                workers[number](task)
                done[number] += task.cost
        except IndexError:
            if waiting:
                raise

    with ThreadPoolExecutor(len(workers), thread_name_prefix="clearhead") as pool:
        pending = {pool.submit(drain, number) for number in range(len(workers))}
        try:
            while pending:
                finished, pending = wait(pending, EVERY if progress else None, FIRST_COMPLETED)
                for future in finished:
                    future.result()
                if progress:
                    progress(sum(done), whole)
        finally:
            waiting.clear()


def _alone(tasks: Sequence[Task], worker: Callable[[Task], None], progress: Progress | None) -> None:
    whole, done, told = sum(task.cost for task in tasks), 0, time.monotonic()
    for task in tasks:
        worker(task)
        done += task.cost
        if progress and (time.monotonic() - told > EVERY or done == whole):
            told = time.monotonic()
            progress(done, whole)
