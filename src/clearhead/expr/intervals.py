"""Intervals of 50 decimal digits that hold a number, and the arithmetic of formulas on them.

Lower ends are rounded down and upper ends up. A short decimal such as 0.1 is an interval of one number, and so are sums
and products of such. Python's decimal module computes: it is quick to load, and nothing needs to be installed for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    InvalidOperation,
)  # fmt: skip
from fractions import Fraction
from itertools import product
from typing import Any

from msgspec import Struct

from clearhead.axes import Cell
from clearhead.expr.evaluate import NEARLY, Arithmetic
from clearhead.expr.formula import Formula
from clearhead.expr.functions import LARGEST, OFF, PI, cosine, error_function, sine

PRECISION = 50
"""The significant digits of the ends of intervals."""

WRITTEN = 15
"""A float64 that is a decimal of up to this many digits is that: no two of these have the same float64."""

MAX_DENOMINATOR = 10_000
"""Other float64 are looked for among fractions up to this denominator, their roots, logarithms and the like."""

NEAR, ALMOST = 2, 1e-14
"""How many units of its last bit a root or the like may be off, as it was computed, and how far the fraction in it."""

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
    """The interval of a given number: what it was written as.

    That is a decimal of up to 15 digits; else the fraction, root, power of e, logarithm or angle, such as
    ``"30 deg"``, whose float64 it is; else the shortest decimal that has this float64, as Python and files write it.

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
    if len(written.as_tuple().digits) <= WRITTEN or not math.isfinite(value):
        return Interval(written, written)
    known = recognised(float(value))
    return Interval(written, written) if known is None else _number(*known)


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


def _bounded_wave(function: Callable[[Decimal], Decimal]) -> Callable[[Interval], Interval]:
    """A sine or cosine of intervals: it changes by no more than its argument."""

    def enclosed(x: Interval) -> Interval:
        if not max(abs(x.low), abs(x.high)) <= LARGEST:
            raise Undecided
        far = OFF if x.low == x.high else _UP.add(_UP.subtract(x.high, x.low), OFF)
        return _within_one(_DOWN.subtract(function(x.low), far), _UP.add(function(x.low), far))

    return enclosed


def _within_one(low: Decimal, high: Decimal) -> Interval:
    return Interval(max(low, Decimal(-1)), min(high, Decimal(1)))


_sine, _cosine = _bounded_wave(sine), _bounded_wave(cosine)


def _sin(x: Interval) -> Interval:
    return x if x == ZERO else _sine(x)


def _cos(x: Interval) -> Interval:
    return interval_of(1) if x == ZERO else _cosine(x)


def _erf(x: Interval) -> Interval:
    if x == ZERO:
        return x
    return _within_one(_DOWN.subtract(error_function(x.low), OFF), _UP.add(error_function(x.high), OFF))


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


def _rounded(x: Interval, decimals: Any, way: str, nearly: float = 0.0) -> Interval:
    """Rounded to decimals in a way of Python's decimal module; what is ``nearly`` the next number counts as it."""
    unit = Decimal(1).scaleb(-int(decimals))
    up = unit * Decimal(nearly)
    low, high = (_UP.add(end, up.copy_sign(end)).quantize(unit, way, _UP) for end in (x.low, x.high))
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
    "sin": _one(_sin),
    "cos": _one(_cos),
    "erf": _one(_erf),
    "pi": lambda: Interval(_DOWN.plus(PI), _UP.plus(PI)),
    "round": lambda x, decimals: _rounded(interval_of(x), decimals, ROUND_HALF_UP),
    "round_even": lambda x, decimals: _rounded(interval_of(x), decimals, ROUND_HALF_EVEN),
    "truncate": lambda x, decimals: _rounded(interval_of(x), decimals, ROUND_DOWN, NEARLY),
    "share": _two(_share),
    "number": interval_of,
}
"""The arithmetic of intervals: that of `clearhead.expr.evaluate.FLOAT`."""


_NUMBERS: dict[str, Callable[[Interval], Interval]] = {
    "fraction": lambda x: x,
    "sqrt": lambda x: _sqrt(x) if x.low >= 0 else _negative(_sqrt(_negative(x))),
    "pi": lambda x: _multiply(x, INTERVALS["pi"]()),
    "exp": _exp,
    "log": _log,
}
"""The number of each form of `recognised`, of a fraction."""

_INSIDE: dict[str, Callable[[float], float]] = {
    "fraction": lambda x: x,
    "sqrt": lambda x: math.copysign(x * x, x),
    "pi": lambda x: x / math.pi,
    "exp": lambda x: math.log(x) if x > 0 else math.nan,
    "log": lambda x: math.exp(x) if x < MAX_POWER else math.nan,
}
"""How the fraction is found in a number of each form."""


def recognised(value: float) -> tuple[str, Fraction] | None:
    """A small fraction in a float64 with all its digits, and its form; None if there is none.

    Forms are ``"fraction"``, ``"sqrt"`` (negative for a negative root), ``"pi"`` times it, ``"exp"`` and ``"log"``.

    >>> recognised(0.7071067811865476), recognised(0.7071067811865)
    (('sqrt', Fraction(1, 2)), None)
    """
    for form, inside in _INSIDE.items():
        inner = inside(value)
        if math.isfinite(inner) and inner:
            found = Fraction(inner).limit_denominator(MAX_DENOMINATOR)
            if found and math.isclose(found, inner, rel_tol=ALMOST):
                off = abs(float(_number(form, found).low) - value)
                if off <= (0 if form == "fraction" else NEAR * math.ulp(value)):
                    return form, found
                if form == "fraction":
                    return None  # such as 0.30000000000000004, which is not the root of 9/100 either
    return None


def _number(form: str, fraction: Fraction) -> Interval:
    return _NUMBERS[form](_divide(interval_of(fraction.numerator), interval_of(fraction.denominator)))
