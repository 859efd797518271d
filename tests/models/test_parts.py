"""Parts that tables of families share."""

import numpy as np
import pytest
import torch
from transformers.activations import ACT2FN

from clearhead.models.families.parts import ACTIVATIONS, FULL, SLIDING, every
from clearhead.ops.numpy import numpy_namespace
from clearhead.spec import mlp


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_names_of_activations_mean_what_they_mean_in_transformers(name):
    """Each name of an activation that is read stands for Transformers' function of that name; others are refused."""
    points = np.linspace(-6, 6, 97)
    expected = ACT2FN[name](torch.from_numpy(points)).numpy()
    found = mlp.ACTIVATIONS[ACTIVATIONS[name]].code(numpy_namespace, points[None])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_the_last_layer_of_a_pattern_is_full():
    """Counted from 0, a pattern of three has windows in layers 0 and 1 and none in layer 2, and so on."""
    assert [every(layer, 3) for layer in range(6)] == [SLIDING, SLIDING, FULL] * 2
    assert [every(layer, 1) for layer in range(2)] == [FULL, FULL]
