"""To many decimals, each digit that is shown is certified, or it is said which lines are not."""

import re
from decimal import ROUND_HALF_UP, Decimal

import pytest
from mpmath import MPContext

from clearhead.problems import parse_problem, read_problem
from clearhead.show import View, render
from clearhead.show.export import save

mp = MPContext()
mp.dps = 40

PROBLEM = """
format = 1
title = "Three exponentials"
given = ["scaled"]
until = ["weights"]
[attention]
heads = 1
output = false
[arrays]
scaled = [[[{0}, {1}, {2}]]]
"""

GIVEN = [("0.82", "0.44", "0.71"), ("1.1", "-2.3", "0.4"), ("12.5", "12.25", "11"), ("0.3", "0.7", "-0.9")]


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_every_digit_of_many_is_right(given, form):
    """A softmax to 13 decimals is that of 40 digits, rounded once, in every printed medium."""
    powers = [mp.exp(mp.mpf(each)) for each in given]
    right = [Decimal(mp.nstr(each / sum(powers), 35)).quantize(Decimal("1e-13"), ROUND_HALF_UP) for each in powers]
    shown = render(parse_problem(PROBLEM.format(*given)).trace(), form, View(decimals=13, address="weights"))
    assert re.findall(r"\b0\.\d{10,13}\b", shown) == [f"{each:.13f}" for each in right]


def test_no_number_is_shown_to_more_than_fifteen_digits():
    """A float64 has no more digits of its own: a large number has fewer decimals than are asked for."""
    arrays = PROBLEM.replace("scaled", "scores").replace("heads = 1", "heads = 1\nscale = 0.7")
    shown = render(parse_problem(arrays.format("12345.678", "1.1", "0.3")).trace(), "text", View(decimals=15))
    assert max(len(each.replace(".", "").lstrip("0")) for each in re.findall(r"\d+\.\d+", shown)) <= 15


def test_what_is_not_certain_is_said(tmp_path):
    """Where intervals do not decide, each medium says that the last digits may be wrong, and in which lines."""
    text = """
format = 1
title = "Far away"
[positions]
kind = "sinusoidal"
width = 2
[arrays]
index = [20000000000000]
"""
    trace = parse_problem(text).trace()
    said = "With this number of decimals the last may be wrong in position"
    assert said in " ".join(render(trace, "text", View(decimals=13)).split())
    save(trace, tmp_path / "x.md", View(decimals=13))
    assert said in " ".join((tmp_path / "x.md").read_text().split())
    assert said not in " ".join(render(trace, "text", View(decimals=5)).split())


def test_few_decimals_are_shown_without_intervals(monkeypatch):
    """Three decimals of a bundled problem are right already: nothing is computed again."""
    monkeypatch.setattr("clearhead.show.certain.certified", None)
    assert render(read_problem("causal-mask").trace(), "text", View(decimals=3))
