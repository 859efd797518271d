"""A worker process, as its parent uses it."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

import clearhead
from clearhead.corpora.plan import Shard
from clearhead.corpora.worker import SINGLE, Answer, Job, Task
from clearhead.errors import ClearheadError

PROGRAM = "from clearhead.corpora.worker import serve; serve()"


LIVES = 3
"""How many workers may die at one shard before that is an error."""

Done = Callable[[Shard], object]
"""Is called when a shard is written."""


class WorkerDied(Exception):
    """A worker process ended in the middle of a shard."""


class Child:
    """A worker process, used by one thread at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - Python itself, on a module of this package
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(),
        )  # fmt: skip
        self._end = weakref.finalize(self, _ended, self.process)  # ends with its thread

    def do(self, job: Job, shard: Shard) -> None:
        """Has a shard computed, and waits for it.

        Raises:
            WorkerDied: the process ended.
            ClearheadError: the shard cannot be done.
        """
        assert self.process.stdin is not None  # noqa: S101 - it was asked for
        assert self.process.stdout is not None  # noqa: S101
        try:
            self.process.stdin.write(msgspec.json.encode(Task(job, shard)) + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except (OSError, ValueError):
            line = b""
        if not line:
            raise WorkerDied
        answer = msgspec.json.decode(line, type=Answer)
        if answer.bug:
            raise RuntimeError(f"a worker failed: {answer.error}")
        if answer.error:
            raise ClearheadError(answer.error)

    def kill(self) -> None:
        """Ends the process at once; unfinished files are not there."""
        self.process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and closes its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # input that it did not read
                pipe.close()


def _environment() -> dict[str, str]:
    """The environment with one thread for each library, no memory that Arrow keeps for itself, and this package."""
    package = Path(clearhead.__file__).resolve().parents[1]
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(package), *([before] if before else [])])
    return {"ARROW_DEFAULT_MEMORY_POOL": "system", **os.environ, **SINGLE, "PYTHONPATH": path}
