"""Given arrays that were rounded before anything was computed."""

import numpy as np
import pytest

from clearhead import Attention, Block, Claim, Norm, diagnose

WORKING = Block(Attention(2), norm=Norm("rms"), placement="pre").working()
SIZES = {"token": 3, "model": 4, "head": 2, "depth": 2, "head*depth": 4}
ARRAYS = {
    given.name: np.random.default_rng(11).normal(size=[SIZES[axis] for axis in given.axes]) for given in WORKING.givens
}


def report_on(rounded, line="residual", by=0.0):
    arrays = {name: array.round(rounded.get(name, rounded.get("all", 9))) for name, array in ARRAYS.items()}
    numbers = WORKING.run(arrays).numpy(line) + by
    return diagnose([Claim.of(line, numbers.round(5), decimals=5)], WORKING.run(ARRAYS))


@pytest.mark.parametrize("decimals", [1, 2, 3])
def test_numbers_of_rounded_given_arrays_are_explained(decimals):
    """All arrays were rounded to a few decimals, which the verdict says."""
    report = report_on({"all": decimals})
    assert report.verdict == "explained"
    assert report.precision.rounded == (decimals,)
    assert f"rounded to {decimals} decimal" in str(report)


def test_the_one_array_that_was_rounded_is_named():
    """All others have all their digits."""
    report = report_on({"value.weight": 2})
    assert report.precision.rounded == (2, "value.weight")
    assert "value.weight rounded to 2 decimals" in str(report)


def test_other_numbers_are_not_said_to_be_of_rounded_arrays():
    """A thousandth on every number is no rounding."""
    assert report_on({"all": 2}, by=0.001).precision is None
