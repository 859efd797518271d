"""Functions of targets and of a vocabulary are probed as others are."""

import numpy as np
import pytest
from torch.nn import functional

import clearhead
from clearhead import Embedding, Head, Loss, Positions, Transformer

ARRAYS = ("logits", "target")


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


def loss(**fields):
    return Transformer(head=Head(), loss=Loss(**fields)).working()


def of_torch(logits, target, **options):
    return functional.cross_entropy(logits, target, **options)


def by_hand(logits, target, mean=np.mean):
    shifted = logits - logits.max(-1, keepdims=True)
    sums = np.log(np.exp(shifted).sum(-1))
    return mean(sums - np.take_along_axis(shifted, target[..., None], -1)[..., 0], axis=-1)


@pytest.mark.parametrize(("fields", "options"), [
    ({}, {}), ({"ignored": -100}, {"ignore_index": -100}), ({"ignored": 0}, {"ignore_index": 0}),
    ({"smoothing": 0.1}, {"label_smoothing": 0.1}), ({"reduction": "sum"}, {"reduction": "sum"}),
])  # fmt: skip
def test_the_loss_of_pytorch_agrees(fields, options):
    """PyTorch's cross-entropy is right with the options that a loss states."""
    report = clearhead.probe(
        lambda *arrays: of_torch(*arrays, **options), loss(**fields), ARRAYS, "loss", library="torch"
    )
    assert report.verdict == "agrees", str(report)


@pytest.mark.parametrize(("fields", "options", "name"), [
    ({"ignored": 0}, {}, "loss-ignored-counted"), ({}, {"reduction": "sum"}, "loss-summed"),
    ({"smoothing": 0.1}, {}, "loss-smoothing-missing"), ({}, {"label_smoothing": 0.1}, "loss-smoothing-added"),
])  # fmt: skip
def test_an_option_that_is_not_the_specs_is_named(fields, options, name):
    """What PyTorch was not told, or was told besides, is the first finding."""
    report = clearhead.probe(
        lambda *arrays: of_torch(*arrays, **options), loss(**fields), ARRAYS, "loss", library="torch"
    )
    assert report.findings[0].deviations[0].partition(":")[0] == name, str(report)


def test_a_batch_of_losses_agrees():
    """A function that gives a loss for each item of a batch is compared item by item."""
    assert clearhead.probe(by_hand, loss(), ARRAYS, "loss").verdict == "agrees"


def test_one_number_that_is_near_by_chance_is_no_rounding():
    """A loss that is off for an unknown reason is not said to be computed in half precision."""
    report = clearhead.probe(lambda x, t: by_hand(x, t) * 1.003, loss(), ARRAYS, "loss")
    assert report.verdict != "agrees"
    assert "half precision" not in str(report)


def test_rows_of_a_table_are_read_by_drawn_numbers():
    """An embedding is probed with the numbers of rows that its table has."""
    working = Transformer(embedding=Embedding(positions=Positions("sinusoidal"))).working()
    takes = ("token", "embedding.weight")
    right = clearhead.probe(lambda ids, table: table[ids], working, takes, "embedding.token")
    wrong = clearhead.probe(lambda ids, table: table[ids - 1], working, takes, "embedding.token")
    assert (right.verdict, wrong.verdict == "agrees") == ("agrees", False)
    assert right.drawn.sizes["vocabulary"] > 1


def log_losses(x, target):
    """Minus the logarithm of each class's probability, and its entry at the target."""
    logs = -log_softmax(x)
    return logs, np.take_along_axis(logs, target[..., None], -1)[..., 0]


def only_padding(x, target):
    """The losses of padding alone, by a condition that is the other way round."""
    return np.where(target == 3, losses(x, target), 0).sum(-1) / (target == 3).sum(-1)


def shifted_again(x, target):
    """Labels shifted by a model that are shifted by the data already."""
    counts = target[..., 1:] != -100
    return np.where(counts, losses(x[..., :-1, :], target[..., 1:]), 0).sum(-1) / counts.sum(-1)


def spread_over_padding(x, target):
    """Label smoothing that is averaged over padding too."""
    logs, right = log_losses(x, target)
    counts = target != 2
    return 0.7 * (right * counts).sum(-1) / counts.sum(-1) + 0.3 * logs.mean((-1, -2))


@pytest.mark.parametrize(("function", "fields", "named"), [
    (only_padding, {"ignored": 3}, "loss-of-ignored-alone"),
    (shifted_again, {"ignored": -100}, "loss-shifted"),
    (spread_over_padding, {"ignored": 2, "smoothing": 0.3}, "loss-smoothing-of-ignored"),
])  # fmt: skip
def test_losses_in_which_other_targets_count_are_named(function, fields, named):
    """Each is the only finding, for logits and targets that are drawn."""
    report = clearhead.probe(function, loss(**fields), ARRAYS, "loss")
    assert [each.ids for each in report.findings] == [(named,)], str(report)


def test_a_loss_of_no_known_kind_is_no_error():
    """No step is tried in which numbers stand for the numbers of classes."""
    working = loss(ignored=0, smoothing=0.1, reduction="sum", reads="logits")
    report = clearhead.probe(lambda x, t: np.sqrt(np.abs(x)).sum((-1, -2)) + 0 * t.sum(-1), working, ARRAYS, "loss")
    assert report.verdict == "unexplained", str(report)


def test_logits_times_their_own_tangent_are_named():
    """A soft-cap whose factor is the logit itself."""

    def function(x, w):
        return x @ w * np.tanh(x @ w / 12.0)

    working = Transformer(head=Head(softcap=12.0)).working()
    report = clearhead.probe(function, working, ("input", "logits.weight"), "logits")
    assert report.first.ids == ("softcap-of-itself",), str(report)


@pytest.mark.parametrize(("scale", "used"), [(2048**0.5, 45.25), (640**0.5, 25.3)])
def test_a_rounded_factor_of_embeddings_is_named_and_nothing_else_is_said(scale, used):
    """A fitted number that nobody writes is kept exactly, so neither precision nor layout is blamed for the rest."""
    working = Transformer(embedding=Embedding(scale=scale), layers=[]).working()
    report = clearhead.probe(lambda t, w: w[t] * used, working, ("token", "embedding.weight"), "embedding")
    assert report.first.ids == ("embedding-factor",), str(report)
    ((_, factor),) = report.findings[0].applied[0].parameters
    assert factor == pytest.approx(used / scale, rel=1e-12)
    assert not report.symptoms


@pytest.mark.parametrize(("axis", "verdict"), [(-1, "agrees"), (1, "explained")])
def test_probabilities_of_a_vocabulary_are_probed(axis, verdict):
    """They are shares of each token, and no query needs to be there."""

    def function(x):
        e = np.exp(x - x.max(axis, keepdims=True))
        return e / e.sum(axis, keepdims=True)

    working = Transformer(head=Head(probabilities=True)).working()
    assert clearhead.probe(function, working, "logits", "probabilities").verdict == verdict


def test_what_fills_a_vocabulary_up_to_a_power_of_two_is_said():
    """unslothai/unsloth#10616: lanes behind the vocabulary count, so numbers are right where there are none."""

    def function(logits, target):
        lanes = 1 << (logits.shape[-1] - 1).bit_length()
        filled = np.full((*logits.shape[:-1], lanes), -5.0)
        filled[..., : logits.shape[-1]] = 5.0 * np.tanh(logits / 5.0)
        return losses(filled, target.astype(int)).mean(-1)

    working = Transformer(head=Head(softcap=5.0), loss=Loss(reads="logits")).working()
    report = clearhead.probe(function, working, ("logits.product", "target"), "loss")
    assert "where vocabulary is no power of 2" in str(report)
