"""Two faults at once, one of which has a constant that stands on no list, are named from the last line alone."""

import numpy as np
import pytest

from clearhead import Attention, Block, Claim, Norm, diagnose
from clearhead.check.fit.candidate import by_hand


def softmax(scores, axis=-1):
    """The shares of exponentials along an axis."""
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def over_queries(a):
    """Softmax over the queries, and scores times 0.37."""
    q, k, v = (a["input"] @ a[f"{name}.weight"] for name in ("query", "key", "value"))
    head = softmax(0.37 * q @ k.swapaxes(-1, -2), axis=-2) @ v
    return np.concatenate(list(head), axis=-1) @ a["output.weight"]


def scaled_input(a):
    """The input times 1.9, and keys used as values."""
    x = 1.9 * a["input"]
    q, k = (x @ a[f"{name}.weight"] for name in ("query", "key"))
    head = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])) @ k
    return np.concatenate(list(head), axis=-1) @ a["output.weight"]


def without_residual(a):
    """No residual connection, and an eps of 0.7 in the norm."""
    q, k, v = (a["input"] @ a[f"{name}.weight"] for name in ("query", "key", "value"))
    head = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])) @ v
    y = np.concatenate(list(head), axis=-1) @ a["output.weight"]
    y = y - y.mean(axis=-1, keepdims=True)
    return y / np.sqrt((y**2).mean(axis=-1, keepdims=True) + 0.7) * a["norm.gain"] + a["norm.bias"]


FAULTS = {
    "softmax-over-queries scale-factor": (Attention(2), over_queries, ("factor", 0.37)),
    "projection-copied embedding-factor": (Attention(2), scaled_input, ("factor", 1.9)),
    "residual-missing norm-eps": (Block(Attention(2), norm=Norm(eps=1e-5)), without_residual, ("eps", 0.7)),
}


@pytest.mark.parametrize("names", FAULTS)
@pytest.mark.parametrize("seed", [3, 4])
def test_a_constant_beside_another_fault_is_fitted(names, seed):
    """Both are named, the constant to the digit, and nothing else."""
    spec, code, (parameter, value) = FAULTS[names]
    working = spec.working()
    sizes = {"token": 4, "model": 6, "depth": 3, "head": 2, "head*depth": 6}
    rng = np.random.default_rng(seed)
    arrays = {each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens}
    report = diagnose([Claim.of(working.lines[-1].name, code(arrays), decimals=6)], working.run(arrays))
    assert set(report.first.ids) == set(names.split())
    assert report.first.parameters[names.split()[1]][parameter] == value
    assert report.convincing


def test_an_unknown_formula_is_not_explained_by_a_constant():
    """Squares of the scores in the place of exponentials: no pair with a free constant is made to fit."""
    working = Attention(2).working()
    sizes = {"token": 4, "model": 6, "depth": 3, "head": 2, "head*depth": 6}
    rng = np.random.default_rng(5)
    a = {each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens}
    q, k, v = (a["input"] @ a[f"{name}.weight"] for name in ("query", "key", "value"))
    powers = (q @ k.swapaxes(-1, -2)) ** 2
    head = powers / powers.sum(axis=-1, keepdims=True) @ v
    claims = [Claim.of("output", np.concatenate(list(head), axis=-1) @ a["output.weight"], decimals=4)]
    assert diagnose(claims, working.run(a)).verdict == "unexplained"


def test_rounding_by_hand_is_tried_to_the_decimals_that_numbers_show():
    """Numbers that code prints to six decimals, of which they show two, may have been rounded to two."""
    claim = Claim.of("weights", [[0.25, 0.7, 0.05]], decimals=6)
    assert {dict(each.parameters)["decimals"] for each in by_hand([claim], brief=True)} == {2}
