"""Positions in plain NumPy as people write them, and the ways they got them wrong: sinusoids, rotary, ALiBi, caches."""

import numpy as np

from .wild import attend, merge, qkv, scores, softmax, split


def angles(n, width, base=10000.0, start=0):
    """One row of angles for each token."""
    return np.outer(np.arange(start, start + n), 1.0 / base ** (np.arange(0, width, 2) / width))


def rotate_half(x):
    """The second half, with its sign changed, before the first."""
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([-second, first], axis=-1)


def rotate_neighbours(x):
    """Each pair (a, b) as (-b, a)."""
    return np.stack([-x[..., 1::2], x[..., ::2]], axis=-1).reshape(x.shape)


def turn(x, angle):
    """Halves turned together."""
    both = np.concatenate([angle, angle], axis=-1)
    return x * np.cos(both) + rotate_half(x) * np.sin(both)


def turn_neighbours(x, angle):
    """Neighbours turned together."""
    both = np.repeat(angle, 2, axis=-1)
    return x * np.cos(both) + rotate_neighbours(x) * np.sin(both)


def rotary(make_angles, turning=turn):
    """Attention with queries and keys turned by angles made for (tokens, depth)."""

    def run(g):
        q, k, v = qkv(g)
        angle = make_angles(len(g.x), q.shape[-1])
        return attend(g, turning(q, angle), turning(k, angle), v)

    return run


def table_of_neighbours(x, angle):
    both = np.repeat(angle, 2, axis=-1)
    return x * np.cos(both) + rotate_half(x) * np.sin(both)


def over_heads(g):
    q, k, v = qkv(g)
    angle = angles(g.h, q.shape[-1])[:, None, :]
    return attend(g, turn(q, angle), turn(k, angle), v)


def backwards(x, angle):
    both = np.concatenate([angle, angle], axis=-1)
    return x * np.cos(both) - rotate_half(x) * np.sin(both)


def one_sided(g):
    q, k, v = qkv(g)
    return attend(g, turn(q, angles(len(g.x), q.shape[-1])), k, v)


def values_too(g):
    q, k, v = qkv(g)
    angle = angles(len(g.x), q.shape[-1])
    return attend(g, turn(q, angle), turn(k, angle), turn(v, angle))


ROTARY = {
    "rotary-other-layout": rotary(angles, turn_neighbours),
    "rotary-table-of-other-layout": rotary(angles, table_of_neighbours),
    "rotary-base:base=500000.0": rotary(lambda n, d: angles(n, d, base=500000.0)),
    "rotary-interpolated:factor=4.0": rotary(lambda n, d: angles(n, d) / 4),
    "rotary-ntk:factor=8.0": rotary(lambda n, d: angles(n, d, base=10000.0 * 8 ** (d / (d - 2)))),
    "rotary-over-heads": over_heads,
    "rotary-reversed": rotary(angles, backwards),
    "rotary-exponent-sign": rotary(lambda n, d: np.outer(np.arange(n), 10000.0 ** (np.arange(0, d, 2) / d))),
    "rotary-missing": lambda g: attend(g, *qkv(g)),
    "rotary-one-sided": one_sided,
    "rotary-on-values": values_too,
}
"""With rotary positions, halves turned together."""


def partial(width_of_frequencies, width):
    """Halves of the first ``width`` features turned, with frequencies over another width."""

    def run(g):
        q, k, v = qkv(g)
        exponent = np.arange(0, width, 2) / width_of_frequencies(q.shape[-1])
        angle = np.outer(np.arange(len(g.x)), 10000.0**-exponent)
        q, k = (np.concatenate([turn(x[..., :width], angle), x[..., width:]], axis=-1) for x in (q, k))
        return attend(g, q, k, v)

    return run


PARTIAL = {
    "rotary-frequencies-over-depth": partial(lambda depth: depth, 4),
    "rotary-whole-head": partial(lambda depth: depth, 6),
}
"""With the first 4 of 6 features turned."""


def cached(start, seen=None, padding=None):
    """New tokens behind a cache: turned from ``start(past)`` on, with keys seen by some rule."""

    def run(g):
        past, n = g.past_key.shape[1], len(g.x)
        q, k, v = qkv(g)
        angle = angles(n, q.shape[-1], start=start(past))
        k = np.concatenate([g.past_key, turn(k, angle)], axis=1)
        v = np.concatenate([g.past_value, v], axis=1)
        may = np.tril(np.ones((n, past + n), bool), k=past) if seen is None else seen(n, past + n)
        real = g.padding if padding is None else padding(g.padding, past)
        s = np.where(may & real, scores(turn(q, angle), k), -np.inf)
        return merge(softmax(s) @ v) @ g.wo

    return run


def unread(g):
    """New tokens that see each other alone."""
    q, k, v = qkv(g)
    angle = angles(len(g.x), q.shape[-1], start=g.past_key.shape[1])
    may = np.tri(len(g.x), dtype=bool)
    return merge(softmax(np.where(may, scores(turn(q, angle), turn(k, angle)), -np.inf)) @ v) @ g.wo


def behind(g):
    """The cache put behind the new tokens, the mask as for the right order."""
    q, k, v = qkv(g)
    past, n = g.past_key.shape[1], len(g.x)
    angle = angles(n, q.shape[-1], start=past)
    k, v = np.concatenate([turn(k, angle), g.past_key], axis=1), np.concatenate([v, g.past_value], axis=1)
    may = np.tril(np.ones((n, past + n), bool), k=past)
    return merge(softmax(np.where(may, scores(turn(q, angle), k), -np.inf)) @ v) @ g.wo


UNPADDED_CACHE = {"cache-missing": unread, "cache-behind": behind}
"""With a cache and no padding."""

CACHE = {
    "rotary-offset:by=1": cached(lambda past: past + 1),
    "rotary-past-forgotten": cached(lambda past: 0),
    "causal-top-left": cached(lambda past: past, seen=lambda n, keys: np.tri(n, keys, dtype=bool)),
    "padding-of-past-forgotten": cached(
        lambda past: past, padding=lambda real, past: np.concatenate([np.ones(past, bool), real[past:]])
    ),
}
"""With a cache, a causal mask, padding and rotary positions."""


def alibi(bias):
    """Scores plus a bias made for (heads, tokens)."""

    def run(g):
        q, k, v = qkv(g)
        return merge(softmax(scores(q, k) + bias(g.h, len(g.x))) @ v) @ g.wo

    return run


def distance(n):
    return np.abs(np.arange(n)[:, None] - np.arange(n)[None, :])


SLOPES = np.array([2**-4.0, 2**-8.0, 2**-2.0])
"""For three heads: those of two, and the first of four."""

ALIBI = {
    "alibi-slopes-from-zero": alibi(lambda h, n: -(0.5 ** (8 * np.arange(h) / h))[:, None, None] * distance(n)),
    "alibi-slopes-plain": alibi(lambda h, n: -(2.0 ** (-8 * np.arange(1, h + 1) / h))[:, None, None] * distance(n)),
    "alibi-added": alibi(lambda h, n: SLOPES[:, None, None] * distance(n)),
    "alibi-by-key": alibi(lambda h, n: SLOPES[:, None, None] * np.arange(n)),
    "alibi-missing": alibi(lambda h, n: 0.0),
}
"""With ALiBi and three heads."""


def sinusoids(make):
    """Attention of embeddings plus positions made for (tokens, width), with the residual."""

    def run(g):
        g.x = g.embedding + make(*g.embedding.shape)
        return g.x + attend(g, *qkv(g))

    return run


def interleaved(n, d, angle=None):
    """Sines in even columns, cosines in odd ones, of (token, column) angles."""
    table = np.zeros((n, d))
    for pos in range(n):
        for c in range(d):
            a = pos / 10000 ** (2 * (c // 2) / d) if angle is None else angle(pos, c, d)
            table[pos, c] = np.sin(a) if c % 2 == 0 else np.cos(a)
    return table


def concatenated(n, d):
    angle = np.outer(np.arange(n), 1 / 10000 ** (np.arange(0, d, 2) / d))
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def scaled_embedding(g):
    g.x = g.embedding * np.sqrt(g.embedding.shape[-1]) + interleaved(*g.embedding.shape)
    return g.x + attend(g, *qkv(g))


def from_embedding(g):
    g.x = g.embedding + interleaved(*g.embedding.shape)
    return g.embedding + attend(g, *qkv(g))


SINUSOIDS = {
    "positions-doubled": sinusoids(lambda n, d: 2 * interleaved(n, d)),
    "embedding-scaled": scaled_embedding,
    "positions-missing": sinusoids(lambda n, d: 0.0),
    "residual-from-embedding": from_embedding,
    "sinusoid-concatenated": sinusoids(concatenated),
    "sinusoid-exponent-doubled": sinusoids(lambda n, d: interleaved(n, d, lambda p, c, d: p / 10000 ** (2 * c / d))),
    "sinusoid-exponent-per-column": sinusoids(lambda n, d: interleaved(n, d, lambda p, c, d: p / 10000 ** (c / d))),
    "sinusoid-base:base=1000.0": sinusoids(
        lambda n, d: interleaved(n, d, lambda p, c, d: p / 1000 ** (2 * (c // 2) / d))
    ),
    "sinusoid-swapped": sinusoids(lambda n, d: interleaved(d, n, lambda p, c, n: p / 10000 ** (2 * (c // 2) / d)).T),
    "positions-shifted:by=1": sinusoids(lambda n, d: interleaved(n + 1, d)[1:]),
    "positions-shifted:by=2": sinusoids(lambda n, d: interleaved(n + 2, d)[2:]),
}
"""With sinusoidal positions and a residual."""


def crossed(q_from, k_from, v_from):
    """Cross-attention with queries, keys and values of these tokens."""

    def run(g):
        q = split(getattr(g, q_from) @ g.wq, g.h)
        k = split(getattr(g, k_from) @ g.wk, g.h)
        v = split(getattr(g, v_from) @ g.wv, g.h)
        return attend(g, q, k, v)

    return run


MEMORY = {
    "memory-exchanged": crossed("memory", "x", "x"),
    "memory-ignored": crossed("x", "x", "x"),
    "value-from-input": crossed("x", "memory", "x"),
}
"""With keys and values from a memory as long as the input."""
