"""Numbers that are rounding errors alone are 0, and no others."""

import numpy as np
import torch

from clearhead import Attention, read_problem
from clearhead.dust import without_dust

PROBLEM = """
format = 1
title = "Dust"
given = ["query", "key"]
until = ["weights"]
[attention]
heads = 1
output = false
[arrays]
query = [[[0.1, 0.2, -0.3]]]
key = [[[1, 1, 1], [1, 0, 0]]]
"""


def test_what_is_0_by_hand_is_0_in_a_problem(tmp_path):
    """0.1 + 0.2 - 0.3 is 0, in its own line and where it is scaled, in numbers and in the arithmetic."""
    (tmp_path / "dust.toml").write_text(PROBLEM)
    trace = read_problem(tmp_path / "dust.toml").trace()
    assert trace["scores"][0, 0, 0] == trace["scaled"][0, 0, 0] == 0
    assert str(trace.explain("scores@1", 0, 0)) == "scores@1[1,1] = 0.1*1 + 0.2*1 + (-0.3)*1 = 0"


def test_small_numbers_that_are_right_keep_their_digits():
    """Weights far below the errors of their neighbours are no dust: they are exponentials, right to all digits."""
    working = Attention(1, output=False, scale=1.0).working().starting_at("query", "key", "value")
    given = {"query": np.array([[[1.0]]]), "key": np.array([[[0.0], [-60.0], [-200.0]]]), "value": np.ones((1, 3, 1))}
    trace = working.run(given)
    assert without_dust(trace) is trace or (without_dust(trace)["weights"] == trace["weights"]).all()
    assert 0 < trace["weights"][0, 0, 2] < 1e-80


def test_dust_of_large_numbers_is_found_by_their_size():
    """What is left of 1e8 less 1e8 is dust, though it is larger than other numbers' errors."""
    working = Attention(1, output=False).working().starting_at("query", "key", "value")
    given = {
        "query": np.array([[[1e8 / 3, 2e8 / 3, -1e8]]]),
        "key": np.full((1, 2, 3), 1.1),
        "value": np.ones((1, 2, 1)),
    }
    raw = working.run(given)
    assert raw["scores"].any()
    assert not without_dust(raw)["scores"].any()


def test_dust_of_gradients_is_0():
    """A trace with a loss, which is one number and no array, is cleaned as well: here of 0.1 + 0.2 - 0.3."""
    problem = read_problem("head-backward")
    arrays = {name: array.copy() for name, array in problem.arrays.items()}
    arrays["input"][0] = [0.1, 0.2, -0.3, 0]
    arrays["query.weight"][0, :, 0] = 1
    raw = problem.working().run(arrays)
    assert raw["query"][0, 0, 0] == 0.1 + 0.2 - 0.3 != 0
    assert without_dust(raw)["query"][0, 0, 0] == 0


def test_steps_do_not_cancel():
    """Of 200 sums that are 0 by hand each is found: moved by unequal steps, a sum hardly ever stays as it was."""
    working = Attention(1, output=False).working().starting_at("query", "key", "value")
    random = np.random.default_rng(0)
    for _ in range(200):
        a, b = random.integers(1, 30, 2) / 10
        query = np.array([[[a, b, -round(a * 10 + b * 10) / 10]]])
        trace = working.run({"query": query, "key": np.ones((1, 1, 3)), "value": np.ones((1, 1, 1))})
        assert without_dust(trace)["scores"][0, 0, 0] == 0


def test_other_arrays_are_left_as_they_are():
    """Tensors, and traces of which not all was kept, are returned as they came."""
    working = Attention(1, output=False).working().starting_at("query", "key", "value")
    ones = {name: torch.ones(1, 2, 2) for name in ("query", "key", "value")}
    for trace in (working.run(ones), working.run({k: v.numpy() for k, v in ones.items()}).only(["weights"])):
        assert without_dust(trace) is trace
