"""From a problem and a change to the next problem."""

import contextlib
import re
import time

import numpy as np
import pytest

from clearhead.errors import ClearheadError, ProblemError, UnknownName
from clearhead.problems import bundled, format_problem, parse_problem, read_problem
from clearhead.web.work import Asked, Change, Entry, answer, choices, diagnosis, exported

pytestmark = pytest.mark.sweep(3)


def typed(line, *entries):
    return Change(line, tuple(Entry(cell, written) for cell, written in entries))


def after(name, **asked):
    return parse_problem(answer(Asked(name, **asked))["problem"])


def test_a_given_number_is_changed():
    """The new number stands in the problem, and nothing else differs."""
    changed = after("soccer", change=typed("embedding", ((2, 1), "7/4"), ((0, 0), "-2")))
    expected = read_problem("soccer").arrays["embedding"].copy()
    expected[2, 1], expected[0, 0] = 1.75, -2
    np.testing.assert_array_equal(changed.arrays["embedding"], expected)
    assert changed.claims == read_problem("soccer").claims


def test_a_mask_is_changed():
    """Masks take yes and no."""
    changed = after("padding-mask", change=typed("padding", ((4,), "yes"), ((0,), "no")))
    assert changed.arrays["padding"].tolist() == [False, True, True, False, True]


def test_a_claim_is_made_changed_and_taken_back():
    """A number typed into a line is a claim for its cell, with the precision it was typed in."""
    text = answer(Asked("single-head", change=typed("weights", ((0, 1, 1), "0.50"))))["problem"]
    (claim,) = [each for each in parse_problem(text).claims if each.cell == (1, 2, 2)]
    assert (claim.line, claim.written, claim.precision) == ("weights", "0.50", 2)
    again = answer(Asked(text, change=typed("weights", ((0, 1, 1), "0.6"))))["problem"]
    assert [each.written for each in parse_problem(again).claims if each.cell == (1, 2, 2)] == ["0.6"]
    back = answer(Asked(again, change=typed("weights", ((0, 1, 1), ""))))["problem"]
    assert not [each for each in parse_problem(back).claims if each.cell == (1, 2, 2)]


def test_a_claim_replaces_its_cell_of_a_whole_one():
    """What was claimed for a head as a whole stays, but for the cell that is typed anew."""
    changed = after("soccer", change=typed("head", ((0, 1, 0), "-0.27")))
    assert [(each.written, each.cell) for each in changed.claims if each.line == "head@1"] == [
        ((("0.08860486",), ("?",), ("0.24330276",)), None)
    ]
    assert [(each.written, each.cell) for each in changed.claims if each.line == "head"] == [("-0.27", (1, 2, 1))]


def test_pasted_numbers_are_one_claim_for_each_head():
    """Cells that are not pasted are left open."""
    change = typed("head", ((0, 0, 0), "1"), ((1, 1, 0), "2.5"), ((1, 2, 0), "3"))
    changed = after("two-heads", change=change)
    found = {each.line: each.written for each in changed.claims if each.line.startswith("head@")}
    assert found["head@1"][0] == ("1",)
    assert found["head@2"][1:] == (("2.5",), ("3",))


def test_deviations_are_put_in_place_of_the_old_ones():
    """The list that is asked for is the list that the problem has."""
    text = answer(Asked("two-heads", deviations=("softmax-over-queries",)))["problem"]
    assert [str(each) for each in parse_problem(text).deviations] == ["softmax-over-queries"]
    assert parse_problem(answer(Asked(text, deviations=()))["problem"]).deviations == ()


@pytest.mark.parametrize("name", bundled())
def test_every_choice_either_works_or_says_why_not(name):
    """A deviation that is offered is shown, or refused in words."""
    for theme in choices(read_problem(name)):
        for each in theme["deviations"]:
            with contextlib.suppress(ClearheadError):
                assert (
                    answer(Asked(name, deviations=(each["name"],)))["content"]["deviations"][0]["name"] == each["name"]
                )


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        (Asked("soccer", typed("embedding", ((0, 0), "two"))), ProblemError, "number such as"),
        (Asked("soccer", typed("embedding", ((0, 0), "1/0"))), ProblemError, "divides by 0"),
        (Asked("soccer", typed("embedding", ((0, 0), "nan"))), ProblemError, "finite"),
        (Asked("soccer", typed("embedding", ((0, 9), "1"))), ProblemError, "no cell"),
        (Asked("soccer", typed("weights", ((0, 0), "1"))), ProblemError, "no cell"),
        (Asked("soccer", typed("weights", ((0, 0, 0), "much"))), ProblemError, "number such as"),
        (Asked("soccer", typed("wieghts", ((0, 0, 0), "1"))), UnknownName, "weights"),
        (Asked("soccer", deviations=("softmax",)), UnknownName, "softmax"),
        (Asked("/etc/passwd"), ProblemError, "TOML"),
        (Asked(""), ProblemError, "empty"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(asked, error, says):
    """The message says what was expected; no path is opened."""
    with pytest.raises(error, match=says):
        answer(asked)


def test_the_diagnosis_is_that_of_the_textbook():
    """Claims are explained whatever deviation is being tried, and nothing claimed needs no explanation."""
    text = answer(Asked("soccer", deviations=("softmax-over-queries",)))["problem"]
    assert "softmax-over-queries" in diagnosis(text)["diagnosis"]
    assert diagnosis(format_problem(read_problem("rotary"))) == {"diagnosis": "", "claims": {}}


def test_hints_have_no_number():
    """With hints alone the page is told where to look and what kind of mistake it is, and no number of the solution."""
    said = diagnosis("soccer", "hints")["diagnosis"]
    assert "Look first at head" in said
    assert "Softmax runs down the columns" in said
    assert not re.search(r"\d\.\d", said)


def test_a_problem_can_be_taken_away():
    """As its own file, or as any kind that there is."""
    text = format_problem(read_problem("soccer"))
    assert exported(text, ".toml").decode() == text
    assert exported(text, ".html").startswith(b"<!DOCTYPE html>")
    with pytest.raises(UnknownName, match="exe"):
        exported(text, ".exe")


@pytest.mark.parametrize("name", ["soccer", "encoder-block"])
def test_an_answer_takes_a_moment(name):
    """A change is answered within 50 ms of work, so that numbers follow while they are typed."""
    text = answer(Asked(name))["problem"]
    spent = []
    for value in range(7):
        begun = time.process_time()
        answer(Asked(text, change=typed("embedding", ((0, 0), str(value)))))
        spent.append(time.process_time() - begun)
    assert sorted(spent)[3] < 0.05
