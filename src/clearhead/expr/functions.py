"""Sines, cosines and error functions of decimals, which Python's decimal module does not have, to some 60 digits.

Each sums its series with more digits than are kept. The results are off by less than `OFF`.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510"
    "58209749445923078164062862089986280348253421170679"
    "82148086513282306647093844609550582231725359408128"
)
"""To 151 digits: more than arguments of up to `LARGEST` need."""

OFF = Decimal("1e-58")
"""The results of the functions are off by less than this."""

LARGEST = Decimal("1e12")
"""The largest argument of a sine or cosine."""

ONE = Decimal("12.5")
"""From here on the error function is 1, to `OFF`: 1 - erf(x) is less than exp(-x^2)."""

_LEAST = Decimal("1e-70")
_WORK = Context(prec=150, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX)


def sine(x: Decimal) -> Decimal:
    """The sine of a number of up to `LARGEST`."""
    return _turned(x, 0)


def cosine(x: Decimal) -> Decimal:
    """The cosine of a number of up to `LARGEST`."""
    return _turned(x, 1)


def _turned(x: Decimal, quarters: int) -> Decimal:
    """The sine of x and a number of quarter turns, by the series of what is left of x beside whole quarter turns."""
    quarter = _WORK.divide(PI, Decimal(2))
    whole = _WORK.divide(x, quarter).to_integral_value(ROUND_HALF_EVEN)
    rest = _WORK.subtract(x, _WORK.multiply(whole, quarter))
    turns = (int(whole) + quarters) % 4
    found = _series(rest, turns % 2 == 1)
    return found.copy_negate() if turns >= 2 else found


def _series(x: Decimal, even: bool) -> Decimal:  # noqa: FBT001 - which of the two, the cosine or the sine
    """The cosine of a small number if ``even``, else the sine."""
    square = _WORK.multiply(x, x)
    term, power = (Decimal(1), 0) if even else (x, 1)
    total = term
    while abs(term) > _LEAST:
        power += 2
        term = _WORK.divide(_WORK.multiply(term, square), Decimal(power * (1 - power)))
        total = _WORK.add(total, term)
    return total


@lru_cache(maxsize=4096)
def error_function(x: Decimal) -> Decimal:
    """The error function: 2/sqrt(pi) * exp(-x^2) * (x + 2x^3/3 + 4x^5/15 + ...), whose terms have one sign."""
    if abs(x) >= ONE:
        return Decimal(1).copy_sign(x)
    double = _WORK.multiply(Decimal(2), _WORK.multiply(x, x))
    term = total = x
    odd = 1
    while abs(term) > _WORK.multiply(_LEAST, abs(total)):
        odd += 2
        term = _WORK.divide(_WORK.multiply(term, double), Decimal(odd))
        total = _WORK.add(total, term)
    factor = _WORK.divide(Decimal(2), _WORK.sqrt(PI))
    return _WORK.multiply(factor, _WORK.multiply(_WORK.exp(_WORK.divide(double, Decimal(-2))), total))
