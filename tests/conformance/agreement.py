"""How two computations are compared: drawn cases, and the tolerance of float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import settings

TOLERANCE = 2e-12
"""Of float64, absolute and relative at once, for numbers around 1 that some tens of operations lead to.

Shorter types have none: `tests.rounding` bounds what they may be off.
"""

few = settings(max_examples=8)
"""For tests that have another library compile every drawn example."""


def assert_agree(found: Any, expected: Any, name: str = "") -> None:
    """Two float64 arrays have one shape and, to the tolerance, the same numbers; NaN is equal to nothing."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, name
    assert found.dtype == expected.dtype == np.float64, name
    np.testing.assert_allclose(found, expected, TOLERANCE, TOLERANCE, equal_nan=False, err_msg=name)


def assert_all_agree(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Arrays of the same names agree one by one."""
    assert found.keys() == expected.keys()
    for name in expected:
        assert_agree(found[name], expected[name], name)
