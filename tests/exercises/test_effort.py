"""The operations that an exercise takes by hand, counted by hand here."""

import pytest

from clearhead.exercises import generate
from clearhead.exercises.effort import effort, effort_in_words
from clearhead.problems import parse_problem

SCORES = """
format = 1
title = "Scores"
given = ["scores", "value"]
[attention]
heads = 1
output = false
scale = 1
[arrays]
scores = [[[0, 2, 2]]]
value = [[[1], [3], [0]]]
"""


def test_a_softmax_and_its_sum_are_counted_as_by_hand():
    """An exponential (e^0 is 1, e^2 comes twice), the sum below the weights once, and what reads the weights."""
    trace = parse_problem(SCORES).trace()
    # weights: e^2; 1 + e^2, + e^2; 1/s and e^2/s. head: w2*3, w1 + that, and nothing for w3*0.
    assert effort(trace) == {"products": 1, "sums": 3, "quotients": 2, "exponentials": 1}
    assert effort_in_words(trace) == "It takes 1 product, 3 sums, 2 quotients and 1 exponential."


@pytest.mark.parametrize("parts", [(), ("causal", "norm"), ("mlp",)])
def test_an_exercise_says_how_much_work_it_is(parts):
    """What an exercise is about ends with its count, which is that of its own numbers."""
    problem = generate(parts=parts, seed=3)
    assert effort_in_words(problem.trace()) in problem.about


def test_more_parts_are_more_work():
    """An exercise with a block around its attention takes more operations than the attention alone."""
    alone, block = (sum(effort(generate(parts=parts, seed=3).trace()).values()) for parts in ((), ("residual", "norm")))
    assert block > alone
