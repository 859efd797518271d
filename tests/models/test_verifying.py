"""What counts as agreement with Transformers."""

import numpy as np
import pytest

from clearhead.models.verifying import _compare


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(("off", "agrees"), [(1e-6, True), (1e-3, False), (np.nan, False)])
def test_agreement_does_not_depend_on_the_size_of_numbers(size, off, agrees):
    """Numbers of any size agree if they differ by roundings of the largest of their row, and not if by more."""
    theirs = np.random.default_rng(0).normal(size=(4, 8)) * size
    ours = theirs.copy()
    ours[2, 3] += off * np.abs(theirs[2]).max()
    assert _compare("output", ours, theirs).agrees is agrees


def test_what_cancels_is_measured_by_other_rows():
    """A row that is almost 0 beside others may differ by their roundings; where all are 0, any difference counts."""
    theirs = np.array([[1.0, 2.0], [1e-9, 0.0], [3.0, 1.0]])
    assert _compare("output", theirs + 1e-7, theirs).agrees
    zeros = np.zeros((3, 2))
    assert _compare("output", zeros, zeros).difference == 0
    assert not _compare("output", zeros + 1e-12, zeros).agrees
