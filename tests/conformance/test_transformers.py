"""Every family against Transformers, on small models with random weights that Transformers saved."""

import numpy as np
import pytest
import torch

from clearhead.compiled import program as native
from clearhead.models import FAMILIES, load

from .families import CONFIGURATIONS, made, theirs

BOUND = 5e-5
IDS = [3, 17, 8, 30, 2, 25, 11, 8, 19]


@pytest.fixture
def saved(tmp_path):
    """A function that makes a model of a configuration, and both sides of it."""

    def save(name):
        model = made(name)
        model.save_pretrained(tmp_path / "model")
        return model, load(tmp_path / "model")

    return save


def worst(ours, theirs):
    return float(np.abs(ours - theirs.numpy()).max())


def differences(model, trace, out):
    """The largest difference in each thing that Transformers exposes; its first axis is a batch of one."""
    found = {
        f"attention {n}": worst(trace[f"layers.{n}.attention.weights"], each[0])
        for n, each in enumerate(out.attentions)
    }
    *inner, last = zip(model.hidden, out.hidden_states, strict=True)
    found |= {name: worst(trace[name], each[0]) for name, each in inner}
    found["last"] = worst(
        trace["norm" if model.spec.norm is not None and not model.reads_images else last[0]], last[1][0]
    )
    for name in ("logits", "pooler_output"):
        if getattr(out, name, None) is not None:
            array = trace[{"pooler_output": "pooled"}.get(name, name)]
            found[name] = worst(array.reshape(getattr(out, name)[0].shape), getattr(out, name)[0])
    return found


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS if not name.startswith("vit")])
def test_family_agrees(saved, name, compiled, monkeypatch):
    """Hidden states, weights and logits of every layer are those of Transformers' eager float32, compiled as well."""
    if compiled:
        monkeypatch.setattr(native, "MIN_TOKENS", 1)
        monkeypatch.setattr(native, "MIN_CELLS", 1)
    model, ours = saved(name)
    keep = ("hidden", "*.attention.weights", "results") if compiled else "*"
    found = differences(ours, ours.trace(IDS, keep=keep), theirs(model, input_ids=torch.tensor([IDS])))
    assert any(ours.working()._compiled_plans.values()) == compiled
    assert max(found.values()) <= BOUND, found


@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS if name.startswith("vit")])
def test_images_agree(saved, name):
    """A ViT's patches, class token, layers and head are those of Transformers."""
    model, ours = saved(name)
    side, channels = model.config.image_size, model.config.num_channels
    image = np.random.default_rng(4).normal(size=(channels, side, side)).astype(np.float32)
    out = theirs(model, pixel_values=torch.from_numpy(image)[None])
    found = differences(ours, ours.trace(image, keep="*"), out)
    assert max(found.values()) <= BOUND, found


def test_every_family_is_tried():
    """No table of Hugging Face's names goes without a configuration."""
    tried = {architecture for architecture, _, _ in CONFIGURATIONS.values()}
    assert [each.name for each in FAMILIES if "GGUF" not in each.name and not tried & set(each.architectures)] == []
