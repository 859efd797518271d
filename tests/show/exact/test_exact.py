"""Small problems shown exactly: the numbers by higher precision, and the texts by the grammar that reads them."""

import re
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest
from click.testing import CliRunner

from clearhead.cli import main
from clearhead.errors import ProblemError
from clearhead.problems import parse_problem, read_problem
from clearhead.show import View, lower
from clearhead.show.exact import exact_document
from clearhead.show.exact.lines import cell_name, exact_lines
from clearhead.show.exact.numbers import Exact, Numbers, certified, form_of
from clearhead.show.exact.text import exact_text
from clearhead.written import MAX_CHARACTERS, value_of

SMALL = ("single-head", "soccer", "causal-mask", "encoder-block", "cross-entropy", "rotary")

SCORES = """
format = 1
title = "Scores"
given = ["scores"]
until = ["weights"]
[attention]
heads = 1
output = false
scale = 1
[arrays]
scores = [[[0, 2, 2], [1, 1, 1], ["1/3", 0.5, 0.5]]]
"""


@cache
def cells(problem):
    """Each cell of each computed line of a problem, exactly: its name, the number, and what floating point gives."""
    trace = read_problem(problem).trace()
    return [
        (cell_name(trace, name, cell), array[cell], float(trace.numpy(name)[cell]))
        for name, array in exact_lines(trace)
        for cell in np.ndindex(array.shape)
    ]


def test_softmax_by_hand():
    """Weights are the fractions of powers of e that one writes by hand."""
    trace = parse_problem(SCORES).trace()
    ((_, scaled), (_, weights)) = exact_lines(trace)
    assert exact_text(scaled[0, 2, 0].expr) == "1/3"
    assert [exact_text(number.expr) for number in weights[0, 0]] == [
        "1/(1 + 2*e^2)",
        "e^2/(1 + 2*e^2)",
        "e^2/(1 + 2*e^2)",
    ]
    assert [exact_text(number.expr) for number in weights[0, 1]] == ["1/3", "1/3", "1/3"]


@pytest.mark.parametrize("name", SMALL)
def test_every_exact_number_is_the_number(name):
    """What each expression is worth, by 30 digits, is what floating point gives, as near as that comes."""
    values = {}
    for address, number, expected in cells(name):
        known = {symbol: values[symbol.name] for symbol in number.expr.free_symbols}
        values[address] = number.expr.subs(known).evalf(30)
        np.testing.assert_allclose(float(values[address]), expected, rtol=1e-9, atol=1e-12, err_msg=address)


@pytest.mark.parametrize("name", SMALL)
def test_every_interval_holds_its_number(name):
    """The interval of each number is narrower than a last bit and holds what floating point gives, within its noise."""
    for address, number, expected in cells(name):
        if not np.isfinite(expected):
            assert exact_text(number.expr) == str(expected), address
            continue
        low, high = (float(mpmath.mpf(end._mpi_[0])) for end in (number.interval.a, number.interval.b))
        assert high - low <= 1e-15 * max(1, abs(low))
        np.testing.assert_allclose(low, expected, rtol=1e-9, atol=1e-12, err_msg=address)


@pytest.mark.parametrize("name", ["single-head", "soccer", "causal-mask"])
def test_texts_are_claims(name):
    """What is shown without names reads back, by the grammar of claims, as the number."""
    seen = 0
    for address, number, expected in cells(name):
        text = exact_text(number.expr)
        if len(text) <= MAX_CHARACTERS and "@" not in text and "[" not in text and "abs" not in text:
            seen += 1
            np.testing.assert_allclose(value_of(text), expected, rtol=1e-9, atol=1e-12, err_msg=address)
    assert seen > 20


@pytest.mark.parametrize("value", [0.1, -2.5, 1 / 3, 2 / 7, 1e-5, 0.0, 1234.5678])
def test_given_numbers_are_what_was_written(value):
    """A given number becomes the decimal or the fraction that somebody wrote, and is it to the last bit."""
    form, found = form_of(value)
    assert form == "fraction"
    assert float(found) == value
    assert found.denominator <= 100_000


@pytest.mark.parametrize("value", [0.29611194133758545, 1.4142135623730999])
def test_what_nobody_wrote_is_refused(value):
    """A number that is no short fraction, root, power or angle has no exact value, and the error says so."""
    with pytest.raises(ProblemError, match="no fraction"):
        form_of(value)


@pytest.mark.parametrize(("number", "decimals", "text"), [
    (Fraction(1, 8), 2, "0.13"),
    (Fraction(-1, 8), 2, "-0.13"),
    (Fraction(1, 200), 2, "0.01"),
    (Fraction(-1, 1000), 2, "0.00"),
    (Fraction(7, 2), 0, "4"),
])  # fmt: skip
def test_exact_halves_are_rounded_away_from_zero(number, decimals, text):
    """A tie is seen exactly, and rounded as by hand."""
    assert certified(Numbers().of(number), decimals) == text
    exact = Decimal(number.numerator) / Decimal(number.denominator)
    assert abs(Decimal(text)) == abs(exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))


def test_digits_that_are_not_certain_are_not_shown():
    """An interval that reaches over the middle of two decimals certifies neither."""
    numbers = Numbers()
    wide = Exact(numbers.sympy.Symbol("x"), numbers.iv.mpf([0.1249, 0.1251]))
    assert certified(wide, 2) is None
    assert certified(wide, 1) == "0.1"


def test_a_row_without_spread_is_said_to_be_undefined():
    """The norm of a row of equal numbers, 0/0, is shown as nan, and the other rows exactly."""
    text = lower(exact_document(read_problem("soccer").trace(), View("Soccer", address="norm")), "text")
    assert re.search(r"soccer ⎣ +nan +nan ⎦", text)
    assert re.search(r"Chaky +⎡ 1 +-1 ", text)


def test_the_command_says_what_has_no_exact_value(tmp_path):
    """A given number that is no fraction, root or the like is refused by its place, without a traceback."""
    path = tmp_path / "root.toml"
    path.write_text(SCORES.replace('"1/3"', '"sqrt(2) + ln(3)"'))
    ran = CliRunner().invoke(main, ["show", str(path), "--exact"])
    assert ran.exit_code == 2
    assert "scores: 2.512825851041205 is no fraction" in ran.output


def test_one_cell_is_shown_in_full():
    """With a cell only that cell's arithmetic stands below the matrix."""
    ran = CliRunner().invoke(main, ["show", "soccer", "weights@2", "--exact", "--cell", "3,2"])
    # soccer looks at loves: e^0/(e^-2 + e^0 + e^-2) = e^2/(2 + e^2) = 0.7870...
    assert [line for line in ran.output.splitlines() if "=" in line][-1] == "weights@2[3,2] = e^2/(2 + e^2) = 0.787"


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_other_media_set_roots_and_powers(form):
    """Exact numbers stand in matrices of other media."""
    ran = CliRunner().invoke(main, ["show", "single-head", "scaled", "--exact", "--as", form])
    assert (r"\sqrt{2}/2" if form == "latex" else "sqrt(2)/2") in ran.output


def test_angles_in_degrees_are_exact():
    """Rotary angles of 30 and 60 degrees turn by sqrt(3)/2 and 1/2, also where they are given as text."""
    problem = parse_problem("""
format = 1
title = "Turned by degrees"
given = ["query", "rotary.angle"]
until = ["query.rotated"]
[attention]
heads = 1
output = false
[attention.rotary]
[arrays]
query = [[[1, 0, 0, 1]]]
rotary.angle = [["30 deg", "60 deg"]]
""")
    shown = lower(exact_document(problem.trace(), View()), "text")
    assert "sqrt(3)/2" in shown
    assert "1/2" in shown
