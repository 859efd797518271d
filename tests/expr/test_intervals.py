"""Intervals hold the number, to some 48 digits, by mpmath; what they do not know they say."""

import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import MPContext

from clearhead.expr.evaluate import FLOAT
from clearhead.expr.intervals import INTERVALS, Interval, Undecided, interval_of
from clearhead.written import value_of

mp = MPContext()
mp.dps = 80

FUNCTIONS = {"exp": mp.exp, "log": mp.log, "sqrt": mp.sqrt, "tanh": mp.tanh, "abs": abs, "neg": lambda x: -x,
             "sin": mp.sin, "cos": mp.cos, "erf": mp.erf}  # fmt: skip
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
    """0.35*0.35 is 0.1225, one number; so is a decimal of 17 digits that is nothing else."""
    assert INTERVALS["*"](0.35, 0.35) == Interval(Decimal("0.1225"), Decimal("0.1225"))
    assert interval_of(0.1 + 0.2) == Interval(Decimal("0.30000000000000004"), Decimal("0.30000000000000004"))


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1/3", mp.mpf(1) / 3),
        ("-5/7", -mp.mpf(5) / 7),
        ("sqrt(2)/2", mp.sqrt(2) / 2),
        ("-sqrt(3)", -mp.sqrt(3)),
        ("30 deg", mp.pi / 6),
        ("-47.5 deg", -mp.pi * 95 / 360),
        ("2pi/3", 2 * mp.pi / 3),
        ("e^-0.5", mp.exp(-0.5)),
        ("ln(2)", mp.log(2)),
    ],
)
def test_what_was_written_is_recognised(written, number):
    """A given fraction, root, angle, power of e or logarithm is the number itself, not the float64 nearest to it."""
    assert holds(interval_of(value_of(written)), number)


def test_random_numbers_are_not_recognised():
    """A float64 with 16 or 17 digits is the decimal that it is written as, unless it is a number of a known form."""
    rng = random.Random(3)
    for number in (rng.gauss(0, 3) for _ in range(500)):
        assert interval_of(number).low == interval_of(number).high == Decimal(repr(number))


@pytest.mark.parametrize("name", ["sin", "cos", "erf"])
def test_functions_of_wide_intervals(name):
    """The interval of a function of an interval holds the function of each number in it."""
    rng = random.Random(4)
    for _ in range(200):
        low, high = sorted(rng.uniform(-40, 40) + rng.choice([0.0, 1e-9, 0.5]) * step for step in (0, 1))
        found = INTERVALS[name](Interval(Decimal(low), Decimal(high)))
        inner = FUNCTIONS[name](mp.mpf(rng.uniform(low, high)))
        assert mp.mpf(str(found.low)) <= inner <= mp.mpf(str(found.high))
        assert -1 <= found.low <= found.high <= 1


def test_sines_of_huge_numbers_are_undecided():
    """Beyond 10^12 no turns are counted: that is said."""
    with pytest.raises(Undecided):
        INTERVALS["sin"](1e13)
    with pytest.raises(Undecided):
        INTERVALS["cos"](float("inf"))


def test_roundings_are_those_of_formulas():
    """Halves go away from zero, to the even neighbour, or down, as the deviations round them."""
    assert [INTERVALS[name](-0.125, 2) for name in ("round", "round_even", "truncate")] == [
        interval_of(number) for number in (-0.13, -0.12, -0.12)
    ]
    assert set(FLOAT) == set(INTERVALS)


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
