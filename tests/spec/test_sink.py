"""A softmax with a learned sink for each head: one operation and one field of a spec, known to all that reads lines."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers.models.gpt_oss.modeling_gpt_oss import eager_attention_forward

from clearhead import Attention, Claim, deviate, diagnose, probe, read_trace, render
from clearhead.check.probing.properties import PROPERTIES
from clearhead.line import Line
from clearhead.show.export import save

SPEC = Attention(heads=4, kv_heads=2, causal=True, sink=True, output=False)
SHAPES = {
    "input": (5, 12), "query.weight": (4, 12, 6), "key.weight": (2, 12, 6), "value.weight": (2, 12, 6), "sink": (4,),
}  # fmt: skip


@pytest.fixture
def arrays():
    rng = np.random.default_rng(3)
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


@pytest.fixture
def trace(arrays):
    return SPEC.working().run(arrays)


def shares(scores, sinks):
    """exp(s_j) / (sum of exp(s_k) + exp(sink)), from the formula alone."""
    parts = np.exp(scores)
    return parts / (parts.sum(-1, keepdims=True) + np.exp(sinks)[:, None, None])


def test_weights_are_those_of_the_formula(trace, arrays):
    """The exponential of the sink joins the denominator of each row, in float64 to rounding."""
    np.testing.assert_allclose(trace["weights"], shares(trace["masked"], arrays["sink"]), rtol=1e-13)


def test_attention_is_that_of_gpt_oss(trace, arrays):
    """Weights and heads are those of Transformers' eager attention of gpt-oss."""
    query, key, value = (torch.asarray(trace[name])[None] for name in ("query", "key", "value"))
    module = SimpleNamespace(num_key_value_groups=2, sinks=torch.asarray(arrays["sink"]), training=False)
    mask = torch.full((5, 5), -torch.inf, dtype=torch.float64).triu(1)[None, None]
    out, weights = eager_attention_forward(module, query, key, value, mask, scaling=6**-0.5)
    np.testing.assert_allclose(trace["weights"], weights[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(trace["concat"], out.reshape(5, -1).numpy(), rtol=1e-12)


@pytest.mark.parametrize("size", [-1e4, 0.0, 1e4])
def test_sinks_of_any_size_do_not_overflow(arrays, size):
    """A sink far below the scores takes nothing; one far above takes all, which a note says."""
    trace = SPEC.working().run({**arrays, "sink": np.full(4, size)})
    total = trace["weights"].sum(-1)
    plain = Attention(heads=4, kv_heads=2, causal=True, output=False).working()
    if size < 0:
        without = plain.run({name: array for name, array in arrays.items() if name != "sink"})
        np.testing.assert_array_equal(trace["weights"], without["weights"])
    if size > 0:
        assert not total.any()
        assert "so far below the sink that their weights round to 0" in str(trace.notes[0])
    assert np.isfinite(trace["concat"]).all()


def normalized(parts, sink, axis=-1):
    return parts / (parts.sum(axis, keepdims=True) + sink)


WRONG = {
    "softmax-over-queries": lambda s, _: normalized(np.exp(s), 0, -2),
    "softmax-undivided": lambda s, _: np.exp(s),
    "softmax-base:base=2.0": lambda s, sink: normalized(2**s, 2**sink),
    "softmax-one": lambda s, sink: normalized(np.exp(s), np.exp(sink) + 1),
    "softmax-missing": lambda s, _: s,
}
"""Deviations of a softmax, in plain NumPy with a sink; sums down the columns never meet it."""


@pytest.mark.parametrize("written", WRONG)
def test_deviations_of_the_softmax_keep_the_sink(trace, arrays, written):
    """What goes wrong in a softmax goes wrong in one with a sink, which stays in the denominator."""
    working = deviate(SPEC.working(), written)
    expected = WRONG[written](trace["masked"], arrays["sink"][:, None, None])
    np.testing.assert_allclose(working.run(arrays)["weights"], expected, rtol=1e-12)


def test_a_mistake_in_it_is_explained(arrays):
    """A diagnosis finds softmax down the columns behind numbers of attention with a sink."""
    wrong = deviate(SPEC.working(), "softmax-over-queries").run(arrays)
    claims = [Claim.of(f"weights@{head}", wrong[f"weights@{head}"], decimals=4) for head in (1, 2)]
    report = diagnose(claims, SPEC.working().run(arrays))
    assert report.findings[0].deviations == ("softmax-over-queries",)


def attention(query, key, value, sink):
    """Attention with a sink as gpt-oss has it, of one example."""
    key, value = (np.repeat(each, 2, axis=0) for each in (key, value))
    scores = query @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1])
    scores = np.where(np.tri(scores.shape[-1], dtype=bool), scores, -np.inf)
    joined = np.concatenate([scores, np.broadcast_to(sink[:, None, None], (*scores.shape[:-1], 1))], -1)
    parts = np.exp(joined - joined.max(-1, keepdims=True))
    return (parts / parts.sum(-1, keepdims=True))[..., :-1] @ value


def test_properties_of_a_probe_are_those_that_it_has():
    """A right function passes; that rows sum to one, or bear a constant more, is not asked of it."""
    report = probe(attention, SPEC.working(), takes=("query", "key", "value", "sink"), returns="head")
    assert report.verdict == "agrees"
    asked = {each.id for each in report.properties}
    assert "future" in asked
    assert not {"shares", "row-constant", "equal-values"} & asked
    assert {each.id for each in PROPERTIES} > asked


def test_every_medium_shows_it(trace, tmp_path):
    """The formula is printed, cells are explained, and sheets, pages, code and data have the numbers."""
    line = trace.working.line("weights")
    assert isinstance(line, Line)
    assert "exp(sink@h)" in trace.explain("weights@1", 2, 0).formula
    for medium in ("text", "markdown", "latex"):
        assert "sink" in render(trace, medium)
    for ending in (".html", ".xlsx", ".npz", ".py", ".ipynb"):
        save(trace, tmp_path / f"sink{ending}")
    np.testing.assert_array_equal(read_trace(tmp_path / "sink.npz")["weights"], trace["weights"])
    scope = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", io.StringIO())
        exec((tmp_path / "sink.py").read_text("utf-8"), scope)
    np.testing.assert_allclose(scope["weights"], trace["weights"], rtol=1e-12)
