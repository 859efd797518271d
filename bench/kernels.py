"""Attention with its statistics against PyTorch's without, and against the two matrix products alone.

The aims, at depth 64 in float32, with logsumexp, entropy, max and the 8 largest weights: at least as fast as
`scaled_dot_product_attention`, which tells none of them, from 2,048 tokens up; 3 times as fast as PyTorch with the same
statistics from the weights; 0.75 of the speed of the two products alone, at the best rate that PyTorch's BLAS reaches;
`received` at most 1.8 times the pass without; 131,072 tokens in 300 MB beyond inputs and results. The gradients of
query, key and value from that of the output: at most the time of PyTorch's backward pass of the same function.

``CLEARHEAD_BENCH_TOKENS`` names other counts of tokens than 512 to 16,384. On a machine that others use,
``CLEARHEAD_BENCH_CLOCK=cpu`` gives each side one thread and counts its seconds of work instead of those on the wall.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from numba import config
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from bench.timing import compare
from clearhead import Inspection, inspect
from clearhead.inspection.gradients import Attended, attend
from clearhead.inspection.request import Wanted, request_of

DEPTH, TOP = 64, 8
NAMES = ("query", "key", "value")
TOKENS = tuple(map(int, os.environ.get("CLEARHEAD_BENCH_TOKENS", "512,2048,4096,16384").split(",")))
EAGER, LONG = 4096, 131_072
REST = 0.05
"""Seconds between measurements, until PyTorch's threads have stopped to spin."""

CPU = os.environ.get("CLEARHEAD_BENCH_CLOCK") == "cpu"
HEADS = {"12 heads": (12, 12), "9 query heads, 3 key heads": (9, 3)}


def run() -> None:
    """Prints the ratios; below 1 the first is the faster."""
    if CPU:
        torch.set_num_threads(1)
        config.NUMBA_NUM_THREADS = 1
        print("Seconds of work, one thread each")
    for name, (heads, groups) in HEADS.items():
        for tokens in TOKENS:
            for causal in (False, True):
                print(f"{name}, {tokens:,} tokens, {'causal' if causal else 'full'}")
                _against_peers(_arrays(heads, groups, tokens), causal=causal)
    print("Memory beyond inputs and results, whole processes")
    for tokens in sorted({*TOKENS, LONG}):
        _memory(tokens)


def _arrays(heads: int, groups: int, tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, count, tokens, DEPTH) for count in (heads, groups, groups))
    return query, key, value


def _against_peers(arrays: tuple[Tensor, Tensor, Tensor], *, causal: bool) -> None:
    query, key, value = arrays
    tokens, pairs = query.shape[2], max(3, min(25, 60_000 // query.shape[2]))

    def ours(**options: Any) -> Callable[[], Inspection]:
        return lambda: inspect(query, key, value, causal=causal, top=TOP, **options)

    def sdpa() -> Tensor:
        return scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=True)

    def row(theirs: Callable[[], object], what: str, mine: Callable[[], object] | None = None) -> None:
        clock = time.process_time if CPU else time.perf_counter
        ratio = compare(mine or ours(), theirs, pairs=pairs, repeat=1, rest=REST, clock=clock)
        print("  " + ratio.row("clearhead, with received" if mine else "clearhead", what, 1e3, "ms"), flush=True)

    row(sdpa, "torch sdpa, no statistics")
    row(_products(query, key, value, causal=causal), "the two products alone, torch")
    if tokens <= EAGER:
        row(lambda: _eager(query, key, value, causal=causal), "torch eager, the same statistics")
    row(ours(), "clearhead", ours(received=True))
    mine, theirs = _gradients(arrays, causal=causal)
    ratio = compare(
        mine, theirs, pairs=pairs, repeat=1, rest=REST, clock=time.process_time if CPU else time.perf_counter
    )
    print("  " + ratio.row("clearhead, gradients", "torch sdpa, backward", 1e3, "ms"), flush=True)


def _attended(arrays: tuple[Tensor, Tensor, Tensor], *, causal: bool) -> Attended:
    options = {"causal": causal, "window": None, "softcap": None, "scale": None}
    return attend(request_of(arrays, {}, None, options, Wanted(top=0)), NAMES)


def _gradients(
    arrays: tuple[Tensor, Tensor, Tensor], *, causal: bool
) -> tuple[Callable[[], object], Callable[[], object]]:
    """The backward pass of both, each after its own forward pass."""
    attended, grad = _attended(arrays, causal=causal), torch.randn(arrays[0].shape)
    leaves = [each.clone().requires_grad_() for each in arrays]
    query, key, value = leaves
    output = scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=True)
    return (
        lambda: attended.gradients(grad, NAMES),
        lambda: torch.autograd.grad(output, leaves, grad, retain_graph=True),
    )


def _eager(query: Tensor, key: Tensor, value: Tensor, *, causal: bool) -> tuple[Tensor, ...]:
    """The same statistics from the weights, a head at a time so that they stay small."""
    found = []
    shared = query.shape[1] // key.shape[1]
    for head in range(query.shape[1]):
        scores = query[0, head] @ key[0, head // shared].mT * DEPTH**-0.5
        if causal:
            scores.masked_fill_(torch.ones(scores.shape, dtype=torch.bool).triu_(1), -torch.inf)
        logarithms = scores.log_softmax(-1)
        weights = logarithms.exp()
        entropy = -torch.where(weights > 0, weights * logarithms, 0).sum(-1)
        top = weights.topk(TOP)
        found.append(
            (
                weights @ value[0, head // shared],
                scores.logsumexp(-1),
                entropy,
                scores.amax(-1),
                top.values,
                top.indices,
            )
        )
    return tuple(torch.stack(each) for each in zip(*found, strict=True))


def _products(query: Tensor, key: Tensor, value: Tensor, *, causal: bool) -> Callable[[], object]:
    """Both products of every head, a tile of the size that BLAS is fastest at; under a causal mask half as many."""
    rows = min(2048, query.shape[2])
    scores, out = torch.empty(rows, rows), torch.empty(rows, DEPTH)
    a, b, c = query[0, 0, :rows], key[0, 0, :rows], value[0, 0, :rows]
    cells = query.shape[1] * query.shape[2] ** 2 / (2 if causal else 1)
    times = max(1, round(cells / rows**2))

    def run() -> None:
        for _ in range(times):
            torch.mm(a, b.T, out=scores)
            torch.mm(scores, c, out=out)

    return run


def _memory(tokens: int) -> None:
    """Prints peak and time of one head in processes of their own."""
    ours, theirs, back = (_alone(kind, tokens) for kind in ("inspect", "sdpa", "gradients"))
    predicted = (
        "" if tokens <= TOKENS[-1] else f"   {ours['seconds'] / ours['smaller']:.1f} times the time of {tokens // 8:,}"
    )
    print(
        f"  {tokens:>9,} tokens, 1 head: clearhead {ours['beyond'] / 1e6:7.1f} MB   "
        f"its gradients {back['beyond'] / 1e6:7.1f} MB   torch sdpa {theirs['beyond'] / 1e6:7.1f} MB   "
        f"the weights would take {tokens**2 * 4 / 1e6:,.0f} MB{predicted}"
    )


def _alone(kind: str, tokens: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.kernels", kind, str(tokens)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measure(kind: str, tokens: int) -> dict[str, float]:
    """The peak of this process beyond the arrays while it works, over that of a warm start; and seconds."""

    def work(query: Tensor, key: Tensor, value: Tensor) -> Any:
        if kind == "sdpa":
            return scaled_dot_product_attention(query, key, value)
        if kind == "gradients":
            return _attended((query, key, value), causal=False).gradients(torch.ones(query.shape), NAMES)
        return inspect(query, key, value, top=TOP)

    work(*_arrays(1, 1, 512))
    smaller = _arrays(1, 1, max(512, tokens // 8))
    start = time.perf_counter()
    work(*smaller)
    small = time.perf_counter() - start
    arrays = _arrays(1, 1, tokens)
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
    return {"beyond": max(seen) - before - kept, "seconds": seconds, "smaller": small}


def _resident() -> int:
    with open("/proc/self/statm") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]))))
