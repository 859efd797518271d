"""Reprs of results stay short, however much they hold."""

import numpy as np
import pytest

from clearhead import Attention, Block, Claim, Embedding, Mlp, Norm, Transformer, compare, diagnose, read_problem
from clearhead.brief import Brief

MAX_CHARACTERS = 2500
"""A screen of text."""


@pytest.fixture(scope="module")
def report():
    problem = read_problem("soccer")
    return diagnose(problem.claims, problem.trace())


@pytest.mark.parametrize("part", ["comparison", "findings", "indistinguishable", "near_misses", "judged", "trace"])
def test_what_a_report_holds_has_a_short_repr(report, part):
    """A report and each of its parts fill at most a screen."""
    assert len(repr(report)) <= MAX_CHARACTERS
    assert len(repr(getattr(report, part))) <= MAX_CHARACTERS


def test_a_claim_of_many_numbers_has_a_short_repr():
    """A claim and its comparison do not write out a large array."""
    working = Attention(heads=1, output=False).working()
    rng = np.random.default_rng(0)
    sizes = {"head": 1, "token": 60, "model": 4, "depth": 4}
    trace = working.run({each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens})
    claim = Claim.of("weights", trace["weights"] + 1)
    assert len(repr(claim)) <= MAX_CHARACTERS
    assert len(repr(compare([claim], trace))) <= MAX_CHARACTERS


def test_attributes_stand_by_their_names():
    """A short value is written as Python writes it, behind the name of its attribute."""

    class Pair(Brief, frozen=True):
        left: int
        right: tuple[str, ...]

    assert repr(Pair(1, ("a",))) == "Pair(left=1, right=('a',))"
    assert repr(Pair(1, tuple("abcde"))) == "Pair(left=1, right=('a', 'b', 'c', ...))"


def test_a_working_prints_its_formulas():
    """Given arrays come with their axes, each line with its formula and operands, one a row."""
    rows = str(Attention(heads=1, causal=True).working()).splitlines()
    assert rows[0] == "input (token, model) given"
    assert "query.weight (head=1, model, depth) given" in rows
    assert "weights[i,j] = exp(masked[i,j])/(sum_k exp(masked[i,k]))" in rows
    assert rows[-1].startswith("output[i,m] = sum_c concat[i,c]*output.weight[c,m]")


def test_a_large_working_prints_its_beginning():
    """Thirty blocks fill a few screens, with the number of lines left out, and a repr of a line."""
    working = Transformer(Embedding(), (Block(Attention(2), norm=Norm(), mlp=Mlp()),) * 30).working()
    printed = str(working)
    assert len(printed) < 8000
    assert printed.endswith(f"... and {len(working.lines) - 40} more lines")
    assert repr(working) == f"<Working of {len(working.lines)} lines, from embedding to layers.30.mlp.norm>"
    assert repr(Attention(1).working().starting_at("output")) == "<Working of 0 lines>"
