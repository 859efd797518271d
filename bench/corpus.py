"""A corpus: what keeping exact sums costs beside ``Model.inspect`` alone, beside the usual ways, and with two workers.

The usual ways: Transformers with ``output_attentions``, and all of the same statistics in NumPy (`bench.usual`): as
fast as NumPy does them, and document by document, statistic by statistic, as published scripts have it. Times are of
the processor, in one thread, so that other work matters little; two workers are timed by the clock as well.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.models import MINILM, SMOLLM, model_of
from bench.survey import LICENSE

CORPORA = {"minilm": ("short", "256", "512"), "smollm": ("short", "256")}
"""The corpora that each model reads."""

BATCHES = {"short": 4, "256": 1, "512": 1}
"""The documents that Transformers reads at once: as many as are fastest, of 1, 2, 4 and 8."""

LENGTHS = {"short": tuple(range(20, 100, 5)), "256": (256,) * 4, "512": (512,) * 2}
"""The tokens of the documents of a corpus."""

ROUNDS = 7
"""The first one prepares."""

TOKENS = 256


def run() -> None:
    """Prints a line for each model and corpus, and one for two workers."""
    from clearhead.corpora.worker import SINGLE

    for name, corpora in CORPORA.items():
        program = f"import json; from bench.corpus import measured; print(json.dumps(measured({name!r}, {corpora!r})))"
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, **SINGLE}
        )
        for which, found in json.loads(done.stdout.splitlines()[-1]).items():
            speed = sum(LENGTHS[which]) / median(found["corpus"])
            print(f"  {name}, {which} tokens: {speed:.0f} tokens a second of one core", end="")
            print("".join(f", {_quartiles(found['corpus'], found[way])} of {words}" for way, words in WAYS.items()))
    (one, work), (two, both) = (_seconds(workers) for workers in (1, 2))
    print(f"  two workers: {one / two:.2f} times as fast as one, starting included ({one:.1f} s, {two:.1f} s)", end="")
    print(f"; processor time {both / work:.2f} times")


WAYS = {
    "inspect": "inspect alone",
    "forward": "Transformers without statistics",
    "usual": "NumPy at its best",
    "plain": "NumPy as in scripts",
}


def _quartiles(ours: list[float], theirs: list[float]) -> str:
    """How many times as fast ours is: the median of the rounds, and their quartiles."""
    low, middle, high = quantiles([b / a for a, b in zip(ours, theirs, strict=True)], n=4)
    return f"{middle:.2f} ({low:.2f} .. {high:.2f})"


def measured(name: str, corpora: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Seconds of processor time for each corpus and way of reading it, one for each round, in turn."""
    import torch
    import transformers

    from bench.usual import OneByOne, Usual
    from clearhead import load
    from clearhead.compiled.program import blas
    from clearhead.corpora.exact import edges
    from clearhead.corpora.observer import Observer
    from clearhead.corpora.options import Options
    from clearhead.corpora.sequences import Sequence as Part
    from clearhead.corpora.tally import Tally
    from clearhead.ops import threads

    threads.limit(1)
    blas.left_out.set()  # as workers do
    path = MINILM if name == "minilm" else SMOLLM
    model = load(path)
    ids = model.tokenizer.ids(LICENSE.read_text("utf-8"), special=False)
    torch.set_num_threads(1)
    theirs = model_of(path, transformers, torch).base_model

    def corpus(texts: Sequence[tuple[int, ...]]) -> None:
        observer.add(Tally(), [Part(0, 0, "", text) for text in texts])

    def alone(texts: Sequence[tuple[int, ...]]) -> None:
        for text in texts:
            model.inspect(list(text))

    def forward(texts: Sequence[tuple[int, ...]]) -> None:
        for start in range(0, len(texts), BATCHES[which]):
            usual.forward(texts[start : start + BATCHES[which]], attentions=False)

    def stored(texts: Sequence[tuple[int, ...]]) -> None:
        usual.add(texts, batch=BATCHES[which])

    def scripted(texts: Sequence[tuple[int, ...]]) -> None:
        plain.add(texts)

    ways: dict[str, Any] = {
        "corpus": corpus, "inspect": alone, "forward": forward, "usual": stored, "plain": scripted
    }  # fmt: skip
    found = {}
    for which in corpora:
        texts = [ids[n * 60 :][:length] for n, length in enumerate(LENGTHS[which])]
        observer = Observer(model, Options(length=max(LENGTHS[which])))
        usual, plain = (each(theirs, max(LENGTHS[which]), observer.classes, edges()) for each in (Usual, OneByOne))
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, work in ways.items():
                start = time.process_time()
                work(texts)
                seconds[way].append(time.process_time() - start)
        found[which] = {way: spent[1:] for way, spent in seconds.items()}
    return found


def _seconds(workers: int) -> tuple[float, float]:
    """Seconds by the clock, and of the workers' processors."""
    from clearhead.corpora import Local, Options, corpus

    with tempfile.TemporaryDirectory() as folder:
        text = LICENSE.read_text("utf-8")
        data = Path(folder) / "texts.jsonl"
        data.write_text("".join(f"{json.dumps({'text': text[n * 40 :][:2000]})}\n" for n in range(192)))
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        corpus(MINILM, data, Path(folder) / "out", options=Options(length=TOKENS), engine=Local(workers))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return time.perf_counter() - start, work
