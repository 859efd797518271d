from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearhead import Attention, Block, Claim, Mlp, ProblemError, UnknownName, compare
from clearhead.check import data_of, document_of
from clearhead.check.compare.comparison import claims_by_line, misses, wrong_cells
from clearhead.document import Arithmetic, Panels, Remark

TOKENS = ("Chaky", "loves", "soccer")


@pytest.fixture
def trace():
    """Scores that are logarithms of 1, 2 and 4: the weights of every query are 1/7, 2/7 and 4/7."""
    working = Attention(heads=2, scale=1.0, output=False).working().starting_at("scaled", "value")
    scaled = np.broadcast_to(np.log([1.0, 2.0, 4.0]), (2, 3, 3))
    return working.run({"scaled": scaled, "value": np.arange(24.0).reshape(2, 3, 4)}, tokens=TOKENS)


def numbers(rows):
    return tuple(tuple(row) for row in rows)


def test_a_claim_agrees_if_the_working_would_be_written_so(trace):
    """1/7 = 0.142857... agrees with 0.143 and 0.14, with the fraction, and not with 0.142."""
    for written, agrees in (("0.143", True), ("0.14", True), ("0.1429", True), ("1/7", True), ("0.142", False)):
        result = compare([Claim("weights@1", written, cell=(1, 1))], trace)
        assert result.agrees is agrees, written


def test_the_whole_claim_has_the_precision_of_its_longest_number(trace):
    """A 0.3 among three-decimal numbers claims 0.300."""
    rows = numbers([["0.143", "0.3", "0.571"], ["?"] * 3, ["?"] * 3])
    result = compare([Claim("weights@1", rows)], trace)
    assert result.lines[0].wrong == ((0, 1),)
    loose = Claim("weights@1", rows, decimals=1)
    assert compare([loose], trace).agrees


def test_a_fraction_claims_more_than_its_neighbours_decimals(trace):
    """Beside numbers of one decimal, 1/6 for 1/7 is still wrong."""
    rows = numbers([["1/6", "0.3", "0.6"], ["?"] * 3, ["?"] * 3])
    assert compare([Claim("weights@2", rows)], trace).lines[0].wrong == ((0, 0),)


@given(st.floats(-1e6, 1e6), st.integers(0, 8))
def test_a_correctly_rounded_number_always_agrees(value, decimals):
    """What Python prints with any number of decimals is accepted, and the neighbours two units away are not."""
    working = Attention(heads=1, output=False).working().starting_at("head")
    trace = working.run({"head": [[[value]]]})

    def agrees(number):
        return compare([Claim("concat", f"{number:.{decimals}f}", cell=(1, 1))], trace).agrees

    assert agrees(value)
    assert not agrees(value + 2.1 * 10.0**-decimals)
    assert not agrees(value - 2.1 * 10.0**-decimals)


def test_every_digit_of_a_float_can_be_claimed(trace):
    """A claim made from the trace's own array agrees, and one changed in the seventh digit does not."""
    own = trace["concat"]
    assert compare([Claim.of("concat", own)], trace).agrees
    assert not compare([Claim.of("concat", own * (1 + 1e-7))], trace).agrees


def test_nan_and_infinity_agree_with_themselves_only():
    """nan is claimed as nan, -inf as -inf, and neither as a number."""
    working = Attention(heads=1, causal=True, output=False).working().starting_at("scaled", "value")
    trace = working.run({"scaled": [[[0.0, np.nan], [0.0, 0.0]]], "value": [[[1.0], [2.0]]]})
    assert compare([Claim("masked@1", numbers([["0", "-inf"], ["0", "0"]]))], trace).agrees
    assert not compare([Claim("masked@1", numbers([["0", "nan"], ["0", "0"]]))], trace).agrees
    assert compare([Claim("scaled@1", numbers([["0", "nan"], ["0", "0"]]))], trace).agrees
    assert not compare([Claim("scaled@1", numbers([["0", "1"], ["0", "0"]]))], trace).agrees


def test_the_first_difference_of_the_working_comes_first(trace):
    """Claims are told in the order of the working, differing ones first, whatever order they were made in."""
    claims = [
        Claim("concat", "9", cell=(1, 1)),
        Claim("weights@2", "0.9", cell=(1, 1)),
        Claim("value@1", "0", cell=(1, 1)),
        Claim("head@1", "9", cell=(1, 1)),
    ]
    names = [each.claim.line for each in compare(claims, trace).lines]
    assert names == ["weights@2", "head@1", "concat", "value@1"]


def test_a_difference_is_worked_out(trace):
    """The first differing cell comes with its arithmetic, with digits enough to see the difference."""
    claim = Claim("weights@1", numbers([["?"] * 3, ["?", "0.2857", "0.5"], ["?"] * 3]))
    found = compare([claim], trace).lines[0]
    assert found.wrong == ((1, 2),)
    assert str(found.explanation) == "weights@1[2,3] = exp(1.38629)/(exp(0) + exp(0.69315) + exp(1.38629)) = 0.57143"


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        (
            Claim("weights@1", numbers([["1", "2"]])),
            "claim.values expects (query=3, key=3) for weights@1, got shape (1, 2)",
        ),
        (Claim("weights@1", "1"), "claim.values expects (query=3, key=3) for weights@1, got one number"),
        (Claim("weights@1", ("1", "2"), cell=(1, 1)), "claim.values expects one number for weights@1, got shape (2,)"),
        (Claim("weights@1", "1", cell=(0, 1)), "claim.cell: weights@1 has query 1 to 3, not 0"),
        (
            Claim("weights@1", "1", cell=(1, 1, 1)),
            "claim.cell expects a number for each of query, key of weights@1, got 3",
        ),
    ],
)
def test_a_claim_that_does_not_fit_says_what_would(trace, claim, says):
    """Wrong shapes and cells name the line, its sizes and what came."""
    with pytest.raises(ProblemError) as caught:
        compare([claim], trace)
    assert says in str(caught.value)


def test_a_claim_for_a_line_that_is_not_there_offers_the_closest(trace):
    """Unknown lines and heads are named with what there is."""
    with pytest.raises(UnknownName, match=r"claim is for wieghts.*weights"):
        compare([Claim("wieghts", "1", cell=(1, 1))], trace)
    with pytest.raises(UnknownName, match="heads 1 to 2, not 3"):
        compare([Claim("weights@3", "1", cell=(1, 1))], trace)


def test_the_report_has_a_verdict_evidence_and_what_agrees(trace):
    """The document says how many differ and which first, shows both matrices, and names what agrees."""
    wrong = Claim("weights@1", numbers([["0.2", "0.286", "0.571"], ["?"] * 3, ["?"] * 3]))
    right = Claim("value@2", "12", cell=(1, 1))
    document = document_of(compare([wrong, right], trace), title="t")
    verdict, heading, prose, arithmetic, panels, rest = document.parts
    assert verdict == Remark("1 of 2 claims differ from the working. The first to differ is weights@1.", "warning")
    assert heading.text == "weights@1"
    assert "1 of 3 cells differ, compared to 3 decimals" in prose.text
    assert "weights@1[1,1] is claimed to be 0.2; the working gives 0.14286" in prose.text
    assert isinstance(arithmetic, Arithmetic)
    assert isinstance(panels, Panels)
    assert [matrix.title for matrix in panels.matrices] == ["claimed", "the working"]
    assert panels.matrices[0].rows == TOKENS
    assert panels.matrices[0].marked == {(0, 0)}
    assert panels.matrices[0].unknown == {(row, column) for row in (1, 2) for column in range(3)}
    assert rest.text == "These agree: value@2 (to the unit)."


def test_full_agreement_and_no_claims_are_told_apart(trace):
    """Nothing claimed is not the same as everything right."""
    agreed = document_of(compare([Claim("value@2", "12", cell=(1, 1))], trace), title="t")
    assert agreed.parts[0].tone == "good"
    assert document_of(compare([], trace), title="t").parts[0].tone == "note"


def test_the_data_says_the_same_in_json(trace):
    """Cells are labelled from 1, claimed numbers keep their text, expected ones all digits."""
    claims = [Claim("weights@1", "0.20", cell=(2, 1)), Claim("value@2", "12", cell=(1, 1))]
    data = json.loads(json.dumps(data_of(compare(claims, trace), title="t"), allow_nan=False))
    assert data["agree"] is False
    assert data["first_difference"] == "weights@1"
    line = data["lines"][0]
    expected = pytest.approx(1 / 7, rel=1e-15)
    assert line["differing"] == [{"cell": [2, 1], "claimed": "0.20", "expected": expected}]
    assert line["decimals"] == 2
    assert line["arithmetic"].startswith("weights@1[2,1] = exp(0)/(")
    assert data["lines"][1]["agrees"] is True


def test_a_claim_misses_arrays_that_lack_its_cell_or_head():
    """Of stacked arrays each is compared at the claimed head and cell; one of another shape misses all."""
    working = Attention(heads=2, scale=1.0, output=False).working()
    stacked = np.arange(2 * 2 * 3 * 4.0).reshape(2, 2, 3, 4)

    def missed(line, written, cell=None):
        return list(wrong_cells(Claim(line, written, cell=cell), working, "weights", stacked))

    assert missed("weights@2", "17", (2, 2)) == [0, 1]
    assert missed("weights", "17", (2, 2, 2)) == [0, 1]
    assert missed("weights", "17", (2, 2, 5)) == [1, 1]
    assert missed("weights", "17", (2, 2)) == [1, 1]
    assert missed("weights@2", (("12", "13", "14", "16"),) * 3) == [9, 12]
    assert missed("weights@2", ("12", "13")) == [2, 2]


@given(data=st.data())
def test_an_array_misses_a_claim_if_a_cell_is_wrong(data):
    """Of stacked arrays those miss a claim that have a wrong cell of it; none, if nothing is claimed."""
    working = Attention(heads=2, scale=1.0, output=False).working()
    written = data.draw(st.sampled_from(["0 1 2", "? 1 2", "0 ? ?", "? ? ?", "0 1"]))
    row = tuple(written.split())
    stacked = np.array(data.draw(st.lists(st.permutations([0.0, 1.0, 2.0]), min_size=1, max_size=4)))
    claim = Claim("weights@1", (row, row))
    values = np.stack([np.broadcast_to(each, (2, 2, 3)) for each in stacked])
    expected = [
        len(row) != 3 or any(cell not in ("?", f"{number:g}") for cell, number in zip(row, each, strict=True))
        for each in stacked
    ]
    assert list(misses(claim, working, "weights", values)) == expected
    assert list(wrong_cells(claim, working, "weights", values) > 0) == expected


def test_claims_are_sorted_by_the_line_they_are_of():
    """Heads and short names of a line belong to its full name, in the order in which they were made."""
    working = Block(Attention(heads=2), mlp=Mlp()).working()
    whole, head, other = Claim("attention.weights", "1"), Claim("weights@2", "2"), Claim("attention.head", "3")
    assert claims_by_line([head, other, whole], working) == {
        "attention.weights": [head, whole],
        "attention.head": [other],
    }
