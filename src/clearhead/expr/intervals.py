"""Intervals of 50 decimal digits that hold a number, and the arithmetic of formulas on them.

Lower ends are rounded down and upper ends up. A short decimal such as 0.1 is an interval of one number, and so are sums
and products of such. Python's decimal module computes: it is quick to load, and nothing needs to be installed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from itertools import product
from math import inf, ulp
from typing import Any

from msgspec import Struct

from clearhead.axes import Cell
from clearhead.expr.evaluate import Arithmetic
from clearhead.expr.formula import Formula

PRECISION = 50
"""The significant digits of the ends of intervals."""

WRITTEN = 15
"""A float64 that is a decimal of up to this many digits is taken for it: no two of these have the same float64."""

MAX_POWER = 64
"""Whole exponents up to this are computed by products, others by logarithms."""

_DOWN, _UP = (
    Context(prec=PRECISION, rounding=rounding, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[InvalidOperation])
    for rounding in (ROUND_FLOOR, ROUND_CEILING)
)


class Undecided(ArithmeticError):
    """Intervals do not say which of two numbers is larger, or do not have what a formula asks for."""


class Interval(Struct, frozen=True):
    """All numbers from ``low`` to ``high``, which may be infinite."""

    low: Decimal
    high: Decimal

    def __gt__(self, other: Interval) -> bool:
        """Whether it holds the larger of a number of each, as `max` asks: not whether each number is larger.

        Raises:
            Undecided: neither does.
        """
        if self.low >= other.low and self.high >= other.high:
            return self != other
        if self.low <= other.low and self.high <= other.high:
            return False
        raise Undecided

    def __int__(self) -> int:
        if self.low != self.high or self.low != self.low.to_integral_value():
            raise Undecided
        return int(self.low)


EVERY = Interval(Decimal("-Infinity"), Decimal("Infinity"))
"""The interval of a number of which nothing is known."""

ZERO = Interval(Decimal(0), Decimal(0))


def interval_of(value: Any) -> Interval:
    """The interval of a given number: the decimal that it was written as, else all numbers that round to this float64.

    >>> interval_of(0.1)
    Interval(low=Decimal('0.1'), high=Decimal('0.1'))

    Raises:
        Undecided: it is NaN.
    """
    if isinstance(value, Interval):
        return value
    if isinstance(value, int):
        return Interval(Decimal(value), Decimal(value))
    if value != value:
        raise Undecided
    written = Decimal(repr(float(value)))
    if len(written.as_tuple().digits) <= WRITTEN or abs(value) == inf:
        return Interval(written, written)
    exact, half = Decimal(float(value)), Decimal(ulp(value)) / 2
    return Interval(_DOWN.subtract(exact, half), _UP.add(exact, half))


def enclosed_cell(formula: Formula, arrays: Sequence[Any], result: Any, cell: Cell) -> Interval | bool:
    """One cell of a formula's result, as `Formula.cell`: `EVERY` where it is not decided or not defined."""
    try:
        value = formula.cell(arrays, result, cell, INTERVALS)
        return value if isinstance(value, bool) else interval_of(value)
    except (ArithmeticError, KeyError):  # a KeyError for a function that intervals do not have
        return EVERY


def _add(a: Interval, b: Interval) -> Interval:
    return Interval(_DOWN.add(a.low, b.low), _UP.add(a.high, b.high))


def _subtract(a: Interval, b: Interval) -> Interval:
    return Interval(_DOWN.subtract(a.low, b.high), _UP.subtract(a.high, b.low))


def _multiply(a: Interval, b: Interval) -> Interval:
    pairs = set(product((a.low, a.high), (b.low, b.high)))
    return Interval(min(_DOWN.multiply(*pair) for pair in pairs), max(_UP.multiply(*pair) for pair in pairs))


def _divide(a: Interval, b: Interval) -> Interval:
    if b.low <= 0 <= b.high:
        raise Undecided
    pairs = set(product((a.low, a.high), (b.low, b.high)))
    return Interval(min(_DOWN.divide(*pair) for pair in pairs), max(_UP.divide(*pair) for pair in pairs))


def _power(base: Interval, exponent: Interval) -> Interval:
    if exponent.low == exponent.high == Decimal("0.5"):
        return _sqrt(base)
    if exponent.low == exponent.high == exponent.low.to_integral_value() and abs(exponent.low) <= MAX_POWER:
        result = interval_of(1)
        for _ in range(abs(int(exponent))):
            result = _multiply(result, base)
        return result if exponent.low >= 0 else _divide(interval_of(1), result)
    return _exp(_multiply(exponent, _log(base)))


def _rising(function: Callable[[Context, Decimal], Decimal]) -> Callable[[Interval], Interval]:
    """A rising function of intervals, from one of decimals that is right to the last digit but one."""

    def enclosed(x: Interval) -> Interval:
        return Interval(_DOWN.next_minus(function(_DOWN, x.low)), _UP.next_plus(function(_UP, x.high)))

    return enclosed


_log, _root, _above = _rising(Context.ln), _rising(Context.sqrt), _rising(Context.exp)


def _sqrt(x: Interval) -> Interval:
    return x if x == ZERO else _root(x)


def _exp(x: Interval) -> Interval:
    result = ZERO if x.high == -Decimal("Infinity") else _above(x)
    return Interval(max(result.low, Decimal(0)), result.high)


def _tanh(x: Interval) -> Interval:
    """By its exponential: 1 - 2/(e^2x + 1)."""
    one, two = interval_of(1), interval_of(2)
    return _subtract(one, _divide(two, _add(_exp(_multiply(two, x)), one)))


def _abs(x: Interval) -> Interval:
    if x.low >= 0:
        return x
    return _negative(x) if x.high <= 0 else Interval(Decimal(0), max(-x.low, x.high))


def _negative(x: Interval) -> Interval:
    return Interval(x.high.copy_negate(), x.low.copy_negate())


def _less(a: Interval, b: Interval) -> bool:
    if a.high < b.low:
        return True
    if a.low >= b.high:
        return False
    raise Undecided


def _equal(a: Interval, b: Interval) -> bool:
    if a.high < b.low or a.low > b.high:
        return False
    if a.low == a.high == b.low == b.high:
        return True
    raise Undecided


def _rounded(x: Interval, decimals: Any) -> Interval:
    """Rounded to decimals, halves away from zero, as by hand."""
    unit = Decimal(1).scaleb(-int(decimals))
    low, high = (end.quantize(unit, ROUND_HALF_UP, _UP) for end in (x.low, x.high))
    if low != high:
        raise Undecided
    return Interval(low, high)


def _share(a: Interval, b: Interval) -> Interval:
    return ZERO if b == ZERO else _divide(a, b)


def _two(compute: Callable[[Interval, Interval], Any], whole: Callable[[int, int], Any] | None = None) -> Any:
    """A function of two numbers; whole numbers of indices stay whole, where there is a function of these."""

    def result(a: Any, b: Any) -> Any:
        if whole is not None and isinstance(a, int) and isinstance(b, int):
            return whole(a, b)
        return compute(interval_of(a), interval_of(b))

    return result


def _one(compute: Callable[[Interval], Interval]) -> Callable[[Any], Interval]:
    return lambda x: compute(interval_of(x))


INTERVALS: Arithmetic = {
    "+": _two(_add, lambda a, b: a + b),
    "-": _two(_subtract, lambda a, b: a - b),
    "*": _two(_multiply, lambda a, b: a * b),
    "/": _two(_divide),
    "//": lambda a, b: int(a) // int(b),
    "%": lambda a, b: int(a) % int(b),
    "^": _two(_power),
    "<": _two(_less, lambda a, b: a < b),
    "<=": _two(lambda a, b: not _less(b, a), lambda a, b: a <= b),
    "==": _two(_equal, lambda a, b: a == b),
    "and": lambda a, b: a and b,
    "max": _two(max, max),
    "neg": lambda x: -x if isinstance(x, int) else _negative(interval_of(x)),
    "abs": _one(_abs),
    "exp": _one(_exp),
    "log": _one(_log),
    "sqrt": _one(_sqrt),
    "tanh": _one(_tanh),
    "round": lambda x, decimals: _rounded(interval_of(x), decimals),
    "share": _two(_share),
    "number": interval_of,
}
"""The arithmetic of intervals. It has no sines, cosines and error functions: Python's decimal module has none."""
