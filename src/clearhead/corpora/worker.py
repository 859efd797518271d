"""A process that computes shards: `serve` reads them as JSON lines from standard input, and answers in JSON lines.

It is a separate program, neither forked nor spawned: it shares no threads or locks with its parent, needs no
``if __name__ == "__main__"`` there, and ends with its parent, since its input then ends. It computes in one thread.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from functools import cached_property
from pathlib import Path

import msgspec
from msgspec import Struct

from clearhead.compiled.program import blas
from clearhead.corpora.documents import documents
from clearhead.corpora.ledger import Ledger
from clearhead.corpora.observer import Observer
from clearhead.corpora.options import Options
from clearhead.corpora.plan import Shard, fingerprint
from clearhead.corpora.sequences import Cutter
from clearhead.corpora.tally import Tally
from clearhead.errors import ClearheadError, SpecError
from clearhead.models import load
from clearhead.ops import threads

THREADS = ("OPENBLAS", "OMP", "MKL", "NUMBA")
SINGLE = {f"{name}_NUM_THREADS": "1" for name in THREADS}
"""The environment variables that limit libraries to one thread."""


class Job(Struct, frozen=True):
    """What all shards of a corpus share.

    Attributes:
        checkpoint: where the model is.
        output: the folder of results.
        fingerprint: a hash of model, options and versions, which must be the worker's own.
        options: how documents are read.
        weights: a file of weights to map; none if empty.
    """

    checkpoint: str
    output: str
    fingerprint: str
    options: Options
    weights: str = ""


class Task(Struct, frozen=True):
    """A shard to do."""

    job: Job
    shard: Shard


class Answer(Struct, frozen=True):
    """The result of a shard: empty if it is written, else why it cannot be computed."""

    error: str = ""
    bug: bool = False


class Work:
    """The model of a job, loaded when it is first needed, and kept."""

    def __init__(self, job: Job) -> None:
        self.job = job

    @cached_property
    def _parts(self) -> tuple[Cutter, Observer]:
        from clearhead.corpora import mapped

        model = load(self.job.checkpoint)
        if fingerprint(model, self.job.options) != self.job.fingerprint:
            raise SpecError(
                f"{self.job.checkpoint}: the worker has another model, or other versions of clearhead, NumPy, Numba or "
                f"tokenizers, whose results may differ. Give all machines the same."
            )
        if self.job.weights and Path(self.job.weights).exists():
            mapped.use(model, self.job.weights)
        else:
            mapped.compact(model)
        return Cutter(model.tokenizer, self.job.options), Observer(model, self.job.options)

    def do(self, shard: Shard) -> None:
        """Does a shard and writes it."""
        cutter, observer = self._parts
        tally = Tally()
        observer.add(tally, cutter.sequences(documents(shard.pieces, self.job.options)))
        tally.add("processor", processor(), [shard.documents])
        Ledger(self.job.output).write(shard, tally)


def processor() -> str:
    """The kind of processor, as the library of matrix products knows it: results of two kinds differ in last bits."""
    from clearhead.extras import need

    found = need("threadpoolctl", "corpus").threadpool_info()
    kinds = sorted({str(each["architecture"]) for each in found if each.get("architecture")})
    return ", ".join(kinds) or "unknown"


def serve() -> None:
    """Does the shards that come in, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threads.limit(1)
    blas.left_out.set()
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # output of libraries must not be read as an answer
    work: Work | None = None
    for line in sys.stdin.buffer:
        task = msgspec.json.decode(line, type=Task)
        fresh = work is None or work.job != task.job
        if work is None or fresh:
            work = Work(task.job)
        try:
            out.write(msgspec.json.encode(_answer(work, task.shard)) + b"\n")
        except BrokenPipeError:  # the parent was killed meanwhile
            return
        if fresh:
            gc.freeze()  # the model stays: garbage is not looked for in it


def _answer(work: Work, shard: Shard) -> Answer:
    try:
        work.do(shard)
    except ClearheadError as error:
        return Answer(str(error))
    except Exception as error:
        return Answer(f"{type(error).__name__}: {error}", bug=True)
    return Answer()
