"""Models from tokens to a loss, compared with PyTorch's layers and plain NumPy."""

import numpy as np
import pytest
import torch

from clearhead.errors import SpecError
from clearhead.spec import Attention, Block, Embedding, Encoder, Head, Loss, Mlp, Norm, Positions, Transformer

SIZES = {
    "vocabulary": 7, "model": 8, "head": 2, "depth": 4, "token": 5, "query": 5, "key": 5, "hidden": 6, "head*depth": 8,
    "position": 9, "class": 3,
}  # fmt: skip


def drawn(working, seed=0, **sizes):
    """Numbers for all given arrays."""
    rng, along = np.random.default_rng(seed), SIZES | sizes

    def array(given):
        shape = [along[word] for word in given.axes]
        if given.holds == "integers":
            return rng.integers(0, along["vocabulary"], shape)
        return rng.random(shape) < 0.7 if given.holds == "booleans" else rng.normal(size=shape)

    return {given.name: array(given) for given in working.givens}


def stacked(arrays, path, names=("query", "key", "value")):
    """Weights of heads as PyTorch's packed projection, and their biases."""
    weights = [np.concatenate(list(arrays[f"{path}.{name}.weight"]), axis=-1).T for name in names]
    return np.concatenate(weights), np.concatenate([arrays[f"{path}.{name}.bias"].reshape(-1) for name in names])


def torch_attention(layer, arrays, path):
    weight, bias = stacked(arrays, path)
    layer.in_proj_weight.data, layer.in_proj_bias.data = torch.tensor(weight), torch.tensor(bias)
    layer.out_proj.weight.data = torch.tensor(arrays[f"{path}.output.weight"].T)
    layer.out_proj.bias.data = torch.tensor(arrays[f"{path}.output.bias"])


def torch_norm(layer, arrays, path):
    layer.weight.data, layer.bias.data = (torch.tensor(arrays[f"{path}.norm.{name}"]) for name in ("gain", "bias"))


def torch_linear(layer, arrays, path):
    layer.weight.data = torch.tensor(arrays[f"{path}.weight"].T)
    layer.bias.data = torch.tensor(arrays[f"{path}.bias"])


def torch_layer(kind, arrays, path):
    """A layer of PyTorch's transformer with the numbers of one of ours."""
    layer = kind(8, 2, dim_feedforward=6, dropout=0.0, batch_first=True, dtype=torch.float64).eval()
    torch_attention(layer.self_attn, arrays, f"{path}.attention")
    torch_norm(layer.norm1, arrays, f"{path}.attention")
    if kind is torch.nn.TransformerDecoderLayer:
        torch_attention(layer.multihead_attn, arrays, f"{path}.cross")
        torch_norm(layer.norm2, arrays, f"{path}.cross")
        torch_norm(layer.norm3, arrays, f"{path}.mlp")
    else:
        torch_norm(layer.norm2, arrays, f"{path}.mlp")
    torch_linear(layer.linear1, arrays, f"{path}.mlp.up")
    torch_linear(layer.linear2, arrays, f"{path}.mlp.output")
    return layer


def test_an_encoder_and_a_decoder_are_those_of_pytorch():
    """Two encoder and two decoder layers, by ``repeat``, give PyTorch's logits and its cross-entropy."""
    attention, mlp = Attention(2, bias=True), Mlp("relu", bias=True)
    encoder = Encoder((Block(attention, Norm(), mlp=mlp, repeat=2),), Embedding())
    block = Block(Attention(2, bias=True, causal=True), Norm(), mlp=mlp, cross=attention, repeat=2)
    working = Transformer(Embedding(), (block,), head=Head(), encoder=encoder, loss=Loss()).working()
    arrays = drawn(working)
    trace = working.run(arrays)

    stream = torch.tensor(arrays["encoder.embedding.weight"])[arrays["encoder.token"]][None]
    for number in (1, 2):
        stream = torch_layer(torch.nn.TransformerEncoderLayer, arrays, f"encoder.layers.{number}")(stream)
    memory, stream = stream, torch.tensor(arrays["embedding.weight"])[arrays["token"]][None]
    future = torch.ones(5, 5, dtype=torch.bool).triu(1)
    for number in (1, 2):
        layer = torch_layer(torch.nn.TransformerDecoderLayer, arrays, f"layers.{number}")
        stream = layer(stream, memory, tgt_mask=future)
    logits = stream[0] @ torch.tensor(arrays["logits.weight"])
    np.testing.assert_allclose(trace["logits"], logits.detach().numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(trace["probabilities"], torch.softmax(logits, -1).detach().numpy(), rtol=1e-8)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(arrays["target"]))
    assert float(trace["loss"]) == pytest.approx(loss.item(), rel=1e-9)


def test_both_ways_to_a_cross_entropy_agree():
    """Read from probabilities or from logits, with smoothing and ignored targets, the loss is the same."""
    found = []
    for reads in ("probabilities", "logits"):
        spec = Transformer(head=Head(), loss=Loss(smoothing=0.1, ignored=2, reads=reads))
        working = spec.working()
        found.append(float(working.run(drawn(working))["loss"]))
    assert found[0] == pytest.approx(found[1], rel=1e-12)


def test_a_squared_error_is_the_mean_of_all_cells():
    """Without a head the loss holds what the blocks give against a target of the same shape."""
    working = Transformer(layers=(Block(Attention(2)),), loss=Loss("squared-error")).working()
    arrays = drawn(working)
    trace = working.run(arrays)
    expected = ((trace["layers.1.residual"] - arrays["target"]) ** 2).mean()
    assert float(trace["loss"]) == pytest.approx(expected, rel=1e-12)


def test_positions_alone():
    """The sinusoids of given positions are those of the formula in the paper."""
    working = Positions("sinusoidal", width=4).working()
    found = working.run({"index": [0, 1, 5]})["position"]
    expected = [[f(p / 10000 ** (2 * i / 4)) for i in (0, 1) for f in (np.sin, np.cos)] for p in (0, 1, 5)]
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-15)


def test_attention_without_weights():
    """With projected = false queries, keys and values are the input: two heads take half of its columns each."""
    x = np.random.default_rng(1).normal(size=(3, 4))
    trace = Attention(2, projected=False, output=False, exponentials=True).working().run({"input": x})
    for head, part in enumerate((x[:, :2], x[:, 2:])):
        parts = np.exp(part @ part.T / np.sqrt(2))
        np.testing.assert_allclose(trace["exponentials"][head], parts, rtol=1e-14)
        np.testing.assert_allclose(trace["sums"][head], parts.sum(-1), rtol=1e-14)
        np.testing.assert_allclose(trace["head"][head], parts @ part / parts.sum(-1, keepdims=True), rtol=1e-14)


def test_dropout_by_given_masks():
    """Kept weights and outputs are divided by what is kept on average; dropped ones are 0."""
    working = Block(Attention(2, dropout=0.5), dropout=0.2).working()
    arrays = drawn(working)
    trace = working.run(arrays)
    np.testing.assert_allclose(trace["weights.dropped"], trace["weights"] * arrays["weights.keep"] * 2)
    np.testing.assert_allclose(trace["head"], trace["weights.dropped"] @ trace["value"])
    np.testing.assert_allclose(trace["output.dropped"], trace["output"] * arrays["output.keep"] / 0.8)
    np.testing.assert_allclose(trace["residual"], arrays["input"] + trace["output.dropped"])


def test_an_embedding_with_sinusoids():
    """Rows that are looked up and scaled get sinusoids added."""
    working = Transformer(Embedding(scale=2.0, positions=Positions("sinusoidal"))).working()
    arrays = drawn(working)
    rows = 2 * arrays["embedding.weight"][arrays["token"]]
    alone = Positions("sinusoidal", width=8).working().run({"index": np.arange(5.0)})["position"]
    np.testing.assert_allclose(working.run(arrays)["embedding"], rows + alone, rtol=1e-14)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Attention(1, dropout=1.0), "Attention dropout expects a rate from 0 to below 1, got 1.0"),
        (lambda: Block(Attention(1), dropout=-0.1), "Block dropout expects a rate"),
        (lambda: Attention(2, kv_heads=1, projected=False), "projected = false goes without kv_heads"),
        (lambda: Attention(2, bias=True, projected=False), "projected = false goes without kv_heads"),
        (lambda: Block(Attention(1), repeat=0), "repeat expects 1 or more"),
        (lambda: Block(Attention(1), repeat=2).working(), "a single block is not repeated"),
        (lambda: Transformer(layers=(Block(Attention(1), repeat=10**6),)), "layers expects at most 1000 blocks"),
        (lambda: Transformer(loss=Loss()), "a cross-entropy reads logits, and there is no head"),
        (lambda: Transformer(head=Head(), encoder=Encoder((Block(Attention(1)),))), "nothing reads the encoder"),
        (lambda: Loss(smoothing=1.5), "Loss smoothing expects a number from 0 to 1"),
        (lambda: Loss("squared-error", reduction="sum"), "a squared error goes without"),
        (lambda: Positions("given").working(), "only computed positions have a working"),
        (lambda: Positions("sinusoidal").working(), "only computed positions have a working"),
    ],
)
def test_contradictions_are_refused(make, message):
    """A spec that cannot be computed says what is wrong with it, and what to set."""
    with pytest.raises(SpecError, match=message):
        make()


def test_a_memory_is_shared_by_all_layers():
    """Without an encoder the memory is given once, and each layer's cross-attention reads it."""
    working = Transformer(layers=(Block(Attention(1), cross=Attention(1), repeat=3),)).working()
    assert [given.name for given in working.givens if given.name.endswith("memory")] == ["memory"]
    readers = [line.name for line in working.lines if "memory" in line.operands]
    assert readers == [f"layers.{n}.cross.{name}" for n in (1, 2, 3) for name in ("key", "value")]
