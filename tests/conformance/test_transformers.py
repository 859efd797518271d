"""Every family against Transformers, on small models with random weights that Transformers saved."""

import numpy as np
import pytest
import torch

from clearhead.compiled import program as native
from clearhead.errors import CheckpointError, UnknownName
from clearhead.models import FAMILIES, load
from clearhead.models.inputs import inputs_of

from ..rounding import assert_rounded, expected
from .draws import outcome
from .families import CONFIGURATIONS, TEXTS, exposed, made, theirs
from .pairs import PAIRS, reads

pytestmark = pytest.mark.sweep(3)

IDS = [3, 17, 8, 30, 2, 25, 11, 8, 19]


WITH_DELTA = [family.name for family in FAMILIES if "attention.delta" in family.spec]

INSPECTED = [
    next(name for name in TEXTS if CONFIGURATIONS[name][0] in family.architectures)
    for family in FAMILIES
    if any(CONFIGURATIONS[name][0] in family.architectures for name in TEXTS) and family.name not in WITH_DELTA
]
"""A configuration of each family that reads one text, with a softmax in all layers."""


@pytest.fixture
def saved(tmp_path):
    """A function that makes a model of a configuration, and both sides of it."""

    def save(name):
        model = made(name)
        model.save_pretrained(tmp_path / "model")
        return model, load(tmp_path / "model")

    return save


def assert_agree(model, source, trace, out, decoder=None):
    """All that Transformers exposes, and ours, lies where rounding may put it in float32."""
    bounds = expected(model.working(), {**model.arrays, **inputs_of(model, source, decoder).arrays})
    for name, numbers in exposed(model, out):
        for found in (trace[name], numbers):
            assert_rounded(found.reshape(bounds[name].value.shape), bounds[name], name)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_family_agrees(saved, name, compiled, monkeypatch):
    """Hidden states, weights and logits of every layer are those of Transformers' eager float32, compiled as well."""
    if compiled:
        monkeypatch.setattr(native, "MIN_CELLS", 1)
    model, ours = saved(name)
    keep = ("hidden", "*.attention.weights", "results") if compiled else "*"
    trace, out = ours.trace(IDS, keep=keep), theirs(model, input_ids=torch.tensor([IDS]))
    assert_agree(ours, IDS, trace, out)
    assert any(ours.working()._compiled_plans.values()) == compiled


@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS if name.startswith("vit")])
def test_images_agree(saved, name):
    """A ViT's patches, class token, layers and head are those of Transformers."""
    model, ours = saved(name)
    side, channels = model.config.image_size, model.config.num_channels
    image = np.random.default_rng(4).normal(size=(channels, side, side)).astype(np.float32)
    out = theirs(model, pixel_values=torch.from_numpy(image)[None])
    assert_agree(ours, image, ours.trace(image, keep="*"), out)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", [name for name in PAIRS if name.startswith("pair")])
def test_encoder_decoders_agree(saved, name, compiled, monkeypatch):
    """Both stacks, the decoder's attention to the encoder's tokens and the logits are those of Transformers."""
    if compiled:
        monkeypatch.setattr(native, "MIN_CELLS", 1)
    model, ours = saved(name)
    source, decoder, batch = reads(name, IDS * 4)
    trace = ours.trace(source, decoder=decoder, keep=("hidden", "*.weights", "results"))
    assert_agree(ours, source, trace, theirs(model, **batch), decoder)


@pytest.mark.parametrize("name", INSPECTED)
def test_inspected_families(saved, name):
    """Inspected, without storing weights, a family ends in the states of its trace, with its weights' entropies."""
    _, ours = saved(name)
    survey, trace = ours.inspect(IDS), ours.trace(IDS)
    last = trace[ours.hidden[-1]]
    np.testing.assert_allclose(survey.output, last, atol=2e-5 * abs(last).max())
    for layer in range(ours.sizes.layers):
        weights = trace[f"layers.{layer}.attention.weights"].astype(np.float64)
        entropy = -(weights * np.log(np.where(weights > 0, weights, 1))).sum(-1)
        np.testing.assert_allclose(survey[layer].entropy, entropy, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in TEXTS if name in WITH_DELTA])
def test_delta_nets_in_batches(saved, name):
    """A padded batch gives the numbers of each text; a cache and their inspection are refused, with what to do."""
    _, ours = saved(name)
    together = ours.trace([IDS, IDS[:5]])
    for row, ids in enumerate((IDS, IDS[:5])):
        alone = ours.trace(ids)
        for line in ours.hidden:
            bound = {"rtol": 0, "atol": 5e-5 * abs(alone[line]).max()}
            np.testing.assert_allclose(together[line][row, : len(ids)], alone[line], **bound)
    with pytest.raises(UnknownName, match=r"layer 0 is a gated delta net, .*\. Trace it instead"):
        ours.inspect(IDS, layers=[0])
    with pytest.raises(CheckpointError, match=r"gated delta nets read all tokens before\. Trace the whole"):
        ours.trace(IDS[5:], past=ours.trace(IDS[:5]))


EXPERTS = [name for name in INSPECTED if "experts" in str(CONFIGURATIONS[name][2])]


@pytest.mark.parametrize("name", EXPERTS)
def test_experts_in_batches_and_behind_a_cache(saved, name):
    """Tokens go to the same experts, with the same shares, alone, in a padded batch, and continued from a cache."""
    model, ours = saved(name)
    keep = ["hidden", "*.router.shares", "cache"]
    whole, rest = ours.trace(IDS, keep=keep), ours.trace(IDS[:5], keep=keep)
    together, continued = ours.trace([IDS, IDS[:5]], keep=keep), ours.trace(IDS[5:], past=rest, keep=keep)
    mask = torch.tensor([[1] * 9, [1] * 5 + [0] * 4])
    padded = torch.tensor([IDS, [*IDS[:5], 0, 0, 0, 0]])
    out = theirs(model, input_ids=padded, attention_mask=mask)
    routed = [name for name in whole if name.endswith("router.shares")]
    assert routed == [name for name in ours.trace(IDS) if "router" in name]
    for line in (*routed, *ours.hidden):
        bound = {"rtol": 0, "atol": 5e-5 * abs(whole[line]).max()}
        np.testing.assert_allclose(together[line][0], whole[line], **bound)
        np.testing.assert_allclose(together[line][1, :5], rest[line], **bound)
        np.testing.assert_allclose(continued[line], whole[line][5:], **bound)
    for line, state in zip(ours.hidden[:-1], out.hidden_states, strict=False):
        bound = {"rtol": 0, "atol": 5e-5 * abs(whole[line]).max()}
        np.testing.assert_allclose(together[line][0], state[0].numpy(), **bound)
        np.testing.assert_allclose(together[line][1, :5], state[1, :5].numpy(), **bound)


def test_every_family_is_tried():
    """No table of Hugging Face's names goes without a configuration."""
    tried = {architecture for architecture, _, _ in CONFIGURATIONS.values()}
    assert [each.name for each in FAMILIES if "GGUF" not in each.name and not tried & set(each.architectures)] == []


@pytest.mark.parametrize("seed", range(24))
def test_drawn_configurations_agree(seed):
    """Of configurations with several entries away from their defaults none is silently wrong, at 19 and 83 tokens."""
    found = outcome(seed)
    assert not found.startswith("wrong"), found
