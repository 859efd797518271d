"""The summary of a check: what matters first, on one screen."""

import re

import numpy as np
import pytest

from clearhead import Attention, Claim, diagnose, read_problem
from clearhead.check import compare
from clearhead.check.report.comparison import precision_of, until_they_differ
from clearhead.check.report.sentences import does
from clearhead.problems import bundled
from clearhead.show import lower

SCREEN = 40
"""Lines of a terminal."""


def summary_of(claims, trace):
    return lower(diagnose(claims, trace).summary(title="Check"), "text")


@pytest.fixture
def trace(arrays_for):
    """Attention of two heads on drawn numbers."""
    working = Attention(heads=2).working()
    sizes = {"token": 3, "model": 4, "head": 2, "depth": 2, "head*depth": 4}
    return working.run(arrays_for(working, sizes, seed=5))


@pytest.mark.parametrize("name", bundled())
def test_every_bundled_problem_fits_on_one_screen(name):
    """Title, verdict, causes and remedies take 40 lines of 80 cells at most."""
    problem = read_problem(name)
    assert len(summary_of(problem.claims, problem.trace()).splitlines()) <= SCREEN


def test_the_verdict_comes_first_and_each_cause_has_numbers_and_a_remedy():
    """After the title: the verdict; then for each cause claimed beside expected, and what to change; last how sure."""
    problem = read_problem("soccer")
    said = " ".join(summary_of(problem.claims, problem.trace()).split())
    order = ["explained", "softmax-over-queries (", "is claimed to be 0.08860486; the working gives 0",
             "To fix it", "norm-over-matrix (", "To fix it", "How sure"]  # fmt: skip
    found = [re.search(re.escape(each), said) for each in order]
    assert all(found)
    assert said.index("explained") < said.index("softmax-over-queries (") < said.index("How sure")
    assert "= exp(" not in said  # formulas are in the full report


def test_without_a_cause_the_suspect_line_is_named_with_the_size_of_the_difference(trace):
    """What nobody explains is said to be so, with the line, how far it is off, what agrees and what to claim next."""
    right, wrong = trace["query"].round(6), trace["weights"].copy()
    wrong[:] = [[[0.11, 0.22, 0.67], [0.31, 0.33, 0.36], [0.52, 0.07, 0.41]]] * 2
    said = " ".join(summary_of([Claim.of("query", right), Claim.of("weights", wrong)], trace).split())
    largest = abs(wrong - trace["weights"]).max()
    assert "not explained" in said
    assert f"by {largest:.3g} at most" in said
    assert "These agree: query" in said
    assert "claim scaled too" in said


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(0.165912, 0.165914, ("0.165912", "0.165914")), (1.0, 2.0, ("1", "2")), (0.5, 0.5, ("0.5", "0.5"))],
)
def test_numbers_are_shown_until_they_differ(one, other, expected):
    """Two numbers that differ never look the same."""
    assert until_they_differ(one, other) == expected


def test_numbers_with_exponents_are_said_to_have_significant_digits(trace):
    """A weight of 1e-30 makes no claim of 34 decimals."""
    written = tuple(tuple(f"{number:.4e}" for number in row) for row in trace["weights@1"])
    comparison = compare([Claim("weights@1", written)], trace)
    assert precision_of(comparison.lines[0]) == "to 5 significant digits"


def test_a_slip_in_the_suspect_line_is_guessed(trace):
    """Where a line that is carried on has a lost sign, the report says so."""
    scores = [[f"{number:.2f}" for number in row] for row in trace["scores@1"]]
    at = next((i, j) for i, row in enumerate(trace["scores@1"]) for j, number in enumerate(row) if abs(number) > 0.5)
    sign = "" if scores[at[0]][at[1]].startswith("-") else "-"
    scores[at[0]][at[1]] = sign + scores[at[0]][at[1]].lstrip("-")
    wrong = np.array(scores, dtype=float) / np.sqrt(trace["query"].shape[-1])
    weights = np.exp(wrong) / np.exp(wrong).sum(-1, keepdims=True)
    claims = [
        Claim.of("scores@1", np.array(scores, dtype=float), decimals=2),
        Claim.of("weights@1", weights, decimals=3),
    ]
    text = " ".join(summary_of(claims, trace).split())
    assert "This may be a slip of the pen: the sign is" in text
    assert "These follow from the lines before them: weights." in text


@pytest.mark.parametrize(("left_out", "says"), [("clip", "does not clip"), ("shift", "does not add 1")])
def test_which_part_of_a_limit_is_left_out_is_said(left_out, says):
    """One of the two, not either."""
    said = does(f"mlp-limit-missing:left_out={left_out}")
    assert says in said
    assert " or " not in said
