"""Gradients of attention without its weights: the compiled kernel and array code, within stated bounds."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import clearhead
from clearhead import Attention
from clearhead.inspection.gradients import attend
from clearhead.inspection.request import Wanted, request_of
from clearhead.plan import follow

from ..options import ATTENTIONS, arrays_for
from .cases import cases
from .reference import Case, gradients

ALL = ("query", "key", "value")
RNG = np.random.default_rng(0)


def found(case: Case, grad, *, engine="auto"):
    """The gradients of a case, and whether the compiled kernel computed them."""
    options = dict(case.options)
    masks = {name: options.pop(name) for name in ("mask", "padding") if name in options}
    options = {"causal": False, "window": None, "softcap": None, "scale": None} | options
    request = request_of((case.query, case.key, case.value), masks, None, options, Wanted(top=0))
    attended = attend(request, ALL, engine)
    return attended.gradients(grad, ALL), attended.forward is not None


def assert_within(case: Case, grad, *, engine="auto"):
    got, compiled = found(case, grad, engine=engine)
    assert compiled == (engine != "array")
    for name, (value, bound) in gradients(case, grad).items():
        assert got[name].shape == value.shape
        assert got[name].dtype == np.float32
        worst = np.max(np.abs(got[name] - value) - bound)
        assert worst <= 0, f"{name} is off its bound by {worst}"


def case_of(queries, keys, heads=2, groups=1, depth=64, features=64, **options):
    """A case of ordinary numbers, and a gradient of its output."""
    shapes = ((heads, queries, depth), (groups, keys, depth), (groups, keys, features), (heads, queries, features))
    *three, grad = (RNG.normal(size=shape).astype(np.float32) for shape in shapes)
    return Case(*three, options), grad


@pytest.mark.parametrize("engine", ["auto", "array"])
@given(case=cases(), seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_every_number_is_within_its_bound(engine, case, seed):
    """Gradients of drawn cases of every combination of options are those of whole matrices in float64, to rounding."""
    case.options.pop("bands", None)
    shape = (*case.query.shape[:-1], case.value.shape[-1])
    assert_within(case, np.random.default_rng(seed).normal(size=shape).astype(np.float32), engine=engine)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (127, 129), (130, 500), (500, 130), (1031, 1031)])
def test_sizes_beside_those_of_tiles(queries, keys, causal):
    """Tokens that fill no tile, panel or block, and more queries than keys, are carried back like any others."""
    assert_within(*case_of(queries, keys, heads=3, groups=3, depth=48, features=80, causal=causal))


@pytest.mark.parametrize("window", [1, 2, 40, 200])
def test_a_window_leaves_out_what_lies_outside(window):
    """With a window, tiles are left out before and behind; what they would give is 0."""
    assert_within(*case_of(700, 700, window=window))
    assert_within(*case_of(700, 900, window=window, causal=True))


def test_scores_of_large_size_keep_their_bounds():
    """Weights come from the largest score and a sum, so that a log-sum-exp of 10,000 costs no digits."""
    case, grad = case_of(200, 300)
    assert_within(case._replace(query=case.query * 300), grad)


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"scale": 0.3}, {"softcap": 2.0}])
def test_autograd_of_torch_agrees(options):
    """The gradients are those of PyTorch's autograd of the same attention in float64."""
    case, grad = case_of(260, 260, heads=4, groups=2, **options)
    leaves = [torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in case[:3]]
    query, key, value = leaves
    key, value = (each.repeat_interleave(2, dim=0) for each in (key, value))
    score = query @ key.mT * options.get("scale", 64**-0.5)
    if "softcap" in options:
        score = options["softcap"] * torch.tanh(score / options["softcap"])
    if "causal" in options:
        score = score.masked_fill(torch.ones(260, 260).triu(1) > 0, -torch.inf)
    (score.softmax(-1) @ value).backward(torch.tensor(grad))
    for name, leaf in zip(ALL, leaves, strict=True):
        got = found(case, grad)[0][name]
        np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=0, atol=3e-6 * float(leaf.grad.abs().max()))


def test_slopes_count_in_the_gradients():
    """With ALiBi the gradients are those of the lines of the spec."""
    spec = Attention(4, 2, alibi=True, causal=True, output=False)
    case, grad = case_of(150, 150, heads=4, groups=2)
    request = request_of(case[:3], {}, spec, {}, Wanted(top=0))
    attended = attend(request, ALL)
    assert attended.forward is not None
    lines = request.core.working
    wide = {name: array.astype(float) for name, array in zip(ALL, case[:3], strict=True)}
    expected = lines.backward("head").run({**wide, "head.grad": grad.astype(float)})
    for name, got in attended.gradients(grad, ALL).items():
        exact = expected[f"{name}.grad"]
        np.testing.assert_allclose(got, exact, rtol=0, atol=3e-6 * np.abs(exact).max())


def test_any_layout_of_memory_gives_the_same():
    """Views with strides, features apart, and a gradient that is broadcast are read as they are."""
    case, grad = case_of(150, 170, heads=2, groups=2, depth=20, features=20)
    expected = found(case, np.broadcast_to(grad[:, :1], grad.shape).copy())[0]
    apart = [np.asfortranarray(case.query), case.key.transpose(1, 0, 2).copy().transpose(1, 0, 2)]
    both = np.concatenate([case.value, case.value], -1)
    got = found(Case(*apart, both[..., :20], {}), np.broadcast_to(grad[:, :1], grad.shape))[0]
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_rounding_alone(threads, monkeypatch):
    """One head is divided among threads: each has sums of its own for the queries, added up in a fixed order."""
    case, grad = case_of(600, 600, heads=1, causal=True)
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", threads)
    assert_within(case, grad)
    first, again = (found(case, grad)[0] for _ in range(2))
    for name in ALL:
        np.testing.assert_array_equal(first[name], again[name])


@pytest.mark.parametrize("engine", ["auto", "array"])
def test_queries_and_keys_that_meet_nobody_have_no_gradient(engine):
    """A query without a key, and a key that no query sees, get exactly 0, whatever stands there."""
    case, grad = case_of(60, 50)
    mask = RNG.random((1, 60, 50)) < 0.5
    mask[:, 7], mask[..., 11] = False, False
    got = found(case._replace(options={"mask": mask}), grad, engine=engine)[0]
    assert not got["query"][:, 7].any()
    assert not got["key"][:, 11].any()
    assert not got["value"][:, 11].any()
    assert all(np.isfinite(each).all() for each in got.values())


@pytest.mark.parametrize("place", ["query", "key", "value", "grad"])
def test_what_is_not_finite_is_left_to_array_code(place):
    """NaN goes where the lines carry it: the compiled kernel, which would carry it elsewhere, does not run."""
    case, grad = case_of(40, 40, heads=1, causal=True)
    arrays = {"query": case.query, "key": case.key, "value": case.value, "grad": grad}
    arrays[place][0, -1, 0] = np.nan
    spoilt = Case(arrays["query"], arrays["key"], arrays["value"], case.options)
    lines = clearhead.Attention(1, causal=True, output=False).working().starting_at(*ALL).ending_at("head")
    with np.errstate(invalid="ignore"):
        expected = lines.backward("head").run({**dict(zip(ALL, spoilt[:3], strict=True)), "head.grad": grad})
    for name, got in found(spoilt, grad)[0].items():
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected[f"{name}.grad"]))


def test_memory_grows_with_the_tokens_only():
    """The peak of 6,000 tokens is that of arrays of their own size; one matrix of weights is 144 MB."""
    program = """
import resource
import numpy as np
from clearhead.inspection.gradients import attend
from clearhead.inspection.request import Wanted, request_of
options = {"causal": True, "window": None, "softcap": None, "scale": None}
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
def run(tokens):
    three = np.ones((3, 1, tokens, 64), np.float32)
    attended = attend(request_of(tuple(three), {}, None, options, Wanted(top=0)), ("query", "key", "value"))
    attended.gradients(np.ones((1, tokens, 64), np.float32), ("query", "key", "value"))
run(1500)
before = peak()
run(6000)
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # Three inputs, output and its gradient, three results; the gradients of queries four times, for each part of keys.
    assert int(done.stdout) < (5 + 2 + 5) * 6000 * 64 * 4 + 8e6


def test_traces_of_long_texts_do_not_store_their_weights(monkeypatch):
    """The gradients of a trace, with lines put in for those of long attention, are those of its lines one by one."""
    spec = clearhead.Block(
        Attention(
            heads=4, kv_heads=2, causal=True, rotary=clearhead.Rotary(), softcap=4.0, qk_norm=clearhead.Norm("rms")
        )
    )
    working = spec.working()
    sizes = {"token": 90, "query": 90, "key": 90, "model": 16, "depth": 8, "head*depth": 32, "hidden": 20}
    rng = np.random.default_rng(1)
    arrays = {
        each.name: rng.normal(size=[dict(each.sizes).get(word) or sizes[word] for word in each.axes])
        for each in working.givens
    }
    expected = working.run(arrays, keep="residual").gradients()
    stored = []
    monkeypatch.setattr("clearhead.backward.LONG", 1)
    monkeypatch.setattr("clearhead.inspection.steps.LONG", 1)
    monkeypatch.setattr("clearhead.ops.fused.weights", lambda *_, **__: stored.append(1))
    for dtype, engine in ((np.float64, "array"), (np.float32, "auto")):
        trace = working.run({name: array.astype(dtype) for name, array in arrays.items()}, keep="input", engine=engine)
        got = trace.gradients()
        assert not stored
        for name, array in expected.items():
            off = 1e-12 if dtype is np.float64 else 1e-5
            np.testing.assert_allclose(got[name], array, rtol=0, atol=off * np.abs(array).max())


OTHERS = {
    name: clearhead.deviate(Attention(heads=2, causal="causal" in name).working(), name)
    for name in ("softmax-sigmoid", "softmax-over-queries", "causal-top-left", "scale-by-keys")
}
"""Lines that no kernel knows; some mix queries, or count their positions in a way of their own."""


@pytest.mark.parametrize("kind", [*ATTENTIONS, *OTHERS])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_every_option_of_attention_gives_what_its_lines_give(kind, batch, monkeypatch):
    """Whatever stands between queries and heads, gradients without weights are those of the lines, in a batch too."""
    working = OTHERS[kind] if kind in OTHERS else ATTENTIONS[kind].working()
    arrays = arrays_for(working)
    if "input" in arrays:
        arrays["input"] = np.random.default_rng(5).normal(size=(*batch, *arrays["input"].shape))
    expected = working.run(arrays).gradients()
    monkeypatch.setattr("clearhead.backward.LONG", 1)
    monkeypatch.setattr("clearhead.inspection.steps.LONG", 1)
    last = working.lines[-1].name
    single = {name: each.astype(np.float32) if each.dtype == float else each for name, each in arrays.items()}
    for given_arrays, engine, off in ((arrays, "array", 1e-12), (single, "auto", 1e-4)):
        found = working.run(given_arrays, keep=last, engine=engine).gradients()
        for name, array in expected.items():
            most = np.abs(array).max()
            np.testing.assert_allclose(found[name], array, rtol=0, atol=off * max(most, 1), err_msg=name)


@pytest.mark.parametrize(
    ("kind", "keep", "wrt", "stores"),
    [
        ("plain", "output", None, False),
        ("sink", "output", None, False),
        ("grouped", "output", ("value.weight",), False),
        ("plain", ("output", "weights"), None, True),
        ("plain", ("output", "weights"), "weights", True),
        ("additive", "output", None, False),
        ("alibi", ("output", "masked"), "masked", True),
    ],
)
def test_lines_that_somebody_reads_are_computed_as_they_are(kind, keep, wrt, stores, monkeypatch):
    """Weights are stored where the trace kept them, or where a gradient beside the attention needs them."""
    working = ATTENTIONS[kind].working()
    trace = working.run(arrays_for(working), keep=keep)
    monkeypatch.setattr("clearhead.backward.LONG", 1)
    monkeypatch.setattr("clearhead.inspection.steps.LONG", 1)
    seen = []
    monkeypatch.setattr("clearhead.working.follow", lambda *given: seen.append(given[1]) or follow(*given))
    trace.gradients(wrt=wrt)
    names = [step.name for step in seen[-1]]
    assert ("weights.grad" in names) == stores


def test_attention_before_the_gradients_stores_no_weights(monkeypatch):
    """A forward pass that nothing is carried back through does without its weights too."""
    attention = Attention(heads=2, causal=True)
    working = attention.working()
    arrays = arrays_for(working)
    expected = working.run(arrays).gradients(wrt="output.weight")["output.weight"]
    monkeypatch.setattr("clearhead.backward.LONG", 1)
    monkeypatch.setattr("clearhead.inspection.steps.LONG", 1)
    trace, stored = working.run(arrays, keep="output"), []
    monkeypatch.setattr("clearhead.ops.fused.weights", lambda *_, **__: stored.append(1))
    np.testing.assert_allclose(trace.gradients(wrt="output.weight")["output.weight"], expected, rtol=1e-12)
    assert not stored
