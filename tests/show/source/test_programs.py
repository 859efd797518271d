"""Traces as scripts and notebooks: executed, they give the trace's numbers."""

import ast
import json
import subprocess
import sys

import nbclient
import nbformat
import numpy as np
import pytest
import torch

from clearhead import read_problem
from clearhead.deviations import deviate
from clearhead.errors import ShapeError, UnknownName
from clearhead.problems import bundled
from clearhead.show import View
from clearhead.show.source.notebook import notebook
from clearhead.show.source.program import program_of, variables
from clearhead.show.source.script import script
from clearhead.spec import Attention, Block, Mlp, Norm, Rotary

from ...rounding import assert_rounded, expected

pytestmark = pytest.mark.sweep(3)

FRAMEWORKS = ["numpy", "torch"]


@pytest.fixture(autouse=True)
def single():
    """Programs in PyTorch set its default type; the next test finds it as it was."""
    yield
    torch.set_default_dtype(torch.float32)


def assert_gives(trace, code, *, rtol=1e-12):
    """The code, run, leaves every array of the trace in a variable of its own."""
    names = {"__name__": "program"}
    with np.errstate(all="ignore"):
        exec(compile(code, "program", "exec"), names)
    for name, variable in variables(trace.working.names).items():
        np.testing.assert_allclose(
            np.asarray(names[variable]), trace.numpy(name), rtol=rtol, atol=rtol, err_msg=f"{name}\n{code}"
        )


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", bundled())
def test_a_script_gives_the_trace(name, framework, capsys):
    """Every bundled problem's script works out every line again, without clearhead, and prints each."""
    trace = read_problem(name).trace()
    code = script(trace, View(framework=framework)).decode()
    assert "clearhead" not in code
    assert_gives(trace, code)
    printed = capsys.readouterr().out
    assert all(variable in printed for variable in variables(trace.working.names).values())


WORKINGS = {
    "wide rotary": Block(Attention(heads=4, kv_heads=2, rotary=Rotary("interleaved", width=4)), norm=Norm()).working(),
    "mlp": Block(Attention(heads=4, alibi=True, mask="additive"), norm=Norm("rms"), mlp=Mlp(bias=True)).working(),
    "wrong": deviate(
        Block(Attention(heads=4, causal=True, padding=True), norm=Norm()).working(),
        "softmax-over-queries", "scale-after-softmax", "round:line=head@2,decimals=1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_names_inside_a_formula_replace_no_line(framework, arrays_for, sizes):
    """The gradient of a gated MLP has a gate inside its formula, and leaves the line of that name as it is."""
    working = Block(Attention(heads=4), mlp=Mlp("silu", gated=True), norm=Norm()).working().backward()
    trace = working.run(arrays_for(working, sizes | {"key": sizes["query"]}))
    assert_gives(trace, script(trace, View(framework=framework)).decode())


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", WORKINGS)
def test_batches_and_deviations_are_written_out(name, framework, arrays_for, sizes):
    """Also in a batch, of which some arrays have no part, and with lines rewritten."""
    working = WORKINGS[name]
    arrays = arrays_for(working, sizes | {"key": sizes["query"]})
    arrays["input"] = np.stack([arrays["input"], -arrays["input"]])
    assert_gives(working.run(arrays), script(working.run(arrays), View(framework=framework)).decode())


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_block_with_every_feature(big, framework):
    """Masks, caches, groups, norms, biases and gates: nothing is left that the compiler cannot write."""
    assert_gives(big, script(big, View(framework=framework)).decode())


def test_single_precision_stays(two_heads):
    """Arrays of float32 are written as such, to the last bit."""
    working = Attention(heads=2, output=False).working()
    arrays = {name: (np.array(value) / 3).astype(np.float32) for name, value in two_heads.items()}
    trace = working.run(arrays)
    names = {}
    exec(script(trace, View()).decode(), names)
    assert names["input"].dtype == np.float32
    np.testing.assert_array_equal(names["input"], trace["input"])
    for found in (names["head"], trace["head"]):
        assert_rounded(found, expected(working, arrays)["head"])


def cells(content, kind="code"):
    return [cell for cell in nbformat.reads(content.decode(), 4).cells if cell.cell_type == kind]


@pytest.mark.parametrize("name", bundled())
def test_a_notebook_gives_the_trace_and_shows_it(name):
    """Run in order the cells give every line, and the outputs in the file are those numbers as NumPy prints them."""
    trace = read_problem(name).trace()
    content = notebook(trace, View("A title", decimals=4))
    nbformat.validate(nbformat.reads(content.decode(), 4))
    code = [cell.source for cell in cells(content)]
    assert_gives(trace, "\n".join(code))
    with np.printoptions(precision=4, suppress=True):
        shown = [cell.outputs[0].data["text/plain"] for cell in cells(content)[1:]]
        assert shown == [repr(trace.numpy(line)[()]) for line in trace]
    assert content == notebook(trace, View("A title", decimals=4))


@pytest.mark.parametrize("name", ["decoder-block", "head-backward"])
@pytest.mark.filterwarnings("ignore")
def test_a_kernel_runs_the_notebook(name):
    """Jupyter itself runs it and gets, cell by cell, the outputs that the file came with."""
    book = nbformat.reads(notebook(read_problem(name).trace(), View()).decode(), 4)
    ran = nbclient.NotebookClient(book.copy(), timeout=60, kernel_name="python3").execute()
    outputs = [[cell.get("outputs", []) for cell in each.cells] for each in (book, ran)]
    plain = [[[output.data["text/plain"] for output in cell] for cell in each] for each in outputs]
    assert plain[0] == plain[1]
    assert sum(map(bool, plain[0])) > 20


def test_each_line_has_its_words_and_its_formula():
    """Before each line stand its name, what it does, and its formula in LaTeX; of deviations there is a warning."""
    trace = read_problem("soccer").trace("softmax-over-queries")
    words = [
        cell.source for cell in cells(notebook(trace, View("Chaky", "About.", ("softmax-over-queries",))), "markdown")
    ]
    assert words[0].startswith("# Chaky\n\nAbout.\n\n> **Warning:** Deviates by softmax-over-queries.")
    (weights,) = [each for each in words if each.startswith("## weights")]
    assert "down the columns" in weights
    assert r"\sum_{k}" in weights
    assert len(words) == len(trace) + 1


def test_blank_lines_are_left_to_the_reader():
    """A blank line is an ellipsis with its shape, numbers are shown before it only, and filled in, all follows."""
    trace = read_problem("soccer").trace()
    content = notebook(trace, View(blank=("weights",)))
    found = dict(zip(trace, cells(content)[1:], strict=True))
    first, *check = found["weights"].source.splitlines()
    assert first == "weights = ...  # your turn: (head=2, query=3, key=3)"
    assert check == ["if weights is ...:", '    raise SystemExit("Left to do: weights.")', "weights"]
    assert found["scaled"].outputs
    assert not any(found[name].outputs for name in ("weights", "head", "norm"))
    code = "\n".join(cell.source for cell in cells(content))
    assert_gives(
        trace, code.replace("weights = ...", "weights = np.exp(scaled) / np.exp(scaled).sum(-1, keepdims=True)")
    )
    assert "weights = ...  # your turn" in script(trace, View(blank=("weights",))).decode()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_hostile_names_do_nothing(make_trace, hostile, framework):
    """Whatever tokens and titles are called, the script is Python that says only what it says for plain ones."""
    for name in hostile:
        trace = make_trace(tokens=["a", "b", name])
        view = View(name, f"{name}\n\n{name}\nprint('no')", framework=framework)
        tree = ast.parse(script(trace, view).decode())
        plain = ast.parse(script(make_trace(tokens=["a", "b", "c"]), View(framework=framework)).decode())
        assert len(tree.body) == len(plain.body)
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and node.targets[0].id == "tokens"]
        assert ast.literal_eval(names[0].value) == ["a", "b", name]
        book = json.loads(notebook(trace, view))
        assert "<script>" not in "".join(book["cells"][0]["source"])


def test_variables_are_short_legal_and_each_its_own():
    """The shortest ending that is a name's alone, spelled as Python allows, and no name that the program needs."""
    expected = {
        "attention.weights": "weights", "attention.residual": "attention_residual", "mlp.residual": "mlp_residual",
        "norm 2": "norm_2", "2nd": "_2nd", "lambda": "lambda_", "np": "np_", "i": "i_",
    }  # fmt: skip
    assert variables(expected) == expected
    assert variables(["a b", "a-b"]) == {"a b": "a_b", "a-b": "a_b_"}


def test_what_no_program_can_hold_is_refused(make_trace):
    """Too many numbers, lines that were not kept, and frameworks there are not."""
    with pytest.raises(ShapeError, match="was not kept"):
        program_of(make_trace(keep=("weights",)), View())
    with pytest.raises(UnknownName, match="framework 'jax'"):
        program_of(make_trace(), View(framework="jax"))
    large = Attention(heads=1, output=False).working().starting_at("weights", "value")
    trace = large.run({"weights": np.ones((1, 400, 400)), "value": np.ones((1, 400, 1))})
    with pytest.raises(ShapeError, match="too many for a program"):
        program_of(trace, View())


def test_the_script_runs_by_itself(tmp_path):
    """As a file, in a process that has no clearhead, it prints the last line's numbers."""
    read_problem("two-heads").trace().save(tmp_path / "two.py")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path += {[p for p in sys.path if 'site-packages' in p]}\n"
         f"exec(open({str(tmp_path / 'two.py')!r}).read())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "norm\n[[" in done.stdout
