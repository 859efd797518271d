"""Problem files with a backward pass."""

import numpy as np
import pytest

from clearhead.errors import ProblemError, UnknownName
from clearhead.problems import parse_problem, read_problem
from clearhead.problems.writer import format_problem

SOFTMAX = """
format = 1
title = "Softmax and cross-entropy"
tokens = ["first", "second"]
given = ["output"]
[attention]
heads = 1
[backward]
wrt = ["output"]
[backward.loss]
reads = "logits"
[arrays]
output = [[1, 2, 3], [0, 1, -1]]
target = [2, 0]
"""


def test_a_file_asks_for_gradients():
    """The gradient of softmax with cross-entropy is what is left of the softmax at the right class, over the tokens."""
    problem = parse_problem(SOFTMAX)
    logits = problem.arrays["output"]
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = (shares - [[0, 0, 1], [1, 0, 0]]) / 2
    np.testing.assert_allclose(problem.trace()["output.grad"], expected, rtol=1e-12)
    assert parse_problem(format_problem(problem)) == problem


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("target = [2, 0]", "target = [2, 3]", r"arrays\.target\[1\]"),
        ("target = [2, 0]", "", "arrays lacks target"),
        ('wrt = ["output"]', 'wrt = ["outptu"]', "There is no line 'outptu'"),
        ('wrt = ["output"]', 'wrt = ["target"]', "target holds integers"),
        ('reads = "logits"', 'kind = "hinge"', "cross-entropy or squared-error"),
        ("[backward]", "[backwards]", "the file has no key 'backwards'"),
    ],
)
def test_what_does_not_fit_is_said(old, new, says):
    """A target that is no class, a line that is not there, a loss of another name: the message says which."""
    with pytest.raises(ProblemError, match=says):
        parse_problem(SOFTMAX.replace(old, new))


def test_any_problem_has_gradients():
    """A bundled problem gets the gradients of the sum of a line, with a deviation those of what is then computed."""
    problem = read_problem("causal-mask")
    trace = problem.with_gradients("head").trace("scale-missing")
    expected = problem.trace("scale-missing").gradients("head")
    for name, grad in expected.items():
        np.testing.assert_allclose(trace[f"{name}.grad"], grad, rtol=1e-12)
    with pytest.raises(UnknownName, match="There is no line 'outptu'"):
        problem.with_gradients("outptu")
