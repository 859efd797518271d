"""Timing on a noisy machine: interleaved pairs, and the median of their ratios."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

FEWEST = 3
"""How many pairs are measured at least."""


class Ratio(NamedTuple):
    """Seconds of two things, each the median, and the median and quartiles of the ratio of each pair."""

    ours: float
    theirs: float
    ratio: float
    low: float
    high: float

    def row(self, ours: str, theirs: str, unit: float = 1e6, name: str = "us") -> str:
        """A line to print."""
        return (
            f"{ours:<34} {self.ours * unit:8.1f} {name}   {theirs:<44} {self.theirs * unit:8.1f} {name}   "
            f"ratio {self.ratio:.2f}  ({self.low:.2f} .. {self.high:.2f})"
        )


def compare(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    pairs: int,
    repeat: int,
    rest: float = 0.0,
    clock: Callable[[], float] = time.perf_counter,
    seconds: float = float("inf"),
) -> Ratio:
    """Times two functions in turn, so that both see the same noise. ``repeat`` calls make one measurement.

    ``rest`` is how many seconds to wait before each: OpenMP's threads spin on for a while after their work, and would
    take a core from whatever is measured next. After ``seconds`` no further pair is begun, but for the first three.
    """
    found: tuple[list[float], list[float]] = ([], [])
    for function in (ours, theirs):
        function()
    begun = time.perf_counter()
    for pair in range(pairs):
        if pair >= FEWEST and time.perf_counter() - begun > seconds:
            break
        for function, taken in zip((ours, theirs), found, strict=True):
            time.sleep(rest)
            start = clock()
            for _ in range(repeat):
                function()
            taken.append((clock() - start) / repeat)
    ratios = [a / b for a, b in zip(*found, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return Ratio(statistics.median(found[0]), statistics.median(found[1]), middle, low, high)


def work() -> float:
    """Seconds of the processor that this process has had, and those of its children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def process(*arguments: str) -> Callable[[], object]:
    """A function that runs Python on these arguments as a process of its own, with compiled modules kept as usual."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run() -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)

    return run
