"""How many cells chance alone would make right."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from clearhead import Attention, Claim
from clearhead.check.judge.by_chance import at_least, chance_of
from clearhead.check.judge.first_wrong import judge

WORKING = Attention(1, output=False).working().starting_at("query", "key", "value")


@pytest.mark.parametrize(("right", "cells", "each"), [(1, 9, "1/5"), (4, 9, "1/5"), (9, 9, "3/4"), (2, 40, "1/100")])
def test_the_tail_is_that_of_the_binomial_distribution(right, cells, each):
    """At least k of n: the sum of exact fractions gives the same."""
    p = Fraction(each)
    exact = sum(comb(cells, n) * p**n * (1 - p) ** (cells - n) for n in range(right, cells + 1))
    assert at_least(right, cells, float(p)) == pytest.approx(float(exact), rel=1e-12)


def test_numbers_that_would_be_right_anywhere_show_nothing():
    """Three equal numbers are as right in another order, three different ones are not."""
    claims = [Claim("weights", (("0.3", "0.3", "0.3"),)), Claim("weights", (("0.1", "0.2", "0.7"),))]
    chances = [chance_of(3, [claim], [(claim.values,)]) for claim in claims]
    assert chances == pytest.approx([1.0, 0.0])


def test_a_row_that_is_right_counts_beside_rows_that_are_not():
    """A third of the cells right to two decimals is no chance; a third right to whole numbers is."""
    rng = np.random.default_rng(3)
    arrays = {name: rng.normal(size=(1, 3, 2)) for name in ("query", "key", "value")}
    trace = WORKING.run(arrays)
    weights = trace.numpy("weights") + np.array([[0.0], [1.0], [0.5]])
    for decimals, worth in ((2, 3), (0, 0)):
        (judged,) = judge([Claim.of("weights", weights.round(decimals), decimals=decimals)], trace, arrays)
        assert judged.worth == worth


def test_cells_that_are_the_same_for_any_numbers_earn_nothing():
    """Invented weights that respect the mask have zeros and a one in the right places, and no credit for these."""
    working = Attention(1, output=False, causal=True).working().starting_at("query", "key", "value")
    rng = np.random.default_rng(5)
    arrays = {name: rng.normal(size=(1, 3, 2)) for name in ("query", "key", "value")}
    trace = working.run(arrays)
    invented = Claim("weights", ((("1.00", "0", "0"), ("0.83", "0.17", "0"), ("0.05", "0.9", "0.05")),))
    assert judge([invented], trace, arrays)[0].worth == 0
    partly = trace.numpy("weights").round(3)
    partly[0, 2] = 0.05, 0.9, 0.05
    assert judge([Claim.of("weights", partly, decimals=3)], trace, arrays)[0].worth == 6
