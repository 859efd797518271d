"""Operations on numbers small enough to be worked out by hand: what the formulas themselves are held to."""

import math
import pickle

import numpy as np
import pytest

from clearhead.errors import UnknownName
from clearhead.ops.table import OPERATIONS, operation_named
from clearhead.ops.textbook import linear, positions, scores
from clearhead.ops.variants import rounding

BAR = -math.inf


def test_products_and_sums():
    """The products of small integer matrices, and which axis a bias belongs to."""
    a, b = np.array([[1, 2, 0], [0, 1, -1]]), np.array([[1, 0, 2], [3, 1, 1]])
    np.testing.assert_array_equal(linear.matmul(a, b.T), [[1, 5], [-2, 0]])
    np.testing.assert_array_equal(linear.matmul_transposed(a, b), [[1, 5], [-2, 0]])
    np.testing.assert_array_equal(linear.bias(a, np.array([10, 20, 30])), [[11, 22, 30], [10, 21, 29]])
    np.testing.assert_array_equal(linear.project(a, b.T[None]), [[[1, 5], [-2, 0]]])


def test_heads_stand_side_by_side():
    """Concatenation puts the first head first, and split undoes it."""
    heads = np.array([[[1, 2], [3, 4], [5, 6]], [[10, 20], [30, 40], [50, 60]]])
    side_by_side = [[1, 2, 10, 20], [3, 4, 30, 40], [5, 6, 50, 60]]
    np.testing.assert_array_equal(linear.concat(heads), side_by_side)
    np.testing.assert_array_equal(linear.split(np.array(side_by_side), heads=2), heads)


def test_neighbouring_heads_share_a_key():
    """Grouped-query attention gives each key/value head to neighbouring query heads: 1 1 2 2, not 1 2 1 2."""
    np.testing.assert_array_equal(linear.repeat(np.array([[[1]], [[2]]]), times=2).ravel(), [1, 1, 2, 2])


def test_causal_mask_is_aligned_at_the_bottom_right():
    """With two keys in a cache the first of three queries sees three keys, the last all five."""
    masked = scores.mask_causal(np.zeros((3, 5)))
    np.testing.assert_array_equal(masked, [[0, 0, 0, BAR, BAR], [0, 0, 0, 0, BAR], [0, 0, 0, 0, 0]])


def test_window_counts_the_query_itself():
    """A window of 2 bars keys two tokens away and more, to either side; a window of 1 leaves the token itself."""
    np.testing.assert_array_equal(scores.mask_window(np.zeros((2, 4)), width=2), [[BAR, 0, 0, 0], [BAR, BAR, 0, 0]])
    np.testing.assert_array_equal(scores.mask_window(np.zeros((2, 2)), width=1), [[0, BAR], [BAR, 0]])


def test_alibi_slopes_of_the_paper():
    """8 heads: 1/2, 1/4 ... 1/256 (Press et al. 2022, section 3); 6 heads: those of 4, then every second of 8."""
    eight = scores.alibi_slopes(np.zeros((8, 2, 3)), heads=8)
    np.testing.assert_allclose(eight, [2.0**-n for n in range(1, 9)])
    six = scores.alibi_slopes(np.zeros((6, 2, 3)), heads=6)
    np.testing.assert_allclose(six, [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8])


def test_alibi_falls_with_distance():
    """Each score loses slope times distance."""
    lowered = scores.alibi(np.zeros((1, 2, 3)), np.array([0.5]))
    np.testing.assert_array_equal(lowered, [[[-0.5, 0, -0.5], [-1, -0.5, 0]]])


def test_sinusoids_of_the_paper():
    """Column 2n holds sin(pos / 10000^(2n/d)), column 2n + 1 the cosine (Vaswani et al. 2017, section 3.5)."""
    expected = [
        [math.sin(pos), math.cos(pos), math.sin(pos / 100), math.cos(pos / 100)]
        for pos in range(3)
    ]  # fmt: skip
    np.testing.assert_allclose(positions.sinusoidal(np.zeros((3, 4)), base=10000.0), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("turn", "expected"),
    [(positions.rotate_half, [-3, -4, 1, 2, 9]), (positions.rotate_interleaved, [-2, 1, -4, 3, 9])],
)
def test_a_quarter_turn(turn, expected):
    """A turn by 90 degrees sends a pair (a, b) to (-b, a); layouts differ in what a pair is; the rest stays."""
    x = np.array([[[1.0, 2.0, 3.0, 4.0, 9.0]]])
    np.testing.assert_array_equal(turn(x, np.zeros((1, 2)), np.ones((1, 2))).ravel(), expected)


def test_rotary_angles_of_the_paper():
    """Pair c of position p turns by p * 10000^(-2c/d) (Su et al. 2021, equation 15)."""
    angles = positions.rotary_angles(np.array([0.0, 3.0]), np.zeros((1, 2, 4)), base=10000.0, width=None)
    np.testing.assert_allclose(angles, [[0, 0], [3, 0.03]], rtol=1e-15)


def test_rounding_by_hand_goes_away_from_zero():
    """Halves are rounded away from zero, as people do, not to even, as NumPy does."""
    x = np.array([[0.5, 1.5, 2.5, -0.5, -2.5, 0.25], [BAR, math.inf, math.nan, 0.0, 0.49, -0.49]])
    np.testing.assert_array_equal(rounding.round_decimals(x, decimals=0)[0], [1, 2, 3, -1, -3, 0])
    np.testing.assert_array_equal(rounding.round_decimals(x, decimals=0)[1], [BAR, math.inf, math.nan, 0, 0, 0])
    np.testing.assert_array_equal(rounding.round_decimals(np.array([[0.125, -0.375]]), decimals=2), [[0.13, -0.38]])


def test_one_head_is_rounded():
    """Rounding a head leaves the others as they are."""
    x = np.array([[[0.26]], [[0.26]], [[0.26]]])
    np.testing.assert_array_equal(rounding.round_head(x, decimals=1, head=1).ravel(), [0.26, 0.3, 0.26])


def test_operations_are_found_by_name():
    """A name gives the operation, a wrong one the closest; pickling keeps an operation the one it is."""
    assert operation_named("softmax") is scores.softmax
    with pytest.raises(UnknownName, match=r"No operation is called 'softmaxx'\. Did you mean softmax"):
        operation_named("softmaxx")
    for operation in OPERATIONS.values():
        assert pickle.loads(pickle.dumps(operation)) is operation
    assert repr(scores.softmax) == "<operation softmax>"
