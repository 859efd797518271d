"""Large traces on paper: a picture in small multiples, of a size that programs open."""

import io

import matplotlib.image
import numpy as np
import pytest

from clearhead.show import View
from clearhead.show.colours import ABOVE
from clearhead.show.export import save
from clearhead.show.media import MAX_WORKSHEET
from clearhead.spec import Attention


@pytest.fixture(scope="module")
def large():
    working = Attention(heads=5, causal=True, output=False).working()
    sizes = {"head": 5, "token": 60, "model": 8, "depth": 4}
    rng = np.random.default_rng(1)
    return working.run({each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens})


def test_a_large_trace_is_a_picture_and_not_a_table(large, tmp_path):
    """Its file is a few hundred pixels high, has blue in it where weights are large, and is the same each time."""
    assert sum(large[name].size for name in large) > MAX_WORKSHEET
    for name in ("one", "other"):
        save(large, tmp_path / f"{name}.png", View("A large one"))
    content = (tmp_path / "one.png").read_bytes()
    assert content == (tmp_path / "other.png").read_bytes()
    pixels = matplotlib.image.imread(io.BytesIO(content))
    assert pixels.shape[0] < 1000
    assert pixels.shape[1] < 3000
    blue = np.array([int(ABOVE[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    assert (np.abs(pixels[..., :3] - blue).max(axis=-1) < 0.05).sum() > 50


@pytest.mark.parametrize(("ending", "begins"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_other_endings_are_pictures_too(large, tmp_path, ending, begins):
    """Also as PDF and SVG, with the line's name as text."""
    save(large, tmp_path / f"x.{ending}", View("$A^2$ & <b>"))
    content = (tmp_path / f"x.{ending}").read_bytes()
    assert content.startswith(begins)


def test_a_small_trace_is_a_worksheet(trace, tmp_path):
    """Tables where they fit: a small trace is set with its numbers."""
    save(trace, tmp_path / "x.svg", View("Small"))
    assert b'width="595.27' in (tmp_path / "x.svg").read_bytes(), "A4, as the worksheet is set"
