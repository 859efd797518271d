"""Long attention in a run: the same numbers and notes, and memory that grows with the tokens."""

import tracemalloc

import numpy as np
import pytest

from clearhead import Attention, Block, Mlp, Norm, Rotary
from clearhead.inspection.steps import inside_long
from clearhead.spec import Embedding, Transformer

from ..options import ATTENTIONS, arrays_for


@pytest.fixture
def all_long(monkeypatch):
    """Every attention counts as long."""
    monkeypatch.setattr("clearhead.backward.LONG", 1)
    monkeypatch.setattr("clearhead.inspection.steps.LONG", 1)


def single(arrays):
    """The arrays in float32, whole numbers and booleans as they are."""
    return {name: each.astype(np.float32) if each.dtype == float else each for name, each in arrays.items()}


@pytest.mark.usefixtures("all_long")
@pytest.mark.parametrize(("engine", "batch"), [("auto", ()), ("auto", (3,)), ("compiled", ()), ("compiled", (3,))])
@pytest.mark.parametrize("kind", ATTENTIONS)
def test_every_option_gives_what_its_lines_give(kind, batch, engine):
    """A run that keeps no weights has the numbers and the notes of one in float64 that keeps every line."""
    working = ATTENTIONS[kind].working()
    arrays = arrays_for(working)
    if "input" in arrays:
        arrays["input"] = np.random.default_rng(5).normal(size=(*batch, *arrays["input"].shape))
    last = working.lines[-1].name
    expected = working.run(arrays)
    found = working.run(single(arrays), keep=last, engine=engine)
    most = np.abs(expected[last]).max()
    np.testing.assert_allclose(found[last], expected[last], rtol=0, atol=1e-5 * max(most, 1))
    assert [str(note) for note in found.notes] == [str(note) for note in expected.notes]


@pytest.mark.usefixtures("all_long")
@pytest.mark.parametrize("spoilt", [False, True])
def test_a_query_without_a_key_is_noted(spoilt):
    """Where a mask hides all keys the note says so, by compiled code and, with a NaN, by array code."""
    working = Attention(2, mask="boolean").working()
    arrays = single(arrays_for(working))
    arrays["mask"] = np.ones(arrays["mask"].shape, bool)
    arrays["mask"][1] = False
    if spoilt:
        arrays["input"][2, 0] = np.nan
    notes = [note for note in working.run(arrays, keep="output", engine="auto").notes if note.line == "weights"]
    assert [note.rows for note in notes] == [((0, 1), (1, 1))]
    assert "all weights are 0" in str(notes[0])


@pytest.mark.usefixtures("all_long")
@pytest.mark.parametrize(
    ("keep", "stored"),
    [(("output",), False), (("head",), False), (("weights",), True), (("scaled",), True), (("key",), False)],
)
def test_weights_are_stored_where_a_line_between_is_kept(keep, stored, monkeypatch):
    """Lines from scores to weights are computed as they are where the run keeps one of them."""
    working = Attention(2, causal=True).working()
    arrays = single(arrays_for(working))
    shapes = working.shapes({name: each.shape for name, each in arrays.items()})
    assert bool(inside_long(working, shapes, {*keep})) != stored
    seen = []
    monkeypatch.setattr("clearhead.working.planned", lambda steps, *_, **__: seen.append([*steps]))
    trace = working.run(arrays, keep=keep, engine="auto")
    assert any("weights" in [line.name for line in step.lines] for step in seen[0]) == (stored and "weights" in keep)
    for name in keep:
        np.testing.assert_allclose(trace[name], working.run(arrays)[name], rtol=0, atol=1e-5)


def model_of(tokens):
    """Two layers of a model of four heads, and arrays for a text."""
    block = Block(Attention(4, causal=True, rotary=Rotary()), Norm("rms"), "pre", Mlp("silu", gated=True))
    working = Transformer(Embedding(), (block, block)).working()
    sizes = {"vocabulary": 50, "model": 32, "depth": 8, "head": 4, "head*depth": 32, "hidden": 40, "token": tokens}
    rng = np.random.default_rng(0)
    arrays = {}
    for given in working.givens:
        shape = [sizes[word] for word in given.axes]
        whole = given.holds == "integers"
        arrays[given.name] = rng.integers(0, 50, shape) if whole else rng.normal(size=shape).astype(np.float32) / 3
    return working, arrays


def peak(tokens):
    """The most bytes of arrays that exist at once in a run and all its gradients."""
    working, arrays = model_of(tokens)
    last = working.lines[-1].name
    tracemalloc.start()
    working.run(arrays, keep=last, engine="auto").gradients()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_memory_of_a_run_and_its_gradients_grows_with_the_tokens():
    """Twice the tokens take about twice the memory, less than one layer's weights would take."""
    peak(64)  # what is loaded and compiled once
    short, long = peak(2048), peak(4096)
    assert long < 2.2 * short
    assert long < 4 * 4096**2 * np.float32().nbytes


def test_the_gradients_of_a_long_model_are_those_of_its_lines(monkeypatch):
    """All gradients of two layers, of which no weights are stored, are those of every line in float64."""
    working, arrays = model_of(70)
    last = working.lines[-1].name
    double = {name: each.astype(float) if each.dtype == np.float32 else each for name, each in arrays.items()}
    expected = working.run(double).gradients()
    monkeypatch.setattr("clearhead.backward.LONG", 1)
    monkeypatch.setattr("clearhead.inspection.steps.LONG", 1)
    found = working.run(arrays, keep=last, engine="auto").gradients()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-4 * max(np.abs(array).max(), 1), err_msg=name)
