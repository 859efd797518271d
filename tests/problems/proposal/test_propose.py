"""Problems proposed from notebooks, scripts and workbooks, which are read and never run."""

import json

import numpy as np
import pytest
import xlsxwriter
from click.testing import CliRunner

from clearhead.check import diagnose
from clearhead.cli import main
from clearhead.errors import ProblemError
from clearhead.problems import parse_problem
from clearhead.problems.proposal import propose

TWO_HEADS = [
    ("import numpy as np", ""),
    ("X = np.array([[1, 1], [1, 2], [-2.5, 1]])\nW_q = np.array([[0, 0], [0, 1]])\nQ = np.dot(X, W_q)\nQ",
     "array([[0., 1.],\n       [0., 2.],\n       [0., 1.]])"),
    ("W_k = np.array([[1, 1], [0, 0]])\nK = np.dot(X, W_k)", ""),
    ("X_1 = np.array([[0], [1]])\nX_2 = np.array([[1], [1]])\nX_3 = np.array([[-1], [0]])\n"
     "P_1 = np.array([[1], [-1]])\nP_2 = np.array([[-1], [-2]])\nP_3 = np.array([[2], [1]])\n"
     "W_q1 = np.array([[0], [-1]])\nW_q2 = np.array([[1], [1]])\nW_k1 = np.array([[1], [-1]])\n"
     "W_k2 = np.array([[-1], [0]])\nW_v1 = np.array([[0], [1]])\nW_v2 = np.array([[-1], [-1]])\nd_k = 1\n"
     "W_0 = np.array([[1, 1], [0, 0]])", ""),
    ("X = np.concatenate([X_1, X_2, X_3], axis=1) + np.concatenate([P_1, P_2, P_3], axis=1)\nX = X.T\nX",
     "array([[ 1,  0],\n       [ 0, -1],\n       [ 1,  1]])"),
    ("Q_1 = np.dot(X, W_q1)\nQ_2 = np.dot(X, W_q2)\nK_1 = np.dot(X, W_k1)\nK_2 = np.dot(X, W_k2)\n"
     "V_1 = np.dot(X, W_v1)\nV_2 = np.dot(X, W_v2)", ""),
    ("Q_1, Q_2", "(array([[ 0],\n        [ 1],\n        [-1]]),\n array([[ 1],\n        [-1],\n        [ 2]]))"),
    ("def softmax(x):\n    return np.exp(x) / np.sum(np.exp(x), axis=0)\n"
     "Att_1 = (softmax(Q_1 @ K_1.T)) / np.sqrt(d_k) @ V_1\nAtt_1",
     "array([[ 0.08860486],\n       [-0.33190762],\n       [ 0.24330276]])"),
    ("Att_2 = (softmax(Q_2 @ K_2.T)) / np.sqrt(d_k) @ V_2\nAtt_2",
     "array([[-0.00925226],\n       [-2.19805087],\n       [ 0.20730313]])"),
    ("multi_head = np.concatenate([Att_1, Att_2], axis=1) @ W_0\nskip = X + multi_head\nskip",
     "array([[ 1.08860486,  0.08860486],\n       [-0.33190762, -1.33190762],\n       [ 1.24330276,  1.24330276]])"),
    ("layernorm = (skip - np.mean(skip)) / np.std(skip)\nlayernorm",
     "array([[ 0.7887128 , -0.25556435],\n       [-0.69469593, -1.73897308],\n       [ 0.95026028,  0.95026028]])"),
]  # fmt: skip
"""Cells in the form of the notebook that clearhead grew from, with what they printed."""


def notebook(path, cells, printed=()):
    """A notebook of cells with what their last lines gave; ``printed`` are the numbers of cells that print it."""
    made = []
    for number, (source, output) in enumerate(cells):
        kind = {"name": "stdout", "text": output} if number in printed else {"data": {"text/plain": output}}
        made.append({"cell_type": "code", "source": source, "outputs": [kind] if output else []})
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}))
    return path


def test_the_lecture_becomes_its_problem(tmp_path):
    """From cells alone come tokens, two heads, output, residual and norm, and the diagnosis of what was printed."""
    found = propose(notebook(tmp_path / "lecture.ipynb", TWO_HEADS))
    problem = found.problem
    assert problem.arrays["input"].tolist() == [[1, 0], [0, -1], [1, 1]]
    assert problem.arrays["query.weight"].tolist() == [[[0], [-1]], [[1], [1]]]
    assert problem.arrays["output.weight"].tolist() == [[1, 1], [0, 0]]
    assert [claim.line for claim in problem.claims] == ["query@1", "query@2", "head@1", "head@2", "residual", "norm"]
    assert any("behind the softmax" in each for each in found.unsure)
    report = diagnose(problem.claims, problem.trace())
    assert report.findings[0].ids == ("softmax-over-queries", "norm-over-matrix")


def test_what_is_proposed_is_a_problem_file(tmp_path):
    """The text reads back as the problem, with what is not sure as comments before it."""
    found = propose(notebook(tmp_path / "lecture.ipynb", TWO_HEADS))
    assert parse_problem(found.text) == found.problem
    assert [f"# Not sure: {each}" in found.text for each in found.unsure] == [True] * len(found.unsure)


WORDS = [
    ("import numpy as np\nrng = np.random.default_rng()", ""),
    ("a = np.array([1, 0])\nb = np.array([1, 1])\nwords = np.array([a, b])", ""),
    ("W_Q = rng.integers(3, size=(2, 2))\nW_K = rng.integers(3, size=(2, 2))", ""),
    ("Q = words @ W_Q\nK = words @ W_K\nscores = Q @ K.transpose()\nprint(scores)", "[[2 4]\n [1 3]]\n"),
    ("weights = softmax(scores / K.shape[1] ** 0.5, axis=1)\nprint('Weights:', weights)",
     "Weights: [[0.19557033 0.80442967]\n [0.19557033 0.80442967]]\n"),
]  # fmt: skip


def test_printed_scores_are_an_entry_where_weights_are_drawn(tmp_path):
    """Where weights are drawn at random the problem begins at the scores that were printed, and says what it lacks."""
    found = propose(notebook(tmp_path / "words.ipynb", WORDS, printed=(3, 4)))
    assert found.problem.given == ("scores",)
    assert found.problem.arrays["scores"].tolist() == [[[2, 4], [1, 3]]]
    (claim,) = found.problem.claims
    assert claim.line == "weights@1"
    # exp(-2/sqrt(2)) / (1 + exp(-2/sqrt(2))) = 0.1955703...
    assert claim.written[0] == ("0.19557033", "0.80442967")
    assert any("not written out" in each for each in found.unsure)


SCRIPT = """
import torch
x = torch.tensor([[1, 0, 1], [0, 2, 0]], dtype=torch.float32)
tables = {"query": [[1, 0], [0, 1], [1, 1]], "key": [[0, 1], [1, 0], [1, 0]]}
w_query = torch.tensor(tables["query"])
w_key = torch.tensor(tables["key"])
def attend(x, query, key, value, scale=4):
    q, k = x @ query, x @ key
    scores = x @ query @ (x @ key).T / scale
    return torch.softmax(scores, dim=-1) @ (x @ value)
keys = x @ w_key
print(keys)
# tensor([[1., 1.],   # of the first
#         [2., 0.]])
scores = (x @ w_query) @ keys.T
if __name__ == "__main__":
    queries = x @ w_query
    print(queries.T)
    # tensor([[2., 0.],
    #         [1., 2.]])
    weights = torch.softmax(queries @ keys.T, dim=-1)
    unlink("/")  # is not run
"""


def test_comments_are_what_a_script_printed(tmp_path):
    """Arrays in comments behind a statement are its output, turned back where a transpose was printed."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    found = propose(path)
    claims = {claim.line: claim.values.tolist() for claim in found.problem.claims}
    assert claims == {"key@1": [[1, 1], [2, 0]], "query@1": [[2, 1], [0, 2]]}
    assert found.problem.spec.scale == 1.0
    assert any("no scale was seen" in each for each in found.unsure)


FUNCTIONS = [
    ("WK1 = [[1, 0], [0, 1]]\nWQ1 = [[1, 1], [0, 1]]\nWV1 = [[2, 0], [0, 1]]\nE = [[1, 0], [0, 1], [1, 1]]", ""),
    ("def soft_max(x):\n    return x\ndef attention(x, WQ, WK, WV):\n    Q = x @ WQ\n    K = x @ WK\n    V = x @ WV\n"
     "    scores = Q @ K.T / 8\n    return my_softmax(scores) @ V", ""),
    ("attention(E, WQ1, WK1, WV1)", "array([[1.3, 0.7],\n       [1.2, 0.7],\n       [1.3, 0.7]])"),
]  # fmt: skip


def drawn(rng, *shape):
    """Numbers as NumPy prints them, and with which the rest is computed."""
    return rng.normal(size=shape).round(8)


def test_weights_that_are_drawn_and_printed_are_taken_as_printed(tmp_path):
    """A notebook that draws its weights unseen and prints them gives a problem from the input, and says so."""
    rng = np.random.default_rng(5)
    x = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]])
    w = {part: drawn(rng, 3, 2) for part in "qkv"}
    q, k, v = (x @ each for each in w.values())
    scaled = q @ k.T / np.sqrt(2)
    weights = np.exp(scaled) / np.exp(scaled).sum(1, keepdims=True)
    found = propose(notebook(tmp_path / "drawn.ipynb", [
        ("import numpy as np\nX = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]])", ""),
        ("W_q = rng.normal(size=(3, 2))\nW_k = rng.normal(size=(3, 2))\nW_v = rng.normal(size=(3, 2))\n"
         "print('W_q', W_q)\nprint('W_k', W_k)\nprint('W_v', W_v)\nQ = X @ W_q\nK = X @ W_k\nV = X @ W_v\nprint(V)",
         f"W_q {w['q']}\nW_k {w['k']}\nW_v {w['v']}\n{v}\n"),
        ("dk = Q.shape[-1]\nscores = Q @ K.T / np.sqrt(dk)\n"
         "weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)\nprint(weights)", f"{weights}\n"),
    ], printed=(1, 2)))  # fmt: skip
    assert found.problem.arrays["key.weight"].tolist() == [w["k"].tolist()]
    assert [claim.line for claim in found.problem.claims] == ["value@1", "weights@1"]
    assert [each.partition(" ")[0] for each in found.unsure] == ["W_q", "W_k", "W_v"]
    assert diagnose(found.problem.claims, found.problem.trace()).verdict == "agrees"


def test_a_given_value_that_is_also_printed_is_no_claim(tmp_path):
    """Where the entry is at queries, keys and values, what was printed of these is given, not claimed."""
    scaled = np.array([[5, 2], [1, 1]]) / np.sqrt(2)
    found = propose(notebook(tmp_path / "parts.ipynb", [
        ("X = np.array([[1, 0], [0, 1]])\nQ = X @ load('q')\nK = X @ load('k')\nV = X @ load('v')\n"
         "print(Q)\nprint(K)\nprint(V)", "[[1. 2.]\n [0. 1.]]\n[[3. 1.]\n [0. 1.]]\n[[5.]\n [7.]]\n"),
        ("scores = Q @ K.T / np.sqrt(Q.shape[1])\nout = softmax(scores) @ V\nprint(scores)", f"{scaled}\n"),
    ], printed=(0, 1)))  # fmt: skip
    assert [claim.line for claim in found.problem.claims] == ["scaled@1"]
    assert diagnose(found.problem.claims, found.problem.trace()).verdict == "agrees"


def test_one_query_is_a_row(tmp_path):
    """keys @ query, a vector, are the scores of one query."""
    scores = np.array([2.0 * 1.5 + 0.5, 0.5 * -1.0, 1.5])
    weights = np.exp(scores) / np.exp(scores).sum()
    found = propose(notebook(tmp_path / "vector.ipynb", [
        ("query = np.array([1.5, 0.5])\nkeys = np.array([[2.0, 1.0], [0.0, -1.0], [1.0, 0.0]])\n"
         "scores = keys @ query\nweights = np.exp(scores) / np.exp(scores).sum()\nweights",
         f"array({weights.tolist()})"),
    ]))  # fmt: skip
    assert found.problem.arrays["query"].tolist() == [[[1.5, 0.5]]]
    assert found.problem.spec.scale == 1
    assert diagnose(found.problem.claims, found.problem.trace()).verdict == "agrees"


def test_functions_of_the_notebook_are_followed(tmp_path):
    """What a function of the notebook's own computes is read with the arrays that it is called with."""
    found = propose(notebook(tmp_path / "functions.ipynb", FUNCTIONS)).problem
    assert found.spec.scale == 1 / 8
    assert found.arrays["value.weight"].tolist() == [[[2, 0], [0, 1]]]
    assert [claim.line for claim in found.claims] == ["head@1"]


@pytest.mark.parametrize(("source", "shown", "line", "given"), [
    ("np.exp(z) / np.sum(np.exp(z))", "array([0.09003057, 0.24472847, 0.66524096])", "probabilities", "logits"),
    ("softmax(z)", "array([0.09003057, 0.24472847, 0.66524096])", "probabilities", "logits"),
])  # fmt: skip
def test_a_softmax_alone_is_a_problem(tmp_path, source, shown, line, given):
    """Numbers whose softmax is printed become logits and a claim, which agrees."""
    cells = [("z = np.array([1.0, 2.0, 3.0])", ""), (source, shown)]
    problem = propose(notebook(tmp_path / "softmax.ipynb", cells)).problem
    assert problem.given == (given,)
    assert [claim.line for claim in problem.claims] == [line]
    assert diagnose(problem.claims, problem.trace()).verdict == "agrees"


def test_a_norm_alone_is_a_problem(tmp_path):
    """A matrix whose norm is printed becomes a problem of the norm, with the eps of the function."""
    cells = [
        ("def layer_norm(x, eps=1e-3):\n    return (x - x.mean(-1)) / np.sqrt(x.var(-1) + eps)", ""),
        ("a = np.array([[1, 2], [2, 5]])\nlayer_norm(a)", "array([[-0.998, 0.998],\n       [-1.000, 1.000]])"),
    ]
    problem = propose(notebook(tmp_path / "norm.ipynb", cells)).problem
    assert problem.spec.norm.eps == 1e-3
    assert diagnose(problem.claims, problem.trace()).verdict == "agrees"


def test_a_workbook_is_read_by_its_labels(tmp_path):
    """Blocks under labels become given arrays, blocks that formulas filled become claims."""
    path = tmp_path / "hand.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("attention")
        for column, label, rows in (
            (0, "X", [[1, 0], [0, 1]]),
            (4, "WQ", [[1, 0], [0, 2]]),
            (8, "WK", [[1, 1], [0, 1]]),
        ):
            sheet.write(0, column, label)
            for row, numbers in enumerate(rows, start=1):
                sheet.write_row(row, column, numbers)
        sheet.write(5, 0, "Scores")
        for row, numbers in enumerate([[1, 0], [2, 2]]):
            for column, number in enumerate(numbers):
                sheet.write_formula(6 + row, column, "=0", None, number)
    found = propose(path).problem
    np.testing.assert_array_equal(found.arrays["query.weight"], [[[1, 0], [0, 2]]])
    assert [(claim.line, claim.values.tolist()) for claim in found.claims] == [("scores@1", [[1, 0], [2, 2]])]


def test_a_norm_in_steps_is_followed_to_its_gain_and_bias(tmp_path):
    """Mean, variance and quotient on lines of their own, then a gain and a bias: what is printed agrees."""
    x, gain, bias = np.array([[1.0, 2.0, 4.0], [0.5, -1.5, 3.0]]), np.array([2.0, 0.5, 1.0]), np.array([0.0, 1.0, -1.0])
    normalized = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3)
    cells = [
        ("x = np.array([[1, 2, 4], [0.5, -1.5, 3]])\nmu = x.mean(-1, keepdims=True)\n"
         "var = x.var(-1, keepdims=True)", ""),
        ("eps = 1e-3\nh = (x - mu) / np.sqrt(var + eps)\nh", repr(normalized.round(4))),
        ("g = np.array([2, 0.5, 1])\nb = np.array([0, 1, -1])\ny = g * h + b\ny",
         repr((gain * normalized + bias).round(4))),
    ]  # fmt: skip
    problem = propose(notebook(tmp_path / "norm.ipynb", cells)).problem
    assert [claim.line for claim in problem.claims] == ["norm.normalized", "norm"]
    assert problem.spec.norm.eps == 1e-3
    assert diagnose(problem.claims, problem.trace()).verdict == "agrees"


def test_what_is_no_norm_in_steps_is_not_taken_for_one(tmp_path):
    """A matrix less the mean of another one, over its own spread, is left out."""
    cells = [("x = np.array([[1, 2], [2, 5]])\nz = np.array([[3, 1], [0, 1]])", ""),
             ("h = (x - z.mean(-1)) / x.std(-1)\nh", "array([[-1., 1.],\n       [-1., 1.]])")]  # fmt: skip
    with pytest.raises(ProblemError):
        propose(notebook(tmp_path / "other.ipynb", cells))


def test_a_function_of_sines_and_cosines_gives_positions(tmp_path):
    """The base is read in the function, and said to be a guess; what was printed agrees."""
    encoded = [[f(p / 1000 ** (i / 4)) for i in (0, 2) for f in (np.sin, np.cos)] for p in range(3)]
    cells = [
        ("def encode(n, d):\n    pe = np.zeros((n, d))\n    for p in range(n):\n        for i in range(0, d, 2):\n"
         "            pe[p, i] = np.sin(p / 1000 ** (i / d))\n            pe[p, i + 1] = np.cos(p / 1000 ** (i / d))\n"
         "    return pe", ""),
        ("pe = encode(3, 4)\npe.round(3)", repr(np.array(encoded).round(3))),
    ]  # fmt: skip
    found = propose(notebook(tmp_path / "positions.ipynb", cells))
    assert found.problem.spec.base == 1000
    assert any("base 1000" in each for each in found.unsure)
    assert diagnose(found.problem.claims, found.problem.trace()).verdict == "agrees"


def test_a_loss_in_steps_has_targets(tmp_path):
    """Of a softmax the share of each target, its logarithm with a minus: the losses of the tokens are a claim."""
    logits, target = np.array([[2.0, 1.0, 0.1], [0.5, 2.2, -0.3]]), np.array([0, 2])
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    cells = [
        ("z = np.array([[2, 1, 0.1], [0.5, 2.2, -0.3]])\ny = np.array([0, 2])", ""),
        ("e = np.exp(z)\np = e / e.sum(axis=1, keepdims=True)\np", repr(share.round(4))),
        ("loss = -np.log(p[np.arange(2), y])\nloss", repr(-np.log(share[[0, 1], target]).round(4))),
    ]
    problem = propose(notebook(tmp_path / "loss.ipynb", cells)).problem
    assert [claim.line for claim in problem.claims] == ["probabilities", "loss.token"]
    assert diagnose(problem.claims, problem.trace()).verdict == "agrees"


def test_numbers_typed_into_a_workbook_are_claims_too(tmp_path):
    """Titles of several words name the blocks, above headings of columns; what follows from others is a claim."""
    path = tmp_path / "typed.xlsx"
    scores = np.array([[1, 0.5], [0.25, 2]]) @ np.array([[0.5, 1], [1, 0]]).T
    weights = np.exp(scores / 2**0.5) / np.exp(scores / 2**0.5).sum(axis=1, keepdims=True)
    blocks = (("Queries Q", [[1, 0.5], [0.25, 2]]), ("The keys", [[0.5, 1], [1, 0]]), ("All values", [[1, 0], [0, 1]]),
              ("Attention weights", weights.round(3)), ("Output", weights.round(3)))  # fmt: skip
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("by hand")
        for number, (title, rows) in enumerate(blocks):
            sheet.merge_range(0, 4 * number, 0, 4 * number + 2, title)
            sheet.write_row(1, 4 * number + 1, ["d1", "d2"])
            for row, numbers in enumerate(rows, start=2):
                sheet.write_row(row, 4 * number, [f"word {row}", *map(float, numbers)])
    problem = propose(path).problem
    assert problem.given == ("query", "key", "value")
    assert [claim.line for claim in problem.claims] == ["weights@1", "concat"]
    assert diagnose(problem.claims, problem.trace()).verdict == "agrees"


def test_the_command_says_what_is_not_sure(tmp_path):
    """``new --from`` writes the file, and says on stderr which example it is and what is not sure."""
    source = notebook(tmp_path / "lecture.ipynb", TWO_HEADS)
    target = tmp_path / "mine.toml"
    ran = CliRunner().invoke(main, ["new", str(target), "--from", str(source)])
    assert ran.exit_code == 0
    assert ran.stdout.startswith("Wrote ")
    assert "2 examples were found; this is number 2" in ran.stderr
    assert "Not sure: " in ran.stderr
    assert target.read_text().startswith("# Proposed from lecture.ipynb")
    first = CliRunner().invoke(main, ["new", "-", "--from", str(source), "--example", "1"])
    assert 'line = "query@1"' in first.stdout


@pytest.mark.parametrize(("name", "content", "says"), [
    ("a.ipynb", b"{}", "it has no cells"),
    ("a.py", b"x = (", "no Python that can be read"),
    ("a.py", b"print(1)", "Nothing is run.".lower()),
    ("a.xlsx", b"PK", "no workbook"),
    ("a.txt", b"", "ends in .ipynb, .py, .xlsx"),
    ("a.py", b"q = (" + b"1+" * 5000 + b"1)", "a.py"),
    ("a.py", b"def f(x):\n  return " + b"f(x)@" * 50 + b"x\nf([[1,0],[0,1]])", "a.py"),
    ("a.py", b"x = [[1.0]]\n" + b"x = x @ x.T\n" * 200, "a.py"),
])  # fmt: skip
def test_what_cannot_be_proposed_is_said(tmp_path, name, content, says):
    """A file without numbers of attention, damaged, or made to be slow ends in words."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ProblemError, match=says):
        propose(path)
