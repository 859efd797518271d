"""Grading: verdict, causes and credit, with errors that are carried forward counted once."""

import csv
from io import StringIO

import numpy as np
import pytest

from clearhead import Attention, Block, Claim, Norm, UnknownName, deviate, diagnose
from clearhead.check.grading.grade import Grader
from clearhead.check.grading.gradebook import Entry, Gradebook, summary
from clearhead.document import Remark

WORKING = Block(Attention(heads=2), norm=Norm(gain=False)).working()
SIZES = {"token": 3, "model": 5, "head": 2, "depth": 4, "head*depth": 8}
LINES = ("weights", "head", "output", "norm")


@pytest.fixture(scope="module")
def trace():
    rng = np.random.default_rng(0)
    return WORKING.run({given.name: rng.normal(size=[SIZES[word] for word in given.axes]) for given in WORKING.givens})


def numbers_of(trace, *deviations, lines=LINES):
    worked = deviate(WORKING, *deviations).run(trace.given)
    return {line: worked.numpy(line) for line in lines}


def claimed(numbers, decimals=4):
    return [Claim.of(line, np.round(array, decimals), decimals=decimals) for line, array in numbers.items()]


def graded(trace, *everyone):
    grader = Grader(trace, everyone)
    return [grader.grade(claims) for claims in everyone]


def test_each_gets_the_verdict_that_a_diagnosis_gives(trace):
    """Right numbers agree, known faults are named, alone and together, and what fits nothing is unexplained."""
    planted = [
        (),
        ("softmax-over-queries",),
        ("weights-transposed", "norm-over-matrix"),
        ("softmax-twice", "scale-missing"),
    ]
    everyone = [claimed(numbers_of(trace, *each)) for each in planted]
    strange = numbers_of(trace)
    odd = strange["weights"] * (1 + strange["weights"])
    strange["weights"] = odd / odd.sum(axis=-1, keepdims=True)
    everyone.append(claimed(strange))
    grades = graded(trace, *everyone)
    assert [grade.verdict for grade in grades] == ["agrees", "explained", "explained", "explained", "unexplained"]
    for claims, grade, deviations in zip(everyone, grades, planted, strict=False):
        assert set(grade.deviations) == set(deviations)
        assert diagnose(claims, trace).verdict == grade.verdict


def test_equal_claims_are_graded_once(trace):
    """Whoever hands in the same numbers has the same grade, which is looked for once; other decimals are another."""
    numbers = numbers_of(trace, "softmax-over-queries")
    one, other, coarse = graded(trace, claimed(numbers), claimed(numbers), claimed(numbers, decimals=3))
    assert one is other
    assert one is not coarse


@pytest.mark.parametrize("row", [("0.33", "0.5", "0.33"), ("0.2", "0.5", "0.3"), ("0.7", "0.1", "0.2")])
def test_invented_rows_have_no_several_causes(trace, row):
    """Of many sets of deviations some fit three coarse numbers by chance: that explains nothing."""
    blank = ("?", "?", "?")
    claims = [[Claim("weights@1", [row if i == at else blank for i in range(3)])] for at in range(3)]
    assert all(len(grade.deviations) <= 1 for grade in graded(trace, *claims))


def test_an_error_carried_forward_costs_once(trace):
    """Who takes the softmax over the wrong axis and goes on rightly loses the weights and nothing else."""
    (grade,) = graded(trace, claimed(numbers_of(trace, "softmax-over-queries")))
    assert grade.first_wrong_line == "weights"
    follows = {each.line: each.follows for each in grade.judged}
    assert follows == {"weights": False, "head": True, "output": True, "norm": True}


def test_a_slip_of_the_pen_costs_its_cell(trace):
    """One wrong cell costs that cell, and what was worked out with the right number is right."""
    numbers = numbers_of(trace)
    numbers["weights"][1, 2, 0] += 0.3
    (grade,) = graded(trace, claimed(numbers))
    assert (grade.verdict, grade.deviations, grade.slips) == ("unexplained", (), 1)
    assert grade.first_wrong_line == "weights"
    assert grade.right == {"weights": 17, "head": 24, "output": 15, "norm": 15}


def test_a_slip_does_not_hide_a_fault(trace):
    """Where all but one cell follow with a known fault, that is named beside the slip."""
    numbers = numbers_of(trace, "softmax-over-queries")
    numbers["output"][2, 3] *= -1
    (grade,) = graded(trace, claimed(numbers))
    assert (grade.verdict, grade.deviations, grade.slips) == ("unexplained", ("softmax-over-queries",), 1)


def test_going_on_with_rounded_numbers_is_no_error(trace):
    """Lines that follow from the numbers as they were written down are right, however coarsely these were rounded."""
    numbers = numbers_of(trace, "round:line=weights,decimals=1")
    claims = [Claim.of("weights", numbers["weights"], decimals=1), *claimed({"head": numbers["head"]})]
    (grade,) = graded(trace, claims)
    assert grade.first_wrong_line is None
    assert grade.deviations == ("round:line=weights,decimals=1",)


def test_a_claim_that_does_not_fit_is_an_error(trace):
    """A line that does not exist is refused by name, for whoever hands it in."""
    wrong = [Claim("wieghts", "1", cell=(1, 1))]
    grader = Grader(trace, [claimed(numbers_of(trace)), wrong])
    with pytest.raises(UnknownName, match="weights"):
        grader.grade(wrong)


def book(trace):
    right, wrong = claimed(numbers_of(trace)), claimed(numbers_of(trace, "norm-over-matrix"))
    grades = graded(trace, right, wrong, wrong[:2])
    names = ("=1+1.json", "ben.json", "cleo.json")
    entries = [Entry(name, grade) for name, grade in zip(names, grades, strict=True)]
    return Gradebook((*entries, Entry("dora.csv", error="dora.csv: the file is empty.")))


def test_the_table_has_a_row_for_each(trace):
    """Credit is the mean over the lines that most have answered; a broken submission is a row with its error."""
    first, *rows = csv.reader(StringIO(book(trace).csv()))
    table = {row[0]: dict(zip(first, row, strict=True)) for row in rows}
    assert list(table) == ["'=1+1.json", "ben.json", "cleo.json", "dora.csv"]
    assert [table[name]["credit"] for name in table] == ["1.000", "0.750", "0.500", ""]
    assert table["ben.json"]["deviations"] == "norm-over-matrix"
    assert table["ben.json"]["norm"] == "0.000"
    assert table["cleo.json"]["verdict"] == "agrees"
    assert table["dora.csv"]["error"] == "dora.csv: the file is empty."


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_taken_for_a_formula(sign):
    """Names and errors that begin like a formula are told as text."""
    name = f"{sign}HYPERLINK(1)"
    (_, row) = csv.reader(StringIO(Gradebook((Entry(name, error=name),)).csv(), newline=""))
    assert row[0] == row[-1] == f"'{name}"


def test_the_summary_tells_the_commonest_mistakes(trace):
    """The class is told in a sentence, and each mistake with how many made it."""
    told = summary(book(trace), title="t")
    assert told.parts[0].text.startswith("Of 4 submissions: 2 agree, 1 explained, 1 could not be read.")
    (mistake,) = [part for part in told.parts if isinstance(part, Remark)]
    assert mistake.text.startswith("1 of 3: norm-over-matrix (mistake).")
