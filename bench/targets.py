"""Whole models traced, and what else is to be fast, against peers: ratios beside those that are to be reached.

All is measured twice, by processes of their own: in seconds on the clock, with the threads that the libraries choose,
and in seconds of the processor, with one thread each, which other programs on the machine disturb less
(``CLEARHEAD_BENCH_CLOCK=cpu`` leaves out the clock). Pairs are interleaved, with a rest before each, in which threads
stop spinning. What is printed are medians of the ratios of pairs, and their quartiles. Everything is compiled and
loaded before, but for whole processes, of which the peak memory is, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, NamedTuple

from bench import models
from bench.models import MINILM, SMOLLM
from bench.timing import Ratio, compare, process, work

CLOCKS = {"clock": time.perf_counter, "processor": work}
"""What seconds are counted: on the clock, or of the processor, with one thread."""

MEASURED = [each for each in CLOCKS if each == "processor" or os.environ.get("CLEARHEAD_BENCH_CLOCK") != "cpu"]

PAIRS = {16: 9, 128: 5, 512: 3}
BARS = {16: 0.55, 128: 0.82, 512: 0.80}
LENGTHS = (128, 116, 99, 89, 71, 74, 53, 55)
"""Tokens of the texts of a batch."""

REST = 0.2
"""Seconds; see `bench.timing.compare`."""

Function = Callable[[], object]


class Row(NamedTuple):
    """A ratio that is to be reached: of what, against what, at most how large, of how many pairs."""

    ours: str
    theirs: str
    bar: float
    pair: Callable[[], tuple[Function, Function]]
    pairs: int
    repeat: int = 1


@cache
def _ours(name: str) -> models.Trace:
    return models.clearhead_model(CHECKPOINTS[name])


@cache
def _theirs(name: str) -> models.Trace:
    return models.transformers_model(CHECKPOINTS[name])


CHECKPOINTS = {"MiniLM": MINILM, "SmolLM2-135M": SMOLLM}


def _traces(name: str, count: int) -> tuple[Function, Function]:
    ids = models.ids_of(count)
    return partial(_ours(name), ids), partial(_theirs(name), ids)


def _lens(count: int) -> tuple[Function, Function]:
    ids = models.ids_of(count)
    return partial(_ours("SmolLM2-135M"), ids), partial(models.lens_model(SMOLLM), ids)


def _batches(name: str) -> tuple[Function, Function]:
    from clearhead import load

    texts: Any = [models.ids_of(count) for count in LENGTHS]
    return partial(load(CHECKPOINTS[name]).trace, texts), partial(models.transformers_batch(CHECKPOINTS[name]), texts)


def _products(name: str) -> tuple[Function, Function]:
    from bench.products import fastest

    ids = models.ids_of(512)
    return partial(_ours(name), ids), fastest(CHECKPOINTS[name], 512)


def _block() -> tuple[Function, Function]:
    from bench.block import without_gradients

    return without_gradients()


def _shown() -> tuple[Function, Function]:
    return process("-m", "clearhead", "show", "soccer"), process("-c", "import numpy")


def rows() -> Iterator[Row]:
    """The rows of the table whose two sides are timed."""
    for name in CHECKPOINTS:
        for count, bar in BARS.items():
            yield Row(f"{name}, {count} tokens", "Transformers eager", bar, partial(_traces, name, count), PAIRS[count])
    if find_spec("transformer_lens"):
        for count in BARS:
            ours = f"SmolLM2-135M, {count} tokens"
            yield Row(ours, "TransformerLens run_with_cache", 0.6, partial(_lens, count), PAIRS[count])
    yield Row("MiniLM, 8 texts of 53 to 128", "Transformers eager", 0.85, partial(_batches, "MiniLM"), 5)
    yield Row("MiniLM, 512 tokens", "its products alone, each the fastest", 1 / 0.75, partial(_products, "MiniLM"), 5)
    yield Row("the notebook's block", "MultiheadAttention + LayerNorm", 0.4, _block, 30, 100)
    yield Row("clearhead show soccer", "import numpy", 1.8, _shown, 9)


def measure(clock: str) -> None:
    """Prints the ratio of each row as JSON, by one of the clocks."""
    if clock == "processor":
        import torch

        from clearhead.ops import threads

        threads.limit(1)
        torch.set_num_threads(1)
    for row in rows():
        ours, theirs = row.pair()
        found = compare(ours, theirs, pairs=row.pairs, repeat=row.repeat, rest=REST, clock=CLOCKS[clock])
        print(json.dumps(found), flush=True)


def run() -> None:
    """Prints the table."""
    found = {clock: _measured(clock) for clock in MEASURED}
    print(f"{'clearhead':<30}  {'against':<40}  {'at most':>7}  " + "  ".join(f"{each:<26}" for each in MEASURED))
    for row, *ratios in zip(rows(), *found.values(), strict=True):
        print(
            f"{row.ours:<30}  {row.theirs:<40}  {row.bar:7.2f}  " + "  ".join(_said(each, row.bar) for each in ratios)
        )
    if not find_spec("transformer_lens"):
        print("TransformerLens is not installed, and not measured.")
    for name in CHECKPOINTS:
        ours, theirs = (_peak(maker, name) for maker in ("clearhead", "transformers"))
        print(
            f"{name + ', 512 tokens, peak':<30}  {'Transformers eager':<40}  {0.5:7.2f}  "
            f"{_met(ours / theirs, 0.5)}  {ours:.0f} of {theirs:.0f} MB"
        )
    seconds = _first_use()
    print(f"{'first use of compiled code':<30}  {'seconds of the processor':<40}  {3.0:7.2f}  {_met(seconds, 3.0)}")


def _measured(clock: str) -> list[Ratio]:
    threads = {f"{each}_NUM_THREADS": "1" for each in ("OMP", "MKL", "OPENBLAS")} if clock == "processor" else {}
    done = subprocess.run(
        [sys.executable, "-c", f"from bench.targets import measure; measure({clock!r})"],
        check=True, stdout=subprocess.PIPE, text=True, env=os.environ | threads,
    )  # fmt: skip
    return [Ratio(*json.loads(line)) for line in done.stdout.splitlines() if line.startswith("[")]


def _met(number: float, bar: float) -> str:
    return f"{number:5.2f} {'met' if number <= bar else 'not met'}"


def _said(found: Ratio, bar: float) -> str:
    return f"{_met(found.ratio, bar):<13} ({found.low:.2f} .. {found.high:.2f})"


def _peak(maker: str, name: str) -> float:
    """The peak memory in MB of a process that loads a model and traces 512 tokens."""
    program = (
        f"from bench import models as m, targets; "
        f"trace = m.{maker}_model(targets.CHECKPOINTS[{name!r}]); kept = trace(m.ids_of(512)); print(m.peak())"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.splitlines()[-1]) / 1024


FIRST = """
import time
import numpy as np
from bench import models
from clearhead import load
model = load(models.MINILM)
ids = models.ids_of(128)
model.arrays
start = time.process_time()
model.trace(ids)
first = time.process_time() - start
start = time.process_time()
model.trace(ids)
print(first - (time.process_time() - start))
"""


def _first_use() -> float:
    """Seconds of the processor that the first trace takes longer than the second, where nothing is compiled yet."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = os.environ | {"NUMBA_CACHE_DIR": f"{folder}/numba", "XDG_CACHE_HOME": f"{folder}/cache"}
        done = subprocess.run([sys.executable, "-c", FIRST], stdout=subprocess.PIPE, text=True, check=True, env=fresh)
    return float(done.stdout)
