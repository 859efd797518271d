"""Hints: where to look and what kind of mistake it is, and never a number of the solution."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from clearhead import Claim, assert_agrees, read_problem
from clearhead.check.report.hints import hint_lines
from clearhead.cli import main

from ..grading.classroom import HandIn, filled
from ..grading.sheets import SHEETS


@pytest.fixture(scope="module")
def trace():
    return read_problem("two-heads").trace()


def claims_of(trace, *lines):
    return [Claim.of(line, np.round(trace[line], 3), decimals=3) for line in lines]


def without_addresses(text):
    """The text without the labels of cells and the names of heads, in which digits may stand."""
    return re.sub(r"[\w.]+(@\d+)?\[[\d,]+\]|@\d+|\d+ of \d+", "", text)


@pytest.mark.parametrize(
    "fault", ["softmax-over-queries", "softmax-over-matrix", "query-key-exchanged", "norm-missing"]
)
def test_a_known_mistake_is_named_without_a_number(trace, fault):
    """The first line that does not follow, a cell of it and the mistake's sentence; no decimals anywhere."""
    wrong = read_problem("two-heads").trace(fault)
    lines = hint_lines(claims_of(wrong, "weights", "head", "norm"), trace, [fault])
    said = "\n".join(lines)
    assert "Look first at" in said
    assert re.search(r"Begin with the cell \w+(@\d)?\[", said)
    assert not re.search(r"\d", without_addresses(said).replace("1 / sqrt(depth)", ""))


def test_what_is_carried_on_is_not_counted_again(trace):
    """One wrong cell of the weights is where to look; the lines that follow from it are said to follow."""
    weights = trace["weights"].round(3)
    weights[0, 0, 0] += 0.2
    claims = [
        Claim.of("weights", weights, decimals=3),
        Claim.of("head", np.round(weights @ trace["value"], 3), decimals=3),
    ]
    said = "\n".join(hint_lines(claims, trace))
    assert "Look first at weights: 1 of" in said
    assert "Begin with the cell weights[1,1,1]" in said
    assert "head" in said.partition("Look first")[0]


def test_a_test_that_students_see_has_no_numbers(trace):
    """``assert_agrees(..., hints=True)`` raises with hints in the place of the diagnosis; right numbers pass."""
    assert_agrees(trace["weights"], trace, "weights", hints=True)
    wrong = read_problem("two-heads").trace("softmax-over-queries")["weights"]
    with pytest.raises(AssertionError, match="Look first at weights") as caught:
        assert_agrees(wrong, trace, "weights", hints=True)
    assert "down the columns" in str(caught.value)
    assert not re.search(r"\d\.\d", str(caught.value))


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_no_hint_of_a_class_has_a_number_in_it(sheet):
    """Whatever mistake is made on whichever sheet, its hints have no decimals: neither the right ones nor others."""
    rng = np.random.default_rng(3)
    arrays = sheet.given(rng)
    trace = sheet.spec.working().run(arrays)
    for name in sheet.mistakes:
        handed_in = filled(sheet, arrays, rng, HandIn("mistake", (name,)))
        claims = [Claim.of(line, numbers, decimals=4) for line, numbers in handed_in.numbers.items()]
        said = "\n".join(hint_lines(claims, trace, (name,)))
        assert "Look first at" in said
        assert not re.search(r"\d\.\d", without_addresses(said)), said


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words], standalone_mode=False)


def test_check_gives_hints(tmp_path):
    """``check --claims FILE --hints`` reads what is handed in and says where to look first."""
    wrong = read_problem("two-heads").trace("softmax-over-queries")
    (tmp_path / "ben.json").write_text(json.dumps({"weights": wrong["weights"].round(3).tolist()}))
    done = run("check", "two-heads", "--claims", tmp_path / "ben.json", "--hints")
    assert "Look first at weights" in done.output
    assert not re.search(r"\d\.\d", done.output)


def test_hints_are_refused_as_json():
    """Hints are sentences, so another form is an error and not silently text."""
    done = CliRunner().invoke(main, ["check", "two-heads", "--hints", "--as", "json"])
    assert (done.exit_code, "leave --as json out" in done.output) == (2, True)


def test_feedback_is_a_page_for_each(tmp_path, trace):
    """``grade --feedback`` writes hints for each submission, and the error for what cannot be read."""
    wrong = read_problem("two-heads").trace("softmax-over-queries")
    folder = tmp_path / "class"
    folder.mkdir()
    for name, each in (("anna", trace), ("ben", wrong)):
        (folder / f"{name}.json").write_text(json.dumps({"weights": each["weights"].round(3).tolist()}))
    (folder / "cleo.pdf").write_bytes(b"%PDF")
    done = run("grade", "two-heads", folder, "-o", tmp_path / "g.csv", "--feedback", tmp_path / "back", "--most", "1")
    assert done.exception is None, done.output
    texts = {path.name: path.read_text() for path in (tmp_path / "back").iterdir()}
    assert set(texts) == {"anna.json.md", "ben.json.md", "cleo.pdf.md"}
    assert "Look first" not in texts["anna.json.md"]
    assert "Look first at weights" in texts["ben.json.md"]
    assert "not read" in texts["cleo.pdf.md"]


def test_feedback_has_the_kinds_of_pages_that_are_asked_for(tmp_path, trace):
    """``--pages`` writes each kind; hints have no number, and ``--solution`` has the right ones."""
    folder = tmp_path / "class"
    folder.mkdir()
    wrong = read_problem("two-heads").trace("weights-transposed")
    (folder / "ben.json").write_text(json.dumps({"head": wrong["head"].round(3).tolist()}))
    (folder / "cleo.pdf").write_bytes(b"%PDF")
    for back, further in (("hints", ()), ("solved", ("--solution",))):
        given = ("--feedback", tmp_path / back, "--pages", "html,pdf", *further)
        done = run("grade", "two-heads", folder, "-o", tmp_path / "g.csv", "--most", "1", *given)
        assert done.exception is None, done.output
        names = {f"{name}.{kind}" for name in ("ben.json", "cleo.pdf") for kind in ("html", "pdf")}
        assert {path.name for path in (tmp_path / back).iterdir()} == names
        assert (tmp_path / back / "ben.json.pdf").read_bytes().startswith(b"%PDF")
    hints, solved = ((tmp_path / back / "ben.json.html").read_text("utf-8") for back in ("hints", "solved"))
    right = f"{trace.numpy('head')[1, 0, 0]:.3f}"
    assert "Look first at head" in hints
    assert (right in hints, right in solved) == (False, True)
    assert "could not be graded" in (tmp_path / "hints" / "cleo.pdf.html").read_text("utf-8")


def test_feedback_of_an_unknown_kind_is_an_error(tmp_path):
    """The kinds of pages are named, before anything is graded."""
    words = ("grade", "two-heads", tmp_path, "-o", tmp_path / "g.csv", "--feedback", tmp_path, "--pages", "docx")
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert (done.exit_code, "expects kinds such as html,pdf" in done.output) == (2, True)
