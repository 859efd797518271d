"""Checkpoints inspected: the statistics of weights that are never stored, compared with weights that are."""

import json

import numpy as np
import pytest

from clearhead.errors import ShapeError, UnknownName
from clearhead.inspection.statistics import half_distance
from clearhead.models import load
from clearhead.models.surveying import Interrupted

from ..inspection.reference import Case, statistics

TEXT = (
    "In 1815 the mountain Tambora threw so much ash into the sky that the next summer did not come. "
    "Harvests failed in half of Europe; bread grew dear, and people left for lands where the sun was said to shine."
)
IDS = [3, 16, 0, 7, 7, 11, 2, 9, 14]


def bounds(stored, layer):
    """How far the statistics of a layer may be off in float32, from the sizes of its queries and keys."""
    path = f"layers.{layer}.attention."
    turned = ".rotated" if f"{path}query.rotated" in stored else ""
    arrays = (stored[f"{path}{name}"] for name in (f"query{turned}", f"key{turned}", "value"))
    case = Case(*arrays, {"causal": bool(turned), "bands": (1, 5, 20)})
    return {name: each.bound for name, each in statistics(case, 3).items()}


def within(found, other, bound):
    """Two float32 runs are apart by four bounds at most: each may be off, and so may its queries and keys."""
    assert np.all(np.abs(found - other) <= 4 * bound)


@pytest.mark.parametrize("model", ["minilm", "smollm"])
def test_statistics_are_those_of_the_stored_weights(model, request):
    """Entropy, sinks, largest weights, distances and what is received: float64 arithmetic on stored weights agrees."""
    model = request.getfixturevalue(model)
    layers = (0, model.sizes.layers - 1)
    survey = model.inspect(TEXT, layers=layers, top=3, bands=(1, 5, 20))
    kept = (f"layers.{layer}.attention.{name}" for layer in layers for name in ("weights", "query*", "key*", "value*"))
    stored = model.trace(TEXT, keep=("hidden", *kept))
    assert survey.tokens == stored.tokens
    count = len(stored.tokens)
    far = abs(np.subtract.outer(np.arange(count), np.arange(count)))
    for layer in layers:
        weights, found = stored[f"layers.{layer}.attention.weights"].astype(np.float64), survey[layer]
        logs = np.log(np.where(weights > 0, weights, 1))
        near = bounds(stored, layer)
        within(found.entropy, -(weights * logs).sum(-1), near["entropy"])
        within(found.sink, weights[..., :4], near["sink"])
        within(found.top_weights, -np.sort(-weights)[..., :3], near["top_weights"])
        picked = np.take_along_axis(weights, np.maximum(found.top_keys, 0), -1)
        within(np.where(found.top_keys < 0, 0, picked), found.top_weights, near["top_weights"])
        bands = [
            weights[:, (low <= far) & (far < high)].sum(-1) / count
            for low, high in ((0, 1), (1, 5), (5, 20), (20, count))
        ]
        within(found.bands, np.stack(bands, -1), near["bands"].mean(-2))
        within(found.received_total, weights.sum(-2), near["received.total"])
        within(found.received_max, weights.max(-2), near["received.max"])
    last = stored[model.hidden[-1]]
    np.testing.assert_allclose(survey.output, last, atol=1e-6 * abs(last).max())


@pytest.mark.parametrize(
    ("bands", "half"), [([0.25, 0.25, 0.5], 2.0), ([0.0, 0.0, 1.0], 4.0), ([1.0, 0.0, 0.0], 0.5), ([0, 0, 0], 0.0)]
)
def test_half_of_the_weight_lies_nearer(bands, half):
    """The distance is taken between the edges 0, 1, 2 and 6 of the band in which the half is reached."""
    assert half_distance(np.array([bands]), (1, 2), 6) == pytest.approx([half])


def test_an_interruption_leaves_what_is_done(small):
    """Ctrl-C in the second layer: the first is there in whole, the second is named, and so with what was not asked."""
    model = load(small)
    whole = model.inspect(IDS)

    def interrupt(share):
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stop:
        model.inspect(IDS, progress=interrupt)
    partial = stop.value.partial
    assert (list(partial.layers), partial.missing) == ([0], (1,))
    np.testing.assert_array_equal(partial[0].entropy, whole[0].entropy)
    assert partial.summary().entropy.shape == (1, 6)
    with pytest.raises(UnknownName, match="layer 1 was not inspected"):
        partial[1]


def test_only_what_is_asked_for_is_told(small):
    """One layer, without what is received: the same numbers as among all; the share that is done rises to one."""
    model, shares = load(small), []
    one = model.inspect(IDS, layers=[1], received=False, top=2, progress=shares.append)
    assert list(one.layers) == [1]
    assert one[1].received_total is None
    np.testing.assert_array_equal(one[1].entropy, model.inspect(IDS)[1].entropy)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert one.notes == ()


def test_a_text_beyond_the_training_is_remarked(small):
    """Rotary positions go on for ever, the training did not."""
    config = json.loads((small / "config.json").read_text("utf-8")) | {"max_position_embeddings": 8}
    (small / "config.json").write_text(json.dumps(config))
    (note,) = load(small).inspect(IDS, layers=[0]).notes
    assert note.startswith("The text has 9 tokens, and the model was trained on at most 8 at once")


def test_what_cannot_be_inspected_is_refused(small, minilm):
    """Layers that are not there, several texts, and more tokens than there are positions: each is refused in words."""
    model = load(small)
    with pytest.raises(UnknownName, match="layers 0 to 1, not 2"):
        model.inspect(IDS, layers=[2])
    with pytest.raises(ShapeError, match="one text at a time"):
        model.inspect([IDS, IDS])
    with pytest.raises(ShapeError, match="positions for 512 tokens, got 513"):
        minilm.inspect([101] * 513)
