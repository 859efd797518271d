"""Maps of weights: exact means over blocks, of weights that were never stored."""

from itertools import pairwise

import numpy as np
import pytest

from clearhead.errors import UnknownName
from clearhead.inspection import maps
from clearhead.inspection.core import core_of_spec
from clearhead.inspection.maps import SIDE, Weights, edges_of
from clearhead.models import load
from clearhead.models.surveying import survey
from clearhead.models.walking import Asked
from clearhead.spec import Attention

from ..models.conftest import small  # noqa: F401 - a fixture


@pytest.fixture
def model(small):  # noqa: F811
    return load(small)


def blocks_of(weights):
    """The means of blocks, one by one, from all weights (head, query, key)."""
    heads, tokens, _ = weights.shape
    edges = [int(edge) for edge in edges_of(tokens)]
    found = np.zeros((heads, len(edges) - 1, len(edges) - 1))
    for row, (a, b) in enumerate(pairwise(edges)):
        for column, (c, d) in enumerate(pairwise(edges)):
            found[:, row, column] = weights[:, a:b, c:d].astype(np.float64).sum((1, 2)) / (b - a)
    return found


def rounding_of(scaled):
    """Rounding moves a score by some units of its last bit, and its weight by as much of itself."""
    return 16 * float(np.finfo(np.float32).eps) * max(float(np.abs(scaled).max()), 1)


@pytest.mark.parametrize("tokens", [5, 64, 150])
def test_each_square_is_the_mean_of_its_weights(model, tokens):
    """The map is what all weights of a trace give, for fewer tokens than squares, as many, and more."""
    ids = [n * 7 % 17 for n in range(tokens)]
    survey = model.inspect(ids, layers=[0, 1])
    trace = model.trace(ids, keep=("*.attention.weights", "*.attention.scaled"))
    assert sorted(survey.maps) == [0, 1]
    for layer, found in survey.maps.items():
        assert found.shape == (
            len(trace.numpy(f"layers.{layer}.attention.weights")),
            min(tokens, SIDE),
            min(tokens, SIDE),
        )
        weights = trace.numpy(f"layers.{layer}.attention.weights")
        bound = rounding_of(trace.numpy(f"layers.{layer}.attention.scaled"))
        np.testing.assert_allclose(found, blocks_of(weights), atol=bound)
        np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_any_part_can_be_worked_out_again(model):
    """Of any head, queries and keys: single weights where blocks are single tokens, and sums of them where not."""
    ids = [n * 7 % 17 for n in range(40)]
    kept = {}
    survey(model, ids, [0, 1], Asked(), None, kept.__setitem__)
    trace = model.trace(ids, keep=("*.attention.weights", "*.attention.scaled"))
    for layer, weights in kept.items():
        expected = trace.numpy(f"layers.{layer}.attention.weights").astype(np.float64)
        bound = rounding_of(trace.numpy(f"layers.{layer}.attention.scaled"))
        for head in range(len(expected)):
            single = weights.shares_of(head, range(20, 31), range(3, 25))
            np.testing.assert_allclose(single, expected[head, 20:30, 3:24], atol=bound)
            blocks = weights.shares_of(head, (0, 7, 40), (2, 9, 11, 38))
            for row, (a, b) in enumerate([(0, 7), (7, 40)]):
                for column, (c, d) in enumerate([(2, 9), (9, 11), (11, 38)]):
                    mean = expected[head, a:b, c:d].sum() / (b - a)
                    assert blocks[row, column] == pytest.approx(mean, abs=bound)


@pytest.mark.parametrize(
    "spec",
    [
        Attention(4, 2, causal=True, output=False),
        Attention(4, causal=True, alibi=True, output=False),
        Attention(4, 2, sink=True, output=False),
        Attention(4, softcap=2.0, window=5, causal=True, output=False),
    ],
    ids=["groups", "alibi", "sink", "softcap and window"],
)
def test_a_head_alone_is_as_among_all(spec):
    """Where heads are computed one by one, and where the lines mix them: the same as of all heads together."""
    core = core_of_spec(spec)
    random = np.random.default_rng(0)
    sizes = {"head": 4, "group": spec.groups, "query": 20, "key": 20, "token": 20, "depth": 6}
    arrays = {name: random.normal(size=(sizes[heads], 20, 6)).astype(np.float32)
              for name, heads in ((core.query, "head"), (core.key, "group"), (core.value, "group"))}  # fmt: skip
    arrays |= {each.name: random.normal(size=[sizes[word] for word in each.axes]) for each in core.others}
    weights = Weights(core, arrays)
    every = weights.shares((2, 5, 6, 19), (0, 3, 20))
    for head in range(4):
        np.testing.assert_allclose(weights.shares_of(head, (2, 5, 6, 19), (0, 3, 20)), every[head], atol=1e-6)


@pytest.mark.parametrize(
    ("head", "rows", "says"),
    [(9, (0, 1), "heads 0 to 5"), (0, (3, 3), "rising"), (0, (0, 41), "rising"), (0, (0,), "rising")],
)
def test_what_is_not_there_is_refused(model, head, rows, says):
    """A head or a token that there is not, and edges that do not rise, are named."""
    kept = {}
    survey(model, [1] * 40, [0], Asked(), None, kept.__setitem__)
    with pytest.raises(UnknownName, match=says):
        kept[0].shares_of(head, rows, (0, 1))


def test_blocks_are_of_one_size():
    """Every token is in one block, and blocks differ by one token at most."""
    for tokens in (1, 2, 63, 64, 65, 127, 1000, 30_001):
        edges = edges_of(tokens)
        assert edges[0] == 0
        assert edges[-1] == tokens
        assert set(np.diff(edges)) <= {tokens // min(tokens, SIDE), tokens // min(tokens, SIDE) + 1}


def test_a_long_text_has_no_map(model, monkeypatch):
    """Where there are too many weights the survey has no map, and the report says so."""
    monkeypatch.setattr(maps, "MAX_WEIGHTS", 20)
    assert model.inspect([1, 2, 3, 4, 5, 6, 7], layers=[0]).maps == {}
