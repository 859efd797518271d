"""What was measured is read as people say it: curves by a formula, slopes by a rule, frequencies by their blend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec import Struct

import clearhead
from clearhead import Attention, Rotary
from clearhead.spec.rotary import Llama3Scaling, Yarn
from clearhead.working import Working

from .pieces import causal, frequencies, repeated, rotary, rows_and_columns, scaled, softmax


class Reading(Struct, frozen=True):
    """A function, and what is said of it in the first lines."""

    function: Callable[..., Any]
    working: Working
    says: str
    verdict: str = "explained"


READINGS: dict[str, Reading] = {}


def reading(spec, says, **more):
    """Keeps a function under its name."""

    def keep(function):
        READINGS[function.__name__] = Reading(function, spec.working(), says, **more)
        return function

    return keep


@reading(Attention(heads=2, causal=True, softcap=4.0), "Scores are s clipped to -4 .. 4")
def cut_off_at_the_cap(q, k, v):
    return softmax(causal(np.clip(scaled(q, k), -4, 4))) @ v


@reading(Attention(heads=4, kv_heads=2, softcap=20.0), "Scores are s / (1 + |s| / 20)")
def capped_by_a_fraction(q, k, v):
    s = scaled(q, repeated(k, 4))
    return softmax(s / (1 + np.abs(s) / 20)) @ repeated(v, 4)


@reading(Attention(heads=2, causal=True), "follow a curve that is no soft-cap", verdict="unexplained")
def curve_without_a_name(q, k, v):
    s = scaled(q, k)
    return softmax(causal(s + 0.3 * np.sin(s))) @ v


def fallen(s, slopes):
    i, j = rows_and_columns(s)
    return causal(s - np.asarray(slopes)[:, None, None] * np.abs(i - j))


@reading(Attention(heads=4, causal=True, alibi=True), "from the last head to the first")
def slopes_backwards(q, k, v):
    return softmax(fallen(scaled(q, k), [2.0**-8, 2.0**-6, 2.0**-4, 2.0**-2])) @ v


@reading(Attention(heads=5, causal=True, alibi=True), "the first 5 of the slopes for 8 heads")
def slopes_of_more_heads(q, k, v):
    return softmax(fallen(scaled(q, k), 2.0 ** -np.arange(1, 6))) @ v


@reading(Attention(heads=2, causal=True, alibi=True), "All heads have the same slope")
def one_slope_for_all(q, k, v):
    return softmax(fallen(scaled(q, k), [0.3, 0.3])) @ v


def shares(count, low, high):
    return np.clip((np.arange(count) - low) / (high - low), 0, 1)


@reading(Attention(heads=2, causal=True, rotary=Rotary(base=1e4, scaling=Yarn(16.0, 0.5, 2.5))),
         "wavelengths are blended where frequencies should be")  # fmt: skip
def wavelengths_blended(q, k, v):
    f = frequencies(q.shape[-1])
    share = shares(len(f), 0.5, 2.5)
    q, k = rotary(q, k, f / (1 - share + share * 16))
    return softmax(causal(scaled(q, k))) @ v


@reading(Attention(heads=2, causal=True, rotary=Rotary(base=5e5, scaling=Llama3Scaling(8.0, 4.0, 1.0, 64))),
         "all pairs are divided by 8, and not the slow ones alone")  # fmt: skip
def all_pairs_divided(q, k, v):
    q, k = rotary(q, k, frequencies(q.shape[-1], 5e5) / 8)
    return softmax(causal(scaled(q, k))) @ v


@reading(Attention(heads=2, causal=True), "scaled differently from key to key")
def keys_of_other_strength(q, k, v):
    return softmax(causal(scaled(q, k) * (1 + np.arange(k.shape[-2]) // 2))) @ v


@pytest.mark.parametrize("name", READINGS)
def test_a_measurement_is_read(name):
    """The formula, the rule or the blend is said in the first lines, with the verdict that it is worth."""
    case = READINGS[name]
    report = clearhead.probe(case.function, case.working)
    said = str(report)
    assert case.says in "\n".join(said.splitlines()[:3]), said
    assert report.verdict == case.verdict, said


def test_a_sink_of_another_scale_is_said():
    """The factor of the sinks is one number for all heads, and none of their scores is said for it."""

    def mine(q, k, v, sink):
        e, more = np.exp(scaled(q, k)), np.exp(3 * sink)[:, None, None]
        return e / (e.sum(-1, keepdims=True) + more) @ v

    takes = ("query", "key", "value", "sink")
    said = str(clearhead.probe(mine, Attention(heads=3, sink=True).working(), takes))
    assert "The score of each sink is 3 times the given one" in said
