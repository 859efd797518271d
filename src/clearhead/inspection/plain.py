"""The kernel in plain array code: for any library and device, a chunk of queries at a time, all their keys at once.

It is what the others are held against, and it is read before them: every statistic is a line or two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from array_api_compat import device

from clearhead.inspection.request import Request, is_traced
from clearhead.inspection.result import SINKS, Inspection, Received
from clearhead.ops import Namespace
from clearhead.ops.textbook import scores

Array = Any

CELLS = 1 << 20
"""Scores that are held at once, unless one query of each head already has more."""


def inspect(request: Request) -> Inspection:
    """Works out a request."""
    # NumPy alone would warn of infinities and NaN, which show in what is told.
    with np.errstate(all="ignore"):
        return _inspect(request)


def _inspect(request: Request) -> Inspection:
    xp, queries = request.xp, request.query.shape[2]
    found: list[dict[str, Array]] = []
    received: tuple[Array, Array] | None = None
    for chunk in _chunks(request):
        position, score = _scores(request, chunk)
        statistics, weights = _weigh(xp, score)
        found.append(
            statistics
            | {"output": _weighted_sum(request, score, weights)}
            | _top(xp, score, weights, request.top)
            | {"sink": _padded(xp, weights[..., : min(SINKS, weights.shape[-1])], SINKS, 0)}
            | _bands(request, position, weights)
        )
        if request.received:
            total, largest = xp.sum(weights, axis=-2), xp.max(weights, axis=-2)
            received = (total, largest) if received is None else (received[0] + total, xp.maximum(received[1], largest))
        if request.progress:
            request.progress(chunk.stop, queries)
    joined = {name: request.unflatten(xp.concat([each[name] for each in found], axis=2)) for name in found[0]}
    per_key = None if received is None else Received(*map(request.unflatten, received))
    return Inspection(**{"bands": None, **joined}, edges=request.edges or (), received=per_key)


def _chunks(request: Request) -> Iterator[slice]:
    batch, heads, queries, _ = request.query.shape
    size = max(1, CELLS // (batch * heads * request.key.shape[2]))
    yield from (slice(start, min(start + size, queries)) for start in range(0, queries, size))


def _scores(request: Request, chunk: slice) -> tuple[Array, Array]:
    """The positions of some queries among the keys, and their scores, with all that is done to scores."""
    xp, spec = request.xp, request.spec
    batch, heads, queries, depth = request.query.shape
    groups, keys = request.key.shape[1:3]
    query = xp.reshape(request.query[:, :, chunk, :], (batch, groups, heads // groups, -1, depth))
    score = xp.matmul(query, xp.matrix_transpose(request.key)[:, :, None, :, :]) * request.scale
    score = xp.reshape(score, (batch, heads, -1, keys))
    key = xp.arange(keys, device=device(score))
    position = xp.arange(chunk.start, chunk.stop, device=device(score))[:, None] + (keys - queries)
    if spec.softcap is not None:
        score = scores.softcap.code(xp, score, cap=spec.softcap)
    if spec.alibi:
        slope = scores.alibi_slopes.code(xp, score, heads=heads)
        score = score - slope[:, None, None] * xp.astype(xp.abs(position - key), score.dtype)
    if request.mask is not None:
        rows = chunk if request.mask.shape[2] > 1 else slice(None)
        add = scores.mask_boolean if xp.isdtype(request.mask.dtype, "bool") else scores.mask_additive
        score = add.code(xp, score, request.mask[:, :, rows, :])
    if spec.causal:
        score = scores.mask_boolean.code(xp, score, key <= position)
    if spec.window is not None:
        score = scores.mask_boolean.code(xp, score, xp.abs(position - key) < spec.window)
    if request.padding is not None:
        score = scores.mask_padding.code(xp, score, request.padding)
    return position, score


def _weigh(xp: Namespace, score: Array) -> tuple[dict[str, Array], Array]:
    """What is told of each query's weights, and the weights; as `clearhead.ops.textbook.scores.softmax` has them."""
    largest = xp.max(score, axis=-1, keepdims=True)
    below = score - xp.maximum(largest, float(xp.finfo(score.dtype).min))
    parts = xp.exp(below)
    total = xp.sum(parts, axis=-1, keepdims=True)
    weights = parts / xp.where(total == 0, 1.0, total)
    # 0 where the weight is, so that 0 times minus infinity is 0.
    mean = xp.sum(weights * xp.where(parts == 0, 0.0, below), axis=-1)
    logarithm, unattended = xp.log(xp.where(total == 0, 1.0, total))[..., 0], total[..., 0] == 0
    largest = largest[..., 0]
    return {
        "logsumexp": xp.where(unattended, -math.inf, largest + logarithm),
        "entropy": xp.where(unattended, 0.0, logarithm - mean),
        "max": largest,
    }, weights


def _weighted_sum(request: Request, score: Array, weights: Array) -> Array:
    """The values by their weights. What is not finite reaches the queries that see its key, and no others."""
    xp, value = request.xp, request.value
    batch, heads, queries, keys = weights.shape
    groups = value.shape[1]

    def shared(left: Array, right: Array) -> Array:
        left = xp.reshape(xp.astype(left, value.dtype), (batch, groups, heads // groups, queries, keys))
        right = xp.astype(right, value.dtype)[:, :, None, :, :]
        return xp.reshape(xp.matmul(left, right), (batch, heads, queries, -1))

    if is_traced(value) or request.all_finite(value):
        return shared(weights, value)
    seen = score != -math.inf
    plus, minus = (shared(weights > 0, value == infinity) > 0 for infinity in (math.inf, -math.inf))
    nowhere = shared(seen, xp.isnan(value)) + shared(seen & (weights == 0), xp.isinf(value)) > 0
    finite = shared(weights, xp.where(xp.isfinite(value), value, 0.0))
    infinite = xp.where(plus, math.inf, finite) + xp.where(minus, -math.inf, 0.0)
    return xp.where(nowhere, math.nan, infinite)


def _top(xp: Namespace, score: Array, weights: Array, top: int) -> dict[str, Array]:
    """The largest weights and their keys, found by the scores, of which fewer are equal."""
    keys = xp.argsort(score, axis=-1, descending=True, stable=True)[..., : min(top, score.shape[-1])]
    found = xp.take_along_axis(weights, keys, axis=-1)
    keys = xp.where(xp.take_along_axis(score, keys, axis=-1) == -math.inf, -1, keys)
    return {"top_weights": _padded(xp, found, top, 0), "top_keys": _padded(xp, keys, top, -1)}


def _padded(xp: Namespace, array: Array, length: int, value: float) -> Array:
    """An array whose last axis is filled up to a length."""
    missing = (*array.shape[:-1], length - array.shape[-1])
    return xp.concat([array, xp.full(missing, value, dtype=array.dtype, device=device(array))], axis=-1)


def _bands(request: Request, position: Array, weights: Array) -> dict[str, Array]:
    if request.edges is None:
        return {}
    xp = request.xp
    distance = xp.abs(position - xp.arange(weights.shape[-1], device=device(weights)))
    edges = (0, *request.edges, weights.shape[-1] + weights.shape[-2] + int(xp.max(distance)))
    within = [(low <= distance) & (distance < high) for low, high in pairwise(edges)]
    return {"bands": xp.stack([xp.sum(xp.where(each, weights, 0.0), axis=-1) for each in within], axis=-1)}
