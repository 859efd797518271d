"""Which cause is told of wrong gradients: that of the backward pass first, and nothing of lines that are not there."""

import numpy as np
from tests.check.gradients.reported import HEADS, losses
from tests.check.gradients.right_layers import LOGITS, SMOOTHING, of_loss, smoothed
from tests.check.gradients.zoo import Heads, softmax, t

from clearhead import Attention, Embedding, Head, Transformer, probe_gradients


def of_averages(logits, target):
    """The gradient of a mean (fetchai/ledger PR#1580)."""
    return (softmax(logits) - np.eye(logits.shape[-1])[target]) / target.shape[-1]


def test_a_cause_of_the_backward_pass_is_told_first():
    """Of two causes with the same numbers, that of the backward pass has the word where the forward pass is right."""
    total = of_loss(reduction="sum")
    report = probe_gradients(of_averages, total, LOGITS, "loss", forward=lambda *a: losses(*a).sum(-1))
    assert [each.deviations for each in report.findings] == [("grad-loss-averaged",), ("loss-averaged",)]
    assert "To fix it: Divide by the number of tokens only where the loss is a mean." in str(report)
    assert "Leave the division out" not in str(report)


def of_smoothing_over_others(logits, target, up):
    """Labels smoothed over all classes but the right one (sockeye PR#203)."""
    size = logits.shape[-1]
    labels = np.where(np.eye(size)[target] > 0, 1 - SMOOTHING, SMOOTHING / (size - 1))
    return (softmax(logits) - labels) * up[..., None]


def test_smoothing_over_the_other_classes_needs_no_line_of_probabilities():
    """It is named where the loss reads logits, and the working has no probabilities."""
    report = probe_gradients(
        of_smoothing_over_others, of_loss(smoothing=SMOOTHING), LOGITS, "loss.token", forward=smoothed
    )
    assert [each.deviations for each in report.findings] == [("loss-smoothing-over-others",)]


def of_table_unscaled(table, token, dy):
    grad = np.zeros_like(table)
    np.add.at(grad, token.reshape(-1), dy.reshape(-1, dy.shape[-1]))
    return grad


def test_the_factor_of_embeddings_is_no_scale_of_scores():
    """A factor that is missing behind embeddings is not told as one of scores, of which there are none."""
    working = Transformer(Embedding(scale=3.0), head=Head()).working()
    report = probe_gradients(
        of_table_unscaled, working, ("embedding.weight", "token"), "embedding", forward=lambda w, i: 3 * w[i]
    )
    assert [each.deviations for each in report.findings] == [("embedding-scale-missing",)]
    assert "scores" not in str(report)


def with_sums_of_the_first(q, k, v, do):
    """Row sums of the first example of a batch, for all (the family of TransformerEngine#3216)."""
    scale = q.shape[-1] ** -0.5
    p, dp = softmax(q @ t(k) * scale), do @ t(v)
    sums = (dp * p).sum(-1, keepdims=True)
    ds = p * (dp - (sums if sums.ndim < 4 else sums[:1])) * scale
    return ds @ k, t(ds) @ q, t(p) @ do


def test_what_is_wrong_for_batches_alone_is_said():
    """A function that is right for one example and not for a batch is not called right without saying so."""
    said = str(probe_gradients(with_sums_of_the_first, Attention(2).working(), HEADS, forward=Heads().forward))
    assert "on 4 inputs, but see below" in said
    assert "numbers of one example be used for others" in said
