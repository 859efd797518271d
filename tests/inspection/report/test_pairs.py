"""The strongest pairs of a head."""

import numpy as np
from msgspec.structs import replace

from clearhead.inspection.report.pairs import strongest


def test_the_strongest_pairs_come_first(hostile):
    """All pairs in the order of their weights; beyond the first four tokens and itself, when asked."""
    weights = np.array([[[0.7, 0.3], [0.9, 0.05], [0.6, 0.4]], [[0.5, 0.4], [0.8, 0.2], [0.55, 0.45]]], np.float32)
    keys = np.array([[[0, 5], [1, 4], [6, 2]], [[7, 0], [4, 5], [2, 8]]], np.int32)
    found = replace(hostile[0], numbers={**hostile[0].numbers, "top_weights": weights, "top_keys": keys})
    every = strongest(found, 4)
    np.testing.assert_array_equal(every.query, [[1, 0, 2, 2], [1, 2, 0, 2]])
    np.testing.assert_array_equal(every.key, [[1, 0, 6, 2], [4, 2, 7, 8]])
    beyond = strongest(found, 3, beyond=True)
    np.testing.assert_array_equal(beyond.key, [[6, 5, 4], [4, 7, 8]])
    np.testing.assert_allclose(beyond.weight, [[0.6, 0.3, 0.05], [0.8, 0.5, 0.45]])
