"""Formulas worked out, and with their numbers filled in."""

import math
import operator

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearhead.expr import (
    FLOAT,
    Let,
    Local,
    Number,
    Reduce,
    Ref,
    Scope,
    Size,
    Terms,
    call,
    evaluate,
    indices,
    lift,
    mean,
    same,
    substitute,
    text,
    total,
    walk,
    where,
)

i, j, k = indices("i j k")
x = Ref("x", (k,))


def scope(values, **place):
    """A scope with one operand ``x`` over the index ``k``."""
    return Scope({"x": np.array(values)}, {"k": len(values)}, place)


@pytest.mark.parametrize(
    ("expr", "value"),
    [
        (total(k, x), 6.5),
        (mean(k, x**2), (1 + 4 + 12.25) / 3),
        (Reduce("max", ("k",), x), 3.5),
        (total((k, i), x * i), 6.5),
        (Size("k") * 2, 6),
        (Ref("x", (i + 1,)), 3.5),
        (where(i < 1, 10, call("sqrt", -1)), -math.inf),
        (where(same(i, 1) & (i <= 1), 10, 20), 10),
        (Let("m", total(k, x), Local("m") - 1), 5.5),
        (call("max", i, 7), 7),
        (call("share", 0, 0), 0),
        (call("share", 3, 4), 0.75),
        (7 - lift(2) // 2 + 2**i / 4, 6.5),
        (-(1 / lift(4)), -0.25),
    ],
)
def test_values(expr, value):
    """Each kind of node means what a textbook means by it."""
    there = Scope({"x": np.array([1.0, 2.0, 3.5])}, {"k": 3, "i": 2}, {"i": 1})
    if value == -math.inf:
        there, value = there.at({"i": 0}), 10
    assert evaluate(expr, there) == pytest.approx(value)


@pytest.mark.parametrize(
    ("expr", "value"),
    [
        (lift(1.0) / 0.0, math.inf),
        (lift(-1.0) / 0.0, -math.inf),
        (lift(1.0) / -0.0, -math.inf),
        (lift(0.0) / 0.0, math.nan),
        (lift(math.nan) / 0.0, math.nan),
        (lift(1e200) ** 2, math.inf),
        (lift(-1e200) ** 3, -math.inf),
        (lift(-1e200) ** 2, math.inf),
        (lift(0.0) ** -1, math.inf),
        (call("exp", 1000.0), math.inf),
        (call("exp", -math.inf), 0),
        (call("sqrt", -1.0), math.nan),
        (call("sin", math.inf), math.nan),
        (call("round", math.inf, 2), math.inf),
        (call("round", -math.inf, 2), -math.inf),
        (call("round", math.nan, 2), math.nan),
        (call("share", 1.0, math.nan), math.nan),
    ],
)
def test_the_float_arithmetic_never_raises(expr, value):
    """Where Python would raise, formulas give the infinities and NaN that arrays give."""
    assert evaluate(expr, scope([1.0])) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(("value", "decimals", "expected"), [(2.5, 0, 3), (-2.5, 0, -3), (0.125, 2, 0.13), (7, 3, 7)])
def test_rounding_goes_away_from_zero(value, decimals, expected):
    """The function round of formulas rounds halves as people do."""
    assert evaluate(call("round", value, decimals), scope([1.0])) == expected


@given(st.floats(-1e10, 1e10), st.integers(1, 9))
def test_the_mean_of_equal_values_is_their_value(value, count):
    """However the sum of equal values rounds, their mean is exact, so that a row without spread has none."""
    assert evaluate(mean(k, x), scope([value] * count)) == value


def test_another_arithmetic():
    """The same formula in 50 digits needs another table of functions, nothing else."""
    with mpmath.workdps(50):
        exact = {**FLOAT, "number": mpmath.mpf, "/": operator.truediv, "sqrt": mpmath.sqrt}
        value = evaluate(call("sqrt", total(k, x) / 3), scope([1.0, 1.0]), exact)
        assert abs(value - mpmath.sqrt(mpmath.mpf(2) / 3)) < mpmath.mpf(10) ** -45


def test_a_sum_written_out_has_no_value_of_its_own():
    """Terms are for printing; asked for their value they say so."""
    with pytest.raises(TypeError, match="Terms has no value"):
        evaluate(Terms("sum", (Number(1),), 1), scope([1.0]))


def test_short_sums_are_written_out_in_whole():
    """Up to ``most`` terms all are shown, in order, with their numbers."""
    filled, steps = substitute(total(k, x * 2), scope([1.5, -2.0, 0.25]), max_terms=3)
    assert text(filled) == "1.5*2 + (-2)*2 + 0.25*2"
    assert steps == []


def test_long_sums_show_their_largest_terms():
    """Of more terms the most - 1 largest are shown, in order, and how many more there are and what they come to."""
    filled, _ = substitute(total(k, x), scope([1.0, -9.0, 0.5, 7.0, -0.25]), max_terms=3)
    assert text(filled) == "-9 + 7 + ... 3 more (1.25)"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12), st.integers(2, 8))
def test_what_is_shown_and_what_is_left_out_make_the_whole(values, most):
    """The shown terms plus the rest are the sum; no term left out is larger than one shown."""
    filled, _ = substitute(total(k, x), scope(values), max_terms=most)
    shown = [term.value for term in filled.terms]
    assert len(shown) == (len(values) if len(values) <= most else most - 1)
    assert filled.count == len(values)
    assert math.fsum([*shown, filled.rest or 0.0]) == pytest.approx(math.fsum(values), abs=1e-6)
    if filled.rest is not None:
        hidden = sorted(values, key=abs)[: len(values) - len(shown)]
        assert max(map(abs, hidden)) <= min(map(abs, shown))


@pytest.mark.parametrize("values", [[1e308] * 5, [math.inf, -math.inf, 1.0, 2.0, 3.0], [math.nan] * 5])
def test_sums_beyond_all_bounds_are_shown_too(values):
    """A rest that overflows or is no number is shown as such, without an exception."""
    filled, _ = substitute(total(k, x), scope(values), max_terms=2)
    assert filled.count == 5
    assert not math.isfinite(filled.rest) or values[0] == math.inf


def test_steps_are_worked_out_once_and_named():
    """Each Let becomes a step with its numbers, and its name stands for the value after that."""
    formula = Let("mean", mean(k, x), Let("spread", mean(k, (x - Local("mean")) ** 2), Local("spread") / 2))
    filled, steps = substitute(formula, scope([1.0, 5.0]), max_terms=6)
    assert [(name, text(numbers), value) for name, numbers, value in steps] == [
        ("mean", "(1 + 5)/2", 3.0),
        ("spread", "((1 - 3)^2 + (5 - 3)^2)/2", 4.0),
    ]
    assert text(filled) == "4/2"


def test_only_the_branch_that_was_taken_is_left():
    """Where a condition chose, the other branch and the condition are gone."""
    formula = where(i < 1, x * 2, -math.inf)
    assert text(substitute(formula, scope([4.0, 5.0], i=0, k=1), max_terms=6)[0]) == "5*2"
    assert text(substitute(formula, scope([4.0, 5.0], i=1, k=1), max_terms=6)[0]) == "-inf"


def test_cells_are_resolved():
    """References that were filled in say which cell they read, beside its number."""
    filled, _ = substitute(Ref("x", (i + 1,)), scope([4.0, 5.0], i=0), max_terms=6)
    assert filled == Ref("x", (Number(1),), None, 5.0)


def test_walk_meets_every_node():
    """Walking goes from the outside inwards through operands, indices and conditions."""
    met = " ".join(type(node).__name__ for node in walk(where(i < 1, x + 2, Let("m", x, Local("m")))))
    assert met == "Where Binary Index Number Binary Ref Index Number Let Ref Index Local"
