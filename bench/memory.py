"""Memory of long attention beyond inputs and results: the statistics, the gradients, and PyTorch without either.

The aims: 131,072 tokens in 300 MB, and gradients whose memory grows with the tokens. Each is a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from bench.kernels import NAMES, TOP, arrays_of, attended
from clearhead import Inspection, inspect

TOKENS = {"inspect": (2048, 16_384, 131_072), "gradients": (2048, 4096, 8192, 16_384), "sdpa": (2048, 16_384)}


def run() -> None:
    """Prints the peak of each, for one head."""
    names = {"inspect": "clearhead, statistics", "gradients": "clearhead, gradients", "sdpa": "torch sdpa"}
    for kind, tokens in TOKENS.items():
        for count in tokens:
            found = _alone(kind, count)
            print(
                f"  {names[kind]:<22} {count:>9,} tokens, 1 head: {found['beyond'] / 1e6:7.1f} MB, "
                f"{found['seconds']:6.2f} s   the weights would take {count**2 * 4 / 1e6:,.0f} MB",
                flush=True,
            )


def _alone(kind: str, tokens: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.memory", kind, str(tokens)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measure(kind: str, tokens: int) -> dict[str, float]:
    """The peak of this process beyond the arrays while it works, over that of a warm start; and seconds."""

    def work(query: Tensor, key: Tensor, value: Tensor) -> Any:
        if kind == "sdpa":
            return scaled_dot_product_attention(query, key, value)
        if kind == "gradients":
            return attended((query, key, value), causal=False).gradients(torch.ones(query.shape), NAMES)
        return inspect(query, key, value, top=TOP)

    for count in (512, max(512, tokens // 8)):
        work(*arrays_of(1, 1, count))
    arrays = arrays_of(1, 1, tokens)
    before, done, seen = _resident(), threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.002):
            seen.append(_resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    found = work(*arrays)
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if isinstance(found, Inspection):
        names = ("output", "logsumexp", "entropy", "max", "top_weights", "top_keys", "sink")
        found = {name: getattr(found, name) for name in names}
    kept = sum(each.nbytes for each in (found.values() if isinstance(found, dict) else [found]))
    return {"beyond": max(seen) - before - kept, "seconds": seconds}


def _resident() -> int:
    with open("/proc/self/statm") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]))))
