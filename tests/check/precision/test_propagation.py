"""What the rounding of earlier numbers can do to later ones."""

import numpy as np
import pytest

from clearhead import Attention
from clearhead.check.precision.propagation import reach

WORKING = Attention(heads=1, output=False).working().starting_at("query", "key", "value")


@pytest.fixture
def arrays():
    rng = np.random.default_rng(4)
    return {name: rng.normal(size=(1, 3, 2)) for name in ("query", "key", "value")}


def test_the_reach_is_the_sum_of_what_each_cell_does(arrays):
    """Scores are sums of products: query off by e reaches e times the sum of |key|, to first order exactly."""
    far = reach(WORKING, arrays, {"query": np.full((1, 3, 2), 0.01)}, "scores")
    expected = 0.01 * np.abs(arrays["key"]).sum(axis=-1)
    np.testing.assert_allclose(far, np.broadcast_to(expected[:, None, :], (1, 3, 3)), rtol=1e-9)


def test_nothing_beyond_the_reach_comes_of_rounding(arrays):
    """Whatever way the given numbers were rounded, the weights are off by no more than the reach and its square."""
    rounded = {name: array.round(2) for name, array in arrays.items()}
    far = reach(WORKING, rounded, {name: np.full(array.shape, 0.005) for name, array in arrays.items()}, "weights")
    off = np.abs(WORKING.run(arrays)["weights"] - WORKING.run(rounded)["weights"])
    assert (off <= far * 1.1).all()
    assert far.max() < 0.05


def test_many_cells_are_moved_together():
    """With too many uncertain cells for a copy each, random copies reach as far as random rounding does."""
    rng = np.random.default_rng(5)
    arrays = {name: rng.normal(size=(1, 40, 16)) for name in ("query", "key", "value")}
    far = reach(WORKING, arrays, {name: np.full(a.shape, 5e-4) for name, a in arrays.items()}, "weights")
    moved = {name: a + rng.uniform(-5e-4, 5e-4, a.shape) for name, a in arrays.items()}
    off = np.abs(WORKING.run(moved)["weights"] - WORKING.run(arrays)["weights"])
    assert (off <= far).mean() > 0.99
    assert far.max() < 50 * off.max()
