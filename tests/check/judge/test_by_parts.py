"""Weights that somebody worked out from the exponentials and sums on their own sheet follow from these."""

import numpy as np
import pytest

from clearhead import Attention, Claim
from clearhead.check.grading.grade import Grader
from clearhead.check.judge.by_parts import by_parts

WORKING = Attention(1, output=False, exponentials=True).working()
RNG = np.random.default_rng(8)
GIVEN = {"input": np.round(RNG.normal(size=(3, 2)), 1)} | {
    f"{name}.weight": np.round(RNG.normal(size=(1, 2, 2)), 1) for name in ("query", "key", "value")
}
TRACE = WORKING.run(GIVEN)
LINES = ("scaled", "exponentials", "sums", "weights", "head")


def sheet(*, exponentials=0.0, sums=0.0, axis=-1, base=np.e):
    """What somebody hands in to two decimals: with a slip in one exponential or sum, carried on; plain NumPy."""
    scaled = TRACE["scaled"][0].round(2)
    parts = np.power(base, scaled).round(2)
    parts[1, 2] += exponentials
    below = parts.sum(axis=axis).round(2)
    below[1] += sums
    weights = (parts / np.expand_dims(below, axis)).round(2)
    head = (weights @ TRACE["value"][0]).round(2)
    return dict(zip(LINES, (scaled, parts, below, weights, head), strict=True))


def graded(numbers, *lines):
    claims = [Claim.of(line, numbers[line][None], decimals=2) for line in lines or LINES]
    grade = Grader(TRACE, [claims]).grade(claims)
    return grade, {each.line: each.worth for each in grade.judged}


@pytest.mark.parametrize("lines", [LINES, LINES[1:], ("scaled", "exponentials", "weights", "head")])
def test_a_slip_in_an_exponential_costs_one_cell(lines):
    """Sums, weights and head follow from the wrong exponential, whichever of the lines are handed in."""
    _, right = graded(sheet(exponentials=1.0), *lines)
    assert right == {line: TRACE[line].size - (line == "exponentials") for line in lines}


@pytest.mark.parametrize("lines", [LINES, ("scaled", "sums", "weights", "head")])
def test_a_slip_in_a_sum_costs_one_cell(lines):
    """Weights follow from the wrong sum."""
    _, right = graded(sheet(sums=1.0), *lines)
    assert right == {line: TRACE[line].size - (line == "sums") for line in lines}


def test_sums_of_columns_are_a_softmax_over_queries():
    """Whoever adds up columns is told so where the sums are a line of their own."""
    grade, right = graded(sheet(axis=0))
    assert grade.deviations[0] == "softmax-over-queries"
    assert right["exponentials"] == 9
    assert right["head"] == 6


def test_weights_from_nothing_do_not_follow_from_parts():
    """Weights that follow from neither get no credit, though their exponentials are right."""
    numbers = sheet()
    numbers["weights"] = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3], [0.1, 0.1, 0.8]])
    assert graded(numbers)[1]["weights"] == 0


def test_only_claimed_parts_count():
    """Where no part is claimed, or a line is no softmax, there is no other way to it."""
    assert by_parts(WORKING, ("scaled",), "weights") is None
    assert by_parts(WORKING, ("exponentials",), "head") is None
    assert by_parts(WORKING, ("sums",), "weights") is not None
