"""Deviations: rewrites that give the numbers somebody else got."""

import re
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from clearhead.deviations import Applied, deviate, deviation, parse_deviation
from clearhead.deviations.table import DEVIATIONS
from clearhead.errors import ClearheadError, SpecError, UnknownName
from clearhead.spec import Attention, Block, Norm, Positions

SOCCER = Block(Attention(heads=2), norm=Norm(eps=0, gain=False), positions=Positions())
OF_THE_NOTEBOOK = ("softmax-over-queries", "scale-after-softmax", "norm-over-matrix")
ATTENTION = Attention(heads=2, output=False)


@pytest.mark.parametrize("order", list(permutations(OF_THE_NOTEBOOK)))
def test_the_notebooks_second_example(soccer, order):
    """Cells 21 to 25 come out to all eight decimals printed, in whatever order the three deviations are applied."""
    trace = deviate(SOCCER.working(), *order).run(soccer)
    printed = {
        "input": [[1, 0], [0, -1], [1, 1]],
        "query@2": [[1], [-1], [2]],
        "head@1": [[0.08860486], [-0.33190762], [0.24330276]],
        "head@2": [[-0.00925226], [-2.19805087], [0.20730313]],
        "output": [[0.08860486, 0.08860486], [-0.33190762, -0.33190762], [0.24330276, 0.24330276]],
        "residual": [[1.08860486, 0.08860486], [-0.33190762, -1.33190762], [1.24330276, 1.24330276]],
        "norm": [[0.7887128, -0.25556435], [-0.69469593, -1.73897308], [0.95026028, 0.95026028]],
    }
    for name, numbers in printed.items():
        np.testing.assert_array_equal(np.round(trace[name], 8), numbers, err_msg=name)
    assert trace.notes == ()


def test_the_notebooks_hand_solution(two_heads):
    """The hand values of cells 8 and 9 are row softmax: weights rounded to 2 decimals, and 7/6 rounded to one."""
    working = deviate(ATTENTION.working(), "round:line=weights@2,decimals=2", "round:line=head@1,decimals=1")
    trace = working.run(two_heads)
    np.testing.assert_array_equal(trace["weights@2"], [[0.11, 0.79, 0.11], [0.05, 0.91, 0.05], [0.45, 0.1, 0.45]])
    np.testing.assert_allclose(trace["head.unrounded@1"], [[7 / 6]] * 3)
    np.testing.assert_allclose(trace["head@1"], [[1.2], [1.2], [1.2]])
    np.testing.assert_allclose(trace["head@2"], [[2.425], [2.755], [0.525]], rtol=1e-12)


def test_rounding_one_head(two_heads):
    """A head may be rounded by itself; the exact line stays in the trace beside it."""
    trace = deviate(ATTENTION.working(), "round:line=weights@2,decimals=1").run(two_heads)
    np.testing.assert_array_equal(trace["weights@1"], trace["weights.unrounded@1"])
    np.testing.assert_array_equal(trace["weights@2"][0], [0.1, 0.8, 0.1])
    assert str(trace.explain("weights@2", 0, 1)) == "weights@2[1,2] = round(0.787, 1) = 0.8"
    assert str(trace.explain("weights@1", 0, 1)) == "weights@1[1,2] = 0.333"


def test_heads_are_counted_as_the_working_counts(two_heads):
    """In a working that counts from 0, weights@1 is the second head."""
    working = deviate(replace(ATTENTION.working(), label_base=0), "round:line=weights@1,decimals=1")
    np.testing.assert_array_equal(working.run(two_heads)["weights"][1, 0], [0.1, 0.8, 0.1])


def test_softmax_over_queries_by_hand(two_heads):
    """Columns, not rows, add up to one."""
    trace = deviate(ATTENTION.working(), "softmax-over-queries").run(two_heads)
    np.testing.assert_allclose(trace["weights"].sum(axis=-2), 1)
    assert trace.explain("weights@1", 0, 1).formula == "weights[i,j] = exp(scaled[i,j])/(sum_k exp(scaled[k,j]))"


@pytest.mark.parametrize("scale", [None, 0.25])
def test_scale_after_softmax_by_hand(scale):
    """Scores go unscaled into the softmax, and the weights are scaled: rows add up to the scale."""
    working = deviate(Attention(heads=1, scale=scale, output=False).working(), "scale-after-softmax")
    arrays = {"query": [[[1.0] * 4]], "key": [[[0.5] * 4] * 2], "value": [[[1.0]] * 2]}
    trace = working.starting_at("query", "key", "value").run(arrays)
    np.testing.assert_allclose(trace["weights.unscaled"], [[[0.5, 0.5]]])
    factor = 0.5 if scale is None else 0.25
    np.testing.assert_allclose(trace["weights"], [[[0.5 * factor, 0.5 * factor]]])
    assert "scaled" not in trace


def test_norm_over_matrix_by_hand():
    """One mean and one standard deviation for all cells: here 3 and 2."""
    block = Block(Attention(heads=1), norm=Norm(eps=0, gain=False))
    working = deviate(block.working(), "norm-over-matrix").starting_at("residual")
    trace = working.run({"residual": [[1, 5, 1], [5, 1, 5]]})
    np.testing.assert_allclose(trace["norm"], [[-1, 1, -1], [1, -1, 1]])


def test_lines_after_a_moved_scale_read_the_unscaled_scores():
    """Masks and soft-caps between the scale and the softmax stay where they are, without the scale."""
    spec = Attention(heads=2, softcap=5.0, causal=True)
    working = deviate(spec.working(), "scale-after-softmax")
    names = " ".join(line.name for line in working.lines)
    assert names == "query key value scores capped masked weights.unscaled weights head concat output"
    assert working.line("capped").operands == ("scores",)
    assert working.line("weights").operands == ("weights.unscaled", "query")


@pytest.mark.parametrize("each", DEVIATIONS.values(), ids=DEVIATIONS)
def test_every_deviation_explains_itself(each):
    """Each says what it does, when it cannot be seen, how to fix it and where it was seen, in sentences."""
    assert DEVIATIONS[each.id] is each
    assert len(each.does.split()) > 3
    for said in (each.does, each.invisible, each.remedy, each.seen):
        assert said.rstrip(")").endswith(".")
        assert said[0] != " "
    assert each.kind in ("mistake", "convention", "rounding")
    assert all(parameter.about for parameter in each.parameters)


EXAMPLES = {
    "softmax-over-queries": "softmax-over-queries",
    "scale-after-softmax": "scale-after-softmax",
    "norm-over-matrix": "norm-over-matrix",
    "round": "round:line=weights,decimals=1",
}


@pytest.mark.parametrize("pair", list(permutations(OF_THE_NOTEBOOK, 2)))
def test_rewrites_of_different_lines_commute(pair, arrays_for):
    """Two deviations that touch different things give the same numbers in either order."""
    working = Block(Attention(heads=2, causal=True), norm=Norm()).working()
    arrays = arrays_for(working, {"token": 3, "model": 5, "head": 2, "depth": 4, "head*depth": 8})
    first, second = deviate(working, *pair).run(arrays), deviate(working, *pair[::-1]).run(arrays)
    np.testing.assert_array_equal(first["norm"], second["norm"])


NOTHING_TO_DO = {
    "softmax-over-queries": "softmax-over-queries has nothing to rewrite: no line of this working is a softmax.",
    "scale-after-softmax": "scale-after-softmax has nothing to rewrite: no line of this working is a scale",
    "norm-over-matrix": "norm-over-matrix has nothing to rewrite: no line of this working is a norm.",
}


@pytest.mark.parametrize(("id", "message"), NOTHING_TO_DO.items())
def test_nothing_to_rewrite(id, message):
    """A deviation that finds no line of its kind says so instead of changing nothing."""
    working = ATTENTION.working().starting_at("head")
    with pytest.raises(SpecError) as caught:
        deviate(working, id)
    assert str(caught.value).startswith(message)


def test_truth_values_are_not_rounded():
    """A mask that a deviation transposes stays a mask when every line is rounded; to round it alone is refused."""
    working = deviate(Attention(heads=2, mask="boolean", output=False).working(), "mask-transposed")
    sizes = {"token": 3, "query": 3, "key": 3, "model": 4, "depth": 2, "head": 2}
    rng = np.random.default_rng(0)
    arrays = {
        each.name: np.tri(3, dtype=bool) if each.name == "mask" else rng.normal(size=[sizes[w] for w in each.axes])
        for each in working.givens
    }
    trace = deviate(working, "rounded-by-hand:decimals=1,at=steps").run(arrays)
    assert trace["mask.transposed"].dtype == bool
    np.testing.assert_array_equal(trace["head"], np.round(trace["head"], 1))
    with pytest.raises(SpecError, match=r"round has nothing to rewrite: mask.transposed holds booleans"):
        deviate(working, "round:line=mask.transposed,decimals=1")


def test_a_deviation_applies_once():
    """The second time there is no softmax left to turn round."""
    with pytest.raises(SpecError, match="nothing to rewrite"):
        deviate(ATTENTION.working(), "softmax-over-queries", "softmax-over-queries")


@pytest.mark.parametrize(
    ("written", "error", "message"),
    [
        ("sofmax-over-queries", UnknownName, "No deviation is called 'sofmax-over-queries'. Did you mean softmax-over"),
        ("round", SpecError, "round expects line (a line, or one head of it, as in weights@2), decimals (how many are "
         "kept); got none."),
        ("round:line=weights", SpecError, "round expects line"),
        ("round:line=weights,decimals=2,head=1", SpecError, "round expects line"),
        ("round:line=weights,decimals=two", SpecError, "round expects decimals as int, got 'two'."),
        ("norm-over-matrix:eps=1", SpecError, "norm-over-matrix expects no parameters; got eps."),
        ("round:line=wights,decimals=2", UnknownName, "There is no line 'wights'. Did you mean weights?"),
        ("round:line=input,decimals=2", UnknownName, "There is no line 'input'."),
        ("round:line=weights@3,decimals=2", UnknownName, "weights has heads 1 to 2, not 3."),
        ("round:line=weights@0,decimals=2", UnknownName, "weights has heads 1 to 2, not 0."),
        ("round:line=weights@x,decimals=2", UnknownName, "'weights@x': after @ comes the number of a head"),
        ("round:line=concat@1,decimals=2", UnknownName, "concat has no heads: its axes are token, head*depth."),
    ],
)  # fmt: skip
def test_what_cannot_be_applied(written, error, message):
    """Unknown names, missing or wrong parameters and missing lines are told apart and named."""
    with pytest.raises(ClearheadError) as caught:
        deviate(ATTENTION.working(), written)
    assert type(caught.value) is error
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("written", [*EXAMPLES.values(), "round:decimals=2,line=head@2"])
def test_text_and_back(written):
    """What is written on the command line reads back from its own text; the order of parameters is fixed."""
    applied = parse_deviation(written)
    assert parse_deviation(str(applied)) == applied
    assert hash(applied) == hash(parse_deviation(str(applied)))


def test_spaces_do_not_matter():
    """Spaces around the parts of a written deviation are not part of them."""
    expected = Applied("round", (("decimals", 2), ("line", "weights")))
    assert parse_deviation(" round: line = weights , decimals = 2 ") == expected
    assert str(expected) == "round:decimals=2,line=weights"
    assert deviate(ATTENTION.working(), expected) == deviate(ATTENTION.working(), str(expected))


@pytest.mark.parametrize("value", ["2", 2.0, True])
def test_parameters_have_types(value):
    """Parameters given as data are checked like those that are written."""
    with pytest.raises(SpecError, match="round expects decimals as int, got"):
        Applied("round", (("decimals", value), ("line", "weights")))


def test_ids_are_found():
    """deviation() gives the entry of the table."""
    assert deviation("round") is DEVIATIONS["round"]


def test_the_catalogue_of_faults_has_every_row_that_is_cited():
    """Each deviation cites rows of docs/reference/faults.md, and every row there has a number of its own."""
    page = Path(__file__).parents[1] / "docs" / "reference" / "faults.md"
    rows = re.findall(r"^\| ([A-H]\d+) \|", page.read_text("utf-8"), re.MULTILINE)
    assert len(set(rows)) == len(rows)
    assert sorted({each for row in DEVIATIONS.values() for each in row.catalogue} - set(rows)) == []
