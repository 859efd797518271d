"""Figures: what is in them, and that no label lies on another."""

import subprocess
import sys
from itertools import pairwise

import matplotlib
import numpy as np
import pytest

from clearhead.errors import ClearheadError, UnknownName
from clearhead.show.plot.labels import SIZES, fonts_for
from clearhead.show.plot.picture import save_plot
from clearhead.spec import Attention


@pytest.fixture
def many(arrays_for, sizes):
    """A trace with this number of heads and tokens of these names."""

    def run(heads, tokens):
        working = Attention(heads=heads, causal=True, output=False).working()
        return working.run(arrays_for(working, sizes | {"token": len(tokens), "head": heads}), tokens=tokens)

    return run


def overlaps(figure):
    """How many pairs of neighbouring tick labels lie on each other, or beyond the figure's edge, by the renderer."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    found = 0
    for panel in figure.axes:
        for axis in (panel.xaxis, panel.yaxis):
            labels = [label for label in axis.get_ticklabels() if label.get_visible() and label.get_text()]
            boxes = [label.get_window_extent(renderer) for label in labels]
            found += sum(one.overlaps(other) for one, other in pairwise(boxes))
            found += sum(box.x0 < 0 or box.y0 < 0 for box in boxes)
    return found


NAMES = {
    "short": lambda n: f"t{n}",
    "words": lambda n: ("the", "cat", "sat", "on", "a", "extraordinarily long")[n % 6],
    "long": lambda n: f"{n}" + "x" * 200,
}


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize(("heads", "tokens"), [(2, 13), (1, 64), (3, 64)])
def test_no_label_lies_on_another(many, heads, tokens, kind):
    """Up to 64 tokens labels are turned, made smaller or thinned until each stands free; the first is always there."""
    names = [NAMES[kind](n) for n in range(tokens)]
    figure = many(heads, names).plot("weights")
    assert overlaps(figure) == 0
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows[0][:1] == names[0][:1]
    assert len(rows) * 5 >= tokens
    assert min(label.get_fontsize() for label in figure.axes[0].get_yticklabels()) >= SIZES[-1]


def test_all_of_64_short_names_fit_beside_one_head(many):
    """A head by itself has room for every token."""
    figure = many(1, [f"t{n}" for n in range(64)]).plot("weights@1")
    assert len(figure.axes[0].get_yticklabels()) == len(figure.axes[0].get_xticklabels()) == 64


def test_a_grid_has_a_panel_for_each_head(trace):
    """Each head is drawn with its numbers in its cells, under its own title, all in one scale of colours."""
    figure = trace.plot("weights")
    one, two, bar = figure.axes
    assert [panel.get_title() for panel in (one, two)] == ["head 1", "head 2"]
    for panel, head in ((one, 0), (two, 1)):
        np.testing.assert_array_equal(panel.images[0].get_array(), trace["weights"][head])
        assert [t.get_text() for t in panel.texts] == [f"{each:.2f}" for each in trace["weights"][head].flat]
        assert panel.images[0].get_clim() == (0, 1)
    assert [label.get_text() for label in two.get_xticklabels()] == ["Chaky", "loves", "soccer"]
    assert bar.get_ylim() == one.images[0].get_clim()


def test_of_many_heads_the_first_are_drawn(many):
    """Beyond 16 panels the title says how many there are."""
    figure = many(20, ["a", "b"]).plot("weights")
    assert len(figure.axes) == 17
    assert figure.get_suptitle() == "weights, the first 16 of 20"


def test_what_is_no_number_is_grey_and_said(trace):
    """NaN and minus infinity have no colour; signed numbers have the same scale to both sides of 0."""
    panel = trace.plot("norm").axes[0]
    assert panel.images[0].get_array().mask.tolist() == [[False] * 2] * 2 + [[True] * 2]
    assert [t.get_text() for t in panel.texts][-2:] == ["NaN", "NaN"]
    low, high = panel.images[0].get_clim()
    assert -low == high == pytest.approx(1)


def test_a_vector_is_one_row(big):
    """An array of one axis is drawn too."""
    assert big.plot("mlp.norm.gain").axes[0].images[0].get_array().shape == (1, 7)


def test_entropy_is_that_of_the_rows(many):
    """A dot for each query at -sum p log p, in nats, the mean as a line, and the entropy of equal weights dashed."""
    trace = many(2, ["a", "b", "c", "d"])
    panel = trace.plot("weights", "entropy").axes[0]
    for head, dots in enumerate(panel.collections[::2]):
        p = trace["weights"][head]
        expected = [-sum(x * np.log(x) for x in row if x > 0) for row in p]
        np.testing.assert_allclose(dots.get_offsets()[:, 0], expected, atol=1e-12)
    assert panel.lines[0].get_xdata()[0] == pytest.approx(np.log(4))
    assert [label.get_text() for label in panel.get_yticklabels()] == ["head 1", "head 2"]


def test_what_cannot_be_drawn_is_refused(trace):
    """Entropy of what is no share, an unknown kind, line or ending: each is answered with what there is."""
    with pytest.raises(ClearheadError, match=r"do not sum to 1. Ask for weights"):
        trace.plot("scores", "entropy")
    with pytest.raises(UnknownName, match="heatmap"):
        trace.plot("weights", "heatmaps")
    with pytest.raises(UnknownName, match="weights"):
        trace.plot("weihgts")
    with pytest.raises(UnknownName, match=r"\.png"):
        save_plot(trace, "weights", "x.pngg")


def test_names_of_every_kind_are_drawn(make_trace, many, hostile, tmp_path):
    """No name is taken for mathematics or ends in a warning; a letter that no font has is named by its number."""
    figure = many(1, hostile).plot("weights@1")
    assert overlaps(figure) == 0
    figure.savefig(tmp_path / "x.png")
    _, missing = fonts_for(frozenset("a\U000e0fff"))
    assert missing == {"\U000e0fff"}
    label = make_trace(tokens=("\U000e0fff", "$x^2$", "c")).plot("weights@1").axes[0].get_yticklabels()
    assert [each.get_text() for each in label] == ["\\U000e0fff", "$x^2$", "c"]
    assert not any(each.get_parse_math() for each in label)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture_is_the_same_each_time(trace, tmp_path, ending):
    """Files of one trace are equal to the byte."""
    for name in ("one", "other"):
        save_plot(trace, "weights", tmp_path / f"{name}.{ending}")
    assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"other.{ending}").read_bytes()


def test_nothing_global_is_touched(trace):
    """Settings of matplotlib stay as they are, and pyplot is not even imported."""
    before = dict(matplotlib.rcParams)
    trace.plot("weights")
    trace.plot("weights", "entropy")
    assert dict(matplotlib.rcParams) == before
    program = "import sys, clearhead; clearhead.read_problem('soccer').trace().plot('weights')"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; assert 'matplotlib.pyplot' not in sys.modules"], check=False
    )
    assert done.returncode == 0
