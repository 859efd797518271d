"""The complementary error function that GELU is made of."""

import math

import mpmath
import numpy as np
import pytest

from clearhead.ops.numpy import numpy_namespace
from clearhead.ops.textbook.erf import erfc
from clearhead.ops.textbook.tokens import gelu, gelu_tanh, relu, silu

POINTS = np.unique(
    np.concatenate([
        np.linspace(-6, 26.5, 651),
        [0.46875, np.nextafter(0.46875, 0), 4.0, np.nextafter(4.0, 0), -4.0, 1e-20, -1e-20, 0.0],
    ])
)  # fmt: skip


def test_erfc_is_exact_to_rounding_down_to_its_underflow():
    """The relative error against 40 digits stays below 2e-13 for all x up to 26.5, where erfc is below 1e-306."""
    with mpmath.workdps(40):
        exact = [mpmath.erfc(mpmath.mpf(float(x))) for x in POINTS]
        worst = max(
            abs(mpmath.mpf(float(got)) / want - 1)
            for got, want in zip(erfc(numpy_namespace, POINTS), exact, strict=True)
        )
    assert worst < 2e-13


def test_erfc_at_its_ends():
    """The limits are 2 and 0, and NaN stays NaN."""
    with np.errstate(all="ignore"):
        ends = erfc(numpy_namespace, np.array([-np.inf, np.inf, -40.0, 40.0, np.nan]))
    np.testing.assert_array_equal(ends, [2, 0, 2, 0, np.nan])


@pytest.mark.parametrize("x", [-5.0, -1.25, -0.3, 0.0, 0.3, 1.25, 5.0])
def test_gelu_is_x_times_the_normal_distribution(x):
    """GELU is x (1 + erf(x / sqrt 2)) / 2, by the standard library's erf."""
    expected = x * (1 + math.erf(x / math.sqrt(2))) / 2
    np.testing.assert_allclose(gelu(np.array([[x]])), [[expected]], rtol=1e-9, atol=1e-15)


def test_gelu_far_below_zero_keeps_its_digits():
    """Where 1 + erf(x) would cancel, GELU still has its leading digits (mpmath: -10 times 7.6e-24)."""
    with mpmath.workdps(40):
        exact = float(-10 * mpmath.ncdf(-10))
    np.testing.assert_allclose(gelu(np.array([[-10.0]])), [[exact]], rtol=1e-13)


def test_tanh_gelu_is_near_the_exact_one():
    """The approximation differs from the exact GELU by less than 5e-4, and by something."""
    x = np.linspace(-5, 5, 101)[None]
    difference = np.abs(gelu(x) - gelu_tanh(x)).max()
    assert 1e-5 < difference < 5e-4


def test_silu_and_relu_by_hand():
    """SiLU of ln 3 is 3/4 of it, of a large negative number 0; ReLU cuts at 0 and does not hide NaN."""
    np.testing.assert_allclose(silu(np.array([[math.log(3), -1000.0, 1000.0]])), [[0.75 * math.log(3), 0, 1000]])
    np.testing.assert_array_equal(relu(np.array([[-1.5, 0.0, 2.0, np.nan]])), [[0, 0, 2, np.nan]])
