"""Checkpoints that make one vector of a text say so, since no line has it."""

import json

import pytest
from tests.conformance.families import BERT, made_of
from tests.models.gguf_files import written

from clearhead.errors import CheckpointError
from clearhead.models import load

MODULES = [{"type": f"sentence_transformers.models.{name}"} for name in ("Transformer", "Pooling", "Normalize")]


@pytest.fixture
def small(tmp_path):
    """A small BERT."""
    made_of("BertModel", "BertConfig", BERT, 3).save_pretrained(tmp_path)
    return tmp_path


def test_the_steps_of_sentence_transformers_are_named(small):
    """A note names what follows the model, and a model alone, in a list or without one, has none."""
    assert load(small).notes == ()
    (small / "modules.json").write_text(json.dumps(MODULES))
    (note,) = load(small).notes
    assert "Pooling, Normalize" in note
    (small / "modules.json").write_text(json.dumps(MODULES[:1]))
    assert load(small).notes == ()


@pytest.mark.parametrize("text", ["[", "{}", "[1]"])
def test_what_is_no_list_of_modules_is_refused(small, text):
    """A damaged modules.json is an error that names the file."""
    (small / "modules.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"modules\.json"):
        load(small)


def test_the_pooling_of_a_gguf_file_is_named(tmp_path):
    """A BERT as llama.cpp keeps it says how its states become one vector."""
    assert "mean of all tokens" in " ".join(load(written("bert", tmp_path)).notes)
