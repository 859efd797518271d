"""Heads for classes, classes of tokens and questions, on decoders of many families, give Transformers' logits."""

import numpy as np
import pytest
import torch

from clearhead.models import FAMILIES, load
from clearhead.models.families.heads import PATHS

from .families import CONFIGURATIONS, made_of

IDS = [3, 17, 8, 30, 2, 25, 11, 8, 5, 5]
"""A text that ends with two tokens of padding."""


def cases():
    """The architectures with such a head that no configuration has, with the first configuration of their family."""
    tried = {made_by for made_by, _, _ in CONFIGURATIONS.values()}
    for family in FAMILIES:
        ends = [name for name in family.architectures if name.endswith(tuple(PATHS)) and name not in tried]
        based = next((each for each in CONFIGURATIONS.values() if each[0] in family.architectures), None)
        if based is not None and family.by_architecture.keys() >= set(ends):
            yield from (pytest.param(name, *based[1:], id=name) for name in ends)


@pytest.mark.parametrize(("architecture", "config", "options"), [*cases()][::3])
def test_logits_are_those_of_transformers(architecture, config, options, tmp_path):
    """The last token that is no padding, or each token, gives the same logits, to float32."""
    model = made_of(architecture, config, {**options, "pad_token_id": 5}, 7)
    model.save_pretrained(tmp_path)
    with torch.inference_mode():
        out = model(input_ids=torch.tensor([IDS]))
    asks = getattr(out, "start_logits", None) is not None
    expected = torch.stack([out.start_logits[0], out.end_logits[0]], -1) if asks else out.logits[0]
    found = load(tmp_path, engine="array").trace(IDS)["logits"]
    expected = expected.numpy().reshape(found.shape)
    assert np.abs(found - expected).max() < 5e-5 * np.abs(expected).max()
