"""Sentences of a report: two numbers that differ are not written the same."""

import pytest

from clearhead.check.probing.report import told_apart


@pytest.mark.parametrize(("one", "other", "written"), [
    (0.5, 0.25, ("0.5", "0.25")),
    (-0.999995, -1.0, ("-0.999995", "-1")),
    (1.23456, 1.23461, ("1.23456", "1.23461")),
    (1.0, 1.0 + 2.0**-52, ("1", "1.0000000000000002")),
    (0.1, 0.1, ("0.1", "0.1")),
])  # fmt: skip
def test_numbers_that_differ_are_told_apart(one, other, written):
    """Each is written with four decimals, or with as many more as show the difference."""
    assert told_apart(one, other) == written
