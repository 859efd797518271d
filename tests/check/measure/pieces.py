"""Right pieces of attention in plain NumPy, of which faults and right code are made."""

from __future__ import annotations

import numpy as np


def softmax(s, axis=-1):
    """A softmax that gives 0 where all is minus infinity."""
    top = s.max(axis, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    total = e.sum(axis, keepdims=True)
    return e / np.where(total == 0, 1, total)


def product(q, k):
    return q @ np.swapaxes(k, -1, -2)


def scaled(q, k):
    return product(q, k) / np.sqrt(q.shape[-1])


def rows_and_columns(s):
    """The absolute position of each query and of each key: the last query stands at the last key."""
    n, m = s.shape[-2:]
    return np.arange(n)[:, None] + m - n, np.arange(m)[None]


def causal(s):
    i, j = rows_and_columns(s)
    return np.where(j <= i, s, -np.inf)


def banded(s, width):
    i, j = rows_and_columns(s)
    return np.where((j <= i) & (j > i - width), s, -np.inf)


def frequencies(width, base=10000.0):
    return base ** (-np.arange(0, width, 2) / width)


def bfloat16(x):
    """Numbers as bfloat16 holds them: the upper half of a float32, to the nearest, halves to even."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(float)


def turned(x, positions, f, layout="half", factor=1.0, kept=None):
    """The first 2 * len(f) features turned by positions times frequencies; ``kept`` says in which type steps are."""
    kept = {"angles": lambda x: x, "waves": lambda x: x, **(kept or {})}
    angle = kept["angles"](np.asarray(positions, float)[:, None] * f)
    c, s = kept["waves"](factor * np.cos(angle)), kept["waves"](factor * np.sin(angle))
    head, rest = x[..., : 2 * len(f)], x[..., 2 * len(f) :]
    out = np.empty_like(head)
    first, second = (
        (slice(0, len(f)), slice(len(f), None)) if layout == "half" else (slice(0, None, 2), slice(1, None, 2))
    )
    a, b = head[..., first], head[..., second]
    out[..., first], out[..., second] = a * c - b * s, b * c + a * s
    return np.concatenate([out, rest], -1)


def rotary(q, k, f=None, past=0, **options):
    """Queries and keys turned, both from position ``past`` on."""
    f = frequencies(q.shape[-1]) if f is None else f
    return tuple(turned(x, past + np.arange(x.shape[-2]), f, **options) for x in (q, k))


def repeated(x, heads):
    return np.repeat(x, heads // x.shape[-3], axis=-3)


def joined(past, new):
    return np.concatenate([past, new], -2)
