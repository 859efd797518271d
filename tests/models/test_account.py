"""Nothing of a checkpoint is passed over: what is not read is refused by name, or known to change no number."""

import json
import os
from fnmatch import fnmatch

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from safetensors.numpy import load_file, save_file
from tests.conformance.families import CONFIGURATIONS, GROUPED, made, made_of
from tests.models.gguf_files import written

from clearhead.errors import CheckpointError
from clearhead.models import FAMILIES, load
from clearhead.models.account import check_arrays
from clearhead.models.checkpoint import open_checkpoint
from clearhead.models.loading import account_for
from clearhead.models.reading import text_of
from clearhead.models.tensors import Tensor, plain

THINGS = ("attention", "rope", "mlp", "residual", "logit", "embedding", "norm", "head", "score", "layer")
WORDS = ("warp", "twist", "sharpness", "tilt", "boost", "fold", "damping", "skew", "lift", "swirl")
VALUES = (0.5, True, 3, "fancy", [1, 2], {"a": 1}, None, 1e-6, -1, False)
FIELDS = {f"{thing}_{word}": value for thing in THINGS for word, value in zip(WORDS, VALUES, strict=True)}
ARRAYS = [f"{thing}.{word}" for thing in THINGS for word in WORDS]

EACH = 1 if "EVERY" in os.environ else 10
"""Of the entries and arrays that are planted, each family has each tenth: others than its neighbours; or all."""


def configuration(family):
    """The first of the small configurations that is of a family."""
    return next(name for name, (made_by, _, _) in CONFIGURATIONS.items() if made_by in family.architectures)


@pytest.fixture(scope="module")
def checkpoint_of(tmp_path_factory):
    """A function that gives a small checkpoint of a family."""

    def make(family):
        if family.transformers:
            folder = tmp_path_factory.mktemp("planted")
            made(configuration(family)).save_pretrained(folder)
            return open_checkpoint(folder)
        return open_checkpoint(written(family.architectures[0], tmp_path_factory.mktemp("planted")))

    return make


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_planted_entries_and_arrays_are_refused_by_name(family, checkpoint_of):
    """Of 200 entries and arrays that nobody has heard of, planted one at a time, each is refused by its name."""
    sound = checkpoint_of(family)
    reading, places = account_for(sound, family)
    first = FAMILIES.index(family) % EACH
    for name, value in list(FIELDS.items())[first::EACH]:
        planted = replace(sound, config={**sound.config, name: value})
        with pytest.raises(CheckpointError, match=name):
            account_for(planted, family)
    account_for(planted, family, ignore=[name])
    # What reads images is spare as a whole, whatever is in it.
    beside = [name for name in sound.tensors if not any(fnmatch(name, each) for each in family.spare)]
    text, layers = text_of(family, sound), reading.sizes.layers
    used = {name for place in places.values() if place.tensor is not None for name in place.tensor.names}
    for number, name in enumerate(ARRAYS[first::EACH]):
        full = f"{beside[number % len(beside)].rpartition('.')[0]}.{name}".lstrip(".")
        tensors = {**sound.tensors, full: Tensor(full, plain("F32", "<f4"), (2,), np.zeros(8, np.uint8))}
        with pytest.raises(CheckpointError, match=name):
            check_arrays(family, replace(text, tensors=tensors), used, layers, ())
    planted = replace(sound, tensors=tensors)
    with pytest.raises(CheckpointError, match=name):
        account_for(planted, family)
    account_for(planted, family, ignore=[full])
    assert len(FIELDS) + len(ARRAYS) == 200


@pytest.fixture
def edit(small):
    """A function that changes the config of the small Llama, or adds arrays to it."""

    def change(arrays=None, **entries):
        path = small / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | entries))
        if arrays:
            save_file(load_file(small / "model.safetensors") | arrays, small / "model.safetensors")
        return small

    return change


Q = "model.layers.0.self_attn.q_proj"
ONE = np.ones(1, np.float32)


@pytest.mark.parametrize(
    "beside",
    [
        f"{Q}.weight_scale_inv", f"{Q}.weight_scale", f"{Q}.SCB", f"{Q}.qweight", f"{Q}.qzeros", f"{Q}.scales",
        f"{Q}.weight.absmax", f"{Q}.weight.quant_map", f"{Q}.weight.quant_state.bitsandbytes__nf4",
        f"{Q}.weight_packed", "model.layers.0.mlp.experts.gate_up_proj_blocks",
        "model.layers.0.mlp.experts.gate_up_proj_scales",
    ],
)  # fmt: skip
def test_quantised_weights_are_refused_when_loaded(edit, beside):
    """Arrays that change the numbers of the weight beside them are named, and called quantised."""
    with pytest.raises(CheckpointError, match=rf"quantised: {beside}"):
        load(edit({beside: ONE}))


def test_whole_numbers_are_no_weights(edit):
    """A weight of whole numbers without scales is called quantised."""
    with pytest.raises(CheckpointError, match=r"quantised: .*q_proj.weight holds I8 numbers"):
        load(edit({f"{Q}.weight": np.ones((12, 12), np.int8)}))


def test_a_stated_quantisation_is_refused(edit):
    """What the config says of quantisation is believed, whatever the arrays are called."""
    with pytest.raises(CheckpointError, match=r"quantised \(quantization_config: 'gptq'\)"):
        load(edit(quantization_config={"quant_method": "gptq", "bits": 4}))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"rope_scaling": {"rope_type": "cosy", "factor": 2.0}}, "rotary scaling of type 'cosy'; known are default"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rotary scaling of type 'yarn', but lacks"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0, "twist": 1}}, "rope_scaling.twist = 1"),
        ({"rope_parameters": {"mrope_section": [1, 2, 3]}}, "rope_parameters.mrope_section"),
        ({"architectures": ["LlamoForCausalLM"]}, "unknown family.*'LlamoForCausalLM'.*nearest is llama"),
        ({"architectures": ["BertForTokenClassifying"]}, "unknown family.*nearest is llama"),
        ({"architectures": None}, "unknown family"),
        ({"hidden_act": "mish"}, "hidden_act = 'mish'"),
        ({"rms_norm_eps": None}, "got `null` .*rms_norm_eps"),
        ({"num_hidden_layers": 3}, "nothing for layers.2.*Expected model.layers.2"),
        ({"num_hidden_layers": 1}, "model.layers.1.*does not read with 1 layers"),
        ({"attention_bias": True}, "nothing for layers.0.attention.query.bias"),
        ({"tie_word_embeddings": None}, "tie_word_embeddings"),
    ],
)
def test_refusals_when_loaded(edit, entries, message):
    """What cannot be read is refused by load, not when numbers are asked for, and says what and where."""
    with pytest.raises(CheckpointError, match=message):
        load(edit(**entries))


def test_an_entry_that_is_read_has_only_values_that_the_table_allows(tmp_path):
    """That a table reads an entry does not let it have values that the table cannot compute."""
    made("ernie4_5_moe").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"use_bias": True}))
    with pytest.raises(CheckpointError, match="use_bias = True; the table of ernie4_5_moe has no other than False"):
        load(tmp_path)


def test_what_transformers_ignores_is_noted(edit):
    """An entry that other families have and Llama has not is left aside, and the model says so."""
    model = load(edit(sliding_window=3))
    assert model.spec.layers[0].attention.window is None
    assert [note for note in model.notes if "sliding_window" in note]


def test_listed_kinds_of_layers_count(tmp_path):
    """SmolLM3's window holds in the layers that are listed so, as Transformers masks them, though it says unused."""
    model = made_of(
        "SmolLM3ForCausalLM",
        "SmolLM3Config",
        {
            **GROUPED,
            "sliding_window": 4,
            "pad_token_id": 0,
            "layer_types": ["full_attention", "sliding_attention", "full_attention"],
        },
        3,
    )
    assert model.config.use_sliding_window is False
    model.save_pretrained(tmp_path)
    ids = [3, 17, 8, 30, 2, 25, 11, 8, 19]
    ours = load(tmp_path, engine="array").trace(ids)["logits"]
    with torch.inference_mode():
        theirs = model(torch.tensor([ids])).logits[0].numpy()
    assert np.abs(ours - theirs).max() < 5e-5 * np.abs(theirs).max()


def test_a_head_of_its_own_counts(edit):
    """A config that ties, beside a file with a head of its own: the file's head is used."""
    model = load(edit(tie_word_embeddings=True))
    assert model.spec.head.tied is False


def test_arrays_that_do_not_fit_each_other(edit):
    """An MLP whose halves differ in size is refused when it is loaded."""
    with pytest.raises(CheckpointError, match="do not fit each other"):
        load(edit({"model.layers.0.mlp.up_proj.weight": np.ones((9, 12), np.float32)}))


def test_a_spare_pooler_is_not_the_head(tmp_path):
    """A classifier whose file also has a base model's pooler reads its own head, and notes the pooler."""
    made("roberta, classes").save_pretrained(tmp_path)
    arrays = load_file(tmp_path / "model.safetensors")
    spare = {"roberta.pooler.dense.weight": np.ones((24, 24), np.float32), "roberta.pooler.dense.bias": ONE.repeat(24)}
    save_file(arrays | spare, tmp_path / "model.safetensors", {"format": "pt"})
    model = load(tmp_path)
    np.testing.assert_array_equal(model.arrays["pooler.weight"], arrays["classifier.dense.weight"].T)
    assert [note for note in model.notes if "roberta.pooler.dense.weight" in note]


@pytest.mark.parametrize(
    ("name", "entries", "message"),
    [
        ("stablelm", {"rope_parameters": {"rope_theta": 10.0, "partial_rotary_factor": 0.13}}, "1 rotated feature"),
        (
            "deepseek_v2",
            {"rope_parameters": {
                "rope_type": "linear", "rope_theta": 10.0, "factor": 2.0, "partial_rotary_factor": 0.5}},
            "partial_rotary_factor = 0.5",
        ),
        ("gemma3", {"rope_parameters": {"rope_theta": 10.0}}, "an object for each kind of layers"),
        ("gemma3, of images", {"text_config.use_bidirectional_attention": True}, "use_bidirectional_attention = True"),
    ],
)  # fmt: skip
def test_what_transformers_computes_in_another_way_is_refused(tmp_path, name, entries, message):
    """Of entries that Transformers reads otherwise in one family than in its kin, none is computed as in the others."""
    made(name).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text("utf-8"))
    for entry, value in entries.items():
        inside, _, own = entry.rpartition(".")
        (config[inside] if inside else config)[own] = value
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)
