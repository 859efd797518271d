"""The spec of a whole model: its names, and what it refuses. Its numbers are compared with Transformers."""

import numpy as np
import pytest

from clearhead.errors import ShapeError, SpecError
from clearhead.spec import Attention, Block, Embedding, Head, Llama3Scaling, Mlp, Norm, Patches, Rotary, Transformer

BLOCK = Block(Attention(heads=2, causal=True), Norm("rms"), "pre", Mlp(gated=True))


def test_names_count_from_0():
    """Layers, heads and labels of a model count from 0; its lines come in the order of the work."""
    working = Transformer(Embedding(), (BLOCK, BLOCK), Norm("rms"), head=Head(tied=True), first=0).working()
    lines = [line.name for line in working.lines]
    assert working.label_base == 0
    assert lines[0] == "embedding"
    assert lines[1] == "layers.0.attention.norm.normalized"
    assert lines[-1] == "logits"
    assert [name for name in lines if name.endswith("attention.weights")] == [
        "layers.0.attention.weights",
        "layers.1.attention.weights",
    ]


def test_an_embedding_adds_up():
    """Rows of tokens, scaled, of types and of positions are added; the norm of the sum is the embedding."""
    spec = Embedding(scale=3.0, types=True, positions=True, norm=Norm("rms", gain=False))
    working = Transformer(spec, (BLOCK,)).working()
    rng = np.random.default_rng(0)
    sizes = {"vocabulary": 5, "type": 2, "position": 7, "model": 4, "head": 2, "depth": 3, "head*depth": 6, "hidden": 9}
    arrays = {
        each.name: rng.normal(size=[sizes[word] for word in each.axes])
        for each in working.givens
        if each.holds == "numbers"
    }
    token, kind = np.array([4, 0, 4]), np.array([0, 1, 1])
    trace = working.run({**arrays, "token": token, "type": kind})
    expected = 3 * arrays["embedding.weight"][token] + arrays["embedding.type.weight"][kind]
    expected = expected + arrays["embedding.position.weight"][:3]
    np.testing.assert_allclose(trace["embedding.sum"], expected)
    assert "embedding.weight[" in trace.explain("embedding.token", 2, 1).formula.replace("table", "embedding.weight")
    with pytest.raises(ShapeError, match="token holds integers, got an array of float64"):
        working.run({**arrays, "token": token.astype(float), "type": kind})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Transformer(), "a model has an embedding, layers, a head or a loss"),
        (lambda: Transformer(Embedding(), (BLOCK,), head=Head("pooled")), "there is no pooler"),
        (lambda: Transformer(Embedding(), (BLOCK,), head=Head("marked", mark=2)), "there is no encoder"),
        (lambda: Head("marked"), "has its mark"),
        (
            lambda: Transformer(Patches(), (BLOCK,), head=Head(tied=True)),
            "tied to embeddings of tokens, and there are none",
        ),
        (lambda: Head("end"), "Head reads expects 'first', 'last', 'marked', 'mean', 'pooled' or 'tokens'"),
        (lambda: Head(transform="swish"), "Head transform expects 'gelu', 'gelu-sigmoid', 'gelu-tanh', 'relu', "),
    ],
)
def test_contradictions_are_refused(make, message):
    """A description that cannot be worked out says what is wrong with it."""
    with pytest.raises(SpecError, match=message):
        make()


def test_stretched_frequencies():
    """Llama 3.1's rule: fast frequencies stay, slow ones are divided, those between are shared."""
    rotary = Rotary(base=100.0, scaling=Llama3Scaling(factor=8.0, fast=4.0, slow=1.0, context=16))
    working = Attention(heads=1, rotary=rotary, output=False).working()
    rng = np.random.default_rng(0)
    sizes = {"head": 1, "depth": 6}
    arrays = {each.name: rng.normal(size=[sizes.get(word, 3) for word in each.axes]) for each in working.givens}
    trace = working.run(arrays)
    own = 100.0 ** -(np.arange(3) / 3)
    turns = own * 16 / (2 * np.pi)
    assert (turns > 1).tolist() == [True, False, False]
    share = (turns[0] - 1) / 3
    np.testing.assert_allclose(trace["rotary.scaled"], [own[0] * (share + (1 - share) / 8), own[1] / 8, own[2] / 8])
