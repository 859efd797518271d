"""Functions of targets and of a vocabulary are probed as others are."""

import numpy as np
import pytest

import clearhead
from clearhead import Head, Loss, Transformer


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def losses(logits, target):
    return -np.take_along_axis(log_softmax(logits), np.where(target < 0, 0, target)[..., None], -1)[..., 0]


@pytest.mark.parametrize("ignored", [0, 4])
def test_a_loss_that_counts_ignored_targets_is_named(ignored):
    """Targets are whole numbers, and some of those that are drawn do not count."""
    working = Transformer(head=Head(), loss=Loss(ignored=ignored)).working()
    report = clearhead.probe(lambda x, t: losses(x, t).mean(), working, ("logits", "target"), "loss")
    assert report.first.ids == ("loss-ignored-counted",), str(report)


def test_a_right_loss_agrees():
    """The mean over the targets that count is the working's."""

    def function(logits, target):
        assert target.dtype.kind == "i"
        counts = target != -100
        return np.where(counts, losses(logits, target), 0).sum() / counts.sum()

    working = Transformer(head=Head(), loss=Loss(ignored=-100)).working()
    report = clearhead.probe(function, working, ("logits", "target"), "loss")
    assert report.verdict == "agrees", str(report)


def test_logits_are_probed_from_tokens_and_their_weight():
    """The size of a vocabulary is drawn like that of any axis."""
    working = Transformer(head=Head(softcap=30.0)).working()
    capped = clearhead.probe(lambda x, w: 30 * np.tanh(x @ w / 30), working, ("input", "logits.weight"), "logits")
    bare = clearhead.probe(lambda x, w: x @ w, working, ("input", "logits.weight"), "logits")
    assert capped.verdict == "agrees", str(capped)
    assert "softcap-missing" in bare.first.ids
