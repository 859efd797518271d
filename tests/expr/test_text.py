"""Formulas as plain text."""

import math
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clearhead.expr import (
    FLOAT,
    Binary,
    Call,
    Index,
    Let,
    Local,
    Number,
    Ref,
    Scope,
    Size,
    Terms,
    call,
    evaluate,
    indices,
    mean,
    number,
    same,
    text,
    total,
    where,
)
from clearhead.expr.text import fixed

i, j, k = indices("i j k")
a, b, c = Number(2), Number(3), Number(5)
x, y = Ref("x", (i, k)), Ref("y", (k, j))


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (a + b * c, "2 + 3*5"),
        ((a + b) * c, "(2 + 3)*5"),
        (a - (b - c), "2 - (3 - 5)"),
        (a - b - c, "2 - 3 - 5"),
        (a - (b + c), "2 - (3 + 5)"),
        (a + (b - c), "2 + 3 - 5"),
        (a / (b * c), "2/(3*5)"),
        (a / b / c, "2/3/5"),
        (a / (b / c), "2/(3/5)"),
        (a * (b // c), "2*(3//5)"),
        ((a * b) // c, "2*3//5"),
        (-(a % b), "-(2 mod 3)"),
        (a**b**c, "2^3^5"),
        ((a**b) ** c, "(2^3)^5"),
        (-(a**b), "-2^3"),
        ((-a) ** b, "(-2)^3"),
        (2 ** -(a * b), "2^(-2*3)"),
        (a * -b, "2*(-3)"),
        (a + -b, "2 - 3"),
        (a - -b, "2 - (-3)"),
        (a * Number(-1.5), "2*(-1.5)"),
        (a + Number(-1.5), "2 - 1.5"),
        (a - Number(-1.5), "2 - (-1.5)"),
        (Number(-1.5) ** a, "(-1.5)^2"),
        (total(k, x * y), "sum_k x[i,k]*y[k,j]"),
        (total(k, x + y), "sum_k (x[i,k] + y[k,j])"),
        (2 * total(k, x), "2*(sum_k x[i,k])"),
        (total((j, k), x * y) + 1, "sum_j,k x[i,k]*y[k,j] + 1"),
        (mean(k, x * y), "mean_k (x[i,k]*y[k,j])"),
        (mean(k, x**2), "mean_k x[i,k]^2"),
        (x / call("sqrt", Size("d")), "x[i,k]/sqrt(n_d)"),
        (call("share", x, total(k, x)), "x[i,k]/(sum_k x[i,k])"),
        (call("pi") * 2, "pi*2"),
        (where((j <= i) & (i < 3), x, -math.inf), "x[i,k] if j <= i and i < 3 else -inf"),
        (where(same(i % 2, 0), where(i < 1, 1, 2), 3) + 1, "((1 if i < 1 else 2) if i mod 2 == 0 else 3) + 1"),
        (Let("mean", mean(k, x), x - Local("mean")), "x[i,k] - mean where mean = mean_k x[i,k]"),
        (Ref("weights", (i, j), at=Index("h")), "weights@h[i,j]"),
        (Ref("key", (j,), at=Index("h") // 2), "key@(h//2)[j]"),
        (Ref("slope", (), at=Index("h")), "slope@h"),
        (Ref("position", (i + Size("p"),)), "position[i + n_p]"),
    ],
)
def test_written_as_a_textbook_would(expr, expected):
    """Parentheses stand where they are needed, and almost nowhere else."""
    assert text(expr) == expected


LEAVES = st.integers(-9, 9).map(Number) | st.sampled_from([0.5, 1e-5, 2e9, -0.25]).map(Number)
SAFE = {
    "*": lambda left, right: left * right,
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "/": lambda left, right: left / (abs_(right) + 1),
    "//": lambda left, right: left // (abs_(right) + 1),
    "%": lambda left, right: left % (abs_(right) + 1),
    "^": lambda left, right: (abs_(left) / 1e9) ** (right / 1e9),
    "neg": lambda left, _right: -left,
    "terms": lambda left, right: Terms("sum", (left, right, left), 3),
    "mean": lambda left, right: Terms("mean", (left, right), 2),
}


def abs_(expr):
    """The absolute value, so that nothing is divided by 0."""
    return call("abs", expr)


def combine(children):
    """Larger expressions made of smaller ones."""
    return st.builds(lambda how, left, right: SAFE[how](left, right), st.sampled_from(sorted(SAFE)), children, children)


def value_of(expr):
    """The value of an expression that may hold written-out sums."""
    match expr:
        case Terms(kind, terms):
            return sum(map(value_of, terms)) / (len(terms) if kind == "mean" else 1)
        case Call(function, arguments):
            return FLOAT[function](*map(value_of, arguments))
        case Binary(symbol, left, right):
            return FLOAT[symbol](value_of(left), value_of(right))
    return evaluate(expr, Scope({}, {}, {}))


@given(st.recursive(LEAVES, combine, max_leaves=8))
def test_printed_arithmetic_means_what_it_says(expr):
    """Python, reading the printed text by its own precedence, gets the value of the expression."""
    printed = text(expr, decimals=None).replace("^", "**").replace(" mod ", "%")
    said = eval(printed, {"abs": abs})
    assert said == pytest.approx(value_of(expr), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        (2.4142, 3, "2.414"),
        (2.4, 3, "2.4"),
        (3.0, 3, "3"),
        (-0.0, 3, "0"),
        (0.0, None, "0"),
        (0.00012, 3, "1.2e-4"),
        (-0.0004, 3, "-4e-4"),
        (0.0005001, 3, "0.001"),
        (1 / 3, None, "0.3333333333333333"),
        (1e-5, None, "1e-5"),
        (1e16, None, "1e16"),
        (12345678.0, 3, "1.2e7"),
        (12345678.0, None, "12345678"),
        (9999999.0, 3, "9999999"),
        (100.0, 0, "100"),
        (0.3, 0, "3e-1"),
        (7, 2, "7"),
        (0.0900306, 3, "0.090"),
        (0.09, 3, "0.09"),
        (0.1 + 0.2, 3, "0.3"),
        (1.0003e-4, 3, "1.0e-4"),
        (math.inf, 2, "inf"),
        (-math.inf, 2, "-inf"),
        (math.nan, 2, "NaN"),
    ],
)
def test_numbers_for_reading(value, decimals, expected):
    """Decimals as asked for, no zeros at the end unless something was rounded, and never a 0 for what is not 0."""
    assert number(value, decimals) == expected


@given(st.integers(-(10**7), 10**7), st.integers(0, 5), st.sampled_from(["as written", "moved by rounding"]))
def test_ties_are_rounded_away_from_zero(whole, decimals, how):
    """A decimal that ends in 5 is rounded up, as by hand, whichever binary number is next to it."""
    tie = Decimal(10 * whole + 5) / 10 ** (decimals + 1)
    value = float(tie) if how == "as written" else math.nextafter(float(tie), 0)
    assert float(fixed(value, decimals)) == float(tie.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))


@given(st.floats(-1e6, 1e6), st.integers(0, 8))
def test_what_is_no_tie_is_rounded_to_the_nearest(value, decimals):
    """All other numbers are rounded from their exact value, once."""
    exact = Decimal(value) * 10**decimals
    assume(abs(abs(exact) % 1 - Decimal("0.5")) > Decimal(10) ** -13 * (1 + abs(exact)))
    assert Decimal(fixed(value, decimals)) == Decimal(value).quantize(Decimal(1).scaleb(-decimals))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_all_digits_read_back(value):
    """With decimals=None the text is the number, to the last bit."""
    assert float(number(value, None)) == value


@given(st.floats(-1e9, 1e9), st.integers(0, 12))
def test_a_number_is_shown_as_0_only_if_it_is(value, decimals):
    """Rounding never turns a number that is not 0 into 0, and errs by half a unit of the last of at most 15 digits."""
    shown = float(number(value, decimals))
    assert (shown == 0) == (value == 0)
    places = min(decimals, 15 - len(str(int(abs(value)))))
    assert shown == pytest.approx(value, rel=0.05 if abs(value) < 10.0**-decimals or abs(value) >= 1e7 else 0,
                                  abs=0.5000001 * 10.0**-places + math.ulp(value))  # fmt: skip


def test_labels_count_from_the_first():
    """The labels of cells and heads count from ``first``; the numbers inside formulas do not."""
    cell = Ref("head", (Number(0), Number(2)), at=Number(1))
    assert text(cell, first=1) == "head@2[1,3]"
    assert text(cell, first=0) == "head@1[0,2]"
    assert text(i + 1, first=1) == "i + 1"


def test_numbers_take_the_place_of_names():
    """A reference or local with a value is printed as that value, negative ones in parentheses where needed."""
    filled = Ref("w", (i,), value=0.5) * Ref("v", (i,), value=-1.5) - Local("mean", -2.0)
    assert text(filled) == "0.5*(-1.5) - (-2)"


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (Terms("sum", (a, Number(-3), c), 3), "2 - 3 + 5"),
        (Terms("sum", (a * b,), 1), "2*3"),
        (Terms("sum", (a, b), 9, 0.25), "2 + 3 + ... 7 more (0.25)"),
        (Terms("mean", (a, b), 2), "(2 + 3)/2"),
        (Terms("mean", (a, b), 5, -1.0), "(2 + 3 + ... 3 more (-1))/5"),
        (Terms("max", (a, Number(-3)), 2), "max(2, -3)"),
        (Terms("max", (a, b), 4, 1.0), "max(2, 3, ... 2 more)"),
        (7 - Terms("sum", (a, b), 2), "7 - (2 + 3)"),
        (7 / Terms("mean", (a, b), 2), "7/((2 + 3)/2)"),
        (7 * Terms("sum", (a * b,), 1), "7*2*3"),
    ],
)
def test_sums_written_out(terms, expected):
    """Written-out sums show their terms, and what is left out with its count and what it comes to."""
    assert text(terms) == expected
