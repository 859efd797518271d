"""Fitted numbers as people write them."""

import math

import numpy as np
import pytest

from clearhead import Attention, Claim, Positions, Rotary, diagnose
from clearhead.check.fit.snapping import snap


@pytest.mark.parametrize(("value", "sizes", "reading"), [
    (math.exp(12), (12,), "e**12"), (1 / 3.4, (4,), "1/3.4"), (1 / (1.7 * math.sqrt(8)), (3, 8), "1/(1.7*sqrt(8))"),
    (1 / math.sqrt(96), (), "1/sqrt(96)"), (math.log(2) * 3, (), "3*ln(2)"),
])  # fmt: skip
def test_a_number_is_read_in_its_shortest_form(value, sizes, reading):
    """A power of e, a root or a logarithm is read as such, within what the claims leave open."""
    assert snap(value * (1 - 1e-7), value * (1 + 1e-7), sizes).reading == reading


def test_frequencies_that_fall_by_e_are_a_power_of_e():
    """Sinusoids whose exponent lacks the width have e to the power of the width as their base."""
    index, pair = np.arange(9.0)[:, None], np.arange(0, 12, 2.0)
    angle = index * np.exp(-pair)
    claim = Claim.of("position", np.stack([np.sin(angle), np.cos(angle)], -1).reshape(9, 12))
    report = diagnose([claim], Positions(kind="sinusoidal", width=12).working().run({"index": np.arange(9.0)}))
    assert report.first.parameters["sinusoid-base"]["base"] == pytest.approx(math.exp(12), rel=1e-12)


def test_an_odd_number_is_a_scale_of_scores_before_a_factor_of_embeddings():
    """Weights divided by a temperature of 1.37 come first as their scale, which embeddings times its root give too."""
    working = Attention(heads=2, causal=True).working()
    rng = np.random.default_rng(4)
    sizes = {"token": 5, "model": 6, "head": 2, "group": 2, "depth": 3, "head*depth": 6}
    trace = working.run({each.name: rng.normal(size=[sizes[axis] for axis in each.axes]) for each in working.givens})
    scores = np.where(np.tri(5, dtype=bool), trace["scaled"] / 1.379, -np.inf)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    report = diagnose([Claim.of("weights", (e / e.sum(-1, keepdims=True)).round(5), decimals=5)], trace)
    assert report.first.ids == ("scale-factor",)


def test_a_number_of_the_working_comes_before_others_that_fit():
    """Where cosines and sines are multiplied by the working's own factor twice, that is the first finding."""
    spec = Attention(heads=2, rotary=Rotary(amplitude=1.2187, layout="half"))
    working = spec.working().starting_at("query", "key", "value").ending_at("head")
    rng = np.random.default_rng(12)
    given = {name: rng.normal(size=(2, 5, 8)) for name in ("query", "key", "value")}
    scaled = np.asarray(working.run(given)["scaled"]) * 1.2187**2
    e = np.exp(scaled - scaled.max(-1, keepdims=True))
    report = diagnose([Claim.of("weights", e / e.sum(-1, keepdims=True))], working.run(given))
    assert report.first.parameters == {"rotary-amplitude": {"factor": 1.2187}}
