"""Measuring and probing attention code: calls of the function, and seconds of the processor.

The aims: at most 400 calls for measuring a function that takes a batch, and three seconds for all of a probe.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from clearhead import Attention, Rotary, Working, measure, probe

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


def _function(working: Working, factor: float) -> Callable[..., Any]:
    """The working as a function, with queries that are scaled."""
    entered = working.starting_at("query", "key", "value").ending_at("head")
    return lambda q, k, v: entered.run({"query": factor * np.asarray(q), "key": k, "value": v})["head"]
