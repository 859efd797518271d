"""The parts of attention that a case does right, in NumPy, written without a look at clearhead's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def softmax(s: Any, axis: int = -1) -> Any:
    e = np.exp(s - s.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def qkv(g: Any, where: str = "", x: Any = None) -> Any:
    """Queries, keys and values as (head, token, depth)."""
    x = g["input"] if x is None else x
    return tuple(np.stack([x @ w for w in g[f"{where}{name}.weight"]]) for name in ("query", "key", "value"))


def scores(q: Any, k: Any) -> Any:
    return np.stack([a @ b.T for a, b in zip(q, k, strict=True)])


def scaled(q: Any, k: Any) -> Any:
    return scores(q, k) / math.sqrt(q.shape[-1])


def join(head: Any) -> Any:
    """(head, token, depth) to (token, head*depth)."""
    return np.concatenate(list(head), axis=1)


def attend(q: Any, k: Any, v: Any, bias: Any = 0.0) -> Any:
    """The joined heads of textbook attention, with something added to the scaled scores."""
    return join(softmax(scaled(q, k) + bias) @ v)


def causal(n: int) -> Any:
    """0 where a query may look, minus infinity where it may not."""
    return np.triu(np.full((n, n), -np.inf), 1)


def layer_norm(x: Any, gain: Any = 1.0, bias: Any = 0.0, eps: float = 1e-5) -> Any:
    mean = x.mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axis=-1, keepdims=True) + eps) * gain + bias


def rms_norm(x: Any, gain: Any = 1.0, eps: float = 1e-5) -> Any:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps) * gain


def relu(x: Any) -> Any:
    return np.maximum(x, 0)


def silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def angles(n: int, width: int, base: float = 10000.0, start: float = 0) -> Any:
    """(token, pair)"""
    return np.outer(np.arange(n) + start, base ** (-np.arange(0, width, 2) / width))


def turn_half(x: Any, angle: Any) -> Any:
    """Rotates feature c with feature c + half, by angles (token, pair)."""
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], axis=-1)


def turn_pairs(x: Any, angle: Any) -> Any:
    """Rotates each even feature with the next, by angles (token, pair)."""
    out = np.empty_like(x)
    out[..., 0::2] = x[..., 0::2] * np.cos(angle) - x[..., 1::2] * np.sin(angle)
    out[..., 1::2] = x[..., 0::2] * np.sin(angle) + x[..., 1::2] * np.cos(angle)
    return out


def sinusoids(n: int, width: int, base: float = 10000.0) -> Any:
    pe = np.zeros((n, width))
    for pos in range(n):
        for i in range(0, width, 2):
            pe[pos, i] = math.sin(pos / base ** (i / width))
            if i + 1 < width:
                pe[pos, i + 1] = math.cos(pos / base ** (i / width))
    return pe
