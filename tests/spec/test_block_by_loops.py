"""Blocks against an attention written as anybody would: plain Python loops over tokens and heads, no clearhead."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from clearhead.spec import Attention, Block, Mlp, Norm, Positions, Rotary

ERF = np.vectorize(math.erf)
ACTIVATIONS = {
    "gelu": lambda x: x * (1 + ERF(x / math.sqrt(2))) / 2,
    "gelu-tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
}


class Weights:
    """The arrays of one part of a block, by their short names; None for those not given."""

    def __init__(self, arrays, path):
        self.arrays, self.path = arrays, path

    def __call__(self, name):
        return self.arrays.get(self.path + name)


def norm(spec, row, gain, bias):
    """One token, normed."""
    if spec.kind == "layer":
        row = (row - np.mean(row)) / math.sqrt(np.var(row) + spec.eps)
    else:
        row = row / math.sqrt(np.mean(row**2) + spec.eps)
    return row * (1 if gain is None else gain) + (0 if bias is None else bias)


def norms(spec, x, weights, name="norm"):
    """Each token, normed by itself."""
    return np.array([norm(spec, row, weights(f"{name}.gain"), weights(f"{name}.bias")) for row in x])


def turn(rotary, vector, position):
    """One query or key, turned pair by pair."""
    width = rotary.width or len(vector)
    turned = vector.copy()
    for pair in range(width // 2):
        a, b = (pair, pair + width // 2) if rotary.layout == "half" else (2 * pair, 2 * pair + 1)
        angle = position * rotary.base ** (-2 * pair / width)
        turned[a] = vector[a] * math.cos(angle) - vector[b] * math.sin(angle)
        turned[b] = vector[b] * math.cos(angle) + vector[a] * math.sin(angle)
    return turned


def projected(spec, weights, name, x, head, position):
    """The queries or keys of one head, normed and turned where the spec says so."""
    rows = x @ weights(f"{name}.weight")[head]
    if weights(f"{name}.bias") is not None:
        rows = rows + weights(f"{name}.bias")[head]
    if spec.qk_norm and name != "value":
        rows = norms(spec.qk_norm, rows, weights, f"{name}.norm")
    if spec.rotary and name != "value":
        rows = np.array([turn(spec.rotary, row, position + n) for n, row in enumerate(rows)])
    return rows


def may_attend(spec, weights, query, key, there):
    """Whether a query at a place among the keys may attend to a key."""
    if spec.causal and key > there:
        return False
    if spec.window is not None and abs(there - key) >= spec.window:
        return False
    if spec.padding and not weights("padding")[key]:
        return False
    return not (spec.mask == "boolean" and not weights("mask")[query, key])


def slope(head, heads):
    """The slopes of Press et al.: by their code, for any number of heads."""
    whole = 2 ** math.floor(math.log2(heads))
    if head < whole:
        return 2 ** (-8 / whole * (head + 1))
    return 2 ** (-8 / (2 * whole) * (2 * (head - whole) + 1))


def attend(spec, weights, head, queries, keys, values):
    """The outputs of one head, token by token."""
    outputs = []
    for n, query in enumerate(queries):
        there, scores = n + len(keys) - len(queries), {}
        for m, key in enumerate(keys):
            score = sum(query * key) * (spec.scale if spec.scale is not None else 1 / math.sqrt(len(query)))
            if spec.softcap:
                score = spec.softcap * math.tanh(score / spec.softcap)
            if spec.alibi:
                score -= slope(head, spec.heads) * abs(there - m)
            if spec.mask == "additive":
                score += weights("mask")[n, m]
            if may_attend(spec, weights, n, m, there) and score > -math.inf:
                scores[m] = score
        whole = sum(math.exp(score) for score in scores.values())
        outputs.append(sum((math.exp(s) / whole * values[m] for m, s in scores.items()), np.zeros(values.shape[1])))
    return np.array(outputs)


def attention(spec, weights, x):
    """All heads, side by side, and projected."""
    source = weights("memory") if spec.memory else x
    offset = (spec.rotary.offset if spec.rotary else 0) + (len(weights("past.key")[0]) if spec.cache else 0)
    heads = []
    for head in range(spec.heads):
        group = head // (spec.heads // (spec.kv_heads or spec.heads))
        queries = projected(spec, weights, "query", x, head, offset)
        keys = projected(spec, weights, "key", source, group, offset)
        values = projected(spec, weights, "value", source, group, offset)
        if spec.cache:
            keys = np.concatenate([weights("past.key")[group], keys])
            values = np.concatenate([weights("past.value")[group], values])
        heads.append(attend(spec, weights, head, queries, keys, values))
    joined = np.concatenate(heads, axis=1)
    return linear(weights, "output", joined) if spec.output else joined


def linear(weights, name, x):
    """A product, with its bias if there is one."""
    y = x @ weights(f"{name}.weight")
    return y if weights(f"{name}.bias") is None else y + weights(f"{name}.bias")


def mlp(spec, weights, x):
    """The MLP, gated or not."""
    up = linear(weights, "up", x)
    active = ACTIVATIONS[spec.activation](linear(weights, "gate", x) if spec.gated else up)
    return linear(weights, "output", active * up if spec.gated else active)


def sinusoids(tokens, width, base):
    """The table of section 3.5 of Vaswani et al."""
    table = np.zeros((tokens, width))
    for position in range(tokens):
        for column in range(width):
            angle = position / base ** (2 * (column // 2) / width)
            table[position, column] = math.cos(angle) if column % 2 else math.sin(angle)
    return table


def half(block, weights, x, part):
    """A part with its residual and its norm, before or after."""
    into = norms(block.norm, x, weights) if block.norm and block.placement == "pre" else x
    y = x + part(into)
    return norms(block.norm, y, weights) if block.norm and block.placement == "post" else y


def reference(block, arrays):
    """The output of a block."""
    if block.positions is None:
        x = arrays["input"]
    elif block.positions.kind == "given":
        x = arrays["embedding"] + arrays["position"]
    else:
        x = arrays["embedding"] + sinusoids(*arrays["embedding"].shape, block.positions.base)
    first = Weights(arrays, "attention." if block.mlp else "")
    x = half(block, first, x, lambda into: attention(block.attention, first, into))
    if block.mlp:
        second = Weights(arrays, "mlp.")
        x = half(block, second, x, lambda into: mlp(block.mlp, second, into))
    return x


PLAIN = Attention(heads=4)
GROUPED = Attention(heads=4, kv_heads=2)
BLOCKS = {
    "attention alone": Block(PLAIN),
    "post-norm": Block(PLAIN, norm=Norm()),
    "pre-norm": Block(PLAIN, norm=Norm(eps=0.5), placement="pre"),
    "rms pre-norm with MLP": Block(PLAIN, norm=Norm("rms"), placement="pre", mlp=Mlp("silu", gated=True)),
    "post-norm with MLP": Block(PLAIN, norm=Norm(gain=False), mlp=Mlp("relu", bias=True)),
    "MLP without norm": Block(GROUPED, mlp=Mlp("gelu")),
    "tanh MLP": Block(PLAIN, norm=Norm(bias=False), mlp=Mlp("gelu-tanh", gated=True, bias=True)),
    "given positions": Block(PLAIN, positions=Positions()),
    "sinusoidal positions": Block(PLAIN, norm=Norm(), positions=Positions("sinusoidal", base=50.0)),
    "one key/value head": Block(Attention(heads=4, kv_heads=1)),
    "scale": Block(Attention(heads=4, scale=0.25)),
    "soft-cap": Block(Attention(heads=4, softcap=1.5)),
    "causal": Block(Attention(heads=4, causal=True)),
    "window": Block(Attention(heads=4, window=2)),
    "boolean mask": Block(Attention(heads=4, mask="boolean", cache=True, kv_heads=2)),
    "additive mask": Block(Attention(heads=4, mask="additive", cache=True, kv_heads=2)),
    "padding": Block(Attention(heads=4, padding=True, cache=True, kv_heads=2)),
    "alibi": Block(Attention(heads=4, alibi=True)),
    "alibi of six heads": Block(Attention(heads=6, alibi=True, output=False)),
    "rotary": Block(Attention(heads=4, rotary=Rotary())),
    "interleaved rotary": Block(Attention(heads=4, rotary=Rotary("interleaved", base=20.0, offset=3.0))),
    "partial rotary": Block(Attention(heads=4, kv_heads=2, rotary=Rotary(width=4))),
    "query and key norm": Block(Attention(heads=4, qk_norm=Norm("layer"))),
    "biases": Block(Attention(heads=4, bias=("query", "key", "value", "output"))),
    "cache": Block(Attention(heads=4, cache=True, causal=True, kv_heads=2)),
    "cache and rotary": Block(Attention(heads=4, cache=True, causal=True, kv_heads=2, rotary=Rotary("interleaved"))),
    "memory": Block(Attention(heads=4, memory=True)),
    "memory and padding": Block(Attention(heads=4, memory=True, padding=True), norm=Norm(), placement="pre"),
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_a_block_is_what_plain_loops_give(block, arrays_for, sizes):
    """The last line of each block equals an independent computation by explicit loops."""
    spec = block.attention
    if spec.heads == 6:
        sizes = {**sizes, "head": 6, "depth": 2, "model": 12}
    if not (spec.cache or spec.memory):
        sizes = {**sizes, "key": sizes["token"]}
    if spec.kv_heads == 1:
        sizes = {**sizes, "group": 1}
    working = block.working()
    arrays = arrays_for(working, sizes, seed=len(working.lines))
    trace = working.run(arrays)
    np.testing.assert_allclose(trace[working.lines[-1].name], reference(block, arrays), rtol=1e-11, atol=1e-11)


def test_a_block_with_everything(rich, arrays_for, sizes):
    """All features together agree too, with masks that leave some queries nothing to attend to."""
    working = rich.working()
    arrays = arrays_for(working, sizes)
    arrays["attention.padding"] = np.array([True, False, True, True, False])
    arrays["attention.mask"][1] = False
    trace = working.run(arrays)
    np.testing.assert_allclose(trace["mlp.norm"], reference(rich, arrays), rtol=1e-11, atol=1e-11)
    assert [note.line for note in trace.notes] == ["attention.weights"]


def test_a_batch_is_worked_out_example_by_example(rich, arrays_for, sizes):
    """Axes in front of any array are a batch: each example comes out as it would alone."""
    working = rich.working()
    arrays = arrays_for(working, sizes)
    rng = np.random.default_rng(1)
    batch = {"embedding": rng.normal(size=(2, 3, 7)), "attention.padding": rng.random((2, 5)) > 0.3}
    together = working.run({**arrays, **batch})
    for n in range(2):
        alone = working.run({**arrays, **{name: array[n] for name, array in batch.items()}})
        for name in ("attention.weights", "attention.head", "mlp.norm"):
            np.testing.assert_allclose(together[name][n], alone[name], rtol=1e-12, atol=1e-13)


def test_the_references_mask_can_be_told_apart():
    """The reference above has teeth: causal and not causal differ by it as well."""
    spec = SimpleNamespace(causal=True, window=None, padding=False, mask=None)
    assert not may_attend(spec, None, 0, 1, 0)
    assert may_attend(spec, None, 0, 1, 1)
