"""What is done and not declared, or declared and not done, on one side or in one place alone: in plain NumPy."""

import numpy as np

from .wild import attend, merge, qkv, scores, softmax, split
from .wild_blocks import EPS, layer_norm
from .wild_positions import angles, turn


def by_scores(change):
    """Attention whose scaled scores are changed before the softmax: change(s)."""

    def run(g):
        q, k, v = qkv(g)
        return merge(softmax(change(scores(q, k))) @ v) @ g.wo

    return run


def far(s):
    return np.arange(s.shape[-2])[:, None] - np.arange(s.shape[-1])


def both_turned(g):
    q, k, v = qkv(g)
    angle = angles(len(g.x), q.shape[-1])
    return attend(g, turn(q, angle), turn(k, angle), v)


def both_normed(g):
    q, k, v = qkv(g)
    q, k = (x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) for x in (q, k))
    return attend(g, q, k, v)


def keys_normed(g):
    q, k, v = qkv(g)
    return attend(g, q, k / np.sqrt((k**2).mean(-1, keepdims=True) + 1e-6), v)


def with_distance(g):
    q, k, v = qkv(g)
    s = scores(q, k)
    slope = np.array([2.0 ** (-8 * (h + 1) / g.h) for h in range(g.h)])
    return merge(softmax(s - slope[:, None, None] * np.abs(far(s))) @ v) @ g.wo


def with_sinusoids(g):
    n, m = g.x.shape
    angle = np.arange(n)[:, None] / 10000.0 ** (np.arange(m) // 2 * 2 / m)
    return attend(g, *qkv(g, g.x + np.where(np.arange(m) % 2 == 0, np.sin(angle), np.cos(angle))))


def averaged_weights(g):
    q, k, v = qkv(g)
    return merge(softmax(scores(q, k)).mean(axis=0) @ v) @ g.wo


def heads_exchanged(g):
    q, k, v = qkv(g)
    return merge((softmax(scores(q, k)) @ v)[::-1]) @ g.wo


PLAIN = {
    "window-added:line=all,width=2": by_scores(lambda s: np.where(np.abs(far(s)) < 2, s, -np.inf)),
    "softcap-added:cap=2.0": by_scores(lambda s: 2 * np.tanh(s / 2)),
    "scores-negated": by_scores(np.negative),
    "qk-norm-added:kind=rms": both_normed,
    "qk-norm-added-on-one-side:kind=rms,side=key": keys_normed,
    "alibi-undeclared": with_distance,
    "positions-undeclared": with_sinusoids,
    "embedding-factor:factor=2.5": lambda g: attend(g, *qkv(g, 2.5 * g.x)),
    "head-of-averaged-weights": averaged_weights,
    "line-reordered:line=head,axis=head,order=2-1": heads_exchanged,
}
"""With nothing declared."""

WIDE = {"rotary-added:layout=half": both_turned}
"""With an even depth."""


def groups(pick):
    def run(g):
        q = split(g.x @ g.wq, g.h)
        k, v = (split(g.x @ w, g.groups)[pick] for w in (g.wk, g.wv))
        return attend(g, q, k, v)

    return run


GROUPED = {"groups-mapped:order=1-1-2-3-3-2,role=both": groups([0, 0, 1, 2, 2, 1])}

SOFTCAP = {
    "softcap-value:cap=0.7": by_scores(lambda s: np.where(far(s) >= 0, 0.7 * np.tanh(s / 0.7), -np.inf)),
}

WINDOW = {
    "window-width:width=2": by_scores(lambda s: np.where((far(s) >= 0) & (far(s) < 2), s, -np.inf)),
}


def by_mask(change):
    def run(g):
        q, k, v = qkv(g)
        return merge(softmax(change(scores(q, k), g.mask)) @ v) @ g.wo

    return run


ADDITIVE = {
    "mask-negated": by_mask(lambda s, mask: s - mask),
    "mask-transposed": by_mask(lambda s, mask: s + mask.T),
}


def infinite_weights(g):
    q, k, v = qkv(g)
    with np.errstate(invalid="ignore"):
        return merge(np.where(np.tri(len(g.x), dtype=bool), softmax(scores(q, k)), -np.inf) @ v) @ g.wo


CAUSAL = {"mask-infinite-weights": infinite_weights}


def grown(x, angle, by):
    both = np.concatenate([angle, angle], axis=-1)
    first, second = np.split(x, 2, axis=-1)
    return x * (by * np.cos(both)) + np.concatenate([-second, first], axis=-1) * (by * np.sin(both))


def amplified(by):
    def run(g):
        q, k, v = qkv(g)
        angle = angles(len(g.x), q.shape[-1])
        return attend(g, grown(q, angle, by), grown(k, angle, by), v)

    return run


def only_keys(g):
    q, k, v = qkv(g)
    return attend(g, q, turn(k, angles(len(g.x), k.shape[-1])), v)


def first_two(g):
    q, k, v = qkv(g)
    angle = angles(len(g.x), 2)
    q, k = (np.concatenate([turn(x[..., :2], angle), x[..., 2:]], axis=-1) for x in (q, k))
    return attend(g, q, k, v)


ROTARY = {
    "rotary-amplitude:factor=1.3": amplified(1.3),
    "rotary-query-missing": only_keys,
    "rotary-width:width=2": first_two,
}
PLAIN_ROTARY = {"rotary-scaling-missing": both_turned}
AMPLIFIED = {"rotary-amplitude-missing": both_turned}


def sides(query, key):
    """Behind a cache, queries and keys turned from positions of their own."""

    def run(g):
        past, n = g.past_key.shape[1], len(g.x)
        q, k, v = qkv(g)
        q = turn(q, angles(n, q.shape[-1], start=query(past)))
        k = np.concatenate([g.past_key, turn(k, angles(n, k.shape[-1], start=key(past)))], axis=1)
        v = np.concatenate([g.past_value, v], axis=1)
        may = np.tril(np.ones((n, past + n), bool), k=past)
        return merge(softmax(np.where(may, scores(q, k), -np.inf)) @ v) @ g.wo

    return run


UNPADDED_CACHE = {
    "rotary-past-forgotten-on-one-side:side=query": sides(lambda p: 0, lambda p: p),
    "rotary-past-forgotten-on-one-side:side=key": sides(lambda p: p, lambda p: 0),
    "rotary-offset-on-one-side:by=3,side=query": sides(lambda p: p + 3, lambda p: p),
}

NORMS = {
    "norm-gain-less-one": lambda g: layer_norm(g.x + attend(g, *qkv(g)), g.gain - 1, g.bias),
    "norm-multiplied": lambda g: multiplied(g.x + attend(g, *qkv(g))) * g.gain + g.bias,
}


def multiplied(x):
    return (x - x.mean(axis=-1, keepdims=True)) * np.sqrt(x.var(axis=-1, keepdims=True) + EPS)


def gelu(x):
    from math import erf

    return x * np.vectorize(lambda t: 0.5 * (1 + erf(t / 2**0.5)))(x)


def two_norms(first, second):
    """A post-norm block whose two norms are first(x, gain, bias) and second(x, gain, bias)."""

    def run(g):
        x = first(g.x + attend(g, *qkv(g)), g.gain, g.bias)
        return second(x + gelu(x @ g.up) @ g.down, g.mlp_gain, g.mlp_bias)

    return run


def of_eps(x, gain, bias):
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 0.5) * gain + bias


MLP = {
    "norm-eps-of-one:eps=0.5,line=mlp.norm": two_norms(layer_norm, of_eps),
    "norm-gain-plus-one-of-one:line=attention.norm": two_norms(lambda x, a, b: layer_norm(x, 1 + a, b), layer_norm),
    "norm-gain-less-one-of-one:line=mlp.norm": two_norms(layer_norm, lambda x, a, b: layer_norm(x, a - 1, b)),
}


def memory_added(g):
    q, k, v = split(g.x @ g.wq, g.h), split(g.memory @ g.wk, g.h), split(g.memory @ g.wv, g.h)
    return g.memory + attend(g, q, k, v)


MEMORY_BLOCK = {"residual-from-memory": memory_added}


def clipped(*limits):
    def run(g):
        return attend(g, *(np.clip(x, -limit, limit) for x, limit in zip(qkv(g), limits, strict=True)))

    return run


CLIPPED = {
    "clip-missing:of=all": lambda g: attend(g, *qkv(g)),
    "clip-missing:of=key": clipped(0.8, np.inf, 0.8),
}
"""With clip = 0.8 declared."""

UNCLIPPED = {"clip-added:limit=0.7": clipped(0.7, 0.7, 0.7)}


def silu(x):
    return x / (1 + np.exp(-x))


def gated(clip, more):
    """A pre-norm block whose gated MLP clips at this, and adds this to what is gated."""

    def run(g):
        x = g.x + attend(g, *qkv(g, layer_norm(g.x, g.gain, g.bias)))
        y = layer_norm(x, g.mlp_gain, g.mlp_bias)
        return x + (silu(np.minimum(y @ g.gate, clip)) * (np.clip(y @ g.up, -clip, clip) + more)) @ g.down

    return run


LIMITED = {
    "mlp-limit-missing:left_out=clip": gated(np.inf, 1),
    "mlp-limit-missing:left_out=shift": gated(0.5, 0),
    "mlp-limit-missing:left_out=all": gated(np.inf, 0),
    "limit-of-other-size:limit=0.3": gated(0.3, 1),
}
"""With limit = 0.5 declared."""

UNLIMITED = {
    "mlp-limit-added:limit=0.6,up=plain": gated(0.6, 0),
    "mlp-limit-added:limit=0.6,up=plus-one": gated(0.6, 1),
}


def added(factor):
    return lambda g: g.x + factor * attend(g, *qkv(g))


SCALED = {"residual-scale-missing": added(1)}
"""With residual_scale = 0.4 declared."""

UNSCALED = {"residual-scale-added:factor=0.3": added(0.3)}
GAINED = {"output-gain-missing": added(1)}
"""With an output gain declared."""

THREE_PARTS = {"extra-part-missing": lambda g: g.x + attend(g, *qkv(g))}
GROWN = {"query-growth-missing": lambda g: attend(g, *qkv(g))}
STREAM = {"stream-scale-missing": added(1)}
"""With a factor of the stream declared."""

SINK = {"sink-missing": lambda g: attend(g, *qkv(g))}
