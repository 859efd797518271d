"""Right code of every kind is called right: some of what ``make right-code`` draws."""

import pytest

from .right_code import drawn, is_right, probed


@pytest.mark.parametrize("seed", [9, 10, 11, 12, 15, 16, 17, 26])
def test_right_code_is_called_right(seed):
    """It agrees and breaks no property, whatever precision its arithmetic has."""
    right = drawn(seed)
    report = probed(right)
    assert is_right(report), f"{right.name}: {report}"
