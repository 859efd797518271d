"""Fitted numbers as people write them."""

import math

import numpy as np
import pytest

from clearhead import Attention, Claim, Positions, Rotary, diagnose
from clearhead.check.fit.snapping import snap


@pytest.mark.parametrize(("value", "sizes", "reading"), [
    (math.exp(12), (12,), "e**12"), (1 / math.sqrt(96), (), "1/sqrt(96)"), (math.log(2) * 3, (), "3*ln(2)"),
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
