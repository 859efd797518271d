"""Problems from tokens to a loss as files: what they state, what they lack, and what would fix them."""

import math

import numpy as np
import pytest

from clearhead import Claim, diagnose, read_problem
from clearhead.errors import ProblemError
from clearhead.problems import Problem, format_problem, parse_problem
from clearhead.show import View
from clearhead.show.export import Export
from clearhead.spec import Attention, Block, Embedding, Encoder, Head, Loss, Mlp, Norm, Positions, Transformer

NEXT_WORD = """
format = 1
title = "The next word"
tokens = ["the", "cat"]
[model.embedding]
[model.embedding.positions]
kind = "sinusoidal"
[[model.layers]]
[model.layers.attention]
heads = 1
projected = false
output = false
causal = true
[model.head]
tied = true
[model.loss]
[arrays]
embedding.weight = [[1, 0], [0, 1], [1, 1]]
token = [0, 1]
target = [1, 2]
"""

SIZES = {
    "vocabulary": 5, "model": 4, "head": 2, "depth": 2, "token": 3, "query": 3, "key": 3, "hidden": 3, "head*depth": 4,
    "position": 6,
}  # fmt: skip

SPECS = [
    Transformer(Embedding(positions=Positions("sinusoidal")), (Block(Attention(2), repeat=2),), head=Head(tied=True)),
    Transformer(
        Embedding(),
        (Block(Attention(2, causal=True), Norm(), cross=Attention(2), mlp=Mlp(), repeat=2), Block(Attention(2))),
        encoder=Encoder((Block(Attention(2)),), Embedding(positions=True)),
        head=Head(probabilities=True),
    ),
    Transformer(layers=(Block(Attention(2, dropout=0.1)),), loss=Loss("squared-error")),
    Transformer(head=Head(), loss=Loss(smoothing=0.1, ignored=-100), first=0),
]


def problem_of(spec):
    """A problem with drawn numbers for a spec."""
    rng = np.random.default_rng(0)

    def array(given):
        shape = [SIZES[word] for word in given.axes]
        if given.holds == "integers":
            return rng.integers(0, 5, shape)
        return rng.random(shape) < 0.7 if given.holds == "booleans" else rng.normal(size=shape).round(1)

    return Problem(title="T", spec=spec, arrays={given.name: array(given) for given in spec.working().givens})


@pytest.mark.parametrize("spec", SPECS)
def test_models_are_written_and_read_back(spec):
    """Whatever a model is made of, its file reads back as the same problem."""
    problem = problem_of(spec)
    assert parse_problem(format_problem(problem)) == problem


def test_a_next_word_by_hand():
    """Rows are looked up, positions added, attention, logits and loss computed, as plain NumPy does it."""
    trace = parse_problem(NEXT_WORD).trace()
    x = np.array([[1.0, 0.0 + 1.0], [0.0 + math.sin(1), 1.0 + math.cos(1)]])
    weights = np.tril(np.exp(x @ x.T / math.sqrt(2)))
    weights /= weights.sum(-1, keepdims=True)
    logits = (x + weights @ x) @ np.array([[1, 0], [0, 1], [1, 1]]).T
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(trace["probabilities"], probabilities, rtol=1e-14)
    assert float(trace["loss"]) == pytest.approx(-np.log(probabilities[[0, 1], [1, 2]]).mean(), rel=1e-14)
    assert str(trace.explain("loss.token", 1)).startswith("loss.token[2] = -log(0.")


@pytest.mark.parametrize("ending", ["html", "xlsx", "ipynb", "py", "tex", "md", "json", "npz", "svg", "txt"])
def test_every_medium_takes_a_single_number(ending, tmp_path):
    """A loss has no axes, and is shown all the same wherever a matrix is."""
    problem = parse_problem(NEXT_WORD)
    Export.of(problem.trace(), tmp_path / f"next.{ending}", View(problem.title)).write()
    assert (tmp_path / f"next.{ending}").stat().st_size > 100


FROM_SCORES = """
format = 1
title = "From printed scores"
given = ["scores", "value"]
[attention]
heads = 1
output = false
[arrays]
scores = [[[1, 2], [0, 1]]]
value = [[[1], [0]]]
"""

FROM_SCALED = """
format = 1
title = "Weights alone"
given = ["scaled"]
[attention]
heads = 1
output = false
[arrays]
scaled = [[[1, 2], [0, 1]]]
"""

WITH_NORM = """
format = 1
title = "A norm"
[block.attention]
heads = 1
projected = false
output = false
[block.norm]
[arrays]
input = [[1, 2], [0, 1]]
"""


@pytest.mark.parametrize(
    ("text", "says", "changed"),
    [
        (FROM_SCORES, "or write scale = 1 below [attention]", ("heads = 1", "heads = 1\nscale = 1")),
        (WITH_NORM, "or write gain = false below [block.norm]", ("[block.norm]", "[block.norm]\ngain = false")),
        (WITH_NORM.replace("projected = false\n", "").replace("[block.norm]\n", ""),
         "or write projected = false below [block.attention]", ("heads = 1", "heads = 1\nprojected = false")),
        (WITH_NORM.replace("[block.norm]\n", "bias = true\n").replace("projected = false\n", ""),
         "query.weight (head=1, model, depth)", None),
        (FROM_SCALED, 'or write until = ["weights"] above the tables',
         ("format = 1", 'format = 1\nuntil = ["weights"]')),
    ],
)  # fmt: skip
def test_what_would_mend_a_problem_is_named_and_does(text, says, changed):
    """Where arrays are missing the error names the field that spares them; with it the problem can be read."""
    with pytest.raises(ProblemError) as caught:
        parse_problem(text)
    assert says in str(caught.value)
    if changed:
        assert parse_problem(text.replace(*changed)).trace()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("token = [0, 1]", "token = [0, 3]", "arrays.token[1] expects the number of one of the 3 places of embedding"),
        ("token = [0, 1]", "token = [0, -1]", "arrays.token[1] expects the number of one of the 3 places"),
        ("token = [0, 1]", "token = [0, 0.5]", "arrays.token[1] expects a whole number, got 0.5"),
        ("target = [1, 2]", "target = [1, 7]", "arrays.target[1] expects the number of one of the 3 places of prob"),
        ("[model.head]", "[attention]\nheads = 1\n[model.head]", "attention and model: a problem has one of these"),
    ],
)
def test_what_does_not_fit_is_refused(old, new, message):
    """Numbers that name no row, and two specs at once, are refused with their place."""
    with pytest.raises(ProblemError) as caught:
        parse_problem(NEXT_WORD.replace(old, new))
    assert message in str(caught.value)


def test_until_leaves_out_what_comes_behind():
    """Weights alone need no values: ``until`` names the last line."""
    text = WITH_NORM.replace("[block.norm]\n", "").replace('title = "A norm"', 'title = "W"\nuntil = ["weights"]')
    problem = parse_problem(text)
    assert [line.name for line in problem.textbook().lines] == ["query", "key", "scores", "scaled", "weights"]
    assert parse_problem(format_problem(problem)) == problem
    with pytest.raises(ProblemError, match="until: There is no line 'wieghts'"):
        parse_problem(text.replace('"weights"', '"wieghts"'))


def test_until_keeps_the_exponentials_that_were_asked_for():
    """A softmax alone, with its exponentials and sums as lines, which its weights do not read."""
    text = (
        'format = 1\ntitle = "Softmax"\ngiven = ["scores"]\nuntil = ["weights"]\n[attention]\nheads = 1\n'
        "output = false\nscale = 1\nexponentials = true\n[arrays]\nscores = [[[2.5, 1.0, -0.5]]]\n"
    )
    trace = parse_problem(text).trace()
    np.testing.assert_allclose(trace["exponentials"][0, 0], np.exp([2.5, 1.0, -0.5]), rtol=1e-15)
    np.testing.assert_allclose(trace["sums"][0, 0], np.exp([2.5, 1.0, -0.5]).sum(), rtol=1e-15)
    rounded = [
        Claim("exponentials@1", (("12.18", "2.72", "0.61"),)),
        Claim("sums@1", ("15.51",)),
        Claim("weights@1", (("0.785", "0.175", "0.039"),)),
    ]
    report = diagnose(rounded, trace)
    assert report.precision.kind == "steps"  # exponentials to two decimals, weights to three: nobody cut digits off
    plain = parse_problem(text.replace("exponentials = true\n", ""))
    assert [line.name for line in plain.textbook().lines] == ["scaled", "weights"]


def test_positions_alone_are_a_problem(tmp_path):
    """Sinusoids of given positions, without an embedding or an attention."""
    path = tmp_path / "positions.toml"
    path.write_text('format = 1\ntitle = "P"\n[positions]\nkind = "sinusoidal"\nwidth = 2\n[arrays]\nindex = [0, 1]\n')
    found = read_problem(path).trace()["position"]
    np.testing.assert_allclose(found, [[0, 1], [math.sin(1), math.cos(1)]], rtol=1e-15)
