"""The engine of one machine: worker processes, each with a model that is mapped once for all."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from clearhead.corpora import mapped, storage
from clearhead.corpora.engines.child import LIVES, Child, Done, WorkerDied
from clearhead.corpora.plan import Shard
from clearhead.corpora.worker import Job
from clearhead.errors import ClearheadError
from clearhead.models import Model, load
from clearhead.ops import threads


class Local(Struct, frozen=True):
    """Processes on this machine.

    Attributes:
        workers: how many; None for one for each core.
    """

    workers: int | None = None

    def run(self, job: Job, shards: Sequence[Shard], done: Done) -> None:
        """Computes the ``shards`` of ``job``; calls ``done`` for each that is written.

        Raises:
            ClearheadError: one cannot be computed; others in progress are abandoned.
        """
        count = min(len(shards), self.workers or threads.cores())
        with _shared(job, count) as job, ThreadPoolExecutor(count, "corpus") as pool:
            hands = _Hands(job, shards, done)
            pending = {pool.submit(hands.work) for _ in range(count)}
            try:
                while pending:
                    finished, pending = wait(pending, 0.2, FIRST_COMPLETED)
                    for each in finished:
                        each.result()
            finally:
                hands.stop()


class _Hands:
    """What the threads with workers share."""

    def __init__(self, job: Job, shards: Sequence[Shard], done: Done) -> None:
        self.job, self.done = job, done
        self.waiting, self.died = deque(shards), Counter[str]()
        self.children: set[Child] = set()
        self.stopped = False

    def work(self) -> None:
        """Has shards computed by a worker until none is left; a worker that dies is replaced."""
        while not self.stopped and self.waiting:
            with Child() as child:
                self.children.add(child)
                try:
                    self._with(child)
                finally:
                    self.children.discard(child)

    def _with(self, child: Child) -> None:
        while not self.stopped:
            try:
                shard = self.waiting.popleft()
            except IndexError:
                return
            try:
                child.do(self.job, shard)
            except WorkerDied:
                self._again(shard)
                return
            self.done(shard)

    def _again(self, shard: Shard) -> None:
        if self.stopped:
            return
        self.died[shard.name] += 1
        if self.died[shard.name] >= LIVES:
            raise ClearheadError(
                f"documents {shard.start} to {shard.start + shard.documents - 1}: {LIVES} workers ended over them. "
                f"Is there enough memory? Try fewer workers, or shorter sequences."
            )
        self.waiting.append(shard)

    def stop(self) -> None:
        """Ends all workers."""
        self.stopped = True
        for child in list(self.children):
            child.kill()


@contextmanager
def _shared(job: Job, workers: int) -> Iterator[Job]:
    """The job with a file of weights that all workers map, where each would otherwise convert them."""
    model = load(job.checkpoint, engine="array")
    if workers < 2 or storage.is_remote(job.output) or _is_mapped(model):
        yield job
        return
    storage.make(job.output)
    path = storage.join(job.output, f".weights-{job.fingerprint}")
    mapped.save(model, path)
    try:
        yield replace(job, weights=path)
    finally:
        Path(path).unlink(missing_ok=True)


def _is_mapped(model: Model) -> bool:
    """Whether the file of a checkpoint already holds all numbers as they are computed with."""
    return all(tensor.kind.name == "F32" for tensor in model.checkpoint.tensors.values())
