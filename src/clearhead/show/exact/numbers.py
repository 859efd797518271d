"""Exact numbers, each beside an interval that holds it, and the arithmetic of formulas on them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.errors import ProblemError
from clearhead.expr.intervals import recognised
from clearhead.extras import need

MAX_DIGITS = 12
"""A decimal with more digits than this is no number that somebody wrote down."""

BITS = 160
"""The precision of intervals."""

MAX_OPERATIONS = 40
"""An expression with more operations than this is not put together anew: that would take long."""


class Exact(Struct, frozen=True, eq=False):
    """A number as an expression of SymPy, and the interval of mpmath that holds it; None where no interval is known."""

    expr: Any
    interval: Any = None

    def __lt__(self, other: Exact) -> bool:
        return less(self, other)

    def __gt__(self, other: Exact) -> bool:
        return less(other, self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exact) and bool(self.expr == other.expr)

    def __hash__(self) -> int:
        return hash(self.expr)


def form_of(value: float) -> tuple[str, Fraction]:
    """What somebody wrote a given number as: a short decimal, or what `clearhead.expr.intervals.recognised` finds.

    >>> [form_of(value) for value in (0.1, 1 / 3, 2**0.5)]
    [('fraction', Fraction(1, 10)), ('fraction', Fraction(1, 3)), ('sqrt', Fraction(2, 1))]

    Raises:
        ProblemError: it is neither.
    """
    decimal = repr(float(value))
    if len(decimal.partition("e")[0].replace(".", "").strip("-0")) <= MAX_DIGITS:
        return "fraction", Fraction(decimal)
    found = recognised(value)
    if found is None:
        raise ProblemError(
            f"{decimal} is no fraction, root, power of e or angle of small whole numbers, so nothing that follows from "
            "it is shown exactly. Give such numbers or short decimals, or show it without --exact."
        )
    return found


class Numbers:
    """Makes exact numbers, and computes with them."""

    def __init__(self) -> None:
        self.sympy = need("sympy", "exact")
        self.iv = need("mpmath.ctx_iv", "exact").MPIntervalContext()  # its own, since its precision is a state
        self.iv.prec = BITS

    def of(self, value: Any) -> Exact:
        """A number of a formula or a given array."""
        if isinstance(value, Exact):
            return value
        value = float(value) if isinstance(value, np.generic) else value
        if isinstance(value, float) and not math.isfinite(value):
            if math.isnan(value):
                raise ProblemError("A number is NaN, which has no exact value. Show it without --exact.")
            return Exact(self.sympy.oo if value > 0 else -self.sympy.oo, self.iv.mpf(value))
        form, part = ("fraction", Fraction(value)) if isinstance(value, (int, Fraction)) else form_of(value)
        expr = self.sympy.Rational(part.numerator, part.denominator)
        interval = self.iv.mpf(part.numerator) / part.denominator
        if form == "sqrt":
            root = Exact(self.sympy.sqrt(abs(expr)), self.iv.sqrt(abs(interval)))
            return root if part > 0 else Exact(-root.expr, -root.interval)
        if form == "pi":
            return Exact(expr * self.sympy.pi, interval * self.iv.pi)
        if form in ("exp", "log"):
            return Exact(getattr(self.sympy, form)(expr), getattr(self.iv, form)(interval))
        return Exact(expr, interval)

    def named(self, name: str, number: Exact) -> Exact:
        """A number by the name of the cell that holds it."""
        return Exact(self.sympy.Symbol(name, real=True), number.interval)

    def tidy(self, number: Exact) -> Exact:
        """The number in its shortest form, of those that are tried."""
        expr = number.expr
        if expr.is_Atom or expr.count_ops() > MAX_OPERATIONS:
            return number
        together = self.sympy.together(expr)
        forms = [expr, together, self.sympy.cancel(together), self.sympy.radsimp(together)]
        top, bottom = together.as_numer_denom()
        forms += [
            self.sympy.expand(top / factor) / self.sympy.expand(bottom / factor)
            for factor in bottom.atoms(self.sympy.exp)
        ]
        return Exact(min(forms, key=_length), number.interval)


def _length(expr: Any) -> tuple[int, int, int]:
    """How long an expression is to read: negative exponents first."""
    text = str(expr)
    return text.count("exp(-"), expr.count_ops(), len(text)


def less(a: Exact, b: Exact) -> bool:
    """Whether one number is less than another, decided by their intervals.

    Raises:
        ProblemError: they do not.
    """
    if a.expr == b.expr or "nan" in (str(a.expr), str(b.expr)):
        return False
    if a.interval is not None and b.interval is not None:
        if a.interval.b < b.interval.a:
            return True
        if a.interval.a > b.interval.b:
            return False
    difference = (a.expr - b.expr).simplify()
    if difference == 0:
        return False
    raise ProblemError(
        "Two numbers are too near to each other to tell exactly which is larger. Show it without --exact."
    )


def certified(number: Exact, decimals: int) -> str | None:
    """The number in decimals of which the last is right, halves away from zero; None where that is not certain."""
    if number.expr.is_Atom and not number.expr.is_finite and not number.expr.is_Symbol:
        return {"oo": "inf", "-oo": "-inf"}.get(str(number.expr), "nan")
    if number.expr.is_Rational:
        return _decimal(Fraction(int(number.expr.p), int(number.expr.q)), decimals)
    if number.interval is None:
        return None
    ends = [_decimal(_fraction(end), decimals) for end in (number.interval.a, number.interval.b)]
    return ends[0] if ends[0] == ends[1] else None


def _fraction(end: Any) -> Fraction:
    sign, mantissa, exponent, _ = end._mpi_[0]
    whole = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
    return -whole if sign else whole


def _decimal(value: Fraction, decimals: int) -> str:
    scaled = abs(value) * 10**decimals
    units = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    digits = str(units).rjust(decimals + 1, "0")
    whole, rest = (digits[:-decimals], digits[-decimals:]) if decimals else (digits, "")
    sign = "-" if value < 0 and units else ""
    return f"{sign}{whole}.{rest}" if rest else f"{sign}{whole}"
