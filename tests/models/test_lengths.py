"""Texts that a model reads one by one or not at all, since what it does with them hangs on their length."""

import pytest
from tests.conformance.families import made

from clearhead.errors import ShapeError
from clearhead.models import load

IDS = [3, 17, 8, 30, 2, 25, 11, 8, 19]


@pytest.fixture
def saved(tmp_path):
    """A function that saves a small configuration and loads it."""

    def save(name):
        made(name).save_pretrained(tmp_path / "model")
        return load(tmp_path / "model", engine="array")

    return save


@pytest.mark.parametrize("name", ["llama, dynamic", "qwen3, long"])
def test_frequencies_that_hang_on_the_length(saved, name):
    """Beyond the context of training, batches of several lengths and caches are refused; within it they are read."""
    model = saved(name)
    assert model.trace([IDS[:5], IDS[:3]])["logits"].shape[:2] == (2, 5)
    assert model.trace([IDS, IDS[::-1]])["logits"].shape[:2] == (2, 9)
    with pytest.raises(ShapeError, match=r"depend on a text's length beyond . tokens.*Read them one by one"):
        model.trace([IDS, IDS[:3]])
    begun = model.trace(IDS[:4], keep="cache")
    with pytest.raises(ShapeError, match="cannot go on from a cache of 4"):
        model.trace(IDS[4:], past=begun)


def test_positions_behind_those_of_padding(saved):
    """RoBERTa's first rows stand for padding: of 41 rows with padding 8, 32 are for tokens."""
    model = saved("roberta, padding within")
    assert model.trace([3] * 32, keep="hidden")["embedding"].shape[0] == 32
    with pytest.raises(ShapeError, match="positions for 32 tokens, got 33"):
        model.trace([3] * 33)
