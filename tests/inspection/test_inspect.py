"""What `clearhead.inspect` takes and refuses, which kernel it chooses, and how it stops."""

import subprocess
import sys
import threading

import array_api_strict
import numpy as np
import pytest
import torch

import clearhead
from clearhead import Attention, Norm, Rotary, ShapeError, SpecError, Working, deviate

from ..rounding import assert_rounded, expected
from .reference import Case, statistics

RNG = np.random.default_rng(0)


def arrays(queries=5, keys=7, heads=4, groups=2, dtype=np.float32):
    """Query, key and value of small sizes, no two of one size."""
    shapes = ((heads, queries, 6), (groups, keys, 6), (groups, keys, 3))
    return [RNG.normal(size=shape).astype(dtype) for shape in shapes]


def test_a_spec_says_how_to_attend():
    """A spec's scale, cap, masks and slopes count, and the weights are those of its own working."""
    spec = Attention(
        4, 2, scale=0.4, softcap=2.0, causal=True, window=4, mask="additive", padding=True, alibi=True, output=False
    )
    query, key, value = arrays()
    masks = {"mask": RNG.normal(size=(5, 7)), "padding": np.arange(7) != 2}
    working = spec.working().starting_at("query", "key", "value")
    exact = expected(working, {"query": query, "key": key, "value": value, **masks})
    for dtype in (np.float32, np.float64):
        found = clearhead.inspect(*(each.astype(dtype) for each in (query, key, value)), spec=spec, **masks, top=7)
        weights = np.zeros((4, 5, 8))
        np.put_along_axis(weights, np.where(found.top_keys < 0, 7, found.top_keys), found.top_weights, -1)
        assert_rounded(weights[..., :7], exact["weights"])
        assert_rounded(found.output, exact["head"])


def test_the_batch_is_any_number_of_axes():
    """Leading axes are kept; queries of several examples may share their keys."""
    query, key, value = arrays()
    several = np.stack([[query, query + 1, query - 1]] * 2)
    found = clearhead.inspect(several, key, value, received=True, bands=(2,))
    assert found.output.shape == (2, 3, 4, 5, 3)
    assert found.bands.shape == (2, 3, 4, 5, 2)
    assert found.received.total.shape == (2, 3, 4, 7)
    np.testing.assert_array_equal(found.entropy[1, 2], clearhead.inspect(query - 1, key, value).entropy)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"query": np.zeros((5, 6), np.float32)}, ShapeError, r"query expects \(\*batch, head, query, depth\), got"),
        ({"key": np.zeros((2, 7, 5), np.float32)}, ShapeError, "key expects the query's depth=6, got depth=5"),
        ({"key": np.zeros((2, 0, 6), np.float32)}, ShapeError, "key expects at least one of everything"),
        ({"value": np.zeros((2, 6, 3), np.float32)}, ShapeError, r"value expects the key's \(group=2, key=7\)"),
        ({"value": np.zeros((2, 7, 3))}, ShapeError, "one dtype, got query float32, key float32, value float64"),
        ({"query": np.zeros((4, 5, 6), int)}, ShapeError, "query expects floating-point numbers, got int64"),
        ({"query": np.zeros((3, 5, 6), np.float32)}, SpecError, "kv_heads expects a divisor of heads=3, got 2"),
        ({"query": np.ones((2, 4, 5, 6), "f4"), "key": np.ones((3, 2, 7, 6), "f4")}, ShapeError, "The batch axes do"),
        ({"mask": np.ones((5, 6), bool)}, ShapeError, r"mask expects .* = \(4, 5, 7\), or 1 for any of them"),
        ({"padding": np.ones(7)}, ShapeError, "padding expects booleans, got float64"),
        ({"padding": np.ones(6, bool)}, ShapeError, r"padding expects \(\*batch, key\) = \(7,\), got \(6,\)"),
        ({"bands": (8, 1)}, SpecError, r"bands expects increasing whole numbers above 0, .* got \(8, 1\)"),
        ({"bands": (0.5,)}, SpecError, "bands expects increasing whole numbers"),
        ({"top": -1}, SpecError, "top expects a whole number of weights, .* got -1"),
        ({"window": 0}, SpecError, "window expects a number above 0"),
        ({"spec": Attention(4, 2), "causal": True}, SpecError, "spec describes the attention, and so does causal"),
        ({"spec": Attention(2)}, SpecError, "spec expects heads=2 and kv_heads=2, got arrays of 4 and 2"),
        ({"spec": Attention(8, 4).working()}, ShapeError, "query expects .*head=8"),
        ({"spec": Attention(4, 2), "padding": np.ones(7, bool)}, SpecError, "the lines read no array besides query"),
        ({"spec": Attention(4, 2, rotary=Rotary(), qk_norm=Norm("rms"))}, SpecError,
         "spec changes them before: query.norm.normalized, .*query.rotated, key.rotated"),
        ({"spec": deviate(Attention(4, 2).working(), "softmax-sigmoid")}, SpecError, "exponentials that sigmoid"),
        ({"spec": deviate(Attention(4, 2, causal=True).working(), "causal-top-left")}, SpecError,
         "mask_causal_top_left reads other queries, or counts their positions"),
        ({"spec": Attention(4, 2, mask="boolean")}, SpecError, "the lines read mask, which was not given"),
        ({"spec": Attention(4, 2, padding=True)}, SpecError, "the lines read padding, which was not given"),
    ],
)  # fmt: skip
def test_bad_input_is_told(change, error, says):
    """What does not fit is said with what was expected and what came."""
    query, key, value = arrays()
    with pytest.raises(error, match=says):
        clearhead.inspect(**{"query": query, "key": key, "value": value, **change})


@pytest.mark.parametrize(
    ("convert", "kernel", "reason"),
    [
        (np.asarray, "numba", "float32 arrays in this machine's memory"),
        (torch.asarray, "numba", "float32 arrays in this machine's memory"),
        (lambda each: torch.asarray(each).bfloat16(), "numba", "float32 arrays"),
        (lambda each: each.astype(np.float64), "plain", "The arrays are float64"),
        (lambda each: torch.asarray(each).double(), "plain", "The arrays are torch.float64"),
        (lambda each: torch.asarray(each).requires_grad_(), "plain", "The arrays require gradients"),
        (array_api_strict.asarray, "plain", "The arrays are of array_api_strict"),
    ],
)
def test_the_choice_of_a_kernel_is_explained(convert, kernel, reason):
    """The compiled kernel takes float32 in main memory; anything else goes to array code, and the reason is told."""
    found = clearhead.inspect(*map(convert, arrays()))
    assert (found.kernel, found.reason.startswith(reason)) == (kernel, True)
    assert type(found.output) is type(convert(arrays()[0]))


def test_without_numba_the_answer_is_the_same(monkeypatch):
    """A missing package is no error: array code answers, and says what would make it faster."""
    query, key, value = arrays()
    compiled = clearhead.inspect(query, key, value)
    monkeypatch.setattr("clearhead.inspection.choice.find_spec", lambda _: None)
    found = clearhead.inspect(query, key, value)
    assert found.kernel == "plain"
    assert "pip install 'clearhead[kernels]'" in found.reason
    value, bound = statistics(Case(query, key, value, {}), 0)["entropy"]
    for each in (found, compiled):
        assert np.all(np.abs(each.entropy - value) <= bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_progress_is_told_to_the_end(dtype):
    """What is done grows up to the whole."""
    told = []
    query, key, value = arrays(queries=900, keys=1100, dtype=dtype)
    clearhead.inspect(query, key, value, received=True, progress=lambda *state: told.append(state))
    done, wholes = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == wholes[-1]
    assert len(set(wholes)) == 1


def test_an_interruption_stops_all_threads():
    """Ctrl-C, here out of a call that tells the progress, ends the work at once; the next inspection works as ever."""
    query, key, value = arrays(queries=15_000, keys=15_000, heads=12, groups=12)
    before = threading.active_count()

    def interrupt(done, whole):
        assert done < whole
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clearhead.inspect(query, key, value, progress=interrupt)
    assert threading.active_count() == before
    assert clearhead.inspect(*arrays()).output.shape == (4, 5, 3)


def test_memory_grows_with_the_tokens_only():
    """Beyond inputs and results, 6,000 tokens take no more than 1,500, to a few MB; one matrix of weights is 144 MB."""
    program = """
import resource
import numpy as np
import clearhead
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
def run(tokens):
    query, key, value = np.ones((3, 1, tokens, 64), np.float32)
    found = clearhead.inspect(query, key, value, received=True, bands=(1, 64), causal=True)
    return sum(each.nbytes for each in (query, key, value, found.output, found.top_weights, found.top_keys, found.sink))
own = run(1500)
before = peak()
print(peak() - before, run(6000) - own, peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    _, arrays_grew, grew = map(int, done.stdout.split())
    assert grew < arrays_grew + 6e6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spoiled", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["key", "value"])
def test_what_is_not_finite_reaches_the_queries_that_see_it_alone(dtype, spoiled, place):
    """NaN or infinity at the last token spoils the last query of 200, whichever kernel works it out."""
    query, key, value = arrays(queries=200, keys=200, dtype=dtype)
    sound = clearhead.inspect(query, key, value, causal=True)
    {"key": key, "value": value}[place][0, -1, 0] = spoiled
    found = clearhead.inspect(query, key, value, causal=True)
    np.testing.assert_allclose(found.output[:, :-1], sound.output[:, :-1], rtol=1e-4, atol=1e-6)
    if place == "value":
        assert not np.isfinite(found.output[:2, -1, 0]).any()
        np.testing.assert_allclose(found.output[2:], sound.output[2:], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"top": 1e9}, {"top": 2.5}, {"top": True}, {"top": 2**70}, {"top": "8"}, {"bands": (2**70,)}, {"bands": (1.5,)},
        {"bands": (True,)}, {"bands": (2, float("nan"))}, {"bands": ("a",)}, {"scale": float("nan")},
        {"softcap": float("inf")}, {"window": 2**70},
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_refused(options):
    """An option that counts takes whole numbers of a size that can be, and one that scales a finite number."""
    with pytest.raises(SpecError, match=next(iter(options))):
        clearhead.inspect(*arrays(), **options)


SINK = np.array([0.5, -1.0, 2.0, 30.0])
LINES = {
    "sink": (Attention(4, 2, causal=True, sink=True), {"sink": SINK}),
    "sink and window": (Attention(4, 2, window=3, alibi=True, sink=True, softcap=2.0), {"sink": SINK}),
    "scale after mask": (deviate(Attention(4, 2, mask="additive", alibi=True).working(), "scale-after-mask"),
                         {"mask": RNG.normal(size=(5, 7))}),
    "scale by keys": (deviate(Attention(4, 2, causal=True).working(), "scale-by-keys"), {}),
    "softmax taken apart": (Attention(4, 2, scale=0.3, sink=True), {"sink": SINK}),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_any_lines_are_inspected_as_they_are_traced(name, monkeypatch):
    """Steps that no compiled kernel knows are computed by array code, in chunks, and are those of the trace."""
    spec, given = LINES[name]
    query, key, value = arrays(dtype=np.float64)
    working = spec if isinstance(spec, Working) else spec.working()
    lines = working.starting_at("query", "key", "value").ending_at("head")
    trace = lines.run({"query": query, "key": key, "value": value, **given})
    monkeypatch.setattr("clearhead.inspection.plain.CELLS", 4 * 7 * 2)
    found = clearhead.inspect(query, key, value, spec=spec, given=given, top=7, received=True)
    assert found.kernel == "plain"
    weights = trace["weights"]
    np.testing.assert_allclose(found.output, trace["head"], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.received.total, weights.sum(-2), rtol=1e-12)
    np.testing.assert_allclose(found.top_weights, -np.sort(-weights, -1), rtol=1e-12)
    score = trace[working.line("weights").operands[0]]
    np.testing.assert_allclose(np.exp(score - found.logsumexp[..., None]), weights, rtol=1e-12, atol=1e-300)
    entropy = -(weights * np.log(np.where(weights == 0, 1, weights))).sum(-1)
    np.testing.assert_allclose(found.entropy, entropy, rtol=1e-12, atol=1e-15)
