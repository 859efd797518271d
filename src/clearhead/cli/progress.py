"""A progress bar with the remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

WIDTH = 30


@contextmanager
def progress_bar(label: str, file: TextIO) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal, removed at the end; elsewhere nothing. Yields a function of the finished part, 0 to 1."""
    if not file.isatty():
        yield lambda _: None
        return
    left = TimeLeft(time.monotonic)

    def report(share: float) -> None:
        full = round(share * WIDTH)
        file.write(f"\r{label}  [{'#' * full}{'-' * (WIDTH - full)}]  {share:4.0%}  {left(share):<16}")
        file.flush()

    try:
        report(0.0)
        yield report
    finally:
        file.write("\r\x1b[K")
        file.flush()


class TimeLeft:
    """How long the rest takes, in words, at the speed since the work started; preparation is not counted."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.began = clock()

    def __call__(self, share: float) -> str:
        """The remaining time when this part is done."""
        now = self.clock()
        if share <= 0:
            self.began = now
            return ""
        return f"{clock_time((now - self.began) * (1 - share) / share)} left"


def clock_time(seconds: float) -> str:
    """Seconds as a clock shows them.

    >>> clock_time(64), clock_time(7384)
    ('1:04', '2:03:04')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
