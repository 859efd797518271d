"""Losses against PyTorch's, and by hand."""

import math

import numpy as np
import pytest
import torch

from clearhead.ops.textbook import losses, scores

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(2, 5, 7)) * 3
TARGET = RNG.integers(0, 7, (2, 5))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("ignored", [None, 3, -100])
def test_cross_entropy_is_that_of_pytorch(smoothing, ignored):
    """Each token's loss and their mean are PyTorch's, with label smoothing and with ignored targets."""
    target = TARGET.copy()
    target[0, 1:3] = 0 if ignored is None else ignored
    options = {"label_smoothing": smoothing, "ignore_index": -100 if ignored is None else ignored}

    def theirs(reduction):
        logits = torch.tensor(LOGITS).movedim(-1, 1)
        return torch.nn.functional.cross_entropy(logits, torch.tensor(target), reduction=reduction, **options).numpy()

    parameters = {"smoothing": smoothing, "ignored": ignored}
    mine = losses.cross_entropy(LOGITS, target, **parameters)
    np.testing.assert_allclose(mine, theirs("none"), rtol=1e-13, atol=1e-14)
    flat = mine.reshape(-1), target.reshape(-1)
    mean = losses.mean_of_tokens(flat[0]) if ignored is None else losses.mean_of_counted(*flat, ignored=ignored)
    np.testing.assert_allclose(mean, theirs("mean"), rtol=1e-13)
    likelihood = losses.negative_log_likelihood(scores.softmax(LOGITS), target, **parameters)
    np.testing.assert_allclose(likelihood, mine, rtol=1e-12, atol=1e-14)


def test_losses_by_hand():
    """Probabilities 1/2 and 1/4 cost log 2 and log 4; 3 against 1 and 0 against 2 cost 4 each."""
    probability, target = np.array([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5]]), np.array([0, 1])
    each = losses.negative_log_likelihood(probability, target, smoothing=0.0, ignored=None)
    np.testing.assert_allclose(each, [math.log(2), math.log(4)], rtol=1e-15)
    squared = losses.squared_error(np.array([[3.0, 0.0]]), np.array([[1.0, 2.0]]))
    assert squared.tolist() == [[4, 4]]
    assert losses.mean_of_cells(squared) == 4
    assert losses.sum_of_tokens(np.array([1.0, 2.0])) == 3


def test_large_logits_do_not_overflow():
    """Logits of 1000 and 998 cost log(1 + exp(-2)), as those of 2 and 0 do."""
    found = losses.cross_entropy(np.array([[1000.0, 998.0]]), np.array([0]), smoothing=0.0, ignored=None)
    assert found[0] == pytest.approx(math.log1p(math.exp(-2)), abs=1e-12)


def test_no_probability_is_an_infinite_loss():
    """The logarithm of 0 is minus infinity, without a warning."""
    found = losses.negative_log_likelihood(np.array([[0.0, 1.0]]), np.array([0]), smoothing=0.0, ignored=None)
    assert found.tolist() == [math.inf]
