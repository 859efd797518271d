"""The engine of many machines: a Dask cluster, however started; each of its threads has one worker process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct

from clearhead.corpora.engines.child import LIVES, Child, Done, WorkerDied
from clearhead.corpora.plan import Shard
from clearhead.corpora.worker import Job, Task
from clearhead.errors import ClearheadError, FileError
from clearhead.extras import need

AHEAD = 2
"""The shards that the scheduler has per thread of its workers: it never has to hold a whole corpus."""

_own = threading.local()


class Dask(Struct, frozen=True):
    """A Dask cluster whose workers see the checkpoint, the documents and the folder of results under the same paths.

    Attributes:
        scheduler: its address, such as tcp://host:8786; None for the cluster that this process is a client of.
    """

    scheduler: str | None = None

    def run(self, job: Job, shards: Sequence[Shard], done: Done) -> None:
        """Computes the ``shards`` of ``job``; calls ``done`` for each that is written.

        Raises:
            FileError: the scheduler does not answer.
            ClearheadError: a shard cannot be done.
        """
        distributed = need("distributed", "dask")
        try:
            client = distributed.get_client() if self.scheduler is None else distributed.Client(self.scheduler)
        except (OSError, ValueError) as error:
            raise FileError(f"{self.scheduler or 'Dask'}: no scheduler answers: {error}. Is it running?") from None
        try:
            _run(client, job, shards, done)
        finally:
            if self.scheduler is not None:
                client.close()


def _run(client: Any, job: Job, shards: Sequence[Shard], done: Done) -> None:
    distributed = need("distributed", "dask")
    by_key = {f"clearhead-{shard.name}": shard for shard in shards}
    waiting = iter(by_key.items())

    def submit(count: int) -> list[Any]:
        return [
            client.submit(do, msgspec.json.encode(Task(job, shard)), key=key, retries=LIVES, pure=False)
            for key, shard in islice(waiting, count)
        ]

    def room() -> int:
        """How many shards the cluster should have; it may grow and shrink meanwhile."""
        return AHEAD * max(1, int(sum(client.nthreads().values())))

    pending = distributed.as_completed(submit(room()))
    try:
        for future in pending:
            if error := future.result():
                raise ClearheadError(error)
            done(by_key[future.key])
            for each in submit(max(0, room() - pending.count())):
                pending.add(each)
    finally:
        pending.clear()


def do(task: bytes) -> str:
    """Computes a shard on a worker of the cluster, in a separate process; returns why it failed, or nothing."""
    wanted = msgspec.json.decode(task, type=Task)
    if not hasattr(_own, "child"):
        _own.child = Child()
    try:
        _own.child.do(wanted.job, wanted.shard)
    except WorkerDied:
        del _own.child
        raise
    except ClearheadError as error:
        return str(error)
    return ""
