"""Measuring and probing attention code: calls of the function, and seconds of the processor.

The aims: at most 400 calls for measuring attention that takes a batch, three seconds for all of a probe of it, and ten
for one of a block, right or wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from clearhead import Attention, Block, Mlp, Norm, Rotary, Working, deviate, measure, probe

SPECS = {
    "plain": Attention(heads=2),
    "causal, rotary, grouped": Attention(heads=8, kv_heads=2, causal=True, rotary=Rotary()),
    "window, soft-cap": Attention(heads=4, causal=True, window=4, softcap=30.0),
}


SECONDS, BLOCK_SECONDS, CALLS = 3.0, 10.0, 400
"""The aims: seconds of the processor for a probe of attention and of a block, and calls for measuring attention."""


def run() -> None:
    """Prints seconds and calls, each with its ratio to the aim, of right code and of code with a fault."""
    for name, spec in SPECS.items():
        working = spec.working()
        for what, made in FUNCTIONS.items():
            function = made(working)
            calls = measure(function, working).calls
            start = time.process_time()
            report = probe(function, working)
            seconds = time.process_time() - start
            found = report.measured
            names = (found.premise.name if found.premise else ", ".join(found.names)) if found else ""
            print(
                f"{name:<26} {what:<7} {seconds / SECONDS:5.2f} of the time ({seconds:4.2f} s)  "
                f"{calls / CALLS:5.2f} of the calls ({calls:>4})  {report.verdict}, {names or 'nothing differs'}"
            )
    _blocks()


BLOCK = Block(
    Attention(heads=2, causal=True), norm=Norm("rms", eps=1e-6), placement="sandwich", mlp=Mlp("silu", gated=True)
)
FAULTS = ("", "residual-doubled:line=all", "norm-eps-of-one:eps=0.0007,line=mlp.outer.norm", "unknown")
"""Right; wrong in a plain way; by a number that must be fitted; and in a way that no table has."""


def _blocks() -> None:
    """The same of a block that takes all of its weights."""
    working = BLOCK.working()
    takes = [given.name for given in working.givens]
    last = working.lines[-1].name
    for fault in FAULTS:
        run = (working if fault in ("", "unknown") else deviate(working, fault)).run
        odd: Callable[[Any], Any] = np.tanh if fault == "unknown" else np.asarray

        def function(*arrays: Any, run: Any = run, odd: Any = odd) -> Any:
            return odd(run(dict(zip(takes, arrays, strict=True)), keep=last)[last])

        start = time.process_time()
        report = probe(function, working, takes, last)
        seconds = time.process_time() - start
        calls = report.measured.calls if report.measured else 0
        print(f"block {fault or 'right':<50} {seconds / BLOCK_SECONDS:5.2f} of the time ({seconds:4.2f} s)  "
              f"{calls:>4} calls  {report.verdict}")  # fmt: skip


def _scaled(working: Working, factor: float = 1.3) -> Callable[..., Any]:
    """The working as a function, with queries that are scaled."""
    entered = working.starting_at("query", "key", "value").ending_at("head")
    return lambda q, k, v: entered.run({"query": factor * np.asarray(q), "key": k, "value": v})["head"]


def _top_k(working: Working) -> Callable[..., Any]:
    """The working as a function in which each query keeps its three largest weights alone."""
    weights = working.starting_at("query", "key").ending_at("weights")

    def function(q: Any, k: Any, v: Any) -> Any:
        w = weights.run({"query": q, "key": k})["weights"]
        least = np.sort(w, -1)[..., -min(3, w.shape[-1])][..., None]
        w = np.where(w >= least, w, 0)
        return w / w.sum(-1, keepdims=True) @ np.repeat(v, w.shape[1] // v.shape[1], 1)

    return function


def _stale(working: Working) -> Callable[..., Any]:
    """The working as a function that uses the keys of the call before, where these have the same shape."""
    entered, kept = _scaled(working, 1.0), [np.zeros(0)]

    def function(q: Any, k: Any, v: Any) -> Any:
        old, kept[0] = kept[0], k
        return entered(q, old if old.shape == k.shape else k, v)

    return function


FUNCTIONS: dict[str, Callable[[Working], Callable[..., Any]]] = {
    "right": lambda working: _scaled(working, 1.0), "scaled": _scaled, "top-k": _top_k, "stale": _stale,
}  # fmt: skip
"""Right code; a scale that has a name; a choice of keys; and keys that are kept from call to call."""
