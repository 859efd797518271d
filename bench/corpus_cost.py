"""The cost of a large corpus, by simulation: how long it takes, what moves, and what waits for what.

``python -m bench.corpus_cost`` prints a line for each of some cases. Workers take the next shard when they are free,
as both engines have it. Shards differ by the lengths of their documents, workers by their speed; some workers are slow.
What a token, a shard file and its merging cost was measured; see `Rates`.
"""

from __future__ import annotations

import heapq
import random
from typing import NamedTuple


class Rates(NamedTuple):
    """What was measured, on one core of the machine of the benchmarks.

    Attributes:
        tokens: that a worker reads in a second.
        shard_bytes: of a shard's file.
        merge: seconds to read and add a shard's file.
        scan: bytes of documents that the plan reads in a second.
        scheduler: seconds that a Dask scheduler spends on a task (its documentation says up to a millisecond).
    """

    tokens: float
    shard_bytes: float
    merge: float
    scan: float = 200e6
    scheduler: float = 1e-3


class Case(NamedTuple):
    """A corpus and who reads it.

    Attributes:
        documents: how many.
        tokens: of a document, on average; lengths are lognormal with a deviation of ``spread`` in their logarithm.
        workers: how many.
        shard: the documents of a shard.
        slow: the share of the workers that have half the speed.
        spread: see tokens.
    """

    documents: int
    tokens: int
    workers: int
    shard: int = 256
    slow: float = 0.05
    spread: float = 0.8


class Cost(NamedTuple):
    """What a corpus costs.

    Attributes:
        seconds: until the last shard is done.
        busy: the share of the workers' time in which they work.
        wait: seconds between the first worker without work and the last shard.
        scheduler: the share of the scheduler's time that is taken.
        written: bytes of all shard files.
        merge: seconds to add them up, by one process.
        plan: seconds to read all documents once, by one process.
    """

    seconds: float
    busy: float
    wait: float
    scheduler: float
    written: float
    merge: float
    plan: float


BYTES = 4.5
"""Of a token of English text."""


def simulate(case: Case, rates: Rates, seed: int = 1) -> Cost:
    """Shards handed to workers as these are free."""
    rng = random.Random(seed)
    shards = -(-case.documents // case.shard)
    # The mean of many lognormal lengths is nearly normal: one draw for a shard instead of one for each document.
    deviation = ((2.718281828 ** (case.spread**2)) - 1) ** 0.5 / case.shard**0.5
    slow = (rng.random() < case.slow for _ in range(case.workers))
    speeds = [rates.tokens * (0.5 if each else rng.lognormvariate(0, 0.05)) for each in slow]
    free = [(0.0, worker) for worker in range(case.workers)]
    heapq.heapify(free)
    worked, ends = 0.0, [0.0] * case.workers
    for _ in range(shards):
        start, worker = heapq.heappop(free)
        tokens = case.shard * case.tokens * max(0.1, rng.gauss(1, deviation))
        ends[worker] = start + tokens / speeds[worker] + rates.scheduler
        worked += ends[worker] - start
        heapq.heappush(free, (ends[worker], worker))
    last = max(ends)
    return Cost(
        last, worked / (last * case.workers), last - min(ends), shards * rates.scheduler / last,
        shards * rates.shard_bytes, shards * rates.merge, case.documents * case.tokens * BYTES / rates.scan,
    )  # fmt: skip


MODELS = {"MiniLM": Rates(4500, 0.7e6, 0.04), "SmolLM2-135M": Rates(600, 2.2e6, 0.04)}

CASES = (
    Case(1_000_000, 1000, 64, shard=256),
    Case(1_000_000, 1000, 64, shard=1024),
    Case(1_000_000, 1000, 64, shard=64),
    Case(1_000_000, 1000, 1024, shard=256),
    Case(1_000_000_000, 1000, 4096, shard=1024),
)


def run() -> None:
    """Prints a line for each model and case."""
    print(
        "  model         documents  workers  shard     time   busy  last wait  scheduler  shard files   merge     plan"
    )
    for name, rates in MODELS.items():
        for case in CASES:
            cost = simulate(case, rates)
            print(
                f"  {name:<13} {case.documents:>11,} {case.workers:>7,} {case.shard:>6,} {cost.seconds / 3600:>6.1f} h "
                f"{cost.busy:>5.0%} {cost.wait / 60:>7.0f} min {cost.scheduler:>9.2%} {cost.written / 1e9:>9,.1f} GB "
                f"{cost.merge / 60:>5,.0f} min {cost.plan / 60:>5,.0f} min"
            )


if __name__ == "__main__":
    run()
