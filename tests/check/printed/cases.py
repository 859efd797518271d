"""Numbers as people print them, and faults whose constant stands on no list: written before the code that reads them.

Each case computes its numbers in plain NumPy. ``cause`` is the id of the deviation, and where it has a parameter
``value`` is the one that was used; ``places`` names which queries, keys, heads or norms it concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clearhead import Attention, Block, Mlp, Norm, Rotary
from clearhead.spec import Linear, Llama3Scaling

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Fault:
    """A wrong computation: the spec, sizes, and a function from the given arrays to lines by name."""

    name: str
    spec: Any
    solve: Callable[[Mapping[str, Any]], Mapping[str, np.ndarray]]
    cause: str
    values: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    decimals: int = 5

    def arrays(self, seed: int = 0) -> Arrays:
        """The given arrays, to two decimals; gains around 1."""
        sizes = {"token": 5, "query": 5, "key": 5, "model": 6, "depth": 4, "head": 2, "hidden": 7, **self.sizes}
        working = self.spec.working()
        sizes |= working.sizes
        sizes.setdefault("head*depth", sizes["head"] * sizes["depth"])
        rng = np.random.default_rng([seed, *self.name.encode()])
        arrays = {}
        for each in working.givens:
            drawn = rng.normal(size=[sizes[word] for word in each.axes]).round(2)
            arrays[each.name] = 1 + drawn / 4 if each.name.endswith("gain") else drawn
        return arrays


FAULTS: list[Fault] = []


def fault(spec, cause, *, decimals=5, values=None, **sizes):
    """Adds the decorated function as a case."""

    def add(solve):
        FAULTS.append(Fault(solve.__name__, spec, solve, cause, values or {}, sizes, decimals))
        return solve

    return add


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def qkv(g, path=""):
    return (g["input"] @ g[f"{path}{role}.weight"] for role in ("query", "key", "value"))


def merge(g, head, path=""):
    return head.swapaxes(-2, -3).reshape(head.shape[-2], -1) @ g[f"{path}output.weight"]


def causal(n, m):
    return np.tril(np.ones((n, m), bool), m - n)


def attend(q, k, v, scale=None, seen=True, bend=lambda s: s):
    k, v = (np.repeat(x, q.shape[0] // x.shape[0], 0) for x in (k, v))
    s = bend(q @ k.swapaxes(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale))
    return softmax(np.where(seen, s, -np.inf)) @ v


def turn(x, positions, base=10000.0, width=None, grow=1.0, frequencies=None):
    w = width or x.shape[-1]
    f = base ** (-np.arange(0, w, 2) / w) if frequencies is None else frequencies
    a = np.asarray(positions)[:, None] * f
    c, s = np.cos(a) * grow, np.sin(a) * grow
    one, two = x[..., : w // 2], x[..., w // 2 : w]
    return np.concatenate([one * c - two * s, two * c + one * s, x[..., w:]], -1)


def rms(x, g, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * g


def layer(x, g, b, eps):
    c = x - x.mean(-1, keepdims=True)
    return c / np.sqrt((c * c).mean(-1, keepdims=True) + eps) * g + b


# --- a constant that stands on no list -------------------------------------------------------------------------------


@fault(Attention(2), "scale-factor", values={"factor": 0.29})
def scale_of_another_model(g):
    return {"output": merge(g, attend(*qkv(g), scale=0.29))}


@fault(Attention(2), "scale-factor", values={"factor": 1 / np.sqrt(96)})
def scale_by_root_of_96(g):
    return {"output": merge(g, attend(*qkv(g), scale=96**-0.5))}


@fault(Attention(2, scale=0.25, output=False), "scale-factor", values={"factor": 0.35})
def temperature_on_top(g):
    return {"head": attend(*qkv(g), scale=0.25 * 1.4)}


@fault(Attention(2, causal=True, rotary=Rotary()), "rotary-base", values={"base": 30000.0})
def base_of_thirty_thousand(g):
    q, k, v = qkv(g)
    q, k = (turn(x, range(5), 30000.0) for x in (q, k))
    return {"output": merge(g, attend(q, k, v, seen=causal(5, 5)))}


@fault(Attention(2, causal=True, rotary=Rotary(base=1e6)), "rotary-base", values={"base": 5e4}, depth=8)
def base_of_fifty_thousand(g):
    q, k, v = qkv(g)
    q, k = (turn(x, range(5), 5e4) for x in (q, k))
    return {"output": merge(g, attend(q, k, v, seen=causal(5, 5)))}


@fault(Attention(2, rotary=Rotary()), "rotary-interpolated", values={"factor": 3.0}, depth=6)
def positions_divided_by_three(g):
    q, k, v = qkv(g)
    q, k = (turn(x, np.arange(5) / 3) for x in (q, k))
    return {"output": merge(g, attend(q, k, v))}


@fault(Attention(2, rotary=Rotary(width=4)), "rotary-amplitude", values={"factor": 1.15}, depth=6)
def cosines_and_sines_grown(g):
    q, k, v = qkv(g)
    q, k = (turn(x, range(5), width=4, grow=1.15) for x in (q, k))
    return {"output": merge(g, attend(q, k, v))}


@fault(Attention(2, softcap=5.0), "softcap-value", values={"cap": 3.0})
def cap_of_three(g):
    return {"output": merge(g, attend(*qkv(g), bend=lambda s: 3 * np.tanh(s / 3)))}


@fault(Block(Attention(2), norm=Norm()), "norm-eps", values={"eps": 3e-2})
def eps_of_three_hundredths(g):
    x = g["input"] + merge(g, attend(*qkv(g)))
    return {"norm": layer(x, g["norm.gain"], g["norm.bias"], 3e-2)}


@fault(Attention(2, causal=True), "mask-filled", values={"fill": -4.0})
def fill_of_minus_four(g):
    q, k, v = qkv(g)
    s = np.where(causal(5, 5), q @ k.swapaxes(-1, -2) / 2, -4.0)
    return {"output": merge(g, softmax(s) @ v)}


@fault(Attention(2), "softmax-base", values={"base": 1.7})
def powers_of_another_base(g):
    q, k, v = qkv(g)
    e = 1.7 ** (q @ k.swapaxes(-1, -2) / 2)
    return {"output": merge(g, e / e.sum(-1, keepdims=True) @ v)}


# --- what the spec has and the code lacks, or the other way ----------------------------------------------------------


INTERPOLATED = Rotary(base=1e6, scaling=Linear(8.0))


@fault(Attention(4, kv_heads=2, causal=True, rotary=INTERPOLATED), "rotary-scaling-missing", head=4)
def linear_scaling_unread(g):
    q, k, v = qkv(g)
    q, k = (turn(x, range(5), 1e6) for x in (q, k))
    return {"output": merge(g, attend(q, k, v, seen=causal(5, 5)))}


LLAMA = Llama3Scaling(8.0, 4.0, 1.0, 16)


@fault(Attention(2, causal=True, rotary=Rotary(base=100.0, scaling=LLAMA)), "rotary-scaling-missing", depth=6)
def llama3_scaling_unread(g):
    q, k, v = qkv(g)
    q, k = (turn(x, range(5), 100.0) for x in (q, k))
    return {"output": merge(g, attend(q, k, v, seen=causal(5, 5)))}


@fault(Attention(2, causal=True), "window-added", values={"width": 3})
def window_on_a_global_layer(g):
    far = np.arange(5)[:, None] - np.arange(5)
    return {"output": merge(g, attend(*qkv(g), seen=causal(5, 5) & (far < 3)))}


@fault(Attention(2, causal=True, window=2), "window-width", values={"width": 4})
def window_of_another_layer(g):
    far = np.arange(5)[:, None] - np.arange(5)
    return {"output": merge(g, attend(*qkv(g), seen=causal(5, 5) & (far < 4)))}


@fault(Attention(2), "softcap-added", values={"cap": 2.0})
def cap_that_nobody_asked_for(g):
    return {"output": merge(g, attend(*qkv(g), bend=lambda s: 2 * np.tanh(s / 2)))}


@fault(Attention(2), "rotary-added")
def rotary_that_nobody_asked_for(g):
    q, k, v = qkv(g)
    return {"output": merge(g, attend(turn(q, range(5)), turn(k, range(5)), v))}


@fault(Attention(2), "qk-norm-added")
def queries_and_keys_normed(g):
    q, k, v = qkv(g)
    q, k = (rms(x, 1.0, 1e-6) for x in (q, k))
    return {"output": merge(g, attend(q, k, v))}


@fault(Attention(2, rotary=Rotary()), "rotary-width", values={"width": 4}, depth=8)
def half_of_the_head_turned(g):
    q, k, v = qkv(g)
    q, k = (turn(x, range(5), width=4) for x in (q, k))
    return {"output": merge(g, attend(q, k, v))}


# --- one side only ---------------------------------------------------------------------------------------------------

CACHED = Attention(2, causal=True, cache=True, rotary=Rotary())


def behind_a_cache(g, query, key):
    q, k, v = qkv(g)
    p = g["past.key"].shape[-2]
    q, k = turn(q, query(len(q[0]), p)), turn(k, key(len(q[0]), p))
    k, v = np.concatenate([g["past.key"], k], -2), np.concatenate([g["past.value"], v], -2)
    return {"output": merge(g, attend(q, k, v, seen=causal(q.shape[-2], k.shape[-2])))}


def from_zero(n, _):
    return np.arange(n)


def right_positions(n, p):
    return np.arange(p, p + n)


@fault(CACHED, "rotary-past-forgotten-on-one-side", values={"side": "query"}, token=3, past=4)
def queries_from_zero(g):
    return behind_a_cache(g, from_zero, right_positions)


@fault(CACHED, "rotary-past-forgotten-on-one-side", values={"side": "key"}, token=3, past=4)
def new_keys_from_zero(g):
    return behind_a_cache(g, right_positions, from_zero)


@fault(CACHED, "rotary-offset-on-one-side", values={"side": "query", "by": 3}, token=2, past=5)
def queries_three_late(g):
    return behind_a_cache(g, lambda n, p: right_positions(n, p) + 3, right_positions)


@fault(Attention(2, rotary=Rotary()), "rotary-query-missing")
def only_keys_turned(g):
    q, k, v = qkv(g)
    return {"output": merge(g, attend(q, turn(k, range(5)), v))}


# --- one instance only -----------------------------------------------------------------------------------------------


def gelu(x):
    return x * np.vectorize(lambda t: 0.5 * (1 + float(__import__("math").erf(t / 2**0.5))))(x)


BLOCK = Block(Attention(2), norm=Norm("rms", eps=1e-6), placement="pre", mlp=Mlp())


@fault(BLOCK, "norm-eps-of-one", values={"eps": 0.02, "line": "mlp.norm"})
def eps_of_the_second_norm(g):
    n = {**g, "input": rms(g["input"], g["attention.norm.gain"], 1e-6)}
    x = g["input"] + merge(n, attend(*qkv(n, "attention.")), "attention.")
    hidden = gelu(rms(x, g["mlp.norm.gain"], 0.02) @ g["mlp.up.weight"])
    return {"mlp.residual": x + hidden @ g["mlp.output.weight"]}


@fault(BLOCK, "norm-gain-plus-one-of-one", values={"line": "attention.norm"})
def gain_plus_one_in_the_first_norm(g):
    n = {**g, "input": rms(g["input"], 1 + g["attention.norm.gain"], 1e-6)}
    x = g["input"] + merge(n, attend(*qkv(n, "attention.")), "attention.")
    hidden = gelu(rms(x, g["mlp.norm.gain"], 1e-6) @ g["mlp.up.weight"])
    return {"mlp.residual": x + hidden @ g["mlp.output.weight"]}


# --- inverted arithmetic ---------------------------------------------------------------------------------------------


@fault(Block(Attention(2), norm=Norm("rms", eps=1e-6)), "norm-multiplied")
def divided_by_the_reciprocal_root(g):
    x = g["input"] + merge(g, attend(*qkv(g)))
    return {"norm": x * np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * g["norm.gain"]}


@fault(Attention(2, output=False), "scores-negated")
def exponentials_of_minus_the_scores(g):
    q, k, v = qkv(g)
    weights = softmax(-(q @ k.swapaxes(-1, -2)) / 2)
    return {"weights": weights, "head": weights @ v}


# --- maps of heads, tokens, columns ----------------------------------------------------------------------------------


@fault(Attention(4, output=False), "line-reordered", values={"axis": "head"}, head=4)
def heads_in_another_order(g):
    return {"head": attend(*qkv(g))[[2, 0, 3, 1]]}


@fault(Attention(4, kv_heads=2, output=False), "groups-mapped", head=4)
def key_head_of_each_query_head(g):
    q, k, v = qkv(g)
    pick = [1, 0, 0, 1]
    return {"head": attend(q, k[pick], v[pick])}


@fault(Attention(2, output=False), "line-reordered", values={"axis": "token"})
def tokens_reversed(g):
    return {"head": attend(*qkv(g))[:, ::-1]}


@fault(Attention(2, output=False), "line-reordered", values={"axis": "head*depth"})
def columns_in_another_order(g):
    head = attend(*qkv(g))
    return {"concat": head.swapaxes(0, 1).reshape(5, -1)[:, [0, 4, 1, 5, 2, 6, 3, 7]]}
