"""Every family against Transformers, on small models with random weights that Transformers saved."""

import numpy as np
import pytest
import torch

from clearhead.compiled import program as native
from clearhead.models import FAMILIES, load
from clearhead.models.inputs import inputs_of

from ..rounding import assert_rounded, expected
from .draws import outcome
from .families import CONFIGURATIONS, exposed, made, theirs

IDS = [3, 17, 8, 30, 2, 25, 11, 8, 19]


@pytest.fixture
def saved(tmp_path):
    """A function that makes a model of a configuration, and both sides of it."""

    def save(name):
        model = made(name)
        model.save_pretrained(tmp_path / "model")
        return model, load(tmp_path / "model")

    return save


def assert_agree(model, source, trace, out):
    """All that Transformers exposes, and ours, lies where rounding may put it in float32."""
    bounds = expected(model.working(), {**model.arrays, **inputs_of(model, source).arrays})
    for name, numbers in exposed(model, out):
        for found in (trace[name], numbers):
            assert_rounded(found.reshape(bounds[name].value.shape), bounds[name], name)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS if not name.startswith("vit")])
def test_family_agrees(saved, name, compiled, monkeypatch):
    """Hidden states, weights and logits of every layer are those of Transformers' eager float32, compiled as well."""
    if compiled:
        monkeypatch.setattr(native, "MIN_TOKENS", 1)
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


def test_every_family_is_tried():
    """No table of Hugging Face's names goes without a configuration."""
    tried = {architecture for architecture, _, _ in CONFIGURATIONS.values()}
    assert [each.name for each in FAMILIES if "GGUF" not in each.name and not tried & set(each.architectures)] == []


@pytest.mark.parametrize("seed", range(24))
def test_drawn_configurations_agree(seed):
    """Of configurations with several entries away from their defaults none is silently wrong, at 19 and 83 tokens."""
    found = outcome(seed)
    assert not found.startswith("wrong"), found
