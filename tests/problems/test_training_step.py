"""A forward pass, a backward pass and a step of AdamW, as a course of 5 tokens, width 16 and 2 heads prints them.

Source: Zack Hubert, Understanding Gradients, https://zhubert.com/intro-to-transformers, notebooks 7, 9 and 10. Its
numbers are drawn with Python's generator from the seed 42, each notebook anew. Notebook 9 draws what a layer was given,
instead of taking it from the one before: here each layer is entered with the same numbers.
"""

import random

import numpy as np
import pytest
from msgspec.structs import replace

from clearhead.line import Given, line
from clearhead.ops.textbook import linear, tables, tokens
from clearhead.spec import Attention, Block, Embedding, Head, Loss, Mlp, Norm, Optimizer, Transformer
from clearhead.working import Working

TOKENS, TARGETS = np.array([1, 3, 4, 5, 2]), np.array([3, 4, 5, 2, -100])
DECIMALS = 0.5000001e-4
"""How far a number may lie from one that was printed with four decimals."""


class Draws:
    """The numbers of a notebook, in the order in which it draws them."""

    def __init__(self):
        self.random = random.Random(42)

    def __call__(self, *shape):
        return np.array([self.random.gauss(0, 0.1) for _ in range(np.prod(shape))]).reshape(shape)


def model():
    """The notebook's model: the sum around the attention is left out."""
    block = Block(Attention(2, causal=True), norm=None, mlp=Mlp("gelu-tanh", bias=True))
    loss = Loss(reads="logits", ignored=-100)
    whole = Transformer(Embedding(positions=True), (block,), norm=Norm(eps=1e-5), head=Head(), loss=loss).working()
    left_out, instead = "layers.1.attention.residual", "layers.1.attention.output"

    def without(each):
        operands = tuple(instead if name == left_out else name for name in each.operands)
        return [] if each.name == left_out else [replace(each, operands=operands)]

    return whole.rewrite(without)


def weights():
    draw = Draws()
    arrays = {"embedding.weight": draw(6, 16), "embedding.position.weight": draw(5, 16)}
    for name in ("query", "key", "value"):
        arrays[f"layers.1.attention.{name}.weight"] = draw(2, 16, 8)
    arrays["layers.1.attention.output.weight"] = draw(16, 16).T
    arrays["layers.1.mlp.up.weight"], arrays["layers.1.mlp.up.bias"] = draw(64, 16).T, draw(64)
    arrays["layers.1.mlp.output.weight"], arrays["layers.1.mlp.output.bias"] = draw(16, 64).T, draw(16)
    arrays |= {"norm.gain": np.ones(16), "norm.bias": np.zeros(16), "logits.weight": draw(6, 16).T}
    return {**arrays, "token": TOKENS, "target": TARGETS}


LOGITS = """
0.3362  -0.1025  -0.0514  -0.0053   0.2907   0.0848
0.3332  -0.1114  -0.0743  -0.0182   0.2730   0.0714
0.3179  -0.1641  -0.0885  -0.0041   0.3290   0.0326
0.3252  -0.1279  -0.0646  -0.0031   0.3202   0.0518
0.3209  -0.1388  -0.0673   0.0066   0.3317   0.0356
"""
PROBABILITIES = """
0.2098   0.1353   0.1424   0.1491   0.2004   0.1631
0.2118   0.1358   0.1409   0.1490   0.1994   0.1630
0.2096   0.1294   0.1396   0.1519   0.2119   0.1576
0.2088   0.1327   0.1414   0.1504   0.2078   0.1589
0.2082   0.1315   0.1412   0.1521   0.2105   0.1565
"""


def printed(text):
    return np.array([[float(number) for number in row.split()] for row in text.strip().splitlines()])


def assert_printed(found, numbers, within=DECIMALS):
    np.testing.assert_allclose(found, numbers, rtol=0, atol=within)


def test_the_forward_pass():
    """Logits, probabilities and losses are those that the course prints."""
    trace = model().run(weights())
    assert_printed(trace["logits"], printed(LOGITS))
    assert_printed(trace["probabilities"], printed(PROBABILITIES))
    assert_printed(trace["loss.token"][:4], [1.9033, 1.6123, 1.8479, 1.9560])
    assert_printed(trace["loss"], 1.8299)
    assert_printed(trace["loss.token"][0], 1.903260, 0.5e-6)


UPSTREAM = np.array([
    [0.1785, 0.2007, 0.1759, -0.8746, 0.1563, 0.1632],
    [0.1836, 0.1969, 0.1805, 0.1233, -0.8500, 0.1657],
    [0.1795, 0.2050, 0.1782, 0.1207, 0.1437, -0.8272],
    [0.1855, 0.2017, -0.8229, 0.1271, 0.1391, 0.1695],
])  # fmt: skip
"""The gradients of the logits that notebook 9 begins with, as notebook 8 prints them."""


BIAS = [-0.0287, -0.0846, -0.2322, -0.0055, -0.1733, 0.0561, 0.0873, 0.1953]
"""Printed for the norm's bias, and again for that of the MLP's second layer, which gets the same gradient."""


def one(operation, names, axes, arrays, upstream, result="token model", **parameters):
    """The gradients of a line of one operation, by all of its operands of numbers."""
    givens = tuple(
        Given(name, tuple(own.split()), holds="integers" if arrays[name].dtype.kind == "i" else "numbers")
        for name, own in zip(names.split(), axes, strict=True)
    )
    backward = Working(givens, (line("y", operation, names, result, **parameters),)).backward()
    return backward.run({**arrays, "y.grad": upstream})


def test_the_backward_pass():
    """The gradients of each layer are those that the course prints, from the numbers that it draws."""
    draw = Draws()
    matrix = ("token model", "model model")
    trace = one(linear.matmul, "h w", matrix, {"h": draw(4, 16), "w": draw(6, 16).T}, UPSTREAM)
    assert_printed(trace["w.grad"][:, 0], [
        -0.0567, -0.0032, -0.0264, 0.0356, 0.0148, -0.0320, 0.0002, -0.0341,
        0.0249, 0.0188, 0.0225, 0.0555, 0.0640, -0.0139, -0.0175, -0.0472,
    ])  # fmt: skip
    passed = trace["h.grad"]
    assert_printed(passed[0], [
        0.0903, -0.0471, -0.1804, 0.0674, 0.0800, -0.1086, 0.1034, 0.0616,
        0.0108, 0.1447, 0.0161, 0.1209, -0.1277, 0.0034, -0.1746, 0.0298,
    ])  # fmt: skip
    arrays = {"x": draw(4, 16), "gain": np.ones(16), "bias": np.zeros(16)}
    trace = one(tokens.gain_and_bias, "x gain bias", ("token model", "model", "model"), arrays, passed)
    assert_printed(trace["gain.grad"][:8], [0.0225, -0.0240, -0.0296, 0.0103, 0.0170, -0.0249, 0.0179, -0.0028])
    assert_printed(trace["bias.grad"][:8], BIAS)
    _mlp(draw, passed)
    arrays = {"concat": draw(4, 16), "w": draw(16, 16).T}
    trace = one(linear.matmul, "concat w", matrix, arrays, passed)
    assert_printed(trace["w.grad"][:8, 0], [-0.0054, -0.0005, -0.0072, -0.0334, 0.0020, 0.0262, -0.0032, 0.0370])
    _query(draw)
    trace = one(tables.look_up, "table token", ("vocabulary model", "token"),
                {"table": np.zeros((6, 16)), "token": TOKENS}, draw(5, 16))  # fmt: skip
    assert_printed(np.linalg.norm(trace["table.grad"], axis=1), [0, 0.4340, 0.3268, 0.2963, 0.3597, 0.3583])


def _mlp(draw, passed):
    """The course's slope of GELU has the tanh form's share and the other form's density: 1e-4 from either."""
    up, _, first, second, before, after = draw(4, 64), draw(4, 16), draw(64, 16), draw(16, 64), draw(64), draw(16)
    block = Block(Attention(1), mlp=Mlp("gelu-tanh", bias=True)).working()
    wrt = ("mlp.up.bias", "mlp.output.bias")
    lines = block.backward("mlp.output", wrt).ending_at(*(f"{name}.grad" for name in wrt)).starting_at("mlp.up")
    arrays = {
        "mlp.up": up, "mlp.up.weight": first.T, "mlp.output.weight": second.T, "mlp.up.bias": before,
        "mlp.output.bias": after, "mlp.output.grad": passed,
    }  # fmt: skip
    trace = lines.run({given.name: arrays[given.name] for given in lines.givens})
    assert_printed(trace["mlp.output.bias.grad"][:8], BIAS)
    assert_printed(trace["mlp.up.bias.grad"][:8], [-0.0364, 0.0281, 0.0095, -0.0106, -0.0364, 0.0285, -0.0004, -0.0165])


def _query(draw):
    x, query, *_ = draw(4, 16), draw(16, 8), draw(16, 8), draw(16, 8)
    trace = one(linear.matmul, "x w", ("token model", "model depth"), {"x": x, "w": query}, draw(4, 8), "token depth")
    assert_printed(trace["w.grad"][0], [-0.0017, -0.0116, -0.0035, 0.0058, 0.0073, -0.0046, -0.0093, -0.0092])


def test_the_step_of_adamw():
    """Each number of a weight's step is the one that the course prints: moments, corrections, decay, the new weight."""
    forward = Working(
        (Given("theta", ("model",)), Given("slope", ("model",))),
        (line("loss", linear.multiply, "theta slope", "model"),),
    )
    step = Optimizer("adamw", 0.001, betas=(0.9, 0.999), eps=1e-8, decay=0.01)
    names = ("first", "second", "first.unbiased", "second.unbiased", "decayed", "new")
    whole = step.behind(forward.backward("loss", ["theta"])).ending_at(*(f"theta.{name}" for name in names))
    working = whole.starting_at("theta.grad")
    start = weights()["embedding.weight"][1, 0]
    assert start == pytest.approx(0.024634, abs=0.5e-6)
    trace = working.run({"theta": np.array([0.024634]), "theta.grad": np.array([-0.352893])})
    numbers = ("-0.035289", "0.000124533", "-0.352893", "0.124533", "0.024633754", "0.025634")
    for name, number in zip(names, numbers, strict=True):
        last = 10.0 ** -len(number.partition(".")[2])
        assert_printed(trace[f"theta.{name}"][0], float(number), last * 0.5000001)
