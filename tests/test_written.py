"""Numbers as people write them: read in one way for givens and for claims, by a small grammar that runs nothing."""

# ruff: noqa: RUF001 - these characters are read

import math
import time

import numpy as np
import pytest

from clearhead import Claim, read_problem
from clearhead.claim import decimals_of
from clearhead.errors import ClearheadError, ProblemError
from clearhead.written import canonical, value_of

VALUES = {
    "2.425": 2.425,
    ".5": 0.5,
    "+1.5e+2": 150.0,
    "−0.5": -0.5,
    "–0,5": -0.5,
    "0,125": 0.125,
    "-12,5": -12.5,
    " 0.25\u00a0": 0.25,
    "1\u202f250,5": 1250.5,
    "1 000": 1000.0,
    "-12 345 678.5": -12345678.5,
    "33%": 0.33,
    "12,5 %": 0.125,
    "(20+5)%": 0.25,
    "50%+1/4": 0.75,
    "+".join(["(1)"] * 15): 15.0,
    "½": 0.5,
    "-1¾": -1.75,
    "⅓": 1 / 3,
    "1/3 ": 1 / 3,
    " −7 / 6": -7 / 6,
    "7⁄6": 7 / 6,
    "∞": math.inf,
    "-∞": -math.inf,
    "−inf": -math.inf,
    "√2": math.sqrt(2),
    "√2/2": math.sqrt(2) / 2,
    "sqrt(2)/2": math.sqrt(2) / 2,
    "-sqrt(1/3)": -math.sqrt(1 / 3),
    "2√3": 2 * math.sqrt(3),
    "e": math.e,
    "e^2/(1+2e^2)": math.e**2 / (1 + 2 * math.e**2),
    "e**-1": math.exp(-1),
    "exp(0.5)": math.exp(0.5),
    "1/(1+exp(-2))": 1 / (1 + math.exp(-2)),
    "ln(2)": math.log(2),
    "π/4": math.pi / 4,
    "2pi": 2 * math.pi,
    "30 deg": math.pi / 6,
    "45°": math.pi / 4,
    "sin(30°)": 0.5,
    "-2^2": -4.0,
    "2^-1": 0.5,
    "2^3^2": 512.0,
    "1.5×10^-3": 0.0015,
    "1.5·10⁻³": 0.0015,
    "x²": None,
    r"\frac{1}{3}": 1 / 3,
    r"-\dfrac{7}{6}": -7 / 6,
    r"\tfrac12": 0.5,
    r"\sqrt{2}/2": math.sqrt(2) / 2,
    r"\frac{\sqrt{3}}{3}": math.sqrt(3) / 3,
    r"\sqrt{\frac{1}{3}}": math.sqrt(1 / 3),
    r"\frac{e^{2}}{1+2e^{2}}": math.e**2 / (1 + 2 * math.e**2),
    r"\frac{1}{1+e^{-2}}": 1 / (1 + math.exp(-2)),
    r"1.5 \times 10^{-3}": 0.0015,
    r"2\cdot10^{4}": 20000.0,
    "10^{-3}": 0.001,
    r"0.5\%": 0.005,
    r"33\,\%": 0.33,
    "$0.25$": 0.25,
    r"\(-0.25\)": -0.25,
    r"$-\infty$": -math.inf,
    r"\left(1+2\right)/4": 0.75,
    r"\pi/4": math.pi / 4,
    r"30^\circ": math.pi / 6,
    r"30^{\circ}": math.pi / 6,
    "0{,}25": 0.25,
    r"1\,250": 1250.0,
    r"\exp(0.5)": math.exp(0.5),
}

REFUSED = [
    "", " ", "abc", "1.2.3", "1,2,3", "1,250", "1.250,5", "1 2", "1 0000", "1000 000",
    "0 250", "0.5 250", "1 000 0", "--1", "1+", "(1", "1)", "()", "2 apples", "1/0",
    "1/(2-2)", "sqrt(-1)", "√", "ln(0)", "__import__('os')", "exp", "exp 2 3", "1e", "0x10", "e^e^e^e^9", "9^9^9^9",
    "(" * 30 + "1" + ")" * 30, "1+" * 50 + "1", "nan%", "½½", "²", "2**", "10^400", "1if1else1", "e2e2", "\u0661",
    "1\n2", "2e", "1e-99999", "(1+2)e",
    r"\frac{1}", r"\frac{1}{0}", r"\frac", r"\sqrt[3]{8}", r"\sqrt", r"\input{x}", r"\approx 0.33", "1{,}000", "{", "}",
    "1}", "{1", r"\text{a}", "$", "$$", r"\%", "\\", "{" * 30 + "1" + "}" * 30, r"\frac" * 11, r"0.2689\ldots",
]  # fmt: skip


@pytest.mark.parametrize("text", VALUES)
def test_what_is_written_has_the_value_that_is_meant(text):
    """Each text has the value of the formula of Python's math module, in whatever characters it was pasted."""
    if VALUES[text] is None:
        with pytest.raises(ClearheadError):
            value_of(text)
    else:
        assert value_of(text) == pytest.approx(VALUES[text], rel=1e-15)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_number_is_refused_at_once(text):
    """The message quotes what was written; nothing is evaluated, and nothing takes time."""
    start = time.process_time()
    with pytest.raises(ProblemError) as caught:
        value_of(text)
    assert time.process_time() - start < 0.5
    assert repr(text)[1:20] in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kept", "decimals"),
    [
        ("−0,50", "-0.50", 2),
        ("33%", "0.33", 2),
        ("12.5 %", "0.125", 3),
        ("5%", "0.05", 2),
        ("120%", "1.20", 2),
        ("-0.4%", "-0.004", 3),
        ("1.5·10⁻³", "1.5e-3", 4),
        (" 2.50", "2.50", 2),
        ("√2/2", "sqrt(2)/2", None),
        ("½", "1/2", None),
        ("30°", "30deg", None),
        ("-∞", "-inf", None),
        (r"1.50 \times 10^{-3}", "1.50e-3", 5),
        (r"0.50\%", "0.0050", 4),
        ("$0.250$", "0.250", 3),
        (r"-\frac{1}{3}", "-1/3", None),
        (r"\sqrt{2}/2", "sqrt(2)/2", None),
        ("?", "?", None),
    ],
)
def test_the_precision_is_kept(text, kept, decimals):
    """Decimals, percent too, keep the digits that were written; fractions and roots are exact."""
    assert canonical(text) == kept
    assert decimals_of(kept) == decimals
    assert canonical(kept) == kept


def test_a_claim_takes_any_of_them():
    """Decimals are held to their rounding, what is exact to the last digit that arithmetic gives."""
    claim = Claim("weights@1", ("33 %", "√2/2", "−½", "?"))
    assert claim.written == ("0.33", "sqrt(2)/2", "-1/2", "?")
    np.testing.assert_allclose(claim.values[:3], [0.33, math.sqrt(0.5), -0.5], rtol=1e-15)
    np.testing.assert_allclose(claim.half_units, [0.005, 0, 0, 0])
    np.testing.assert_array_equal(claim.exact(), [False, True, True, False])


PROBLEM = """
format = 1
title = "Written as people do"
given = ["scaled", "value"]

[attention]
heads = 1
output = false

[arrays]
scaled = [[[0, "ln(2)", "−½"], ["1/3", "√2", "0,25"], ["-∞", 0.5, "50%"]]]
value = [[["1/3"], ["30 deg"], [2]]]
"""


def test_given_numbers_are_read_the_same_way(tmp_path):
    """Arrays of a problem file take texts with the same grammar."""
    file = tmp_path / "problem.toml"
    file.write_text(PROBLEM, encoding="utf-8")
    arrays = read_problem(file).arrays
    expected = [[[0, math.log(2), -0.5], [1 / 3, math.sqrt(2), 0.25], [-math.inf, 0.5, 0.5]]]
    np.testing.assert_allclose(arrays["scaled"], expected, rtol=1e-15)
    np.testing.assert_allclose(arrays["value"], [[[1 / 3], [math.pi / 6], [2]]], rtol=1e-15)


@pytest.mark.parametrize("bad", ['"?"', '"nan"', '"abc"', '"1/0"'])
def test_a_given_number_that_is_none_is_named(tmp_path, bad):
    """The message begins with the place in the file."""
    file = tmp_path / "problem.toml"
    file.write_text(PROBLEM.replace('"30 deg"', bad), encoding="utf-8")
    with pytest.raises(ProblemError, match=r"arrays\.value\[0\]\[1\]\[0\]"):
        read_problem(file)
