"""The library of worked problems: what well-known teaching pieces printed, and the verdict that is known for each."""

import re

import pytest

from clearhead.check import diagnose
from clearhead.problems import bundled, format_problem, library, parse_problem, read_problem

NAMES = [name for names in library().values() for name in names]

EXPLAINED = {
    "raschka-shares": "softmax-without-exp",
    "raschka-masked-late": "mask-after-softmax",
    "sanseviero-block": "norm-eps-outside-root",
    "setosa-loss": "rounded-by-hand",
    "sample-deviation": "norm-sample-std",
    "norm-of-a-batch": "norm-over-matrix",
    "stale-gradients": "scale-missing",
}
"""Those whose source departs from the textbook, on purpose or not, and how."""

UNEXPLAINED = {
    "karim-self-attention": "head",
    "i-am-happy": "weights",
    "invented-output": "head",
    "transposed-step": "logits.weight.new",
}
"""Numbers that were simplified by eye, 0.0634 to 0.0, made up, or follow a nameless fault, and where they part."""

BY_PRECISION = {
    "keras-five-numbers": "float32",
    "keras-softmax": "float32",
    "half-precision": "float16",
    "tie-in-single": "float32",
    "sequence-models-attention": "float32",
    "sequence-models-masked": "float32",
    "trax-attention": "float32",
    "statquest-self-attention": "digits of the given arrays",
    "statquest-causal": "digits of the given arrays",
}
"""Those that are right as far as their type, or the digits of what is given, allows."""


def report_of(name):
    """Why the claims of a problem differ, if they do."""
    problem = read_problem(name)
    return diagnose(problem.claims, problem.trace())


@pytest.mark.parametrize("name", [n for n in NAMES if n not in EXPLAINED and n not in UNEXPLAINED])
def test_what_a_source_printed_agrees(name):
    """Numbers that a source printed without departing from the textbook are called right, and how precisely."""
    report = report_of(name)
    assert report.verdict == "agrees"
    assert BY_PRECISION.get(name, "") in str(report.precision or "")


@pytest.mark.parametrize("name", EXPLAINED)
def test_where_a_source_departs_it_is_said_how(name):
    """What a source does otherwise than the textbook is named first."""
    report = report_of(name)
    assert report.verdict == "explained"
    assert report.findings[0].deviations[0].partition(":")[0] == EXPLAINED[name]


@pytest.mark.parametrize("name", sorted(UNEXPLAINED))
def test_what_follows_no_rule_is_not_explained(name):
    """Numbers that somebody simplified by eye or made up are called unexplained, with the line at which they part."""
    report = report_of(name)
    assert report.verdict == "unexplained"
    assert report.first_wrong_line == UNEXPLAINED[name]


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_to_notice_and_where_it_is_from(name):
    """Each tells in a few sentences what to notice, then its source with an address, and claims something."""
    problem = read_problem(name)
    noticed, _, source = problem.about.partition(" Source: ")
    assert noticed.count(".") >= 1
    assert re.search(r"\w+.*https://\S+", source)
    assert "\n" not in problem.about
    assert "  " not in problem.about
    assert problem.claims
    assert parse_problem(format_problem(problem)) == problem


def test_the_library_is_as_large_as_is_said():
    """It holds at least 25 problems, none by the name of a bundled one, each once."""
    assert len(NAMES) >= 25
    assert len({*NAMES, *bundled()}) == len(NAMES) + len(bundled())
