"""The kernel in plain array code: for any library and device, a chunk of queries at a time, all their keys at once.

It computes the lines themselves, with any operations, and is the reference for the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from array_api_compat import device

from clearhead.errors import SpecError
from clearhead.inspection.core import Core, apart
from clearhead.inspection.request import Request, is_traced
from clearhead.inspection.result import Inspection
from clearhead.inspection.rows import Rows, compute, rows_of
from clearhead.inspection.statistics import SINKS
from clearhead.line import steps_of
from clearhead.ops import Namespace
from clearhead.ops.textbook import scores

Array = Any

CELLS = 1 << 20
"""Scores that are held at once, unless one query of each head already has more."""


def inspect(request: Request) -> Inspection:
    """Computes a request."""
    # NumPy alone would warn of infinities and NaN, which show in the results.
    with np.errstate(all="ignore"):
        return _inspect(request)


def _inspect(request: Request) -> Inspection:
    xp, queries, wanted = request.xp, request.query.shape[2], request.wanted
    found: list[dict[str, Array]] = []
    received: dict[str, Array] = {}
    core, shares = _with_plain_softmax(request.core)
    rows, given = _prepared(request, core)
    for chunk in chunks(request):
        positions = positions_of(request, chunk)
        score, weights, output, logsumexp = _attend(request, core, shares, rows, given, chunk)
        found.append(
            {
                "output": output,
                "logsumexp": logsumexp,
                "entropy": _entropy(xp, weights),
                "max": xp.max(score, axis=-1),
                "self_weight": xp.sum(xp.where(positions["position"] == positions["key"], weights, 0.0), axis=-1),
                "sink": _padded(xp, weights[..., : min(SINKS, weights.shape[-1])], SINKS, 0),
            }
            | _top(xp, score, weights, wanted.top)
            | _bands(request, positions["position"], weights)
        )
        if wanted.received:
            received = _received(xp, received, weights)
        if wanted.progress:
            wanted.progress(chunk.stop, queries)
    joined = {name: request.unflatten(xp.concat([each[name] for each in found], axis=2)) for name in found[0]}
    per_key = {name: request.unflatten(array) for name, array in received.items()}
    return Inspection({**joined, **per_key}, edges=wanted.edges)


def outputs(request: Request) -> tuple[Array, Array]:
    """The output (batch, head, query, feature), whatever the softmax, and its remarks (batch, head, query)."""
    outs, remarks = [], []
    with np.errstate(all="ignore"):
        rows, given = _prepared(request, request.core)
        for chunk in chunks(request):
            _, weights, output, _ = _attend(request, request.core, "", rows, given, chunk)
            outs.append(output)
            remarks.append(remarked(request, weights))
    return request.xp.concat(outs, axis=2), request.xp.concat(remarks, axis=2)


def remarked(request: Request, weights: Array) -> Array:
    """Whether the softmax has a remark on rows of weights, or on their largest."""
    remark = request.core.softmax.operation.remark
    if remark is None:
        return request.xp.zeros(weights.shape[:-1], dtype=request.xp.bool, device=device(weights))
    return remark.find(request.xp, weights)


def weights_in_order(request: Request, queries: range | None = None) -> Iterator[Array]:
    """The weights of some queries, then of the next (batch, head, query, key), in the end of all that are wanted."""
    with np.errstate(all="ignore"):
        core, shares = _with_plain_softmax(request.core)
        rows, given = _prepared(request, core)
        for chunk in chunks(request, queries):
            yield _attend(request, core, shares, rows, given, chunk)[1]


def _prepared(request: Request, core: Core) -> tuple[Rows, dict[str, Array]]:
    """Which lines go by queries, and all that is the same for all queries."""
    rows = rows_of(core)
    given = {core.query: request.query, core.key: request.key, core.value: request.value, **request.given}
    for line in rows.once:
        given[line.name] = compute(request.xp, line, given)
    return rows, given


def _received(xp: Namespace, before: Mapping[str, Array], weights: Array) -> dict[str, Array]:
    """The weights that each key receives, with those of some more queries."""
    total, largest = xp.sum(weights, axis=-2), xp.max(weights, axis=-2)
    if before:
        total, largest = before["received_total"] + total, xp.maximum(before["received_max"], largest)
    return {"received_total": total, "received_max": largest}


def _with_plain_softmax(core: Core) -> tuple[Core, str]:
    """The lines with the textbook's softmax among them, and its name; another softmax is written as steps."""
    if core.softmax.operation is scores.softmax:
        return core, core.softmax.name
    inner = steps_of(core.softmax, core.working.names)
    found = [line.name for line in inner if line.operation is scores.softmax]
    if len(found) != 1:
        raise SpecError(
            f"inspect does not know the sum of exponentials that {core.softmax.operation.name} "
            f"({core.softmax.name}) divides by. Trace the working instead."
        )
    return apart(core, inner), found[0]


def chunks(request: Request, queries: range | None = None) -> Iterator[slice]:
    """The queries in order, as many at a time as have `CELLS` scores; of some alone, if these are named."""
    batch, heads, count, _ = request.query.shape
    size = max(1, CELLS // (batch * heads * request.key.shape[2]))
    wanted = range(count) if queries is None else queries
    yield from (slice(start, min(start + size, wanted.stop)) for start in range(wanted.start, wanted.stop, size))


def positions_of(request: Request, chunk: slice) -> dict[str, Array]:
    """The positions of some queries among the keys, as a column, and of all keys."""
    xp, queries, keys = request.xp, request.query.shape[2], request.key.shape[2]
    place = device(request.query)
    position = xp.arange(chunk.start, chunk.stop, device=place)[:, None] + (keys - queries)
    return {"position": position, "key": xp.arange(keys, device=place)}


def _attend(
    request: Request, core: Core, shares: str, rows: Rows, given: Mapping[str, Array], chunk: slice
) -> tuple[Array, Array, Array, Array]:
    """Scores, weights and outputs of some queries, and the logarithms of the denominators of the softmax ``shares``."""
    xp = request.xp
    values = {name: cut(array, rows.axis.get(name), chunk) for name, array in given.items()}
    logsumexp: Array = None
    last = {name: line.name for line in rows.each for name in line.operands}
    keep = {core.softmax.operands[0], core.head.operands[0]}
    for line in rows.each:
        values[line.name] = compute(xp, line, values, **positions_of(request, chunk))
        if line.name == shares:
            logsumexp = _logsumexp(xp, values[line.operands[0]])
        for name in line.operands:
            if last[name] == line.name and name not in keep:
                del values[name]
    score, weights = values[core.softmax.operands[0]], values[core.head.operands[0]]
    if is_traced(request.value) or request.all_finite(request.value):
        return score, weights, values[core.head.name], logsumexp
    return score, weights, _weighted_sum(xp, score, weights, given[core.head.operands[1]]), logsumexp


def _weighted_sum(xp: Namespace, score: Array, weights: Array, value: Array) -> Array:
    """The weighted sum of values. Numbers that are not finite reach only queries that see their key."""

    def summed(left: Array, right: Array) -> Array:
        return xp.matmul(xp.astype(left, value.dtype), xp.astype(right, value.dtype))

    seen = score != -math.inf
    plus, minus = (summed(weights > 0, value == infinity) > 0 for infinity in (math.inf, -math.inf))
    nowhere = summed(seen, xp.isnan(value)) + summed(seen & (weights == 0), xp.isinf(value)) > 0
    finite = summed(weights, xp.where(xp.isfinite(value), value, 0.0))
    infinite = xp.where(plus, math.inf, finite) + xp.where(minus, -math.inf, 0.0)
    return xp.where(nowhere, math.nan, infinite)


def cut(array: Array, axis: int | None, chunk: slice) -> Array:
    """The rows of some queries, where an array has one for each."""
    if axis is None or array.shape[axis] == 1:
        return array
    return array[(..., chunk, *[slice(None)] * (-1 - axis))]


def _logsumexp(xp: Namespace, score: Array) -> Array:
    """The logarithm of the sum of the exponentials of each row."""
    largest = xp.max(score, axis=-1, keepdims=True)
    total = xp.sum(xp.exp(score - xp.maximum(largest, float(xp.finfo(score.dtype).min))), axis=-1)
    return xp.where(total == 0, -math.inf, largest[..., 0] + xp.log(xp.where(total == 0, 1.0, total)))


def _entropy(xp: Namespace, weights: Array) -> Array:
    """The entropy of each row of weights, in nats; a weight of 0 adds 0."""
    return -xp.sum(weights * xp.log(xp.where(weights == 0, 1.0, weights)), axis=-1)


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
    if request.wanted.bands is None:
        return {}
    xp = request.xp
    distance = xp.abs(position - xp.arange(weights.shape[-1], device=device(weights)))
    edges = (0, *request.wanted.edges, weights.shape[-1] + weights.shape[-2] + int(xp.max(distance)))
    within = [(low <= distance) & (distance < high) for low, high in pairwise(edges)]
    return {"bands": xp.stack([xp.sum(xp.where(each, weights, 0.0), axis=-1) for each in within], axis=-1)}
