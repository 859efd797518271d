"""Gradients of models: those of every family by all of its weights are PyTorch's, of Transformers in float64."""

import numpy as np
import pytest

from clearhead.models import FAMILIES, load

from .families import made
from .model_gradients import IDS, both
from .table import tried

SOME = [tried(family)[0] for family in FAMILIES[::6] if tried(family)]
"""A configuration of every sixth family; `make families` tries all configurations of all."""

RECURRENT = ["qwen3_next", "qwen3_5"]
"""Gated delta nets, whose gradients are recurrences backwards."""


@pytest.mark.parametrize("name", dict.fromkeys((*SOME, *RECURRENT)))
def test_gradients_of_a_family(name):
    """The gradients by every weight, and by a layer's result, are those of autograd to 1e-9 of the largest."""
    sides = both(name)
    assert sides.theirs["hidden"].any()
    assert sides.difference < 1e-9


def test_gradients_of_a_trace(tmp_path):
    """A trace that kept few lines has gradients of any line by any other, computed from its tokens."""
    made("llama").save_pretrained(tmp_path / "model")
    model = load(tmp_path / "model")
    short, whole = model.trace(IDS), model.trace(IDS, keep="*")
    of, wrt = "layers.2.attention.head", ["layers.1.attention.weights", "layers.0.mlp.up.weight", "embedding.weight"]
    found, expected = short.gradients(of, wrt), whole.gradients(of, wrt)
    assert "layers.1.attention.value" not in short
    assert [*found] == wrt
    for name in wrt:
        assert found[name].any()
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-6 * abs(expected[name]).max())
