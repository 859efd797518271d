"""Dust: numbers that are nothing but rounding errors, such as 0.1 + 0.2 - 0.3, and would be 0 by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clearhead.trace import Trace

Array = np.ndarray[Any, Any]

SMALL = 1e-12
"""Only numbers smaller than this part of the trace's largest can be dust."""

COPIES, ERRORS = 4, 4.0
"""How often a working is run again with other roundings, and how many times their spread a number must exceed."""

STEPS = (-2.0, -1.0, 1.0, 2.0)
"""By how many units of its last bit a number is moved: unequal steps seldom cancel each other."""

MAX_CELLS = 100_000
"""Larger traces are left as they are: nobody reads each of their numbers."""


def without_dust(trace: Trace) -> Trace:
    """The trace with 0 in place of numbers that are no larger than their own rounding error.

    Where the given numbers are moved by a unit or two of their last bit, dust changes as much as it is large. A small
    number that is right, such as a weight of 1e-30, keeps its digits.

    Args:
        trace: a trace of NumPy arrays with all that was given; any other is returned as it is.
    """
    lines = computed_lines(trace)
    arrays = {name: trace[name] for name in trace}
    small = {name: where for name, where in _small(arrays, lines).items() if where.any()} if lines else {}
    if not small:
        return trace
    spread = spread_of(trace, tuple(small))
    clean = {name: np.where(where & (np.abs(arrays[name]) <= ERRORS * spread[name]), 0.0, arrays[name])
             for name, where in small.items()}  # fmt: skip
    return trace.replaced(clean)


def computed_lines(trace: Trace) -> dict[str, Array]:
    """The lines of a trace; none of one that is too large, is not of NumPy arrays, or lacks what was given."""
    arrays = {name: trace[name] for name in trace}
    known = all(given.name in arrays for given in trace.working.givens)
    if not known or not all(isinstance(array, np.ndarray | np.generic) for array in arrays.values()):
        return {}
    lines = {line.name: arrays[line.name] for line in trace.working.lines if line.name in arrays}
    return {} if sum(array.size for array in lines.values()) > MAX_CELLS else lines


def _small(arrays: Mapping[str, Array], lines: Mapping[str, Array]) -> dict[str, Array]:
    """Which numbers of float64 lines are small enough to be dust, but not 0."""
    least = SMALL * largest_of(arrays)
    return {name: (array != 0) & (np.abs(array) < least) for name, array in lines.items() if array.dtype == np.float64}


def largest_of(arrays: Mapping[str, Array]) -> float:
    """The size of the largest finite number of arrays; 1 if all are smaller."""
    floats = [array for array in arrays.values() if array.dtype.kind == "f"]
    return max((float(np.max(np.abs(a), initial=1.0, where=np.isfinite(a))) for a in floats), default=1.0)


def spread_of(trace: Trace, names: tuple[str, ...]) -> dict[str, Array]:
    """How far lines move if every given number moves by a unit or two of its last bit."""
    rng = np.random.default_rng(0)
    spread = {name: np.zeros_like(trace[name]) for name in names}
    for _ in range(COPIES):
        given = {name: _moved(array, rng) for name, array in trace.given.items()}
        again = trace.working.run(given, keep=names)
        with np.errstate(invalid="ignore"):
            spread = {name: np.fmax(far, np.abs(again[name] - trace[name])) for name, far in spread.items()}
    return spread


def _moved(array: Array, rng: np.random.Generator) -> Array:
    if array.dtype.kind != "f":
        return array
    moved: Array = array * (1 + rng.choice(STEPS, array.shape) * np.finfo(array.dtype).eps)
    return moved
