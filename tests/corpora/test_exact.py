"""Sums of whole numbers, and quantiles of counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearhead.corpora.exact import BINS, bins_of, carried, edges, fixed, pair_of, quantile, value_of


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20))
def test_sums_are_those_of_python(numbers):
    """Sums far beyond 64 bits are the sums of Python's integers."""
    total = np.zeros((2, 1), np.int64)
    for number in numbers:
        total = carried(total + pair_of(np.array([number])))
    high, low = (int(part[0]) for part in total)
    assert high * 2**32 + low == sum(numbers)
    assert value_of(total, 0)[0] == pytest.approx(float(sum(numbers)), rel=1e-15)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_quantile_is_that_of_the_values_to_a_sixteenth(share):
    """Against NumPy's quantile of all values, drawn over eight powers of two."""
    values = np.exp2(np.random.default_rng(3).uniform(-6, 2, 5001)).astype(np.float32)
    counts = np.bincount(bins_of(values), minlength=BINS)
    right = np.quantile(values, share, method="inverted_cdf")
    assert abs(quantile(counts, share) - right) <= right / 16


def test_each_value_lies_in_its_bin():
    """Between its edges; what is smaller than all in the first, what is larger in the last."""
    values = np.array([0.0, 2.0**-17, 2.0**-16, 0.3, 1.0, 7.99, 2.0**7.99, 1e9], np.float32)
    bins, borders = bins_of(values), edges()
    inside = values < borders[-1]
    assert np.all(borders[bins[inside]] <= values[inside])
    assert np.all(values[inside] < borders[bins[inside] + 1])
    assert bins[-1] == BINS - 1
    assert np.isnan(quantile(np.zeros(BINS, np.int64), 0.5))


def test_values_are_rounded_once():
    """To the nearest unit, half to even."""
    assert fixed(np.array([0.5, 1.5, 2.5, 0.3]) * 2.0**-30).tolist() == [0, 2, 2, 0]
