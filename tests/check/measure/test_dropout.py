"""Dropout that is on is told apart from other numbers that change from call to call."""

import numpy as np
import pytest
import torch

import clearhead
from clearhead import Attention

from .pieces import causal, scaled, softmax


@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_dropout_of_weights_is_named_with_its_rate(rate):
    """PyTorch's attention with ``dropout_p`` drops in eval() too, and the report says the rate."""

    def function(q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=rate)

    report = clearhead.probe(function, Attention(3, causal=True).working())
    assert (report.verdict, report.causes) == ("explained", ("dropout-on",))
    assert f"with p = {rate:g}" in str(report)


def test_weights_that_are_dropped_and_not_scaled_are_said_to_be():
    """Without 1/(1 - p) the weights that are kept are the expected ones."""
    rng = np.random.default_rng(3)

    def function(q, k, v):
        w = softmax(causal(scaled(q, k)))
        return (w * (rng.random(w.shape) > 0.25)) @ v

    report = clearhead.probe(function, Attention(2, causal=True).working())
    assert report.causes == ("dropout-on",)
    assert "not scaled by 1/(1 - p)" in str(report)


def test_noise_is_not_called_dropout():
    """Numbers that are moved at random have no rate."""
    rng = np.random.default_rng(4)

    def function(q, k, v):
        y = softmax(scaled(q, k)) @ v
        return y + 0.1 * rng.normal(size=y.shape)

    report = clearhead.probe(function, Attention(2).working())
    assert (report.verdict, report.causes) == ("unexplained", ())
    assert "Dropout of weights" not in str(report)
