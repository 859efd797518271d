"""Notebooks that nbgrader or otter gives out and grades: their marks, and what the grading cells say."""

import json

import pytest
from click.testing import CliRunner

from clearhead.cli import main
from clearhead.problems import read_problem

ASKED = ("weights", "head")


def cells_of(tmp_path, grader, code=0):
    """The cells of an assignment on a causal mask with two questions, each with its source as one text."""
    path = tmp_path / "homework.ipynb"
    blanks = [option for name in ASKED for option in ("--blank", name)]
    ran = CliRunner().invoke(main, ["export", "causal-mask", "-o", str(path), *blanks, "--autograde", grader])
    assert ran.exit_code == code, ran.output
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def without_solutions(source, mark):
    """What students get: the source without what stands between the marks of a solution."""
    before, _, rest = source.partition(f"{mark} BEGIN SOLUTION\n")
    return before + rest.partition(f"{mark} END SOLUTION")[2] if rest else source


def run(sources):
    """Runs cells of code in one namespace."""
    scope = {}
    for source in sources:
        exec(compile(source, "cell", "exec"), scope)
    return scope


@pytest.mark.parametrize("grader", ["nbgrader", "otter"])
def test_the_solution_passes_its_own_tests(tmp_path, grader):
    """All code cells run in order, the grading ones too, with the solutions in place."""
    code = [cell for cell in cells_of(tmp_path, grader) if cell["cell_type"] == "code"]
    run(cell["source"] for cell in code)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_cells_carry_the_metadata_of_nbgrader(tmp_path):
    """A solution cell and a locked grading cell with a point for each question, ids each once, schema version 3."""
    marked = [cell for cell in cells_of(tmp_path, "nbgrader") if "nbgrader" in cell["metadata"]]
    found = {cell["metadata"]["nbgrader"]["grade_id"]: cell["metadata"]["nbgrader"] for cell in marked}
    assert list(found) == ["expected", "weights", "weights-test", "head", "head-test"]
    assert {each["schema_version"] for each in found.values()} == {3}
    for name in ASKED:
        assert (found[name]["solution"], found[name]["grade"], found[name]["locked"]) == (True, False, False)
        test = found[f"{name}-test"]
        assert (test["solution"], test["grade"], test["locked"], test["points"]) == (False, True, True, 1)


def test_blocks_of_otter_open_and_close_in_order(tmp_path):
    """Raw cells make a configuration and, for each question, a block with its solution and its tests."""
    raw = [cell["source"].splitlines()[0] for cell in cells_of(tmp_path, "otter") if cell["cell_type"] == "raw"]
    block = ["# BEGIN QUESTION", "# BEGIN SOLUTION", "# END SOLUTION", "# BEGIN TESTS", "# END TESTS", "# END QUESTION"]
    assert raw == ["# ASSIGNMENT CONFIG", *block, *block]


@pytest.mark.parametrize(("grader", "mark"), [("nbgrader", "###"), ("otter", "#")])
def test_a_wrong_answer_is_told_where_to_look(tmp_path, grader, mark):
    """The grading cell of a student who forgot the mask fails with the line and the kind of mistake, and no number."""
    code = [cell["source"] for cell in cells_of(tmp_path, grader) if cell["cell_type"] == "code"]
    given = [without_solutions(source, mark) for source in code]
    at = next(number for number, source in enumerate(given) if "assert_agrees(weights" in source)
    answer = "e = np.exp(scaled)\nweights = e / e.sum(-1, keepdims=True)"
    with pytest.raises(AssertionError, match="Look first at weights") as failed:
        run([*given[: at - 1], answer, given[at]])
    right = read_problem("causal-mask").trace()["weights"]
    assert "causal mask" in str(failed.value)
    assert f"{float(right[0, 1, 0]):.2f}" not in str(failed.value)


@pytest.mark.parametrize("grader", ["nbgrader", "otter"])
def test_an_error_that_is_carried_on_costs_one_point(tmp_path, grader):
    """Wrong weights fail their cell; what they give for the heads passes, and other heads do not."""
    code = [cell["source"] for cell in cells_of(tmp_path, grader) if cell["cell_type"] == "code"]
    at = next(number for number, source in enumerate(code) if "assert_agrees(weights" in source)
    wrong = "e = np.exp(scaled)\nweights = e / e.sum(-1, keepdims=True)"
    run([*code[: at - 1], wrong, *code[at + 1 :]])
    with pytest.raises(AssertionError, match="Look first at head"):
        run([*code[: at - 1], wrong, "head = weights @ value + 1", code[at + 2]])


@pytest.mark.parametrize(("arguments", "says"), [
    (["-o", "a.ipynb"], "--blank"),
    (["-o", "a.pdf", "--blank", "weights"], "does not end in .ipynb"),
])  # fmt: skip
def test_what_is_no_assignment_is_refused(arguments, says):
    """Without a question, or for another kind of file, the command says what it needs."""
    ran = CliRunner().invoke(main, ["export", "causal-mask", *arguments, "--autograde", "otter"])
    assert ran.exit_code == 2
    assert says in ran.output
