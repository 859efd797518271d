"""Shown digits that are right: numbers whose rounding error could change one are computed again, in intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import numpy as np

from clearhead.dust import ERRORS, computed_lines, largest_of, spread_of
from clearhead.expr.text import MOST_DIGITS, NOISE, fixed
from clearhead.trace import Trace

Array = np.ndarray[Any, Any]

DIGITS = 10
"""The number of digits that are right in the numbers of every problem, wherever they are rounded."""

LOOSE = 2e-14
"""Errors of more than this part of the trace's largest number are not looked for."""

MAX_CELLS, MOST_CELLS = 2000, 20_000
"""Where more numbers than this would have to be computed, a trace is left as it is; the second on request."""


def with_right_digits(trace: Trace) -> Trace:
    """The trace with numbers right to the last bit where their error could change one of ten digits when rounded.

    That is so where a number lies no further from the middle of two decimals than its error, measured as `without_dust`
    does: 0.01499999999999968 may be 0.015, and to two decimals it is 0.01 or 0.02. Such numbers are computed
    in intervals of 50 digits. What these do not decide stays.

    Args:
        trace: a trace of NumPy arrays with all that was given; any other is returned as it is.
    """
    lines = _float64_lines(trace)
    if not lines:
        return trace
    numbers = np.concatenate([np.ravel(array) for array in lines.values()])
    error = LOOSE * largest_of({name: trace[name] for name in trace})
    if not _in_doubt(numbers, np.full(numbers.shape, error)).any():
        return trace
    spread = spread_of(trace, tuple(lines))
    doubtful = {
        name: where for name, array in lines.items() if (where := _in_doubt(array, ERRORS * spread[name])).any()
    }
    known = _intervals(trace, doubtful) if doubtful else {}
    return trace.replaced({name: _settled(lines[name], doubtful[name], known[name]) for name in doubtful if known})


def certified(trace: Trace) -> tuple[Trace, tuple[str, ...]]:
    """The trace with numbers of which the first 15 digits are right, wherever they are rounded, and the lines without.

    Lines that hold whole numbers, or numbers of a smaller type, are left as they are. All others are in the second
    result where not all was given or kept, or the trace is too large for intervals; so are those with a cell that
    intervals do not decide.
    """
    lines = _float64_lines(trace)
    known = _intervals(trace, lines, MOST_CELLS) if lines else {}
    settled = {name: _settled_to_the_last(array, known[name]) if known else None for name, array in lines.items()}
    right = {name: array for name, array in settled.items() if array is not None}
    doubles = (each.name for each in trace.working.lines if each.name in trace and _is_double(trace[each.name]))
    return trace.replaced(right), tuple(name for name in doubles if name not in right)


def _float64_lines(trace: Trace) -> dict[str, Array]:
    return {name: array for name, array in computed_lines(trace).items() if array.dtype == np.float64 and array.size}


def _is_double(array: Any) -> bool:
    return str(getattr(array, "dtype", "")).endswith("float64")


def _in_doubt(numbers: Array, error: Array) -> Array:
    """Which numbers are within their error of the middle of two decimals; not those that are written as the middle."""
    size = np.where(np.isfinite(numbers) & (numbers != 0), np.abs(numbers), 1.0)
    first = np.floor(np.log10(size))
    doubt = np.zeros(size.shape, dtype=bool)
    with np.errstate(over="ignore", invalid="ignore"):
        for digits in range(DIGITS + 1):  # none where 0.07 is rounded to 0.1
            unit = 10.0 ** (digits - 1 - first)
            scaled = size * unit
            off = np.abs(scaled - np.floor(scaled) - 0.5)
            doubt |= (off <= error * unit) & (off > NOISE / 2 * scaled)
    return doubt


def _intervals(trace: Trace, names: Iterable[str], most: int = MAX_CELLS) -> dict[str, Array]:
    """The intervals of the cells of lines and of those that they need; none if these are too many."""
    from clearhead.expr.intervals import enclosed_cell

    working, given = trace.working.ending_at(*names), trace.given
    shapes = working.shapes({each.name: given[each.name].shape for each in working.givens})
    if sum(int(np.prod(shapes[line.name])) for line in working.lines) > most:
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


def _settled_to_the_last(array: Array, intervals: Array) -> Array | None:
    """The array with numbers that are rounded to any digit as all of their intervals are; None if one is not known."""
    settled = np.array(array)
    for cell in np.ndindex(array.shape):
        if np.isfinite(array[cell]):
            enclosed: Any = intervals[cell]
            low, high = enclosed.low, enclosed.high
            is_dust = array[cell] == 0 and low <= 0 <= high and high - low < _TINY
            number = 0.0 if is_dust else _rounded_alike(_raised(low), _raised(high))
            if number is None:
                return None
            settled[cell] = number
    return settled


_WIDE = Context(prec=70)
_TINY = Decimal("1e-30")
"""What is this near to the middle of two decimals, in parts of itself, is the middle: intervals do not tell more."""


def _rounded_alike(low: Decimal, high: Decimal) -> float | None:
    """A float64 that is rounded as all numbers of an interval are: the nearest, or one beside it. None if none is."""
    nearest = float(low)
    if nearest != float(high) or not math.isfinite(nearest):
        return None
    if not nearest:
        return nearest
    first = math.floor(math.log10(abs(nearest)))
    places = range(max(DIGITS + 1 - first, 0), max(MOST_DIGITS - first, 0))  # with fewer, `fixed` takes care of noise
    rounded = [{end.quantize(Decimal(1).scaleb(-n), ROUND_HALF_UP, _WIDE) for end in (low, high)} for n in places]
    beside = (nearest, math.nextafter(nearest, math.inf), math.nextafter(nearest, -math.inf))
    return next((each for each in beside if all({Decimal(fixed(each, n))} == right
                                                for n, right in zip(places, rounded, strict=True))), None)  # fmt: skip


def _raised(end: Decimal) -> Decimal:
    """An end of an interval, a little further from 0."""
    return _WIDE.multiply(end, 1 + _TINY)
