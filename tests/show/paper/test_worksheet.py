"""Worksheets: arithmetic for every line, claims in place, and lines left for students."""

import re

import numpy as np
import pytest

from clearhead.claim import Claim
from clearhead.document import Arithmetic, Document, Heading, Panels, Prose, Remark
from clearhead.problems import read_problem
from clearhead.show import View, document_of, lower
from clearhead.show.blank import blanks
from clearhead.show.paper.worksheet import worksheet_of
from clearhead.spec import Attention


def parts(document):
    for part in document.parts:
        yield part
        if isinstance(part, Document):
            yield from parts(part)


def of(document, kind):
    return [part for part in parts(document) if isinstance(part, kind)]


def section(document, title):
    return next(part for part in document.parts if isinstance(part, Document) and part.title == title)


def test_given_arrays_come_first_and_then_the_lines(trace):
    """A worksheet has all of a trace, what is given apart from what is worked out."""
    sheet = worksheet_of(trace, View("Title", about="About."))
    given = [part.text for part in of(section(sheet, "Given"), Heading)]
    assert given == [each.name for each in trace.working.givens]
    lines = [part.text for part in of(section(sheet, "Working"), Heading)]
    assert lines == [line.name for line in trace.working.lines]
    assert sheet.parts[0] == Prose("About.")


def test_every_line_that_does_arithmetic_shows_it(big):
    """One cell of each line is worked out, and it is the trace's number; what only moves numbers is left alone."""
    worked = {part.explanation.target.operand: part.explanation for part in of(worksheet_of(big, View()), Arithmetic)}
    moved = ("concat", "repeated", "joined")
    expected = {line.name for line in big.working.lines if line.name.rpartition(".")[2] not in moved}
    # A mask that lets most through moves their numbers; whether a cell was worked out is then up to the mask.
    assert expected - {name for name in expected if "mask" in name or name.endswith("position")} <= set(worked)
    assert not any(name.endswith(moved) for name in worked)
    for explanation in worked.values():
        assert explanation.value in np.asarray(big[explanation.target.operand])


def test_the_cell_that_is_worked_out_tells_something(arrays_for, sizes):
    """Of causal weights it is none of the first row, whose only weight is 1."""
    working = Attention(heads=4, causal=True).working()
    trace = working.run(arrays_for(working, sizes))
    worked = {part.explanation.target.operand: part.explanation for part in of(worksheet_of(trace, View()), Arithmetic)}
    assert worked["weights"].target.indices[0].value > 0
    assert 0 < worked["weights"].value < 1


def test_claims_stand_beside_the_numbers(trace):
    """A claim that differs is shown as it was written, its wrong cells marked; one that agrees is named."""
    claims = (
        Claim("query@2", (("1",), ("-1",), ("2",))),
        Claim("head@1", (("0.0",), ("-4/15",), ("0.36",))),
        Claim("output", "0.5", cell=(1, 2)),
    )
    sheet = worksheet_of(trace, View(claims=claims))
    (claimed,) = [each for part in of(sheet, Panels) for each in part.matrices if each.title.startswith("claimed")]
    assert claimed.title == "claimed head 1"
    assert claimed.written == (("0.0",), ("-4/15",), ("0.36",))
    assert claimed.marked == {(1, 0)}
    said = [part.text for part in of(sheet, Remark)]
    assert "Claimed, and right: query@2." in said
    assert "head@1: 1 of 3 claimed numbers differ." in said
    assert "output[1,2] is claimed to be 0.5, which differs." in said


def test_a_whole_line_can_be_claimed(trace):
    """A claim of all heads is a matrix for each head, and one of a vector a row."""
    wrong = Claim("scores", tuple(tuple(("9", "?", "9") for _ in range(3)) for _ in range(2)))
    sheet = worksheet_of(trace, View(claims=(wrong,)))
    titles = [each.title for part in of(sheet, Panels) for each in part.matrices if each.written]
    assert titles == ["claimed head 1", "claimed head 2"]


def test_a_single_number_can_be_claimed_wrong():
    """A claim of a line that is one number stands beside it as a matrix of one cell."""
    problem = read_problem("setosa-loss")
    sheet = worksheet_of(problem.trace(), View(claims=problem.claims))
    (claimed,) = [each for part in of(sheet, Panels) for each in part.matrices if each.title == "claimed"]
    assert claimed.written == (("0.56",),)


def test_the_diagnosis_is_the_last_section(trace):
    """What explains the claims comes at the end, as precisely as it was written."""
    why = Document("Why", (Prose("Because."),), 8)
    assert worksheet_of(trace, View(diagnosis=why)).parts[-1] is why


VIEW = View(
    "T", blank=("weights", "head"), claims=(Claim("query@1", (("9",),) * 3),), diagnosis=Document("Why", (Prose("B"),))
)


def test_a_students_sheet_gives_nothing_away(trace):
    """No claims, no diagnosis, and no arithmetic with a number that is to be found; formulas and given numbers stay."""
    sheet = worksheet_of(trace, VIEW)
    assert [part.title for part in of(sheet, Document)] == ["Given", "Working"]
    assert not any("laim" in part.text for part in of(sheet, Remark))
    worked = of(sheet, Arithmetic)
    assert worked
    for part in worked:
        names = {part.explanation.target.operand, *(name for name, _ in part.explanation.reads)}
        assert names.isdisjoint({"weights", "head", "concat", "output", "residual"})
    shown = {heading.text: panels for heading, panels in zip(of(sheet, Heading), of(sheet, Panels), strict=True)}
    for name in ("weights", "head", "concat", "output", "residual"):
        for matrix in shown[name].matrices:
            assert {cell for row in matrix.written for cell in row} == {""}
            assert np.isnan(matrix.values).all()
    assert [each.values.shape for each in shown["head"].matrices] == [(3, 1), (3, 1)]
    assert shown["norm"].matrices[0].written is None


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_the_numbers_to_be_found_are_not_in_the_file(trace, form):
    """None of the weights stands anywhere in a student's sheet; all stand in the key."""
    weights = {f"{weight:.3f}" for weight in trace["weights"].flat}
    assert not any(each in lower(worksheet_of(trace, VIEW), form) for each in weights)
    assert all(each in lower(worksheet_of(trace, View()), form) for each in weights)


def test_all_can_be_left_blank_but_what_is_given(trace):
    """A star leaves every line, with nothing worked out."""
    sheet = worksheet_of(trace, View(blank=("*",)))
    assert of(sheet, Arithmetic) == []
    blank = [part for part in of(section(sheet, "Working"), Panels) if part.matrices[0].written]
    assert len(blank) == len(trace.working.lines)
    assert not any(part.matrices[0].written for part in of(section(sheet, "Given"), Panels))
    assert of(sheet, Remark) == []


def test_what_repeats_a_blank_line_is_blank_too(big, make_trace):
    """Heads set side by side, masked scores and rounded numbers would give away what they are made of."""
    assert blanks(big, View(blank=("attention.head",))) == {"attention.head", "attention.concat"}
    found = blanks(big, View(blank=("alibi",)))
    assert {name for name in found if "mask" in name} == {name for name in big if "mask" in name} - {"attention.mask"}
    rounded = make_trace("round:line=scores,decimals=1")
    assert blanks(rounded, View(blank=("scores.unrounded",))) == {"scores.unrounded", "scores"}


def test_a_shown_line_can_be_blank_too(trace):
    """Also in a terminal a line that is left blank shows lines to write on."""
    shown = lower(document_of(trace, View(address="weights", blank=("weights",))), "text")
    assert len(re.findall("_____", shown)) == 18


def test_long_names_are_given_in_full_once(make_trace):
    """What is cut short beside a matrix can be read at the beginning."""
    sheet = worksheet_of(make_trace(tokens=("a", "b" * 200, "c")), View())
    assert sheet.parts[0] == Prose(f"Token 2 in full: {'b' * 200}")
