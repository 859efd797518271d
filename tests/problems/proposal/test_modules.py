"""Layers of PyTorch: classes with linear layers, whose weights are copied in or printed."""

import io
import json
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch

from clearhead.check import compare
from clearhead.problems import parse_problem
from clearhead.problems.proposal import propose

MODULE = """\
import torch
import torch.nn as nn

class SelfAttention(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.W_query = nn.Linear(d_in, d_out, bias=False)
        self.W_key = nn.Linear(d_in, d_out, bias=False)
        self.W_value = nn.Linear(d_in, d_out, bias=False)

    def forward(self, x):
        queries, keys = self.W_query(x), self.W_key(x)
        values = self.W_value(x)
        scores = queries @ keys.T
        weights = torch.softmax(scores / keys.shape[-1] ** 0.5, dim=-1)
        return weights @ values

x = torch.tensor([[0.43, 0.15, 0.89], [0.55, 0.87, 0.66], [0.57, 0.85, 0.64]])
"""

COPIED = """\
model = SelfAttention(3, 2)
with torch.no_grad():
    model.W_query.weight.copy_(torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]))
    model.W_key.weight.data = torch.tensor([[0.3, 0.1, 0.2], [0.2, 0.4, 0.1]])
model.W_value.weight = nn.Parameter(torch.tensor([[0.5, 0.5, 0.1], [0.1, 0.2, 0.7]]))
result = model(x)
"""


def ran(source):
    scope = {}
    exec(source, scope)
    return scope


def test_weights_that_are_copied_into_layers_are_read(tmp_path):
    """The proposed problem gives what PyTorch computes: a layer's weight is stored transposed."""
    (tmp_path / "module.py").write_text(MODULE + COPIED)
    problem = parse_problem(propose(tmp_path / "module.py").text)
    expected = ran(MODULE + COPIED)["result"].detach().numpy()
    np.testing.assert_allclose(problem.trace()["head"][0], expected, rtol=1e-6)


@pytest.mark.parametrize("bias", [False, True])
def test_weights_and_results_that_are_printed_are_read(tmp_path, bias):
    """A notebook that prints its random weights and results: weights are given, results claims that hold."""
    torch.manual_seed(4)
    cells = [
        MODULE.replace("bias=False", f"bias={bias}"),
        "model = SelfAttention(3, 2)",
        *(f"print(model.W_{name}.weight)" for name in ("query", "key", "value")),
        "queries = model.W_query(x)\nprint(queries)",
        "print(model(x))",
    ]
    book, scope = [], {}
    for source in cells:
        text = io.StringIO()
        with redirect_stdout(text):
            exec(source, scope)
        outputs = [{"output_type": "stream", "name": "stdout", "text": text.getvalue()}] if text.getvalue() else []
        book.append({"cell_type": "code", "source": source, "outputs": outputs})
    (tmp_path / "book.ipynb").write_text(json.dumps({"cells": book, "nbformat": 4}))
    found = propose(tmp_path / "book.ipynb").text
    problem = parse_problem(found)
    weights = scope["model"].W_key.weight.detach().numpy().T
    np.testing.assert_allclose(problem.arrays["key.weight"][0], weights, atol=5.1e-5)
    assert {claim.line for claim in problem.claims} == {"query@1", "head@1"}
    assert ("may have a bias" in found) == bias
    if not bias:
        trace = problem.trace()
        expected = scope["model"](scope["x"]).detach().numpy()
        np.testing.assert_allclose(trace["head"][0], expected, atol=2e-4)
        assert len(compare(problem.claims, trace).lines) == 2
