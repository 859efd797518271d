"""Intervals hold the number, to some 48 digits, by mpmath; what they do not know they say."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import MPContext

from clearhead.expr.intervals import INTERVALS, Interval, Undecided, interval_of

mp = MPContext()
mp.dps = 80

FUNCTIONS = {"exp": mp.exp, "log": mp.log, "sqrt": mp.sqrt, "tanh": mp.tanh, "abs": abs, "neg": lambda x: -x}
SYMBOLS = {"+": mp.fadd, "-": mp.fsub, "*": mp.fmul, "/": mp.fdiv, "^": mp.power}
decimals = st.decimals(-30, 30, places=3).map(float)
positive = st.decimals("0.001", 30, places=3).map(float)


def of_mpmath(value):
    """A short decimal in 80 digits."""
    written = Fraction(repr(value))
    return mp.mpf(written.numerator) / written.denominator


def holds(interval, value):
    """Whether an interval holds a number of 80 digits, and is narrow."""
    low, high = mp.mpf(str(interval.low)), mp.mpf(str(interval.high))
    room = abs(value) * mp.mpf("1e-70") + mp.mpf("1e-75")
    return low - room <= value <= high + room and high - low <= abs(value) * mp.mpf("1e-46") + mp.mpf("1e-46")


@given(decimals, positive, st.sampled_from(sorted(FUNCTIONS)))
def test_functions(x, above, name):
    """Each function of a number lies in its interval."""
    x = above if name in ("log", "sqrt") else x
    assert holds(INTERVALS[name](x), FUNCTIONS[name](of_mpmath(x)))


@given(decimals, decimals, positive, st.sampled_from(sorted(SYMBOLS)))
def test_symbols(a, b, above, name):
    """So does each sum, product, quotient and power; of wider intervals too."""
    a, b = (above, b) if name == "^" else (a, b or 1.0)
    assert holds(INTERVALS[name](a, b), SYMBOLS[name](of_mpmath(a), of_mpmath(b)))
    wide = INTERVALS["/"](a, 3)
    if name != "^":
        assert holds(INTERVALS[name](wide, b), SYMBOLS[name](of_mpmath(a) / 3, of_mpmath(b)))


@given(decimals, st.integers(-5, 5))
def test_whole_powers_of_any_base(base, exponent):
    """A negative base has whole powers."""
    base = base or 2.0
    assert holds(INTERVALS["^"](base, exponent), of_mpmath(base) ** exponent)


def test_short_decimals_are_exact():
    """0.35*0.35 is 0.1225, one number; a float64 with all its digits is any number that rounds to it."""
    assert INTERVALS["*"](0.35, 0.35) == Interval(Decimal("0.1225"), Decimal("0.1225"))
    third = interval_of(1 / 3)
    assert third.low < Decimal(1) / 3 < third.high
    assert float(third.low) == float(third.high) == 1 / 3


def test_comparisons_are_certain_or_undecided():
    """What overlaps is not compared, the larger of two is found where one holds it, and a tie rounds away from zero."""
    third = INTERVALS["/"](1, 3)
    assert INTERVALS["<"](third, 0.334)
    assert not INTERVALS["<="](third, 0.333)
    assert not INTERVALS["=="](third, 0.333)
    assert INTERVALS["=="](0.5, 0.5)
    assert max(third, interval_of(0.3)) is third
    assert max(third, INTERVALS["/"](1, 3)) == third
    assert INTERVALS["round"](-0.125, 2) == interval_of(-0.13)
    for unknown in (lambda: INTERVALS["<"](third, third), lambda: INTERVALS["=="](third, third)):
        with pytest.raises(Undecided):
            unknown()


def test_masked_scores_weigh_nothing():
    """e to minus infinity is 0; a quotient by 0 is undecided, but for a share of nothing."""
    assert INTERVALS["exp"](float("-inf")) == interval_of(0)
    assert INTERVALS["share"](0.0, 0.0) == interval_of(0)
    with pytest.raises(Undecided):
        INTERVALS["/"](1.0, 0.0)
