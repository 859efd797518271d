"""More kinds of fault: code that runs at some sizes, rows without numbers, halves that do what others should."""

from __future__ import annotations

import numpy as np

from clearhead import Attention, Block, Dynamic, Mlp, Norm, Relative, Rotary
from clearhead.spec.rotary import Llama3Scaling

from .block_pieces import attention, layer, rms, silu
from .kinds import QKV, kind
from .pieces import banded, causal, frequencies, joined, product, repeated, rotary, rows_and_columns, scaled, softmax

CACHED = (*QKV, "past.key", "past.value")

# Code that is wrong, or runs, at some sizes only


@kind(
    Attention(heads=2, causal=True, softcap=3.0, cache=True),
    takes=CACHED,
    says="it differs at 1 token.",
)
def cap_left_out_for_one_token(q, k, v, pk, pv):
    s = scaled(q, joined(pk, k))
    s = s if q.shape[-2] == 1 else 3 * np.tanh(s / 3)
    return softmax(causal(s)) @ joined(pv, v)


@kind(Attention(heads=2, causal=True, cache=True), takes=CACHED, says="xxxxxxx.   xxxxxxxx")
def own_key_unseen_by_one_token(q, k, v, pk, pv):
    s = causal(scaled(q, joined(pk, k)))
    if q.shape[-2] == 1:
        s[..., -1] = -np.inf
    return softmax(s) @ joined(pv, v)


def one_token(q):
    if q.shape[-2] != 1:
        raise ValueError("decodes one token at a time")


@kind(
    Attention(heads=2, causal=True, cache=True, rotary=Rotary()),
    takes=CACHED,
    says="It runs only with one new token, and was tried there.",
    deviation="rotary-interpolated",
)
def decoding_with_positions_halved(q, k, v, pk, pv):
    one_token(q)
    q, k = rotary(q, k, 0.5 * frequencies(q.shape[-1]), past=pk.shape[-2])
    return softmax(scaled(q, joined(pk, k))) @ joined(pv, v)


@kind(Attention(heads=4, kv_heads=2), says="It runs only with one new token", deviation="scale-missing")
def decoding_unscaled(q, k, v):
    one_token(q)
    return softmax(product(q, repeated(k, 4))) @ repeated(v, 4)


@kind(Attention(heads=2), says="It runs only at some sizes, such as multiples of 4", deviation="")
def in_blocks_of_four(q, k, v):
    blocks = [x.reshape(*x.shape[:-2], x.shape[-2] // 4, 4, x.shape[-1]) for x in (q, k, v)]
    return (softmax(scaled(*blocks[:2])) @ blocks[2]).reshape(q.shape)


@kind(
    Block(Attention(heads=1), norm=Norm(), placement="pre", mlp=Mlp("silu", gated=True, bias=True)),
    takes=("mlp.norm", *(f"mlp.{each}" for each in (
        "gate.weight", "gate.bias", "up.weight", "up.bias", "output.weight", "output.bias"))),
    returns="mlp.output",
    says="Gate and up stand in one bias as [gate | up], and are read as gate and up by turns",
)  # fmt: skip
def biases_by_turns(x, wg, bg, wu, bu, wo, bo):
    both = np.concatenate([bg, bu])
    return (silu(x @ wg + both[0::2]) * (x @ wu + both[1::2])) @ wo + bo


# Rows without numbers, heads that are 0


def shared(s):
    with np.errstate(all="ignore"):
        e = np.exp(s - s.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)


@kind(
    Attention(heads=2, causal=True, window=4),
    says="a hidden key spoils its row",
    never="after the softmax",
)
def window_of_infinity(q, k, v):
    s = scaled(q, k)
    return shared(np.where(np.isfinite(banded(s, 4)), s, np.inf)) @ v


@kind(
    Attention(heads=2, causal=True, window=4),
    deviation="mask-infinite-weights",
    never="spoils its row",
)
def window_after_the_softmax(q, k, v):
    s = scaled(q, k)
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(banded(s, 4)), shared(s), -np.inf) @ v


@kind(
    Attention(heads=3, causal=True),
    says="see no key then are NaN",
    deviation="causal-off-by-one",
)
def diagonal_hidden(q, k, v):
    s = scaled(q, k)
    i, j = rows_and_columns(s)
    return shared(np.where(j < i, s, -np.inf)) @ v


@kind(Attention(heads=2, padding=True), takes=(*QKV, "padding"), deviation="padding-on-queries")
def padded_rows_without_numbers(q, k, v, real):
    return shared(np.where(real[:, None, :, None], scaled(q, k), -np.inf)) @ v


@kind(
    Attention(heads=6, kv_heads=2, causal=True),
    says="Heads 4, 5 of the output are 0, whatever the inputs are",
    never="absolute positions",
)
def two_heads_unwritten(q, k, v):
    out = softmax(causal(scaled(q, repeated(k, 6)))) @ repeated(v, 6)
    out[:, 4:] = 0
    return out


# Learned distances, scaled frequencies


def t5_bias(n, m, table, start):
    """The bias of a causal T5 with 32 buckets up to 128, of queries from ``start`` on."""
    back = np.maximum(np.arange(n)[:, None] + start - np.arange(m), 0)
    far = 16 + (np.log(np.maximum(back, 1) / 16) / np.log(8) * 16).astype(int)
    return np.moveaxis(table[np.where(back < 16, back, np.minimum(far, 31))], -1, 0)


@kind(
    Attention(heads=3, causal=True, relative=Relative(), scale=1.0, cache=True),
    takes=(*CACHED, "relative.weight"),
    says="have the bias of another distance, 1 token earlier",
)
def distances_from_one(q, k, v, pk, pv, table):
    s = product(q, joined(pk, k))
    return softmax(causal(s + t5_bias(*s.shape[-2:], table, pk.shape[-2] + 1))) @ joined(pv, v)


@kind(
    Attention(heads=2, causal=True, relative=Relative(), cache=True),
    takes=(*CACHED, "relative.weight"),
    verdict="agrees",
)
def learned_distances_behind_a_cache(q, k, v, pk, pv, table):
    s = scaled(q, joined(pk, k))
    return softmax(causal(s + t5_bias(*s.shape[-2:], table, pk.shape[-2]))) @ joined(pv, v)


@kind(Attention(heads=2), says="Scores have a bias by distance, where none is expected.")
def distances_squared(q, k, v):
    s = scaled(q, k)
    i, j = rows_and_columns(s)
    return softmax(s - 0.05 * (i - j) ** 2) @ v


DYNAMIC = Attention(heads=2, causal=True, rotary=Rotary(scaling=Dynamic(factor=4.0, context=3)))


@kind(DYNAMIC, says="the base is 10000 and has not grown, where there are 4 tokens and the context has 3")
def base_that_does_not_grow(q, k, v):
    return softmax(causal(scaled(*rotary(q, k)))) @ v


@kind(DYNAMIC, says="the base has grown as for 24 tokens, 8 times the context")
def base_of_a_longer_text(q, k, v):
    d = q.shape[-1]
    base = 10000.0 * (4 * 24 / 3 - 3) ** (d / (d - 2)) if d > 2 else 10000.0
    return softmax(causal(scaled(*rotary(q, k, base ** (-np.arange(0, d, 2) / d))))) @ v


BLENDED = Rotary(base=100.0, scaling=Llama3Scaling(factor=4.0, fast=4.0, slow=1.0, context=64))


@kind(Attention(heads=2, causal=True, rotary=BLENDED), says="in between are blended in another way", never="twice")
def blended_by_squares(q, k, v):
    f = 100.0 ** (-np.arange(0, q.shape[-1], 2) / q.shape[-1])
    share = np.clip((64 * f / (2 * np.pi) - 1) / 3, 0, 1) ** 2
    return softmax(causal(scaled(*rotary(q, k, share * f + (1 - share) * f / 4)))) @ v


# Halves of blocks

WEIGHTS = ("query.weight", "key.weight", "value.weight", "output.weight")
ATTENDS = tuple(f"attention.{each}" for each in WEIGHTS)
CROSSES = tuple(f"cross.{each}" for each in WEIGHTS)
SCALED = Block(
    Attention(heads=2, causal=True), norm=Norm("rms"), output_gain=True, placement="pre", mlp=Mlp("silu", gated=True)
)
SCALED_TAKES = (
    "input", "attention.norm.gain", *ATTENDS, "attention.output.gain", "mlp.norm.gain", "mlp.gate.weight",
    "mlp.up.weight", "mlp.output.weight", "mlp.output.gain",
)  # fmt: skip


def scaled_block(one, two, first="g1", second="g2"):
    """A pre-norm block with output gains: what is done with each, and whose gain each norm has."""

    def run(x, g1, wq, wk, wv, wo, s1, g2, wg, wu, wd, s2):
        gains = {"g1": g1, "g2": g2}
        x = x + one(attention(rms(x, gains[first], 1e-5), wq, wk, wv, wo), s1)
        n = rms(x, gains[second], 1e-5)
        return x + two((silu(n @ wg) * (n @ wu)) @ wd, s2)

    return run


def times(y, s):
    return y * s


def alone(y, _):
    return y


of_halves = {"takes": SCALED_TAKES, "returns": "mlp.residual"}
kind(SCALED, verdict="agrees", **of_halves)(scaled_block(times, times))
for name, function, expected in (
    ("no_output_gains", scaled_block(alone, alone), {"deviation": "output-gain-missing", "never": "norm is left out"}),
    ("no_output_gain_of_the_mlp", scaled_block(times, alone), {"says": "In mlp alone: The results of the halves"}),
    ("one_norm_twice", scaled_block(times, times, second="g1"), {"deviation": "norm-shared"}),
    ("norms_exchanged", scaled_block(times, times, "g2", "g1"), {"deviation": "norms-exchanged"}),
):
    function.__name__ = name
    kind(SCALED, **of_halves, **expected)(function)

DECODER = Block(Attention(heads=2, causal=True), norm=Norm(), cross=Attention(heads=2, memory=True))
NORMED = tuple(f"{half}.norm.{each}" for half in ("attention", "cross") for each in ("gain", "bias"))


@kind(
    DECODER,
    takes=("input", "cross.memory", *ATTENDS, *CROSSES, *NORMED),
    returns="cross.norm",
    says="cross uses the weights of attention, where it should use its own",
)
def own_attention_for_the_memory(x, memory, *arrays):
    wq, wk, wv, wo = arrays[:4]
    g1, b1, g2, b2 = arrays[8:]
    x = layer(x + attention(x, wq, wk, wv, wo), g1, b1)
    q, k, v = x[:, None] @ wq, memory[:, None] @ wk, memory[:, None] @ wv
    y = np.swapaxes(softmax(scaled(q, k)) @ v, 1, 2).reshape(*x.shape[:-1], -1) @ wo
    return layer(x + y, g2, b2)


@kind(
    Block(Attention(heads=2, causal=True), norm=Norm("rms"), placement="pre", mlp=Mlp("silu", gated=True)),
    takes=("input", "attention.norm.gain", *ATTENDS, "mlp.norm.gain", "mlp.gate.weight", "mlp.up.weight",
           "mlp.output.weight"),
    returns="mlp.residual",
    says="mlp is called a second time, in the place of attention",
)  # fmt: skip
def mlp_for_attention(x, g1, _q, _k, _v, _o, g2, wg, wu, wd):
    for g in (g1, g2):
        n = rms(x, g, 1e-5)
        x = x + (silu(n @ wg) * (n @ wu)) @ wd
    return x


LIMITED = Block(Attention(heads=1), norm=Norm(), placement="pre", mlp=Mlp("gelu-sigmoid", gated=True, limit=5.0))


@kind(
    LIMITED,
    takes=("mlp.norm", "mlp.gate.weight", "mlp.up.weight", "mlp.output.weight"),
    returns="mlp.output",
    says="left_out = all",
    deviation="activation-of-other-kind",
)
def another_mlp_in_two_ways(x, wg, wu, wo):
    return (np.maximum(x @ wg, 0) * (x @ wu)) @ wo


@kind(
    Block(Attention(heads=1), norm=Norm(), placement="pre", mlp=Mlp("silu", gated=True)),
    takes=("mlp.norm", "mlp.gate.weight", "mlp.up.weight", "mlp.output.weight"),
    returns="mlp.output",
    says="are read as gate and up by turns, in blocks of 4",
)
def fused_in_blocks(x, wg, wu, wo):
    y = x @ np.concatenate([wg, wu], -1)
    y = y.reshape(*y.shape[:-1], -1, 2, 4)
    gate, up = (y[..., at, :].reshape(*x.shape[:-1], -1) for at in (0, 1))
    return (silu(gate) * up) @ wo


@kind(
    Block(Attention(heads=2, causal=True), norm=Norm("rms")),
    takes=("input", *WEIGHTS, "norm.gain"),
    returns="norm",
    says="norm is applied to input for value alone, where it should be applied to residual",
)
def norm_of_values_alone(x, wq, wk, wv, wo, g):
    n, y = x[:, None], rms(x, g, 1e-5)[:, None]
    head = softmax(causal(scaled(n @ wq, n @ wk))) @ (y @ wv)
    return x + np.swapaxes(head, 1, 2).reshape(*x.shape[:-1], -1) @ wo


# Norms along other axes


@kind(
    Block(Attention(heads=2), norm=Norm(eps=1e-6)),
    takes=("residual", "norm.gain", "norm.bias"),
    returns="norm",
    says="each feature over the tokens, minus their mean, by the root of their mean square, times 1/sqrt(tokens)",
)
def columns_of_length_one(x, g, b):
    c = x - x.mean(-2, keepdims=True)
    return c / np.sqrt((c * c).sum(-2, keepdims=True) + 1e-20) * g + b


@kind(
    Block(Attention(heads=2), norm=Norm("rms", eps=1e-6)),
    takes=("residual", "norm.gain"),
    returns="norm",
    says="divides each token over its features by the root of their mean square, times sqrt(features)",
)
def root_of_features_too_much(x, g):
    return rms(x, g) * np.sqrt(x.shape[-1])


# Weights that have a least value


@kind(
    Attention(heads=3, causal=True, window=3),
    verdict="unexplained",
    says="Hidden keys have 0.001 of the largest weight of their row, whatever the scores",
    never="follow a curve",
)
def exponentials_of_a_least_value(q, k, v):
    s = banded(scaled(q, k), 3)
    e = np.maximum(np.exp(s - s.max(-1, keepdims=True)), 1e-3)
    return e / e.sum(-1, keepdims=True) @ v


CHUNKED = Attention(heads=2, causal=True, cache=True, window=3)


@kind(CHUNKED, takes=CACHED, says="of the cache the keys that the first new query should see, all of them")
def window_of_a_chunk(q, k, v, pk, pv):
    p, n = pk.shape[-2], q.shape[-2]
    i, j = np.arange(n)[:, None] + p, np.arange(p + n)
    seen = (j <= i) & (j > np.where(j < p, p, i) - 3)
    return softmax(np.where(seen, scaled(q, joined(pk, k)), -np.inf)) @ joined(pv, v)


@kind(CHUNKED, takes=CACHED, says="all keys of the cache, and of the new keys a window of 3")
def window_of_new_keys(q, k, v, pk, pv):
    p, n = pk.shape[-2], q.shape[-2]
    i, j = np.arange(n)[:, None] + p, np.arange(p + n)
    seen = (j <= i) & ((j < p) | (j > i - 3))
    return softmax(np.where(seen, scaled(q, joined(pk, k)), -np.inf)) @ joined(pv, v)
