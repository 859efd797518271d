"""Work outside the server: in a few processes, each ended when its time is up or when nobody waits for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.to_process

from clearhead.errors import ClearheadError, ProblemError

Answer = TypeVar("Answer")


class Workers:
    """Up to ``at_once`` processes, in each of which a call may take ``seconds`` from its start.

    Threads would not serve: a computing thread cannot be ended.
    """

    def __init__(self, seconds: float, at_once: int | None = None) -> None:
        self.seconds = seconds
        self.turns = anyio.CapacityLimiter(at_once or max(2, os.cpu_count() or 2))

    async def call(self, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """The result of a function for these arguments.

        Raises:
            TimeoutError: it takes too long.
            ClearheadError: what the function raised.
        """
        async with self.turns:
            # The queue is here and not in the limiter of the pool, so that waiting does not count as time of the call,
            # and neither does starting a process: the call takes the one that was last ready.
            pool = anyio.CapacityLimiter(1)
            await anyio.to_process.run_sync(_prepared, cancellable=True, limiter=pool)
            with anyio.fail_after(self.seconds):
                return await anyio.to_process.run_sync(_called, function, arguments, cancellable=True, limiter=pool)


def _prepared() -> None:
    """In the process: imports all that a call needs, and leaves Ctrl-C to the server, which ends its processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _called(function: Callable[..., Answer], arguments: tuple[Any, ...]) -> Answer:
    """In the process: the function's value, or its error in a form that every process can unpickle."""
    try:
        return function(*arguments)
    except ClearheadError as error:
        raise ProblemError(str(error)) from None
