"""A corpus: what keeping exact sums costs beside ``Model.inspect`` alone, beside the usual way, and with two workers.

The usual way, as people write it: Transformers with ``output_attentions``, statistics of the weights in NumPy. Times
are of the processor, in one thread, so that other work matters little; two workers are timed by the clock as well.
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
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.models import MINILM, SMOLLM, model_of
from bench.survey import LICENSE

CORPORA = {"minilm": ("short", "256", "512"), "smollm": ("short", "256")}
"""The corpora that each model reads."""

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


WAYS = {"inspect": "inspect alone", "forward": "Transformers without statistics", "usual": "the usual way"}


def _quartiles(ours: list[float], theirs: list[float]) -> str:
    """How many times as fast ours is: the median of the rounds, and their quartiles."""
    low, middle, high = quantiles([b / a for a, b in zip(ours, theirs, strict=True)], n=4)
    return f"{middle:.2f} ({low:.2f} .. {high:.2f})"


def measured(name: str, corpora: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Seconds of processor time for each corpus and way of reading it, one for each round, in turn."""
    from clearhead import load
    from clearhead.compiled.program import blas
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
    forward, usual = _usual(path)

    def corpus(texts: Sequence[tuple[int, ...]]) -> None:
        observer.add(Tally(), [Part(0, 0, "", text) for text in texts])

    def alone(texts: Sequence[tuple[int, ...]]) -> None:
        for text in texts:
            model.inspect(list(text))

    ways: dict[str, Any] = {"corpus": corpus, "inspect": alone, "forward": forward, "usual": usual}
    found = {}
    for which in corpora:
        texts = [ids[n * 60 :][:length] for n, length in enumerate(LENGTHS[which])]
        observer = Observer(model, Options(length=max(LENGTHS[which])))
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, work in ways.items():
                start = time.process_time()
                work(texts)
                seconds[way].append(time.process_time() - start)
        found[which] = {way: spent[1:] for way, spent in seconds.items()}
    return found


def _usual(path: Path) -> tuple[Any, Any]:
    """Transformers alone, and Transformers with all weights, and most of the same statistics in NumPy."""
    import numpy as np
    import torch
    import transformers

    torch.set_num_threads(1)
    model = model_of(path, transformers, torch)

    def forward(texts: Sequence[tuple[int, ...]]) -> None:
        with torch.inference_mode():
            for text in texts:
                model.base_model(torch.tensor([text]))

    def work(texts: Sequence[tuple[int, ...]]) -> None:
        for text in texts:
            one(text)

    def one(text: tuple[int, ...]) -> None:
        with torch.inference_mode():
            found = model.base_model(torch.tensor([text]), output_attentions=True).attentions
        ids = np.asarray(text)
        far = abs(np.subtract.outer(np.arange(len(ids)), np.arange(len(ids))))
        same = np.tril(ids[:, None] == ids, -1).astype(np.float32)
        patterns = [np.eye(len(ids), k=-1, dtype=np.float32), same, np.tril(np.roll(same, 1, 1))]
        for layer in found:
            weights = layer[0].numpy()
            entropy = -(weights * np.log(np.where(weights > 0, weights, 1))).sum(-1)
            sums = [entropy, weights[..., :4].sum(-1), np.diagonal(weights, axis1=-2, axis2=-1)]
            sums += [weights.max(-1), weights.argmax(-1), weights.sum(-2)]
            sums += [(weights * pattern).sum(-1) for pattern in patterns]
            edges = [0, *(2**n for n in range(9)), 10**6]
            sums += [(weights * ((low <= far) & (far < high))).sum(-1) for low, high in pairwise(edges)]
            [each.astype(np.float64).mean(-1) for each in sums]

    return forward, work


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
