"""How two computations are held against each other: drawn cases, and the tolerance of each type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import settings

TOLERANCES = {"float64": 2e-12, "float32": 5e-5, "bfloat16": 2**-5, "jax": 1e-6}
"""Absolute and relative at once, of numbers around 1 that some tens of operations lead to.

``jax`` is for jax.nn.dot_product_attention on float64, which works out its softmax in float32.
"""

few = settings(max_examples=8)
"""For tests that have another library compile every drawn example."""


def assert_agree(found: Any, expected: Any, dtype: str, name: str = "") -> None:
    """Two arrays have one shape and, to the tolerance of the type, the same numbers; NaN is equal to nothing."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, name
    tolerance = TOLERANCES[dtype]
    np.testing.assert_allclose(found, expected, tolerance, tolerance, equal_nan=False, err_msg=name)


def assert_all_agree(found: Mapping[str, Any], expected: Mapping[str, Any], dtype: str) -> None:
    """Arrays of the same names agree one by one."""
    assert found.keys() == expected.keys()
    for name in expected:
        assert_agree(found[name], expected[name], dtype, name)
