"""Mixtures of experts: which experts a token goes to, and the sum of what they give."""

import io

import numpy as np
import pytest
import torch

from clearhead import Attention, Block, Norm, SpecError, deviate, read_trace, render
from clearhead.spec import Experts, Mlp

SIZES = {"token": 5, "model": 6, "expert": 6, "hidden": 4, "head": 2, "depth": 3, "head*depth": 6}


def given(working, seed=0):
    """Random arrays for a working."""
    rng = np.random.default_rng(seed)
    return {each.name: rng.normal(size=[SIZES[word] for word in each.axes]) for each in working.givens}


def block(**options):
    """A block whose MLP is a mixture of experts."""
    mlp = Mlp("silu", gated=True, experts=Experts(6, 2, **options))
    return Block(Attention(2, causal=True), Norm("rms"), "pre", mlp).working()


def silu(x):
    return x / (1 + np.exp(-x))


def mixture(x, arrays, *, renormalise, scores, scale):
    """One token's experts by plain loops: the two with the best scores, each an MLP, summed by their shares."""
    logits = [float(x @ arrays["mlp.router.weight"][:, expert]) for expert in range(6)]
    parts = [np.exp(each) for each in logits]
    score = [each / sum(parts) for each in parts] if scores == "softmax" else [1 / (1 + np.exp(-n)) for n in logits]
    best = sorted(range(6), key=lambda expert: -score[expert])[:2]
    whole = sum(score[expert] for expert in best) if renormalise else 1
    out = np.zeros(6)
    for expert in best:
        up, gate = (x @ arrays[f"mlp.{name}.weight"][expert] for name in ("up", "gate"))
        out += score[expert] / whole * scale * ((silu(gate) * up) @ arrays["mlp.output.weight"][expert])
    return out


@pytest.mark.parametrize("renormalise", [True, False])
@pytest.mark.parametrize("scores", ["softmax", "sigmoid"])
def test_a_mixture_is_that_of_plain_loops(renormalise, scores):
    """The sum over the chosen experts is that of loops over tokens and experts, to rounding."""
    working = block(renormalise=renormalise, scores=scores, scale=1.7)
    arrays = given(working)
    trace = working.run(arrays)
    expected = [mixture(row, arrays, renormalise=renormalise, scores=scores, scale=1.7) for row in trace["mlp.norm"]]
    np.testing.assert_allclose(trace["mlp.output"], expected, rtol=1e-12, atol=1e-12)


def rms(x, gain):
    return x / np.sqrt(np.mean(x * x) + 1e-5) * gain


def test_experts_apart_are_those_of_plain_loops():
    """Experts beside a shared MLP read the tokens before the norm, by norms of their own, and are summed by gains."""
    options = {"shared": True, "apart": Norm("rms"), "input_scale": 0.3, "gain": True}
    working = block(**options)
    arrays = given(working)
    trace = working.run(arrays)
    for row, normed, found in zip(trace["attention.residual"], trace["mlp.norm"], trace["mlp.output"], strict=True):
        logits = 0.3 * rms(row, arrays["mlp.router.norm.gain"]) @ arrays["mlp.router.weight"]
        best = sorted(range(6), key=lambda expert: -logits[expert])[:2]
        share = np.exp(logits[best]) / np.exp(logits[best]).sum() * arrays["mlp.router.gain"][best]
        x, chosen = rms(row, arrays["mlp.experts.norm.gain"]), np.zeros(6)
        for each, part in zip(best, share, strict=True):
            up, gate = (x @ arrays[f"mlp.{name}.weight"][each] for name in ("up", "gate"))
            chosen += part * ((silu(gate) * up) @ arrays["mlp.output.weight"][each])
        up, gate = (normed @ arrays[f"mlp.shared.{name}.weight"] for name in ("up", "gate"))
        shared = (silu(gate) * up) @ arrays["mlp.shared.output.weight"]
        outer = (arrays[f"mlp.{name}.outer.norm.gain"] for name in ("experts", "shared"))
        expected = sum(rms(each, gain) for each, gain in zip((chosen, shared), outer, strict=True))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_each_token_goes_to_its_best_experts():
    """The line of those chosen has as many ones in each row as the spec says, where the scores are largest."""
    working = block()
    trace = working.run(given(working))
    chosen, scores = trace["router.chosen"], trace["router.scores"]
    assert set(chosen.ravel()) == {0.0, 1.0}
    np.testing.assert_array_equal(chosen.sum(-1), 2)
    assert np.all(np.where(chosen == 1, scores, np.inf).min(-1) > np.where(chosen == 0, scores, 0).max(-1))
    np.testing.assert_allclose(trace["router.shares"].sum(-1), 1)


def test_groups_are_chosen_first():
    """With groups no expert outside the best groups is chosen; a correction changes the choice, not the scores."""
    working = block(groups=3, chosen_groups=1, correction=True)
    arrays = given(working)
    arrays["mlp.router.correction"] = np.array([0, 0, 0, 0, 9.0, 9.0])
    trace = working.run(arrays)
    np.testing.assert_array_equal(trace["router.chosen"], np.tile([0, 0, 0, 0, 1, 1], (5, 1)))
    np.testing.assert_array_equal(trace["router.groups.chosen"], np.tile([0, 0, 1], (5, 1)))
    assert not np.allclose(trace["router.shares"][:, 4], 0.5)


def test_other_libraries_and_batches_agree():
    """PyTorch's arrays, and a batch, give the numbers of each example in NumPy."""
    working = block(shared=True, shared_gate=True)
    arrays = given(working)
    batch = np.random.default_rng(1).normal(size=(3, 5, 6))
    out = working.run({**arrays, "input": batch})["mlp.output"]
    tensors = {name: torch.asarray(each) for name, each in {**arrays, "input": batch}.items()}
    np.testing.assert_allclose(working.run(tensors)["mlp.output"].numpy(), out, rtol=1e-12, atol=1e-12)
    for example, expected in zip(batch, out, strict=True):
        found = working.run({**arrays, "input": example})["mlp.output"]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_experts_are_addressed_as_heads_are():
    """``up@3`` is one expert's matrix, and its cells are explained; the router's lines are matrices of their own."""
    working = block()
    trace = working.run(given(working))
    np.testing.assert_array_equal(trace["mlp.up@3"], trace["mlp.up"][2])
    token = int(np.argmax(trace["router.shares"][:, 2]))
    assert "mlp.up.weight@e" in trace.explain("mlp.up@3", token, 0).formula
    assert trace["router.shares"].shape == (5, 6)
    assert "router.scores" in trace.explain("router.chosen", 0, 0).formula


def test_every_medium_shows_it(tmp_path):
    """Text, Markdown and LaTeX print it; pages, data and programs have its numbers."""
    working = block(shared=True)
    trace = working.run(given(working))
    for medium in ("text", "markdown", "latex"):
        assert "router" in render(trace, medium)
    for ending in (".html", ".npz", ".py"):
        trace.save(tmp_path / f"experts{ending}")
    np.testing.assert_array_equal(read_trace(tmp_path / "experts.npz")["mlp.output"], trace["mlp.output"])
    scope = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", io.StringIO())
        exec((tmp_path / "experts.py").read_text("utf-8"), scope)
    np.testing.assert_allclose(scope["mlp_residual"], trace["mlp.residual"], rtol=1e-12)


def test_deviations_of_other_lines_keep_the_router():
    """A deviation of attention rewrites a block with experts as one without: not the router's softmax."""
    working = block()
    arrays = given(working)
    changed = deviate(working, "softmax-over-queries").run(arrays)
    plain = working.run(arrays)
    assert not np.allclose(changed["attention.weights"], plain["attention.weights"])
    np.testing.assert_allclose(changed["router.scores"].sum(-1), 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 4, "chosen": 5}, "chosen expects 1 to 4"),
        ({"count": 4, "chosen": 2, "groups": 3}, "groups expects a divisor of 4"),
        ({"count": 4, "chosen": 2, "groups": 2, "chosen_groups": 3}, "chosen_groups expects 1 to 2"),
        ({"count": 4, "chosen": 3, "groups": 2}, "no more experts than 1 groups have"),
        ({"count": 4, "chosen": 2, "shared_gate": True}, "Set shared = true"),
        ({"count": 4, "chosen": 2, "apart": Norm("rms")}, "Set shared = true"),
        ({"count": 4, "chosen": 2, "scores": "one-by-one", "renormalise": False, "gain": True}, "without gain"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    """Counts that do not fit each other are refused in words."""
    with pytest.raises(SpecError, match=message):
        Experts(**options)
