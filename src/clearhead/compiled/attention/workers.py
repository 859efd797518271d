"""Threads that share out work that gives the interpreter free while it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import NamedTuple

Progress = Callable[[int, int], object]


class Task(NamedTuple):
    """A piece of work: how much it is, and which block of which head."""

    cost: int
    head: int
    block: int


def share_out(tasks: Sequence[Task], workers: Sequence[Callable[[Task], None]], progress: Progress | None) -> None:
    """Has each worker, in a thread of its own, take the next task until none is left. The costly should come first.

    The caller's thread only waits, so that it may be interrupted: then each worker ends the task that it is in, and
    the interruption goes on when all are done. ``progress`` is called in the caller's thread, with the cost that is
    done and the whole cost; what it raises ends the work in the same way.
    """
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
                finished, pending = wait(pending, 0.1 if progress else None, FIRST_COMPLETED)
                for future in finished:
                    future.result()
                if progress:
                    progress(sum(done), whole)
        finally:
            waiting.clear()
