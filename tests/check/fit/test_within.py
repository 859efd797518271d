"""A mistake in numbers that were computed before the given arrays were rounded."""

import numpy as np
import pytest

from clearhead import Attention, Backward, Claim, diagnose

WORKING = Attention(1, output=False).working()
SHAPES = {"input": (4, 5)} | {f"{name}.weight": (1, 5, 3) for name in ("query", "key", "value")}


def softmax(scores, axis=-1):
    parts = np.exp(scores - scores.max(axis, keepdims=True))
    return parts / parts.sum(axis, keepdims=True)


def drawn(seed):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def by_numpy(a, scale=3**-0.5, axis=-1):
    query, key, value = (a["input"] @ a[f"{name}.weight"][0] for name in ("query", "key", "value"))
    weights = softmax(query @ key.T * scale, axis)
    return {"weights@1": weights, "head@1": weights @ value}


def claims(lines):
    return [Claim.of(name, numbers.round(4), decimals=4) for name, numbers in lines.items()]


@pytest.mark.parametrize(
    ("how", "cause"),
    [({"scale": 1.0}, "scale-missing"), ({"axis": 0}, "softmax-over-queries"), ({"scale": 5**-0.5}, "scale-by-model")],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_mistake_is_named_though_the_given_numbers_were_rounded(how, cause, seed):
    """As a notebook prints it: arrays and results to four decimals, computed from all digits."""
    exact = drawn(seed)
    trace = WORKING.run({name: array.round(4) for name, array in exact.items()})
    report = diagnose(claims(by_numpy(exact, **how)), trace)
    assert report.first.ids == (cause,)
    assert report.precision.kind == "givens"


def test_gradients_from_a_rounded_gradient_are_explained_too():
    """What is given to a backward pass may be rounded as well: a notebook run once without its scale."""
    rng = np.random.default_rng(5)
    a = {name: array.round(1) for name, array in drawn(5).items()}
    backward = Backward(of="head", wrt=("value.weight",)).working(WORKING)
    upstream = rng.normal(size=(1, 4, 3))
    lines = by_numpy(a, scale=1.0)
    weights = lines["weights@1"]
    lines["value.weight.grad@1"] = a["input"].T @ weights.T @ upstream[0]
    report = diagnose(claims(lines), backward.run({**a, "head.grad": upstream.round(3)}))
    assert report.first.ids == ("scale-missing",)


def test_numbers_that_are_simply_wrong_are_not_explained():
    """What no deviation gives within the digits stays unexplained."""
    exact = drawn(3)
    lines = by_numpy(exact)
    lines["weights@1"] = softmax(np.random.default_rng(9).normal(size=(4, 4)))
    report = diagnose(claims(lines), WORKING.run({name: array.round(4) for name, array in exact.items()}))
    assert report.verdict == "unexplained"
