"""Traces: numbers by name, and what made them."""

import math
from itertools import product

import numpy as np
import pytest
from msgspec.structs import replace

from clearhead.errors import ShapeError, UnknownName
from clearhead.expr.evaluate import round_half_away
from clearhead.line import Given, Line
from clearhead.ops.textbook import linear
from clearhead.spec import Attention, Block, Norm, Positions, Rotary
from clearhead.trace import MAX_NAMES, Trace
from clearhead.working import Working

FUNCTIONS = {
    "abs": abs, "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "sin": math.sin, "cos": math.cos,
    "tanh": math.tanh, "erf": math.erf, "max": max, "round": round_half_away, "inf": math.inf, "nan": math.nan,
}  # fmt: skip


@pytest.fixture
def trace(two_heads):
    """The notebook's example 1 as attention without an output projection."""
    return Attention(heads=2, output=False).working().run(two_heads, tokens=["a", "b", "c"])


@pytest.fixture
def rich_trace(rich, arrays_for, sizes):
    """A block with every feature, worked out."""
    working = rich.working()
    return working.run(arrays_for(working, sizes))


def test_the_sentence_of_the_first_example(trace):
    """One cell of the notebook's example 1, down to its arithmetic.

    softmax(2, 4, 2) is (0.1065, 0.7870, 0.1065), and 2.4142 is what it makes of the values 2, 3 and -1.5.
    """
    explanation = trace.explain("head@2", 0, 0)
    assert str(explanation) == "head@2[1,1] = 0.107*2 + 0.787*3 + 0.107*(-1.5) = 2.414"
    assert explanation.formula == "head[i,d] = sum_j weights[i,j]*value[j,d]"
    share = 1 / (2 + math.exp(2))
    assert explanation.value == pytest.approx(0.5 * share + 3 * (1 - 2 * share), rel=1e-15)
    assert explanation.reads == tuple(
        read for key in range(3) for read in [("weights", (1, 0, key)), ("value", (1, key, 0))]
    )


@pytest.mark.parametrize(
    ("address", "cell", "expected"),
    [
        ("query@2", (1, 0), "query@2[2,1] = 1*1 + 2*1 = 3"),
        ("scores@1", (2, 2), "scores@1[3,3] = 0*(-2.5) = 0"),
        ("scaled@2", (0, 1), "scaled@2[1,2] = 4/sqrt(1) = 4"),
        ("weights@2", (0, 1), "weights@2[1,2] = exp(4)/(exp(2) + exp(4) + exp(2)) = 0.787"),
        ("concat", (2, 1), "concat[3,2] = 0.525"),
        ("weights", (0, 2, 1), "weights@1[3,2] = exp(0)/(exp(0) + exp(0) + exp(0)) = 0.333"),
        ("input", (2, 0), "input[3,1] = -2.5"),
        ("query.weight@2", (1, 0), "query.weight@2[2,1] = 1"),
    ],
)
def test_arithmetic_of_cells(trace, address, cell, expected):
    """Each kind of line shows its numbers; a value that is merely fetched is not written twice."""
    if address == "concat":
        expected = f"concat[3,2] = {trace['concat'][2, 1]:.3f}".rstrip("0")
    assert str(trace.explain(address, *cell)) == expected


def test_decimals_are_for_show(trace):
    """More decimals show more digits, None all of them; the value itself is never rounded."""
    assert str(trace.explain("weights@1", 0, 0, decimals=1)).endswith("= 0.3")
    every = trace.explain("head@2", 0, 0, decimals=None)
    assert float(str(every).rpartition("= ")[2]) == every.value == trace["head@2"][0, 0]


def test_long_sums_are_shortened(rich_trace):
    """A sum of 24 terms shows five and says how many more there are and what they come to."""
    explanation = rich_trace.explain("attention.output.product", 0, 0)
    assert " + ... 19 more (" in explanation.numbers
    assert "more" not in rich_trace.explain("attention.output.product", 0, 0, max_terms=24).numbers


def cells(array):
    """A few cells of an array: its corners."""
    return product(*({0, size - 1} for size in array.shape))


def test_every_line_explains_its_cells(rich_trace):
    """For every line of a rich block: the value is the cell's, and the numbers shown evaluate to it."""
    lines = [line for line in rich_trace.working.lines if isinstance(line, Line)]
    for line in lines:
        for cell in cells(rich_trace[line.name]):
            explanation = rich_trace.explain(line.name, *cell, decimals=None, max_terms=99)
            assert explanation.value == rich_trace[line.name][cell]
            shown = explanation.numbers.replace("^", "**").replace(" mod ", "%")
            said = eval(shown, dict(FUNCTIONS))
            assert said == pytest.approx(explanation.value, rel=1e-9, abs=1e-12), line.name


def test_every_step_follows_from_its_numbers(rich_trace):
    """The steps of a norm, mean and variance, evaluate to the values that the last line of arithmetic uses."""
    first, second, last = str(rich_trace.explain("mlp.norm.normalized", 1, 2, decimals=None, max_terms=9)).splitlines()
    mean, variance = (float(line.rpartition("= ")[2]) for line in (first, second))
    row = rich_trace["mlp.residual"][1]
    assert mean == pytest.approx(np.mean(row), rel=1e-12)
    assert variance == pytest.approx(np.var(row), rel=1e-12)
    assert repr(variance) in last


def test_what_an_explanation_reads_is_what_it_shows(rich_trace):
    """Every cell that went in is listed by name and place, and holds the number that is shown."""
    explanation = rich_trace.explain("attention.head@3", 2, 1, decimals=None)
    assert [name for name, _ in explanation.reads] == ["attention.weights", "attention.value.repeated"] * 5
    for name, cell in explanation.reads:
        assert cell[0] == 2
        assert repr(abs(float(rich_trace[name][cell]))).replace("e-0", "e-") in explanation.numbers or (
            rich_trace[name][cell] == 0
        )


def test_positions_are_explained_in_a_batch():
    """A line that has no batch of its own, beside operands that have one, is explained like any other."""
    working = Attention(heads=1, rotary=Rotary()).working()
    arrays = {f"{name}.weight": np.ones((1, 5, 4)) for name in ("query", "key", "value")}
    trace = working.run({**arrays, "input": np.ones((3, 2, 5)), "output.weight": np.ones((4, 5))})
    assert trace["rotary.position"].shape == (2,)
    assert str(trace.explain("rotary.position", 1)) == "rotary.position[2] = 1"
    assert str(trace.explain("query.rotated@1", 2, 0, 3)) == "query.rotated@1[3,1,4] = 5*1 + 5*0 = 5"


def test_names_endings_and_heads(rich_trace):
    """A line is found by its path or an unambiguous ending, one head of it by @."""
    weights = rich_trace["attention.weights"]
    assert rich_trace["weights"] is weights
    np.testing.assert_array_equal(rich_trace["weights@4"], weights[3])
    np.testing.assert_array_equal(rich_trace["past.key@2"], rich_trace["attention.past.key"][1])
    assert rich_trace["alibi.slope@1"] == rich_trace["attention.alibi.slope"][0]
    assert "weights@4" in rich_trace
    assert "weights@5" not in rich_trace
    assert "norm" not in rich_trace
    assert rich_trace.axes("weights") == ("head", "query", "key")


def test_heads_of_a_batch():
    """@ selects from the axis of heads wherever the batch pushes it; what all examples share is read once for each."""
    working = Attention(heads=2, output=False).working().starting_at("weights", "value")
    trace = working.run({"weights": np.ones((5, 2, 3, 4)), "value": np.ones((1, 2, 4, 6))})
    assert trace["head@2"].shape == (5, 3, 6)
    assert trace.axes("head") == ("batch", "head", "token", "depth")
    assert str(trace.explain("head@2", 4, 0, 5)) == "head@2[5,1,6] = 1*1 + 1*1 + 1*1 + 1*1 = 4"


def test_counting_from_0(two_heads):
    """A working that counts from 0, as checkpoints do, labels heads and cells from 0."""
    working = replace(Attention(heads=2, output=False).working(), label_base=0)
    trace = working.run(two_heads)
    assert str(trace.explain("head@1", 0, 0)) == "head@1[0,0] = 0.107*2 + 0.787*3 + 0.107*(-1.5) = 2.414"
    with pytest.raises(UnknownName, match="scores has heads 0 to 1, not 2"):
        trace["scores@2"]
    with pytest.raises(ShapeError, match="scores has query 0 to 2, not 3"):
        trace.explain("scores@0", 3, 0)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("wieghts", "There is no line 'wieghts'. Did you mean weights?"),
        ("weights@3", "weights has heads 1 to 2, not 3."),
        ("weights@0", "weights has heads 1 to 2, not 0."),
        ("concat@1", "concat has no heads: its axes are token, head*depth. Leave out @1."),
        ("weights@two", "'weights@two': after @ comes the number of a head, as in weights@2; got 'two'."),
    ],
)
def test_wrong_names(trace, address, message):
    """A name that finds nothing is answered with what there is instead."""
    with pytest.raises(UnknownName) as caught:
        trace[address]
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("address", "cell", "message"),
    [
        ("weights@2", (0,), "A cell of weights needs 2 indices (query, key), got 1 (1)."),
        ("weights", (0, 1), "A cell of weights needs 3 indices (head, query, key), got 2 (1, 2)."),
        ("weights", (), "A cell of weights needs 3 indices (head, query, key), got none."),
        ("concat", (0, 1, 2), "A cell of concat needs 2 indices (token, head*depth), got 3 (1, 2, 3)."),
        ("weights@2", (0, 3), "weights has key 1 to 3, not 4."),
        ("weights@2", (-1, 0), "weights has query 1 to 3, not 0."),
    ],
)
def test_wrong_cells(trace, address, cell, message):
    """Too few, too many or impossible indices are answered in axis words, counted as the trace counts."""
    with pytest.raises(ShapeError) as caught:
        trace.explain(address, *cell)
    assert str(caught.value) == message


def test_what_was_not_kept(two_heads):
    """A line that was not kept says so and names what was; its cells are worked out again to be explained."""
    whole = Attention(heads=2, output=False).working().run(two_heads)
    trace = Attention(heads=2, output=False).working().run(two_heads, keep=["weights", "head"])
    kept = "input, query.weight, key.weight, value.weight, weights, head"
    with pytest.raises(UnknownName, match=f"^scores was not kept. Kept are {kept}; add it to keep=.$"):
        trace["scores"]
    for address, cell in (("head@1", (0, 0)), ("scores@2", (1, 0)), ("weights@1", (2, 1))):
        assert trace.explain(address, *cell) == whole.explain(address, *cell)
    assert list(trace) == kept.split(", ")
    assert repr(trace) == f"<Trace of 6 arrays: {kept}>"


AXES = ("token", "model")


@pytest.mark.parametrize(("count", "more"), [(MAX_NAMES - 1, ""), (MAX_NAMES, ""), (MAX_NAMES + 1, " and 1 more")])
def test_a_repr_names_as_many_arrays_as_it_has_room_for(count, more):
    """Up to 24 names stand in a repr; of more it says how many are left out."""
    lines = tuple(Line(f"line{number}", linear.add, ("input",) * 2, AXES) for number in range(count))
    working = Working((Given("input", AXES),), lines)
    shown = repr(Trace(working, {each.name: 0.0 for each in lines}))
    assert shown.startswith(f"<Trace of {count} arrays: line0, ")
    assert shown.endswith(f"line{min(count, MAX_NAMES) - 1}{more}>")


def test_flags_keep_what_notes_need():
    """Where the weights were not kept, the rows that see nothing are, and the note is the same."""
    working = Attention(1, scale=1.0, mask="boolean", output=False).working().starting_at("scores", "value")
    given = {
        "scores": np.zeros((1, 2, 2)),
        "value": np.ones((1, 2, 1)),
        "mask": np.array([[True, True], [False, False]]),
    }
    trace = working.run(given, keep=["head"])
    assert {name: np.asarray(rows).tolist() for name, rows in trace.flags.items()} == {"weights": [[False, True]]}
    assert trace.notes == working.run(given).notes != ()


@pytest.mark.parametrize("count", [2, 4])
def test_tokens_label_only_as_many_rows_as_they_are(count):
    """An axis of fewer or more tokens than there are names, such as keys of another text, has numbers."""
    working = Attention(1, scale=1.0, memory=True, output=False).working().starting_at("scores", "value")
    given = {"scores": np.zeros((1, 3, count)), "value": np.ones((1, count, 2))}
    trace = working.run(given, tokens=("a", "b", "c"))
    assert trace.labels("weights@1") == (("a", "b", "c"), tuple(map(str, range(1, count + 1))))


def test_labels(trace):
    """Axes of tokens are labelled with the tokens, others with numbers."""
    assert trace.left_axes("weights@2") == ("query", "key")
    assert trace.labels("weights@2") == (("a", "b", "c"), ("a", "b", "c"))
    assert trace.labels("head") == (("1", "2"), ("a", "b", "c"), ("1",))


def test_notes_of_the_second_example(soccer):
    """The notebook's example 2 has a token without spread, soccer, and its trace says so."""
    block = Block(Attention(heads=2), norm=Norm(eps=0, gain=False), positions=Positions())
    trace = block.working().run(soccer, tokens=["Chaky", "loves", "soccer"])
    (note,) = trace.notes
    assert (note.line, note.rows, note.where) == ("norm", ((2,),), "token 3 (soccer)")
    assert np.isnan(trace["norm"][2]).all()
    assert np.isfinite(trace["norm"][:2]).all()


def test_values_beyond_all_bounds_are_explained():
    """Overflow and infinities in the data show as inf and NaN; explaining never raises because of them."""
    working = Block(Attention(heads=1, output=False), norm=Norm(eps=0, gain=False)).working().starting_at("residual")
    trace = working.run({"residual": [[1e200, -1e200], [math.inf, 1.0]]})
    assert str(trace.explain("norm", 0, 0)).splitlines()[1].endswith("= inf")
    assert str(trace.explain("norm", 1, 1)).endswith("= NaN")
