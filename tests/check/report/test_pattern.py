"""What the cells of a line that differ have in common, where no cause is known."""

import numpy as np
import pytest

from clearhead import Attention, Claim, diagnose
from clearhead.check import compare
from clearhead.check.report.pattern import pattern


def traced(spec, tokens=5, seed=8, **given):
    """The lines of two heads from drawn queries, keys and values."""
    working = spec.working().starting_at("query", "key", "value").ending_at("head")
    rng = np.random.default_rng(seed)
    return working.run({name: rng.normal(size=(2, tokens, 4)) for name in ("query", "key", "value")} | given)


def said_of(trace, line, numbers):
    return " ".join(pattern(compare([Claim.of(line, numbers)], trace).lines[0]))


def test_one_number_that_is_added_is_said():
    """A constant on every cell that is kept is said with its size and its direction."""
    trace = traced(Attention(heads=2, causal=True))
    scores = np.asarray(trace["masked"])
    assert "claimed to be 0.25 less than the working gives" in said_of(trace, "masked", scores - 0.25)
    assert "claimed to be 3 more" in said_of(trace, "masked", (scores + 3).astype(np.float32))


def test_one_factor_is_said_with_the_head_that_has_it():
    """A factor on the cells of one head is said, with the head, counted as the report counts."""
    trace = traced(Attention(heads=2))
    numbers = np.asarray(trace["head"]) * np.array([1, 1.7])[:, None, None]
    said = said_of(trace, "head", numbers)
    assert "All 20 cells of head that differ, beyond rounding, are in head 2." in said
    assert "claimed to be 1.7 times what the working gives" in said


def test_rows_without_keys_that_have_weights_are_said():
    """Weights that add up to 1, of a query that sees no key, come of finite masked scores."""
    real = np.array([False, True, True, False, True])
    trace = traced(Attention(heads=2, causal=True, padding=True), padding=real)
    weights = np.asarray(trace["weights"]).copy()
    weights[:, 0] = np.array([0.5, 0.25, 0.125, 0, 0.125])
    report = diagnose([Claim.of("weights", weights.astype(np.float32))], trace)
    assert report.verdict == "unexplained"
    assert "All 8 cells of weights that differ, beyond rounding, are in query 1" in str(report)
    assert "No key is left to these queries, and still their weights add up to 1" in str(report)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_said_where_nothing_is_common(seed):
    """Numbers that differ by chance have nothing in common."""
    trace = traced(Attention(heads=2))
    noise = np.random.default_rng(seed).normal(size=(2, 5, 4))
    assert said_of(trace, "head", np.asarray(trace["head"]) + noise) == ""
