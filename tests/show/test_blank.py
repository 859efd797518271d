"""Sheets with blanks give nothing away: neither by later lines, nor by what they say of themselves."""

import subprocess
import sys

import numpy as np
import pytest

from clearhead import generate, read_problem
from clearhead.problems import bundled
from clearhead.show import View
from clearhead.show.blank import about_of, blanks
from clearhead.show.export import save

BLANK = ("weights", "head")


def without(trace, *names):
    return blanks(trace, View(blank=names))


def test_lines_that_only_move_or_map_blank_numbers_are_left_out():
    """Of blank heads the concatenation, the output and the residual are left out, since each gives them away."""
    assert without(read_problem("soccer").trace(), *BLANK) == {*BLANK, "concat", "output", "residual"}


def test_a_line_that_leaves_them_open_stays():
    """One number for each row of three weights that sum to 1 leaves these open: other weights give the same heads."""
    trace = read_problem("soccer").trace()
    assert without(trace, "weights") == {"weights"}
    for weights, value in zip(trace["weights"], trace["value"], strict=True):
        equations = np.vstack([value.T, np.ones(3)])
        free = np.linalg.svd(equations)[2][np.linalg.matrix_rank(equations) :]
        other = weights + 0.1 * free[0]
        assert np.allclose(other @ value, weights @ value)
        assert np.all(np.abs(free).max(axis=0) > 1e-3), "every weight is open"


def test_weights_are_left_out_with_heads_that_determine_them():
    """Where a head has as many numbers as it takes, it is left out: the weights can be solved from it."""
    trace = read_problem("single-head").trace()
    assert "head" in without(trace, "weights")
    equations = np.vstack([trace["value"][0].T, np.ones(trace["weights"].shape[-1])])
    known = np.vstack([trace["head"][0].T, np.ones(trace["weights"].shape[-2])])
    solved = np.linalg.lstsq(equations, known, rcond=None)[0].T
    settled = np.abs(solved - trace["weights"][0]).max(axis=0) < 1e-9
    assert settled.any()


@pytest.mark.parametrize("name", [name for name in bundled() if name != "cross-entropy"])
@pytest.mark.parametrize("line", ["weights", "head", "scores", "value"])
def test_no_shown_line_settles_a_blank_number(name, line):
    """The shown lines, linearised and taken together by least squares, leave every blank number open."""
    trace = read_problem(name).trace()
    blank = blanks(trace, View(blank=(line,)))
    full = next(each.name for each in trace.working.lines if each.name.split(".")[-1] == line)
    entered = trace.working.starting_at(full)
    shown = [each.name for each in entered.lines if each.name not in blank]
    flat = np.asarray(trace[full], dtype=float).ravel()
    given = {each.name: trace[each.name] for each in entered.givens}
    with np.errstate(all="ignore"):
        columns = []
        for at in range(flat.size):
            ends = []
            for step in (1e-5, -1e-5):
                moved = flat.copy()
                moved[at] += step
                ran = entered.run({**given, full: moved.reshape(trace[full].shape)})
                ends.append(np.concatenate([np.ravel(ran.numpy(each)) for each in shown] or [np.zeros(1)]))
            columns.append(np.nan_to_num((ends[0] - ends[1]) / 2e-5, posinf=0, neginf=0))
    matrix = np.stack(columns, axis=1)
    for at in range(flat.size):
        goal = np.eye(flat.size)[at]
        found = np.linalg.lstsq(matrix.T, goal, rcond=1e-5)[0] @ matrix
        assert np.abs(found - goal).max() > 1e-4, f"{full}, number {at}"


def test_a_large_sheet_shows_nothing_made_of_its_blanks():
    """Where there are too many blank numbers to tell, every line that is made of them is left out."""
    from clearhead.spec import Attention

    working = Attention(heads=2, output=False).working()
    sizes = {"head": 2, "token": 20, "model": 3, "depth": 2}
    rng = np.random.default_rng(1)
    trace = working.run({each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens})
    assert without(trace, "weights") == {"weights", "head", "concat"}


def test_a_sheet_says_what_to_do_and_not_where_it_is_from():
    """With blanks the text is the sheet's own: no claims, and no seed from which the key can be made."""
    problem = generate(tokens=3, seed=7)
    trace = problem.trace()
    assert "--seed 7" in " ".join(about_of(trace, View("T", problem.about)))
    sheet = about_of(trace, View("T", problem.about, blank=BLANK))
    assert sheet[0].startswith("Compute the numbers that are left blank, line by line, from those that are given")
    assert "concat" in sheet[1]


@pytest.mark.parametrize("ending", ["html", "md", "tex", "txt", "ipynb", "py"])
def test_no_medium_prints_the_seed_or_a_blank_line(ending, tmp_path):
    """Sheets of every kind are without the seed; documents are without the numbers of left-out lines."""
    problem = generate(tokens=3, seed=77)
    trace = problem.trace()
    save(trace, tmp_path / f"x.{ending}", View(problem.title, problem.about, blank=BLANK))
    written = (tmp_path / f"x.{ending}").read_text("utf-8")
    assert "--seed" not in written
    assert "left blank" in written.replace("\n# ", " ")


def test_a_blank_script_names_what_is_left_to_do(tmp_path):
    """It stops at the first blank line and says so, without a traceback; filled in, it runs to its end."""
    trace = read_problem("soccer").trace()
    save(trace, tmp_path / "x.py", View(blank=("weights",)))
    done = subprocess.run([sys.executable, tmp_path / "x.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "Left to do: weights.\n"
    code = (tmp_path / "x.py").read_text("utf-8")
    filled = code.replace("weights = ...", "weights = np.exp(scaled) / np.exp(scaled).sum(-1, keepdims=True)")
    (tmp_path / "x.py").write_text(filled, "utf-8")
    done = subprocess.run([sys.executable, tmp_path / "x.py"], capture_output=True, text=True, check=True)
    assert "norm" in done.stdout
