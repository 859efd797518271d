"""Shown digits that are right: numbers whose rounding error could change one are computed again, in intervals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from clearhead.dust import ERRORS, computed_lines, largest_of, spread_of
from clearhead.expr.text import NOISE
from clearhead.trace import Trace

Array = np.ndarray[Any, Any]

DECIMALS, MAX_DIGITS = 12, 10
"""Digits are right up to this many decimals, and this many digits in all."""

LOOSE = 2e-14
"""Errors of more than this part of the trace's largest number are not looked for."""

MAX_CELLS = 2000
"""Where more numbers than this would have to be computed, a trace is left as it is."""


def with_right_digits(trace: Trace) -> Trace:
    """The trace with numbers right to the last bit where their error could change a digit when they are rounded.

    That is so where a number lies no further from the middle of two decimals than its error, measured as `without_dust`
    does: 0.01499999999999968 may be 0.015, and to two decimals it is 0.01 or 0.02. Such numbers are computed
    in intervals of 50 digits. What these do not decide, and what depends on sines, cosines or error functions, stays.

    Args:
        trace: a trace of NumPy arrays with all that was given; any other is returned as it is.
    """
    lines = {name: array for name, array in computed_lines(trace).items() if array.dtype == np.float64 and array.size}
    if not lines:
        return trace
    numbers = np.concatenate([np.ravel(array) for array in lines.values()])
    error = LOOSE * largest_of({name: trace[name] for name in trace})
    if not _in_doubt(numbers, np.full(numbers.shape, error)).any():
        return trace
    spread = spread_of(trace, tuple(lines))
    doubtful = {name: _in_doubt(array, ERRORS * spread[name]) for name, array in lines.items()}
    names = [name for name, where in doubtful.items() if where.any()]
    if not names:
        return trace
    known = _intervals(trace, names)
    return trace.replaced({name: _settled(lines[name], doubtful[name], known[name]) for name in names if name in known})


def _in_doubt(numbers: Array, error: Array) -> Array:
    """Which numbers are within their error of the middle of two decimals; not those that are written as the middle."""
    size = np.where(np.isfinite(numbers), np.abs(numbers), 0.0)
    doubt = np.zeros(size.shape, dtype=bool)
    with np.errstate(over="ignore"):
        for unit in 10.0 ** np.arange(DECIMALS + 1):
            scaled = np.minimum(size * unit, 10.0**MAX_DIGITS)
            off = np.abs(scaled - np.floor(scaled) - 0.5)
            doubt |= (off <= error * unit) & (off > NOISE / 2 * scaled) & (scaled < 10.0**MAX_DIGITS)
    return doubt


def _intervals(trace: Trace, names: Iterable[str]) -> dict[str, Array]:
    """The intervals of the cells of lines and of those that they need; none if these are too many."""
    from clearhead.expr.intervals import enclosed_cell

    working, given = trace.working.ending_at(*names), trace.given
    shapes = working.shapes({each.name: given[each.name].shape for each in working.givens})
    if sum(int(np.prod(shapes[line.name])) for line in working.lines) > MAX_CELLS:
        return {}
    known = {each.name: np.asarray(given[each.name]) for each in working.givens}
    for line in working.lines:
        operands = [known[name] for name in line.operands]
        result = np.empty(shapes[line.name], dtype=object)
        for cell in line.formula.ordered(result.shape):
            result[cell] = enclosed_cell(line.formula, operands, result, cell)
        known[line.name] = result
    return known


def _settled(array: Array, where: Array, intervals: Array) -> Array:
    """The array with numbers of which both ends of the interval are the same float64."""
    settled = np.array(array)  # a line may be one number
    for cell in map(tuple, np.argwhere(where)):
        low, high = float(intervals[cell].low), float(intervals[cell].high)
        settled[cell] = low if low == high else array[cell]
    return settled
