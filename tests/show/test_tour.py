"""A walk through a working: its steps, and slides of them."""

import subprocess
from itertools import pairwise

import pytest
from click.testing import CliRunner

from clearhead.cli.main import main
from clearhead.problems import bundled, read_problem
from clearhead.show import View
from clearhead.show.tour import save_tour, steps_of


@pytest.mark.parametrize("name", bundled())
def test_every_line_has_its_step(name):
    """All lines in order; each as a whole, and before that one cell of it where its numbers are not only moved."""
    trace = read_problem(name).trace()
    steps = steps_of(trace, View())
    assert [each.line for each in steps if each.whole and each.line in {x.name for x in trace.working.lines}] == [
        each.name for each in trace.working.lines
    ]
    for before, step in pairwise(steps):
        if not before.whole:
            assert (step.line, step.cell, step.whole) == (before.line, before.cell, True)
            assert str(before.arithmetic) == str(trace.explain(before.line, *before.cell))


def test_sentences_are_those_of_operations_and_notes():
    """What is said of a line is its operation's summary, with the parameters that it reads; a note ends its line."""
    trace = read_problem("soccer").trace()
    said = {(each.line, each.whole): each.says for each in steps_of(trace, View())}
    for line in trace.working.lines:
        assert any(words.startswith(line.summary) for (name, _), words in said.items() if name == line.name)
    assert (
        "query.weight (head 2 \N{MULTIPLICATION SIGN} model 2 \N{MULTIPLICATION SIGN} depth 1)" in said["query", False]
    )
    assert said["embedding", True] == "Given is embedding (token 3 \N{MULTIPLICATION SIGN} model 2)."
    assert str(trace.notes[0]) in said["norm", True]


def test_a_deviation_is_said_where_it_is():
    """The line that a deviation changed says so, and no other."""
    problem = read_problem("soccer")
    view = View(textbook=problem.textbook(), deviations=("softmax-over-queries",))
    steps = steps_of(problem.trace("softmax-over-queries"), view)
    assert {each.line for each in steps if "A deviation made this line" in each.says} == {"weights"}


@pytest.mark.parametrize("name", ["soccer", "encoder-block"])
def test_slides_have_a_page_for_each_step(name, tmp_path):
    """A title, then each step on a page of its own, wide as a screen."""
    problem = read_problem(name)
    trace, view = problem.trace(), View(problem.title, problem.about)
    save_tour(trace, tmp_path / "x.pdf", view)
    said = subprocess.run(["pdfinfo", tmp_path / "x.pdf"], capture_output=True, text=True, check=True).stdout
    found = dict(line.split(":", 1) for line in said.splitlines())
    assert int(found["Pages"]) == 1 + len(steps_of(trace, view))
    width, height = (float(each) for each in found["Page size"].split("pts")[0].split("x"))
    assert width / height == pytest.approx(16 / 9, rel=1e-3)
    text = subprocess.run(["pdftotext", tmp_path / "x.pdf", "-"], capture_output=True, text=True, check=True).stdout
    assert text.split("\f")[1].strip().startswith(steps_of(trace, view)[0].line)


def test_the_command_writes_both_and_refuses_the_rest(tmp_path):
    """`clearhead tour` writes a page or slides; another ending is refused with what there is."""
    for ending in ("html", "pdf"):
        done = CliRunner().invoke(main, ["tour", "two-heads", "-o", str(tmp_path / f"x.{ending}")])
        assert done.exit_code == 0, done.output
        assert (tmp_path / f"x.{ending}").stat().st_size > 1000
    done = CliRunner().invoke(main, ["tour", "two-heads", "-o", str(tmp_path / "x.txt")])
    assert done.exit_code == 2
    assert ".html" in done.output
