"""Lines judged from the lines claimed before them."""

import numpy as np
import pytest

from clearhead import Attention, Claim
from clearhead.check.judge.first_wrong import judge

WORKING = Attention(heads=2, output=False).working()


@pytest.fixture
def arrays():
    rng = np.random.default_rng(7)
    shapes = {"input": (3, 4)} | {f"{name}.weight": (2, 4, 2) for name in ("query", "key", "value")}
    return {name: rng.normal(size=shape).round(1) for name, shape in shapes.items()}


def softmax(scores):
    parts = np.exp(scores)
    return parts / parts.sum(-1, keepdims=True)


def judged(claims, arrays):
    return {each.line: each.follows for each in judge(claims, WORKING.run(arrays), arrays)}


def test_one_head_alone_is_carried_on(arrays):
    """Whoever works out the first head alone, with a slip in its scores, pays for the slip alone."""
    trace = WORKING.run(arrays)
    scaled = trace["scaled@1"].round(3)
    scaled[1, 2] += 1
    weights = softmax(scaled)
    numbers = {"scaled@1": scaled, "weights@1": weights, "head@1": weights @ trace["value"][0]}
    claims = [Claim.of(line, each.round(3), decimals=3) for line, each in numbers.items()]
    assert judged(claims, arrays) == {"scaled": False, "weights": True, "head": True}


def test_one_row_alone_is_carried_on(arrays):
    """The same where a single query is worked out, and the other rows are left open."""
    trace = WORKING.run(arrays)
    row = trace["scaled@1"][0].round(3)
    row[1] *= -1
    weights = softmax(row)
    rows = {"scaled@1": row, "weights@1": weights, "head@1": weights @ trace["value"][0]}
    claims = [
        Claim(line, (tuple(f"{number:.3f}" for number in first), *[("?",) * len(first)] * 2))
        for line, first in rows.items()
    ]
    assert judged(claims, arrays) == {"scaled": False, "weights": True, "head": True}


def test_what_nobody_claimed_follows_from_what_was_claimed_before(arrays):
    """With wrong queries in both heads, and scores of the first head alone, the second head's weights follow too."""
    trace = WORKING.run(arrays)
    query = trace["query"].round(2)
    query[:, 0, 1] += 1
    scores = query @ trace["key"].swapaxes(-1, -2)
    weights = softmax(scores / np.sqrt(2))
    numbers = {"query": query, "scores@1": scores[0], "weights@2": weights[1]}
    claims = [Claim.of(line, each.round(2), decimals=2) for line, each in numbers.items()]
    assert judged(claims, arrays) == {"query": False, "scores": True, "weights": True}


def test_a_line_that_does_not_follow_is_still_found(arrays):
    """Weights of the first head that fit neither the claimed scores nor the right ones do not follow."""
    trace = WORKING.run(arrays)
    claims = [
        Claim.of("scaled@1", trace["scaled@1"].round(3) + 1e-3, decimals=3),
        Claim.of("weights@1", softmax(trace["scaled@1"].T).round(3), decimals=3),
    ]
    assert not judged(claims, arrays)["weights"]
