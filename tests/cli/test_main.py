from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from clearhead import DEVIATIONS, Problem, read_problem
from clearhead.cli import main
from clearhead.cli.main import COMMANDS
from clearhead.problems import bundled, library

MINE = """
format = 1
title = "Mine"
[attention]
heads = 1
output = false
[arrays]
input = [[1, 0], [0, 1], [1, 1]]
query.weight = [[[1], [0]]]
key.weight = [[[0], [1]]]
value.weight = [[[2], [1]]]
"""


NOTEBOOK = ["softmax-over-queries", "scale-after-softmax", "norm-over-matrix"]


def notebook_deviations():
    return [word for id in NOTEBOOK for word in ("--deviate", id)]


def run(*arguments, code=0, env=None):
    result = CliRunner().invoke(main, [str(a) for a in arguments], env={"COLUMNS": "80", **(env or {})})
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


def test_list_has_a_line_for_each_problem():
    """Every bundled problem is listed with its title, in teaching order, then the library by heading."""
    learning, *groups = run("list").output.split("\n\n")
    lines = learning.splitlines()
    assert [line.split()[0] for line in lines] == list(bundled())
    for heading, names in library().items():
        first, *rest = groups.pop(0).splitlines()
        assert first == heading
        assert [line.split()[0] for line in rest] == list(names)
        lines += rest
    for line in lines:
        name, title = line.split(maxsplit=1)
        assert title == read_problem(name).title


@pytest.mark.parametrize("form", ["text", "json", "markdown", "latex"])
@pytest.mark.parametrize("problem", bundled())
def test_every_bundled_problem_shows_in_every_form(problem, form):
    """Each problem is shown with its title, in each form."""
    output = run("show", problem, "--as", form).output
    assert read_problem(problem).title.split()[0] in output


def test_show_works_out_one_cell():
    """The arithmetic of one cell of one head, at the asked decimals."""
    output = run("show", "soccer", "weights@2", "--cell", "1,2", "--decimals", "2").output
    # exp(0) / (exp(-1) + exp(0) + exp(-1)) = 1 / (1 + 2/e) = 0.576...
    assert "weights@2[1,2] = exp(0)/(exp(-1) + exp(0) + exp(-1)) = 0.58" in output


def test_show_takes_a_file(mine):
    """A problem of one's own is shown like a bundled one: head 1 of token 1 reads 2, 1 and 3 at 1 : e : e."""
    output = run("show", mine, "head@1", "--cell", "1,1").output
    assert "head@1[1,1] = 0.155*2 + 0.422*1 + 0.422*3 = 2" in output


def test_show_json_has_the_agreed_form_and_every_digit():
    """Keys as documented; values round-trip; the row of 0/0 is null."""
    data = json.loads(run("show", "soccer", "--as", "json").output, parse_constant=pytest.fail)
    assert set(data) >= {"title", "deviations", "lines"}
    lines = {line["name"]: line for line in data["lines"]}
    for line in data["lines"]:
        assert set(line) >= {"name", "operation", "operands", "formula", "axes", "dtype", "shape", "values"}
        assert all(operand in lines for operand in line["operands"])
    assert lines["weights"]["axes"] == ["head", "query", "key"]
    assert lines["weights"]["shape"] == [2, 3, 3]
    assert lines["weights"]["values"] == read_problem("soccer").trace()["weights"].tolist()
    assert lines["norm"]["values"][2] == [None, None]


def test_show_deviates():
    """With the notebook's three deviations the norm is what the notebook printed."""
    data = json.loads(run("show", "soccer", "norm", "--as", "json", *notebook_deviations()).output)
    assert data["deviations"] == NOTEBOOK
    printed = [[round(v, 8) for v in row] for row in data["lines"][-1]["values"]]
    assert printed == [[0.7887128, -0.25556435], [-0.69469593, -1.73897308], [0.95026028, 0.95026028]]


def test_check_exits_1_at_a_difference_and_0_without():
    """The notebook's numbers differ from the textbook, and agree with the notebook's deviations."""
    assert "The first to differ is head@1" in " ".join(run("check", "soccer", code=1).output.split())
    flags = notebook_deviations()
    assert "All 12 claims agree" in run("check", "soccer", *flags).output


def test_check_exits_0_where_numbers_are_right_in_another_precision(tmp_path):
    """What NumPy prints of float32 is right, so a check in CI passes; digit for digit it still differs."""
    problem = tmp_path / "single.toml"
    problem.write_text(
        'format = 1\ntitle = "Single"\ngiven = ["scaled", "value"]\n[attention]\nheads = 1\noutput = false\n'
        "[arrays]\nscaled = [[[1, 1.5, 0.5, 0.5]]]\nvalue = [[[1], [0], [0], [0]]]\n"
        '[[claims]]\nline = "weights@1"\nvalues = [[0.2589478, 0.42693272, 0.15705977, 0.15705977]]\n'
    )
    for said in (run("check", problem).output, run("check", problem, "--more").output):
        assert "as arithmetic in float32 gives" in " ".join(said.split())
        assert "differ from" not in said
    data = json.loads(run("check", problem, "--as", "json").output)
    assert (data["agree"], data["diagnosis"]["precision"]["kind"]) == (True, "float32")
    assert "as arithmetic in float32 gives" in data["diagnosis"]["precision"]["said"]
    run("check", problem, "--no-diagnose", code=1)


def test_check_says_why_numbers_differ():
    """The notebook's two visible faults are named below the differences, in text and JSON, unless turned off."""
    assert "with softmax-over-queries and norm-over-matrix" in " ".join(run("check", "soccer", code=1).output.split())
    data = json.loads(run("check", "soccer", "--as", "json", code=1).output, parse_constant=pytest.fail)
    assert data["diagnosis"]["verdict"] == "explained"
    assert data["diagnosis"]["findings"][0]["deviations"] == ["softmax-over-queries", "norm-over-matrix"]
    assert "Why they differ" not in run("check", "soccer", "--no-diagnose", code=1).output
    assert "diagnosis" not in json.loads(run("check", "soccer", "--no-diagnose", "--as", "json", code=1).output)


def test_check_takes_claims_from_another_file(mine, tmp_path):
    """--claims replaces the problem's own, and the difference is in the JSON too."""
    claims = tmp_path / "claims.toml"
    claims.write_text('format = 1\n[[claims]]\nline = "head@1"\nvalues = [[2.0], ["?"], [2.5]]\n')
    data = json.loads(run("check", mine, "--claims", claims, "--as", "json", code=1).output)
    assert data["agree"] is False
    assert data["first_difference"] == "head@1"
    (differing,) = data["lines"][0]["differing"]
    assert (differing["cell"], differing["claimed"]) == ([3, 1], "2.5")
    assert differing["expected"] == pytest.approx(2.0, abs=1e-12)


def test_a_problem_without_claims_has_nothing_to_check(mine):
    """No claims is not a failure, and is said."""
    assert "Nothing is claimed" in run("check", mine).output


def test_deviations_are_listed_and_told():
    """Every deviation is listed once by name, and each can be asked for all that is known of it."""
    listed = [line.split()[0] for line in run("deviations").output.splitlines() if line.startswith("  ")]
    assert listed == list(DEVIATIONS)
    for id, each in DEVIATIONS.items():
        shown = " ".join(run("deviations", id, env={"COLUMNS": "2000"}).output.split())
        for said in (each.does, each.invisible, each.remedy, each.seen):
            assert " ".join(said.split()) in shown
    assert "Did you mean" in run("deviations", "softmax-over-query", code=2).stderr


def test_new_writes_a_problem_that_runs(tmp_path):
    """The starter can be read, shown and checked as it is; it is not overwritten without --force."""
    path = tmp_path / "fresh.toml"
    run("new", path)
    assert isinstance(read_problem(path), Problem)
    run("show", path)
    assert "agree" in run("check", path).output
    path.write_text("mine now")
    assert "exists" in run("new", path, code=2).output
    assert path.read_text("utf-8") == "mine now"
    run("new", path, "--force")
    assert path.read_text("utf-8") == run("new", "-").output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "socer"], "Did you mean soccer"),
        (["show", "soccer", "wieghts"], "Did you mean weights?"),
        (["show", "soccer", "weights.grad"], "add --backward LINE, with the line that it begins at, such as norm;"),
        (["show", "soccer", "weights@3"], "heads 1 to 2, not 3"),
        (["show", "soccer", "weights@2", "--cell", "1"], "needs 2 indices (query, key), got 1 (1)"),
        (["show", "soccer", "weights@2", "--cell", "4,1"], "weights has query 1 to 3, not 4"),
        (["show", "soccer", "weights@2", "--cell", "a,b"], "whole numbers"),
        (["show", "soccer", "--cell", "1,1"], "needs a LINE"),
        (["show", "soccer", "--decimals", "99"], "99"),
        (["show", "soccer", "--deviate", "softmax-over-query"], "Did you mean softmax-over-queries or"),
        (["show", "soccer", "--deviate", "round:line=weights"], "round expects line"),
        (["show", "soccer", "--as", "pdf"], "pdf"),
        (["show", "no/such.toml"], "no/such.toml"),
        (["show"], "PROBLEM"),
        (["show", "soccer", "-o", "soccer.html"], "use: clearhead export PROBLEM -o FILE"),
        (["check", "soccer", "--output=report.html"], "check prints"),
        (["check", "soccer", "--claims", "no/such.toml"], "no/such.toml"),
        (["new", "no/such/folder/x.toml"], "no/such/folder/x.toml"),
        (["shwo"], "Did you mean show"),
    ],
)
def test_bad_input_exits_2_and_says_what_is_wrong(arguments, says):
    """Each slip gets an answer in words, on standard error, and no traceback."""
    result = run(*arguments, code=2)
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert len(result.stderr.splitlines()) < 12


def test_an_unexpected_error_is_told_without_a_traceback(monkeypatch):
    """A fault of ours is called one, exits 3, and shows its traceback only if asked."""

    def broken(*_, **__):
        raise RuntimeError("planted")

    monkeypatch.setattr("clearhead.show.render", broken)
    result = run("show", "soccer", code=3)
    assert "fault in clearhead" in result.stderr
    assert "planted" in result.stderr
    monkeypatch.setenv("CLEARHEAD_TRACEBACK", "1")
    assert isinstance(CliRunner().invoke(main, ["show", "soccer"]).exception, RuntimeError)


def test_every_command_has_help_with_an_example():
    """--help of each command ends with an example that runs."""
    for name in COMMANDS:
        example = run(name, "--help").output.strip().splitlines()[-1]
        assert example.strip().startswith("Example: "), name


def test_completion_knows_problems_lines_and_deviations():
    """The shell is offered what can be typed next."""

    def complete(words):
        env = {"_CLEARHEAD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        process = subprocess.run(
            [sys.executable, "-m", "clearhead"], env={**os.environ, **env}, capture_output=True, text=True, check=False
        )
        return process.stdout.split()

    assert "plain,soccer" in complete("clearhead show soc")
    assert "plain,weights" in complete("clearhead show soccer wei")
    assert "plain,norm-over-matrix" in complete("clearhead show soccer --deviate norm")
    for shell in ("bash", "zsh", "fish"):
        assert "_CLEARHEAD_COMPLETE" in run("completion", shell).output


def terminal(*arguments, **env):
    """What a command writes to a terminal of 80 columns."""
    here, there = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "80", **env}
    subprocess.run([sys.executable, "-m", "clearhead", *arguments], stdout=there, env=environment, check=True)
    os.close(there)
    written = b""
    while True:
        try:
            part = os.read(here, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        written += part
    os.close(here)
    return written.decode()


def test_colour_is_for_terminals_that_want_it():
    """On a terminal weights are shaded; with NO_COLOR, or into a pipe, there is not one escape."""
    assert "\x1b[" in terminal("show", "soccer", "weights")
    assert "\x1b" not in terminal("show", "soccer", "weights", NO_COLOR="1")
    piped = subprocess.run([sys.executable, "-m", "clearhead", "show", "soccer"], capture_output=True, check=True)
    assert b"\x1b" not in piped.stdout


def test_a_narrow_terminal_is_respected():
    """No line is wider than the terminal."""
    for columns in ("40", "60", "132"):
        output = run("show", "encoder-block", env={"COLUMNS": columns}).output
        assert max(map(len, output.splitlines())) <= int(columns)


@pytest.mark.parametrize("columns", ["", "0", "-5", "wide"])
def test_a_width_that_is_none_is_80(columns):
    """Where COLUMNS is no width and there is no terminal, lines are as long as 80 columns allow."""
    process = subprocess.run(
        [sys.executable, "-m", "clearhead", "show", "encoder-block"],
        capture_output=True, encoding="utf-8", check=True, env={**os.environ, "COLUMNS": columns},
    )  # fmt: skip
    assert 60 < max(map(len, process.stdout.splitlines())) <= 80


def test_a_reader_that_leaves_early_is_no_error():
    """`clearhead show soccer | head -1` ends quietly."""
    script = f"{sys.executable} -m clearhead show soccer | head -1; exit ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert process.returncode == 0
    assert process.stderr == ""


def test_a_terminal_without_unicode_gets_question_marks_not_errors():
    """Tokens that the encoding lacks are replaced."""
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "clearhead", "show", "soccer"]
    process = subprocess.run(command, env=env, capture_output=True, check=True)
    assert b"Chaky" in process.stdout


def test_help_and_version_do_not_import_numpy():
    """What needs no numbers starts without them."""
    code = """if True:
        import sys
        from clearhead.cli import main
        main(["--version"], standalone_mode=False)
        print("numpy" in sys.modules)
    """
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, numpy = process.stdout.splitlines()
    assert version.startswith("clearhead, version ")
    assert numpy == "False"


def test_the_source_of_the_package_is_where_it_runs_from():
    """The tests test this checkout."""
    assert Path(sys.modules["clearhead"].__file__).is_relative_to(Path(__file__).parents[2])
