"""Attention with its statistics against PyTorch's without, and against the two matrix products alone.

The aims, at depth 64 in float32, with logsumexp, entropy, max and the 8 largest weights: at least as fast as
`scaled_dot_product_attention`, which tells none of them, from 2,048 tokens up; 3 times as fast as PyTorch with the same
statistics from the weights; 0.75 of the speed of the two products alone, at the best rate that PyTorch's BLAS reaches;
`received` at most 1.8 times the pass without.

``CLEARHEAD_BENCH_TOKENS`` names other counts of tokens than 512 and 2,048, such as ``4096,16384``. On a machine that
others use, ``CLEARHEAD_BENCH_CLOCK=cpu`` gives each side one thread and counts its seconds of work instead of those on
the wall.
"""

from __future__ import annotations

import os
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
TOKENS = tuple(map(int, os.environ.get("CLEARHEAD_BENCH_TOKENS", "512,2048").split(",")))
EAGER = 4096
SECONDS = 5.0
"""How long the pairs of a row are repeated, three at least."""

REST = 0.05
"""Seconds between measurements, until PyTorch's threads have stopped to spin."""

CPU = os.environ.get("CLEARHEAD_BENCH_CLOCK") == "cpu"
HEADS = {"12 heads": (12, 12), "9 query heads, 3 key heads": (9, 3)}


def run() -> None:
    """Prints the ratios; below 1 the first is the faster."""
    by_work()
    for name, (heads, groups) in HEADS.items():
        for tokens in TOKENS:
            for causal in (False, True):
                print(f"{name}, {tokens:,} tokens, {'causal' if causal else 'full'}")
                _against_peers(arrays_of(heads, groups, tokens), causal=causal)


def gradients() -> None:
    """Prints the ratios of backward passes, each after its own forward pass; at most PyTorch's time is the aim."""
    by_work()
    for name, (heads, groups) in HEADS.items():
        for tokens in TOKENS:
            for causal in (False, True):
                mine, theirs = _gradients(arrays_of(heads, groups, tokens), causal=causal)
                print(f"{name}, {tokens:,} tokens, {'causal' if causal else 'full'}")
                _row(mine, theirs, ("clearhead, gradients", "torch sdpa, backward"), tokens)


def by_work() -> None:
    """Gives each side one thread where seconds of work are counted."""
    if CPU:
        torch.set_num_threads(1)
        config.NUMBA_NUM_THREADS = 1
        print("Seconds of work, one thread each")


def _row(mine: Callable[[], object], theirs: Callable[[], object], names: tuple[str, str], tokens: int) -> None:
    clock = time.process_time if CPU else time.perf_counter
    pairs = max(3, min(25, 60_000 // tokens))
    ratio = compare(mine, theirs, pairs=pairs, repeat=1, rest=REST, clock=clock, seconds=SECONDS)
    print("  " + ratio.row(*names, 1e3, "ms"), flush=True)


def arrays_of(heads: int, groups: int, tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of one example.

    Args:
        heads: how many there are of queries.
        groups: how many there are of keys and values.
        tokens: how many tokens each has.
    """
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, count, tokens, DEPTH) for count in (heads, groups, groups))
    return query, key, value


def _against_peers(arrays: tuple[Tensor, Tensor, Tensor], *, causal: bool) -> None:
    query, key, value = arrays
    tokens = query.shape[2]

    def ours(**options: Any) -> Callable[[], Inspection]:
        return lambda: inspect(query, key, value, causal=causal, top=TOP, **options)

    def sdpa() -> Tensor:
        return scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=True)

    def row(theirs: Callable[[], object], what: str, mine: Callable[[], object] | None = None) -> None:
        _row(mine or ours(), theirs, ("clearhead, with received" if mine else "clearhead", what), tokens)

    row(sdpa, "torch sdpa, no statistics")
    row(_products(query, key, value, causal=causal), "the two products alone, torch")
    if tokens <= EAGER:
        row(lambda: _eager(query, key, value, causal=causal), "torch eager, the same statistics")
    row(ours(), "clearhead", ours(received=True))


def attended(arrays: tuple[Tensor, Tensor, Tensor], *, causal: bool) -> Attended:
    """The forward pass, to be followed by gradients."""
    options = {"causal": causal, "window": None, "softcap": None, "scale": None}
    return attend(request_of(arrays, {}, None, options, Wanted(top=0)), NAMES)


def _gradients(
    arrays: tuple[Tensor, Tensor, Tensor], *, causal: bool
) -> tuple[Callable[[], object], Callable[[], object]]:
    """The backward pass of both, each after its own forward pass."""
    passed, grad = attended(arrays, causal=causal), torch.randn(arrays[0].shape)
    leaves = [each.clone().requires_grad_() for each in arrays]
    query, key, value = leaves
    output = scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=True)
    return (
        lambda: passed.gradients(grad, NAMES),
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
