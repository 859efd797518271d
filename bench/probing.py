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


def run() -> None:
    """Prints calls and seconds, of right code and of code whose scale is another."""
    for name, spec in SPECS.items():
        working = spec.working()
        for what, factor in (("right", 1.0), ("scaled", 1.3)):
            function = _function(working, factor)
            start = time.process_time()
            found = measure(function, working)
            middle = time.process_time()
            report = probe(function, working)
            end = time.process_time()
            print(
                f"{name:<26} {what:<7} measured in {found.calls:>4} calls, {middle - start:4.2f} s; "
                f"probed in {end - middle:4.2f} s: {report.verdict}, {', '.join(found.names) or 'nothing differs'}"
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
        print(f"block {fault or 'right':<50} probed in {calls:>4} calls, {seconds:4.2f} s: {report.verdict}")


def _function(working: Working, factor: float) -> Callable[..., Any]:
    """The working as a function, with queries that are scaled."""
    entered = working.starting_at("query", "key", "value").ending_at("head")
    return lambda q, k, v: entered.run({"query": factor * np.asarray(q), "key": k, "value": v})["head"]
