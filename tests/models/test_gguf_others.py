"""GGUF files of families other than Llama give the numbers of the same weights in safetensors."""

import numpy as np
import pytest
from tests.conformance.families import WIDE_HEADS, made_of

from clearhead.errors import CheckpointError
from clearhead.models import load

from .gguf_files import CASES, traced, write, written


@pytest.mark.parametrize("case", CASES)
def test_files_give_the_numbers_of_safetensors(case, tmp_path):
    """States, weights and logits of a file are those of the model that Transformers saved, which other tests hold."""
    found, expected = traced(load(written(case, tmp_path))), traced(load(tmp_path / "saved"))
    assert {*found} == {*expected}
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("entry", ["attention.temperature_scale", "rope.scaling.yarn_log_multiplier", "residual_twist"])
def test_metadata_that_nobody_knows_are_refused_by_name(entry, tmp_path):
    """An entry that may change numbers is no reason to guess."""
    model = made_of("Gemma2ForCausalLM", "Gemma2Config", dict(WIDE_HEADS), 3)
    write(tmp_path / "model.gguf", "gemma2", model, {f"gemma2.{entry}": 0.5}.items())
    with pytest.raises(CheckpointError, match=entry):
        load(tmp_path / "model.gguf")
