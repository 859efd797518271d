"""The bilinear form between any two tokens: the score of query i and key j, for each pair of their features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clearhead.check.measure.access import Attend, Size
from clearhead.check.measure.parts import Array
from clearhead.check.measure.weights import log, median, weights

HALF = 2.0**-16
"""For numbers less precise than this, larger queries and keys are used."""


def form_of(f: Attend, size: Size, visible: Array, bias: Array, sums: Array, eps: float, length: float = 1.0) -> Array:
    """The form (head, query, key, query feature, key feature); NaN where a score cannot be measured from outside.

    A score can be measured where its query sees another key, which is then zero, or a sink.

    Args:
        f: the attention.
        size: the size to measure at.
        visible: which keys each query sees (head, query, key).
        bias: the logarithm of the weights at zero scores.
        sums: what the weights of a query sum to at zero scores (head, query).
        eps: the relative precision of the numbers.
        length: how long queries and keys are.
    """
    d, (long, other) = size.depth, ((4.0, 2.0) if eps > HALF else (length, length))
    form = np.full((*visible.shape, d, d), np.nan)
    alone = (visible.sum(-1) == 1) & (sums < 1 - 1e-3)
    for zero in _patterns(visible):
        q = np.zeros((d, d, size.heads, size.tokens, d))
        q += long * np.eye(d)[:, None, None, None, :]
        k = np.zeros((d, d, size.groups, size.keys, d))
        k += other * np.eye(d)[None, :, None, None, :]
        k[:, :, :, zero] = 0
        w = weights(f, q.reshape(-1, *q.shape[2:]), k.reshape(-1, *k.shape[2:]), size.past)
        change = (log(w) - bias).reshape(d, d, *visible.shape)
        free = np.where(visible & zero, change, np.nan)
        with np.errstate(all="ignore"):
            level = median(free)
            lost = np.log(1 - w.sum(-1)) - np.log(np.maximum(1 - sums, 1e-30))
        level = np.where(alone, lost.reshape(level.shape), level)
        found = np.moveaxis(change - level[..., None], (0, 1), (-2, -1)) / (long * other)
        new = visible & ~zero & np.isnan(form).all((-2, -1))
        form[new] = found[new]
    return form


def _patterns(visible: Array) -> Iterator[Array]:
    """Choices of keys that are zero, such that each query sees a zero key together with each other key that it sees."""
    keys = visible.shape[-1]
    left = visible & ((visible.sum(-1, keepdims=True) > 1) | (visible.sum(-1, keepdims=True) == 1))
    for bit in range(max(1, (keys - 1).bit_length())):
        for side in (True, False):
            zero = ((np.arange(keys) >> bit) & 1 == 0) == side
            decided = left & ~zero & ((visible & zero).any(-1, keepdims=True) | (visible.sum(-1, keepdims=True) == 1))
            if decided.any():
                yield zero
                left = left & ~decided
