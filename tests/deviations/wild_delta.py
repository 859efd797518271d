"""Gated delta nets as people get them wrong: a memory that is updated token by token, from the formula of the paper."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from .wild import softmax


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def identity(x):
    return x


def unit(x):
    return x / np.sqrt((x**2).sum() + 1e-6)


def rms(x, gain):
    return x / np.sqrt((x**2).mean() + 1e-6) * gain


def causal(x, taps):
    """The convolution of one feature over the text: the last tap is the token's own."""
    return np.convolve(x, taps[::-1])[: len(x)]


def ahead(by, x, taps):
    padded = np.concatenate([x, np.zeros(by)])
    return np.convolve(padded, taps[::-1])[by : by + len(x)]


def uncut(x, taps):
    return np.convolve(x, taps)[: len(x)]


def plain(x, _):
    return x


@dataclass
class Net:
    """What a layer does, and each thing that may be done otherwise."""

    step: Callable
    convolve: Callable = causal
    activation: Callable = silu
    unit_query: Callable = unit
    unit_key: Callable = unit
    share: Callable = sigmoid
    gate: Callable = silu
    norm_first: bool = True


# A step takes the memory, the decay, key, value, share and query; it returns the memory and what is read of it.


def right(s, a, k, v, b, q):
    s = a * s
    s = s + np.outer(k, b * (v - s.T @ k))
    return s, s.T @ q


def no_decay(s, _, k, v, b, q):
    return right(s, 1.0, k, v, b, q)


def corrected_then_decayed(s, a, k, v, b, q):
    error = v - s.T @ k
    s = a * s + np.outer(k, b * error)
    return s, s.T @ q


def written_then_decayed(s, a, k, v, b, q):
    s = s + np.outer(k, b * (v - s.T @ k))
    s = a * s
    return s, s.T @ q


def read_then_decayed(s, a, k, v, b, q):
    s = s + np.outer(k, b * (v - s.T @ k))
    return a * s, s.T @ q


def read_of_undecayed(s, a, k, v, b, q):
    new = np.outer(k, b * (v - s.T @ k))
    return a * s + new, (s + new).T @ q


def decayed_with_new(s, a, k, v, b, q):
    new = np.outer(k, b * (v - a * (s.T @ k)))
    s = a * (s + new)
    return s, s.T @ q


def linear_attention(s, a, k, v, b, q):
    s = a * s + np.outer(k, b * v)
    return s, s.T @ q


def layer(g, said):
    arrays, depth, heads = vars(g), len(gain_of(g)), g.h
    groups = len(arrays["query.taps"])

    def rows(matrix, taps):
        out = (g.x @ matrix).reshape(len(g.x), -1, depth)
        for head in range(out.shape[1]):
            for feature in range(depth):
                out[:, head, feature] = said.convolve(out[:, head, feature], taps[head, feature])
        return said.activation(out)

    q, k = rows(g.wq, arrays["query.taps"]), rows(g.wk, arrays["key.taps"])
    v = rows(g.wv, arrays["value.taps"])
    out = np.zeros((len(g.x), heads * depth))
    for head in range(heads):
        memory, group = np.zeros((depth, depth)), head * groups // heads
        for t, x in enumerate(g.x):
            dt = np.log1p(np.exp(x @ arrays["step.weight"][head] + arrays["step.bias"][head]))
            decay = np.exp(-np.exp(g.rate[head]) * dt)
            b = said.share(x @ arrays["share.weight"][head])
            query, key = said.unit_query(q[t, group]), said.unit_key(k[t, group])
            memory, read = said.step(memory, decay, key, v[t, head], b, query / np.sqrt(depth))
            gate = said.gate(x @ arrays["gate.weight"][head])
            gain = gain_of(g)
            result = rms(read, gain) * gate if said.norm_first else rms(read * gate, gain)
            out[t, head * depth : (head + 1) * depth] = result
    return out @ g.wo


def gain_of(g):
    return vars(g)["head.norm.gain"]


def as_said(step=right, **said):
    return partial(layer, said=Net(step, **said))


DELTA = {
    "delta-decay-missing": as_said(no_decay),
    "delta-decay-after-correction": as_said(corrected_then_decayed),
    "delta-decay-after-write": as_said(written_then_decayed),
    "delta-decay-after-read": as_said(read_then_decayed),
    "delta-decay-excluded": as_said(read_of_undecayed),
    "delta-decay-on-write": as_said(decayed_with_new),
    "delta-correction-missing": as_said(linear_attention),
    "delta-share-missing": as_said(share=np.ones_like),
    "delta-share-without-sigmoid": as_said(share=identity),
    "delta-lengths-missing:of=query": as_said(unit_query=identity),
    "delta-lengths-missing:of=key": as_said(unit_key=identity),
    "delta-lengths-missing:of=both": as_said(unit_query=identity, unit_key=identity),
    "convolution-missing": as_said(convolve=plain),
    "convolution-ahead:by=1": as_said(convolve=partial(ahead, 1)),
    "convolution-ahead:by=2": as_said(convolve=partial(ahead, 2)),
    "convolution-reversed": as_said(convolve=uncut),
    "convolution-activation-missing": as_said(activation=identity),
    "head-gate-missing": as_said(gate=np.ones_like),
    "head-gate-of-other-kind": as_said(gate=sigmoid),
    "head-gate-before-norm": as_said(norm_first=False),
}


def gated_heads(g, gate):
    heads = []
    for head, (q, k, v) in enumerate(zip(*(np.split(g.x @ w, g.h, axis=-1) for w in (g.wq, g.wk, g.wv)), strict=True)):
        weights = softmax(q @ k.T / np.sqrt(q.shape[-1]))
        heads.append(weights @ v * gate(g.x @ vars(g)["gate.weight"][head]))
    return np.hstack(heads) @ g.wo


GATED_HEADS = {
    "head-gate-missing": partial(gated_heads, gate=np.ones_like),
    "head-gate-of-other-kind": partial(gated_heads, gate=silu),
}
