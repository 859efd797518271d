"""The summary of a check: what matters first, on one screen."""

import re

import pytest

from clearhead import Attention, Claim, diagnose, read_problem
from clearhead.check.report.comparison import until_they_differ
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
             "To mend it", "norm-over-matrix (", "To mend it", "How sure"]  # fmt: skip
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
