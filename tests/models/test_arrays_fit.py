"""An array whose size, or absence, contradicts the config is refused, as in Transformers, and never cut to fit."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests.conformance.families import made

from clearhead.errors import CheckpointError
from clearhead.models import load
from clearhead.models.layout import turned
from clearhead.models.reading import Sizes

SIZES = Sizes(layers=1, width=12, heads=4, groups=2, depth=3, value_depth=5)
BLOCKS = {"query": 24, "key": 24, "value": 24, "first-half": 8, "second-half": 8}
"""Words that take a part of an array's columns, and how many columns there are."""
BLOCKS |= dict.fromkeys(("delta-query", "delta-key", "delta-value"), 32)


@pytest.mark.parametrize("word", BLOCKS)
def test_a_part_is_not_cut_out_of_more(word):
    """Of an array with a column more than its blocks have no block is taken: blocks behind the first would shift."""
    columns = BLOCKS[word]
    turned("w", np.ones((12, columns), np.float32), (word,), SIZES)
    for wrong in (columns - 1, columns + 1):
        with pytest.raises(CheckpointError, match=rf"w of shape \(12, {wrong}\) does not lie as '{word}' says"):
            turned("w", np.ones((12, wrong), np.float32), (word,), SIZES)


def test_taps_of_several_rows_are_not_one():
    """A convolution whose channels read several rows each is not that of one row."""
    with pytest.raises(CheckpointError, match="does not lie as 'rows-last' says"):
        turned("w", np.ones((12, 2, 4), np.float32), ("rows-last",), SIZES)


@pytest.fixture
def edited(tmp_path):
    """A function that saves a small model with other arrays or entries, and loads it."""

    def edit(name, change=lambda arrays: arrays, **entries):
        made(name).save_pretrained(tmp_path)
        config = tmp_path / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text("utf-8")) | entries))
        arrays = change(load_file(tmp_path / "model.safetensors"))
        save_file(arrays, tmp_path / "model.safetensors", {"format": "pt"})
        return load(tmp_path)

    return edit


def longer(name):
    """A change that repeats the first row of an array."""
    return lambda arrays: {**arrays, name: np.concatenate([arrays[name], arrays[name][:1]])}


def without(*names):
    """A change that leaves out arrays."""
    return lambda arrays: {name: array for name, array in arrays.items() if name not in names}


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        ("llama", "lm_head.weight", r"by the config logits.weight has .*vocabulary=37.*\(24, 38\)"),
        ("llama", "model.embed_tokens.weight", "by the config embedding.weight has .*vocabulary=37"),
        ("bert, classes", "classifier.bias", "by the config logits.bias has .*class=5"),
    ],
)
def test_tokens_and_classes_are_those_that_the_config_counts(model, name, message, edited):
    """A table, head or bias with a row more than the config has tokens or labels is refused with both numbers."""
    with pytest.raises(CheckpointError, match=message):
        edited(model, longer(name))


def test_labels_are_counted_by_their_names(edited):
    """A classifier has as many classes as the config names; with other names than the head has rows it is refused."""
    with pytest.raises(CheckpointError, match="class=3"):
        edited("bert, classes", id2label={"0": "a", "1": "b", "2": "c"})


@pytest.mark.parametrize("end", ["weight", "bias"])
def test_a_norm_does_not_stand_in_for_a_missing_one(end, edited):
    """StableLM reads one norm in both halves where they are parallel; where they are not, the second is missed."""
    lost = [f"model.layers.{layer}.post_attention_layernorm.{end}" for layer in range(3)]
    for names in (lost[1:2], lost):
        with pytest.raises(CheckpointError, match=r"nothing for layers.*\.mlp\.norm"):
            edited("stablelm", without(*names))


def test_layers_share_a_norm_all_or_none(edited):
    """A parallel Falcon with two norms in each layer but one has lost an array."""

    def one_norm(arrays):
        layer = "transformer.h.1."
        kept = {name.replace(f"{layer}ln_attn", f"{layer}input_layernorm"): array for name, array in arrays.items()}
        return without(f"{layer}ln_mlp.weight", f"{layer}ln_mlp.bias")(kept)

    with pytest.raises(
        CheckpointError, match="halves of layer 1 share the gain of a norm, and those of layer 0 do not"
    ):
        edited("falcon, new", one_norm)


@pytest.mark.parametrize("name", ["beta", "eps"])
def test_numbers_of_a_formula_are_those_of_the_file(name, edited):
    """xIELU's beta and eps stand in the checkpoint and in the formula: other numbers than the formula's are refused."""
    full = f"model.layers.1.mlp.act_fn.{name}"
    with pytest.raises(CheckpointError, match=rf"has {full} = .*the table of apertus computes with"):
        edited("apertus", lambda arrays: {**arrays, full: np.asarray(2 * arrays[full])})


@pytest.mark.parametrize(("name", "inside"), [("pair, bart", "model."), ("pair, t5", ""), ("pair, marian", "model.")])
def test_a_tied_head_reads_what_transformers_ties_it_to(name, inside, edited):
    """Of a file with shared rows and others for the decoder, a tied head reads the shared ones, as in Transformers."""
    shared, own = f"{inside}shared.weight", f"{inside}decoder.embed_tokens.weight"

    def change(arrays):
        rows = arrays.get(shared, arrays.get(own))
        return {**arrays, shared: rows, own: 2 * rows[::-1].copy()}

    model = edited(name, change)
    np.testing.assert_array_equal(model.arrays["embedding.weight"], 2 * model.arrays["logits.weight"].T[::-1])
