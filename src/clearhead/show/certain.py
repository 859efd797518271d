"""Numbers that are shown to more digits than are right in every problem: each is certified, or it is said."""

from __future__ import annotations

import math

import numpy as np
from msgspec.structs import replace

from clearhead.digits import DIGITS, certified
from clearhead.dust import largest_of
from clearhead.show.cells import LARGE
from clearhead.show.view import View
from clearhead.trace import Trace


def as_certain(trace: Trace, view: View) -> tuple[Trace, View]:
    """A trace of which the digits that a view shows are right, and the view, which says where that is not certain.

    Every problem's numbers have ten right digits; only where more are shown all numbers are computed in intervals.
    """
    if view.decimals is None or not trace.working.lines or not _shows_more(trace, view.decimals):
        return trace, view
    trace, unsure = certified(trace)
    if not unsure:
        return trace, view
    lines = ", ".join(unsure[:MAX_NAMED]) + (f" and {len(unsure) - MAX_NAMED} more" if unsure[MAX_NAMED:] else "")
    said = f"With this number of decimals the last may be wrong in {lines}: these are computed in double precision."
    return trace, replace(view, about=f"{view.about}\n\n{said}".strip())


MAX_NAMED = 5
"""The most lines that are named."""


def _shows_more(trace: Trace, decimals: int) -> bool:
    """Whether a computed number has more digits than are right anyway; those with exponents have fewer than others."""
    lines = [trace[line.name] for line in trace.working.lines if hasattr(trace.get(line.name), "dtype")]
    wide = [np.abs(x, dtype=np.float64) for x in lines if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    plain = {str(n): np.where(x < LARGE, x, 0.0) for n, x in enumerate(wide)}
    return decimals + 1 + math.floor(math.log10(largest_of(plain))) > DIGITS
