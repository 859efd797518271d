"""Checkpoints inspected: the statistics of weights that are never stored, compared with weights that are."""

import csv
import json

import numpy as np
import pytest
from tests.conformance.families import made
from tests.conformance.pairs import reads

from clearhead.errors import ShapeError, UnknownName
from clearhead.inspection.statistics import half_distance
from clearhead.models import load
from clearhead.models.recurring import recurrence_of
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


@pytest.fixture
def model_of(tmp_path):
    """A function that loads a small model of a configuration."""

    def make(name, engine="auto"):
        made(name).save_pretrained(tmp_path)
        return load(tmp_path, engine=engine)

    return make


def near(found, stored):
    """Two float32 runs of a small model of normal weights: 20 roundings of the largest number."""
    np.testing.assert_allclose(found, stored, atol=20 * 2**-23 * max(1, abs(stored).max()))


@pytest.mark.parametrize("name", ["pair, t5", "pair, marian", "pair, whisper"])
def test_a_decoder_is_inspected(name, model_of):
    """A decoder's weights on its own tokens and on the source: those that a trace stores, and their sums."""
    model = model_of(name)
    source, decoder, _ = reads(name, [7, 4, 9, 12, 30, 8, 8, 21])
    survey, stored = model.inspect(source, decoder=decoder), model.trace(source, decoder=decoder)
    near(survey.output, stored[model.hidden[-1]])
    assert list(survey.layers) == list(survey.cross) == [0, 1, 2]
    assert len(survey.tokens) == len(decoder)
    for layer in survey.layers:
        own, weights = stored[f"layers.{layer}.attention.weights"], stored[f"layers.{layer}.cross.weights"]
        near(survey[layer].top_weights[..., 0], own.max(-1))
        found = survey.cross[layer]
        near(found.top_weights[..., 0], weights.max(-1))
        near(np.take_along_axis(weights, found.top_keys[..., :1], -1)[..., 0], weights.max(-1))
        near(found.received_total, weights.sum(-2))
        assert found.self_weight is found.bands is None


def test_a_table_has_the_weights_on_the_source(tmp_path, model_of):
    """A row for each token of each head, with its largest weights on the source; of other models there is no such."""
    model = model_of("pair, bart")
    survey = model.inspect([7, 4, 9, 12, 30, 8], decoder=[2, 5, 6])
    survey.save(tmp_path / "x.csv", by="source")
    rows = list(csv.DictReader((tmp_path / "x.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 3 * 2 * 3
    written = np.array([row["top1_weight"] for row in rows[:3]], np.float32)
    np.testing.assert_array_equal(written, survey.cross[0].top_weights[0, :, 0])
    assert "received_total" not in rows[0]
    with pytest.raises(UnknownName, match="no weights on a source"):
        model.inspect([7, 4, 9]).save(tmp_path / "y.csv", by="source")


@pytest.mark.parametrize("name", ["qwen3_next", "qwen3_5"])
def test_gated_delta_nets_are_passed_by(name, model_of):
    """Layers of gated delta nets are computed, in chunks; the others are reported, and a note names those."""
    model = model_of(name, engine="array")
    ids = np.random.default_rng(1).integers(2, 36, 150).tolist()
    survey, stored = model.inspect(ids), model.trace(ids)
    assert list(survey.layers) == [3]
    assert survey.notes[0].startswith("The layers 0, 1, 2 are gated delta nets")
    near(survey.output, stored[model.hidden[-1]])
    near(survey[3].top_weights[..., 0], stored["layers.3.attention.weights"].max(-1))
    with pytest.raises(UnknownName, match="layer 1 is a gated delta net"):
        model.inspect(ids, layers=[1, 3])


def test_what_a_delta_net_reads_in_chunks_is_that_of_the_formula(model_of):
    """Heads read chunk by chunk are those of the lines, in float64: over three chunks, the last one not full."""
    model = model_of("qwen3_5")
    given = {"token": np.random.default_rng(2).integers(2, 36, 150), **model.arrays}
    lines = model.working().ending_at("layers.0.mlp.residual")
    stored = lines.run({name: np.asarray(each, np.float64) if each.dtype.kind == "f" else each
                        for name, each in given.items() if name in {one.name for one in lines.givens}})  # fmt: skip
    found = recurrence_of(lines, "layers.0.attention.")
    read = found.read({name: stored[name] for name in found.entry})
    np.testing.assert_allclose(read, stored["layers.0.attention.head"], rtol=1e-10, atol=1e-12)


def test_what_cannot_be_inspected_is_refused(small, minilm):
    """Layers that are not there, several texts, and more tokens than there are positions: each is refused in words."""
    model = load(small)
    with pytest.raises(UnknownName, match="layers 0 to 1, not 2"):
        model.inspect(IDS, layers=[2])
    with pytest.raises(ShapeError, match="one text at a time"):
        model.inspect([IDS, IDS])
    with pytest.raises(ShapeError, match="positions for 512 tokens, got 513"):
        minilm.inspect([101] * 513)
