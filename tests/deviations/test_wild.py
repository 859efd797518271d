"""Every rewrite against code that nobody derived from it: plain NumPy, written as people write the bug."""

from types import SimpleNamespace

import numpy as np
import pytest

from clearhead import Attention, Block, Mlp, Norm, Positions, Rotary
from clearhead.deviations import deviate
from clearhead.deviations.table import DEVIATIONS
from clearhead.spec import Delta, Disentangled, Embedding, Experts, Extra, Growth, Linear, Relative, Transformer

from . import wild, wild_blocks, wild_both_ways, wild_delta, wild_experts, wild_losses, wild_positions

LAYER = Norm(eps=wild_blocks.EPS)
RMS = Norm("rms", eps=wild_blocks.EPS)
EVERY = ("query", "key", "value", "output")
SIZES = {"head": 2, "token": 4, "query": 4, "key": 4, "model": 6, "depth": 3, "hidden": 5}

DELTA = Attention(4, causal=True, delta=Delta(4, key_heads=2))


def with_experts(*counts, **fields):
    return Block(Attention(2), mlp=Mlp("silu", experts=Experts(*counts, **fields)))


CASES = {
    "experts": (with_experts(5, 2), SIZES, wild_experts.EXPERTS),
    "one expert": (with_experts(4, 1), SIZES, wild_experts.ONE_EXPERT),
    "experts, plain shares": (with_experts(5, 2, renormalise=False), SIZES, wild_experts.PLAIN_SHARES),
    "experts one by one": (
        with_experts(5, 2, scores="one-by-one", renormalise=False, tolerance=0.5),
        SIZES,
        wild_experts.ONE_BY_ONE,
    ),
    "experts in groups": (
        with_experts(6, 2, scores="sigmoid", correction=True, groups=3, chosen_groups=2, scale=1.7, shared=True),
        SIZES | {"token": 9, "key": 9, "query": 9},
        wild_experts.GROUPS,
    ),
    "shared expert": (with_experts(4, 2, shared=True, shared_gate=True), SIZES, wild_experts.SHARED),
    "delta": (DELTA, SIZES | {"head": 4, "tap": 3}, wild_delta.DELTA),
    "gated heads": (Attention(2, gated=True), SIZES, wild_delta.GATED_HEADS),
    "distances": (Attention(2, relative=Relative()), SIZES, wild_experts.DISTANCES),
    "content and distance": (
        Attention(2, disentangled=Disentangled(4, 6, shared=False)),
        SIZES | {"token": 5, "key": 5, "query": 5},
        wild_experts.CONTENT_AND_DISTANCE,
    ),
    "plain": (Attention(2), SIZES, wild.PLAIN | wild_both_ways.PLAIN | wild_both_ways.UNCLIPPED),
    "square": (Attention(2), SIZES | {"token": 3, "key": 3}, wild.SQUARE),
    "wide": (Attention(2), SIZES | {"depth": 6}, wild.WIDE | wild_both_ways.WIDE),
    "large": (Attention(2), SIZES, wild.LARGE),
    "grouped": (Attention(6, kv_heads=3), SIZES | {"head": 6}, wild.GROUPED | wild_both_ways.GROUPED),
    "soft-cap": (Attention(2, softcap=wild.CAP, causal=True), SIZES, wild.SOFTCAP | wild_both_ways.SOFTCAP),
    "boolean": (Attention(2, mask="boolean"), SIZES, wild.BOOLEAN),
    "additive": (Attention(2, mask="additive"), SIZES, wild.ADDITIVE | wild_both_ways.ADDITIVE),
    "padding": (Attention(2, padding=True), SIZES, wild.PADDING),
    "causal": (Attention(2, causal=True), SIZES, wild.CAUSAL | wild_both_ways.CAUSAL),
    "window": (
        Attention(2, causal=True, window=3),
        SIZES | {"token": 5, "key": 5},
        wild.WINDOW | wild_both_ways.WINDOW,
    ),
    "rotary": (Attention(2, rotary=Rotary()), SIZES | {"depth": 4}, wild_positions.ROTARY | wild_both_ways.ROTARY),
    "partial": (Attention(2, rotary=Rotary(width=4)), SIZES | {"depth": 6}, wild_positions.PARTIAL),
    "cache": (
        Attention(2, rotary=Rotary(), cache=True, causal=True, padding=True),
        SIZES | {"depth": 4, "token": 3, "past": 2, "key": 5},
        wild_positions.CACHE,
    ),
    "cache without padding": (
        Attention(2, rotary=Rotary(), cache=True, causal=True),
        SIZES | {"depth": 4, "token": 3, "past": 2, "key": 5},
        wild_positions.UNPADDED_CACHE | wild_both_ways.UNPADDED_CACHE,
    ),
    "own scale": (Attention(2, scale=0.3), SIZES, wild.OWN_SCALE),
    "alibi": (Attention(3, alibi=True), SIZES | {"head": 3}, wild_positions.ALIBI),
    "sinusoids": (Block(Attention(2), positions=Positions("sinusoidal")), SIZES, wild_positions.SINUSOIDS),
    "memory": (Attention(2, memory=True), SIZES, wild_positions.MEMORY),
    "norm": (Block(Attention(2), norm=LAYER), SIZES, wild_blocks.NORMS | wild_both_ways.NORMS),
    "norms together": (Block(Attention(2), norm=LAYER), SIZES, wild_blocks.TOGETHER),
    "pre-norm": (Block(Attention(2), norm=LAYER, placement="pre"), SIZES, wild_blocks.PRE_NORM),
    "mlp": (Block(Attention(2), norm=LAYER, mlp=Mlp()), SIZES, wild_blocks.MLP | wild_both_ways.MLP),
    "gated": (
        Block(Attention(2), norm=LAYER, placement="pre", mlp=Mlp("silu", gated=True)),
        SIZES,
        wild_blocks.GATED | wild_both_ways.UNLIMITED,
    ),
    "qk-norm": (Attention(2, qk_norm=RMS), SIZES, wild_blocks.QK_NORM),
    "qk-norm of all heads": (Attention(2, qk_norm=RMS, qk_norm_over="heads"), SIZES, wild_blocks.QK_NORM_OF_ALL),
    "qk-norm, rotary": (Attention(2, qk_norm=RMS, rotary=Rotary()), SIZES | {"depth": 4}, wild_blocks.QK_NORM_ROTARY),
    "biases": (Attention(2, bias=EVERY), SIZES, wild_blocks.BIASES),
    "batch": (Attention(2), SIZES | {"batch": 3}, wild_blocks.BATCH),
    "padded batch": (Attention(2, padding=True), SIZES | {"batch": 2}, wild_blocks.PADDED_BATCH),
    "interpolated": (
        Attention(2, rotary=Rotary(scaling=Linear(4.0))),
        SIZES | {"depth": 4},
        wild_both_ways.PLAIN_ROTARY,
    ),
    "amplified": (Attention(2, rotary=Rotary(amplitude=1.3)), SIZES | {"depth": 4}, wild_both_ways.AMPLIFIED),
    "memory block": (Block(Attention(2, memory=True)), SIZES, wild_both_ways.MEMORY_BLOCK),
    "clipped": (Attention(2, clip=0.8), SIZES, wild_both_ways.CLIPPED),
    "limited": (
        Block(Attention(2), norm=LAYER, placement="pre", mlp=Mlp("silu", gated=True, limit=0.5)),
        SIZES,
        wild_both_ways.LIMITED,
    ),
    "residual of part": (Block(Attention(2), residual_scale=0.4), SIZES, wild_both_ways.SCALED),
    "output gain": (Block(Attention(2), output_gain=True), SIZES, wild_both_ways.GAINED),
    "residual": (Block(Attention(2)), SIZES, wild_both_ways.UNSCALED),
    "third part": (Block(Attention(2), extra=Extra()), SIZES | {"extra": 3}, wild_both_ways.THREE_PARTS),
    "grown queries": (Attention(2, growth=Growth(0.7, 2)), SIZES, wild_both_ways.GROWN),
    "stream of part": (Block(Attention(2), stream_scale=0.4), SIZES, wild_both_ways.STREAM),
    "sink": (Attention(2, sink=True), SIZES, wild_both_ways.SINK),
    "batch norm": (Block(Attention(2), norm=LAYER), SIZES | {"batch": 3}, wild_blocks.BATCH_NORM),
}

NAMES = {
    "input": "x", "memory": "memory", "up.weight": "up", "mlp.output.weight": "down", "attention.norm.gain": "gain",
    "attention.norm.bias": "bias", "mlp.norm.gain": "mlp_gain", "mlp.norm.bias": "mlp_bias", "norm.gain": "gain",
    "norm.bias": "bias", "query.norm.gain": "q_gain", "key.norm.gain": "k_gain", "padding": "padding",
    "past.key": "past_key", "past.value": "past_value", "mlp.up.weight": "up", "mlp.gate.weight": "gate",
}  # fmt: skip
"""What people call the arrays; those of projections are packed for all heads."""


def drawn(working, sizes, scale):
    rng = np.random.default_rng(len(working.lines))
    sizes = sizes | working.sizes
    sizes |= {"head*depth": sizes["head"] * sizes["depth"]}
    arrays = {}
    for given in working.givens:
        shape = [sizes[word] for word in given.axes]
        if "batch" in sizes and given.name in ("input", "padding"):
            shape = [sizes["batch"], *shape]
        if given.holds == "booleans":
            arrays[given.name] = np.arange(np.prod(shape)).reshape(shape) % 3 != 1
        else:
            arrays[given.name] = scale * rng.normal(size=shape)
    return arrays


def as_people_have_them(working, arrays):
    """The arrays under the names that people give them, each projection in one matrix for all heads."""
    g = SimpleNamespace(h=working.sizes["head"], groups=working.sizes.get("group"))
    for name, array in arrays.items():
        role, _, kind = name.removeprefix("attention.").partition(".")
        if role in EVERY and kind == "weight" and name != "mlp.output.weight":
            setattr(g, f"w{role[0]}", array if role == "output" else np.hstack(list(array)))
        elif role in EVERY and kind == "bias":
            setattr(g, f"b{role[0]}", array.reshape(-1))
        else:
            setattr(g, NAMES.get(name, name), array)
    if "padding" in arrays:
        g.mask = arrays["padding"]
    return g


ALL = [(case, id) for case, (_, _, codes) in CASES.items() for id in codes]


@pytest.mark.parametrize(("case", "deviations"), ALL)
def test_a_rewrite_gives_what_the_wild_code_gives(case, deviations):
    """The last line of the rewritten working equals the plain NumPy code, on random data, to 1e-12."""
    spec, sizes, codes = CASES[case]
    working = spec.working()
    arrays = drawn(working, sizes, scale=30.0 if case == "large" else 1.0)
    ids = (deviations,) if isinstance(deviations, str) else deviations
    rewritten = deviate(working, *ids)
    found = rewritten.run({given.name: arrays[given.name] for given in rewritten.givens})
    expected = codes[deviations](as_people_have_them(working, arrays))
    textbook = working.run(arrays)[working.lines[-1].name]
    last = found[working.lines[-1].name]
    np.testing.assert_allclose(last, expected, rtol=1e-11, atol=1e-12)
    assert textbook.shape != last.shape or not np.allclose(textbook, last, atol=1e-5, equal_nan=True)


def test_every_row_has_wild_code():
    """No row stands on its own word; roundings are held to NumPy's below."""
    told = {part.partition(":")[0] for _, ids in ALL for part in ([ids] if isinstance(ids, str) else ids)}
    told |= {id.partition(":")[0] for id in wild_losses.ALL}
    forward = {id for id, row in DEVIATIONS.items() if row.of == "forward"}
    assert forward - told == {*ROUNDED, *BY_HAND}


BY_HAND = ("shown-transposed", "rounded-by-hand", "embedding-scale-missing", "mask-before-scale")
"""What has a test of its own below."""


def test_every_step_is_rounded_by_hand():
    """Scaled scores, exponentials, their shares and sums of values, each to two decimals, as on paper."""
    scaled, value = np.array([0.82, 0.44, 0.71]), np.array([[1.23, 0.5], [0.77, -1.0], [2.0, 0.25]])
    exponentials = np.array([2.27, 1.55, 2.03])
    shares = np.array([0.39, 0.26, 0.35])
    np.testing.assert_allclose(exponentials / 5.85, shares, atol=0.005)
    working = Attention(1, output=False).working().starting_at("scaled", "value")
    trace = deviate(working, "rounded-by-hand:decimals=2,at=steps").run({"scaled": [[scaled]], "value": [value]})
    np.testing.assert_allclose(trace["weights"][0, 0], shares, atol=1e-12)
    # 0.39*1.23 + 0.26*0.77 + 0.35*2 = 1.3799, and 0.39*0.5 - 0.26 + 0.35*0.25 = 0.0225
    np.testing.assert_allclose(trace["concat"][0], [1.38, 0.02], atol=1e-12)


def test_a_mask_is_written_into_the_scores():
    """Masked before they are scaled, scores have minus infinity already, and the weights are the same."""
    rng = np.random.default_rng(6)
    query, key, value = rng.normal(size=(3, 2, 3, 4))
    working = Attention(2, causal=True, output=False).working().starting_at("query", "key", "value")
    trace = deviate(working, "mask-before-scale").run({"query": query, "key": key, "value": value})
    scores = np.where(np.tri(3, dtype=bool), query @ key.transpose(0, 2, 1), -np.inf)
    np.testing.assert_allclose(trace["scores"], scores, atol=1e-12)
    np.testing.assert_allclose(trace["scaled"], scores / 2, atol=1e-12)
    np.testing.assert_allclose(trace["weights"], wild.softmax(scores / 2), atol=1e-12)


def test_a_scale_of_embeddings_is_left_out():
    """Without its scale the embedding is the row of the table."""
    spec = Transformer(Embedding(scale=3.0), (Block(Attention(1)),))
    working = deviate(spec.working(), "embedding-scale-missing")
    rng = np.random.default_rng(1)
    sizes = {"vocabulary": 5, "model": 4, "head": 1, "depth": 4, "head*depth": 4}
    arrays = {
        each.name: np.array([3, 1])
        if each.holds == "integers"
        else rng.normal(size=[sizes[word] for word in each.axes])
        for each in working.givens
    }
    np.testing.assert_allclose(working.run(arrays)["embedding"], arrays["embedding.weight"][[3, 1]])


TIES = np.array([[0.25, -0.25, 0.35, 2.5], [0.05, -0.15, 0.29, 1.0], [0.787, -0.787, 0.55, -0.45]])
ROUNDED = {
    "round": [[0.3, -0.3, 0.4, 2.5], [0.1, -0.2, 0.3, 1.0], [0.8, -0.8, 0.6, -0.5]],
    "round-half-even": [[0.2, -0.2, 0.4, 2.5], [0.0, -0.2, 0.3, 1.0], [0.8, -0.8, 0.6, -0.4]],
    "truncate": [[0.2, -0.2, 0.3, 2.5], [0.0, -0.1, 0.2, 1.0], [0.7, -0.7, 0.5, -0.4]],
}
ROUNDED |= {f"shown-{way}": ROUNDED[id] for way, id in zip(("rounded", "half-even", "truncated"), ROUNDED, strict=True)}
"""To one decimal, by hand."""


@pytest.mark.parametrize("id", ROUNDED)
def test_roundings_by_hand(id):
    """A value is rounded up, to even or cut, and carried on to the heads, or only shown and the heads exact."""
    working = deviate(Attention(1, output=False).working(), f"{id}:line=value,decimals=1")
    x, weight = np.eye(4)[:3], np.zeros((1, 4, 4))
    weight[0, :3] = TIES
    zero = np.zeros((1, 4, 2))
    trace = working.run({"input": x, "query.weight": zero, "key.weight": zero, "value.weight": weight})
    np.testing.assert_allclose(trace["value"][0], ROUNDED[id], atol=1e-12)
    read = TIES if id.startswith("shown") else np.array(ROUNDED[id])
    np.testing.assert_allclose(trace["concat"], np.tile(read.mean(axis=0), (3, 1)), atol=1e-12)


def test_tokens_as_columns_are_shown_transposed():
    """Weights worked out as softmax(K.T Q) down the columns, with tokens as columns, are ours written transposed."""
    rng = np.random.default_rng(5)
    x, wq, wk, wv = rng.normal(size=(4, 3)), *rng.normal(size=(3, 3, 2))
    columns, query, key = x.T, wq.T @ x.T, wk.T @ x.T
    shares = wild.softmax(key.T @ query / np.sqrt(2), axis=0)
    working = deviate(Attention(1, output=False).working(), "shown-transposed:line=weights")
    arrays = {"query.weight": wq[None], "key.weight": wk[None], "value.weight": wv[None]}
    trace = working.run({"input": columns.T, **arrays})
    np.testing.assert_allclose(trace["weights"][0], shares, atol=1e-12)
    np.testing.assert_allclose(trace["concat"].T, wv.T @ columns @ shares, atol=1e-12)


def test_numpy_rounds_half_to_even():
    """round-half-even is np.round, for numbers that are ties and numbers that are none."""
    np.testing.assert_allclose(np.round(TIES, 1), ROUNDED["round-half-even"], atol=1e-12)
