"""A corpus: what keeping exact sums costs beside ``Model.inspect`` alone, beside the usual way, and with two workers.

The usual way, as people write it: Transformers with ``output_attentions``, statistics of the weights in NumPy. Times
are of the processor, in one thread, so that other work matters little; two workers are timed by the clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.models import MINILM, SMOLLM
from bench.survey import LICENSE

TOKENS, DOCUMENTS = 256, 12


def run() -> None:
    """Prints a line for each model, and one for two workers."""
    from clearhead.corpora.worker import SINGLE

    for name in ("minilm", "smollm"):
        program = f"import json; from bench.corpus import measured; print(json.dumps(measured({name!r})))"
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, **SINGLE}
        )
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"  {name}: {found['corpus']:.0f} tokens a second of one core", end="")
        print(f", {found['corpus'] / found['inspect']:.2f} of inspect alone", end="")
        print(f", {found['corpus'] / found['usual']:.1f} times the usual way" if found["usual"] else "")
    one, two = (_seconds(workers) for workers in (1, 2))
    print(f"  two workers: {one / two:.2f} times as fast as one, starting included ({one:.1f} s, {two:.1f} s)")


def measured(name: str) -> dict[str, float]:
    """Tokens in a second of processor time: a corpus, inspect alone, and the usual way."""
    import numpy as np

    from clearhead import load
    from clearhead.corpora.observer import Observer
    from clearhead.corpora.options import Options
    from clearhead.corpora.sequences import Sequence
    from clearhead.corpora.tally import Tally
    from clearhead.ops import threads

    threads.limit(1)
    model = load(MINILM if name == "minilm" else SMOLLM, engine="array")
    ids = model.tokenizer.ids(LICENSE.read_text("utf-8"), special=False)
    texts = [ids[n * TOKENS // 2 :][:TOKENS] for n in range(DOCUMENTS)]
    observer, tally = Observer(model, Options(length=TOKENS)), Tally()

    def corpus(text: tuple[int, ...]) -> None:
        observer.add(tally, [Sequence(0, 0, "", text)])

    def alone(text: tuple[int, ...]) -> None:
        model.inspect(list(text))

    usual = _usual() if name == "minilm" else None
    seconds = {"corpus": 0.0, "inspect": 0.0, "usual": 0.0}
    ways: dict[str, Any] = {"corpus": corpus, "inspect": alone, "usual": usual}
    for count, text in enumerate([texts[0], *texts]):
        for way, work in ways.items():
            if work is None:
                continue
            start = time.process_time()
            work(text)
            seconds[way] += (time.process_time() - start) * (count > 0)  # the first time prepares
    assert np.isfinite(list(seconds.values())).all()
    return {way: DOCUMENTS * TOKENS / spent if spent else 0.0 for way, spent in seconds.items()}


def _usual() -> Any:
    """Transformers with all weights, and the same statistics in NumPy."""
    import numpy as np
    import torch
    from transformers import AutoModel

    torch.set_num_threads(1)
    model = AutoModel.from_pretrained(MINILM, attn_implementation="eager").eval()

    def work(text: tuple[int, ...]) -> None:
        with torch.no_grad():
            found = model(torch.tensor([text]), output_attentions=True).attentions
        ids = np.asarray(text)
        far = abs(np.subtract.outer(np.arange(len(ids)), np.arange(len(ids))))
        same = np.tril(ids[:, None] == ids, -1).astype(np.float32)
        patterns = [np.eye(len(ids), k=-1), same, np.tril(np.roll(same, 1, 1))]
        for layer in found:
            weights = layer[0].numpy()
            entropy = -(weights * np.log(np.where(weights > 0, weights, 1))).sum(-1)
            sums = [entropy, weights[..., :4].sum(-1), weights.max(-1), np.diagonal(weights, axis1=-2, axis2=-1)]
            sums += [(weights * pattern).sum(-1) for pattern in patterns] + [weights.sum(-2)]
            edges = [0, *(2**n for n in range(9)), 10**6]
            sums += [(weights * ((low <= far) & (far < high))).sum(-1) for low, high in pairwise(edges)]
            [each.astype(np.float64).mean(-1) for each in sums]

    return work


def _seconds(workers: int) -> float:
    from clearhead.corpora import Local, Options, corpus

    with tempfile.TemporaryDirectory() as folder:
        text = LICENSE.read_text("utf-8")
        data = Path(folder) / "texts.jsonl"
        data.write_text("".join(f"{json.dumps({'text': text[n * 40 :][:2000]})}\n" for n in range(192)))
        start = time.perf_counter()
        corpus(MINILM, data, Path(folder) / "out", options=Options(length=TOKENS), engine=Local(workers))
        return time.perf_counter() - start
