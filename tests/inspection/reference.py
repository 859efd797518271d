"""Attention and its statistics from whole matrices in float64, with bounds for what float32 may make of each.

The bounds are running error bounds (Higham 2002, section 3.3) for the formula worked out step by step in float32, in
any order of the sums within a row of TILE terms. They hold for every number of a result, not on average.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

EPS = 2.0**-23
TILE = 128
FLUSHED = 2.0**-120
"""What may be taken for 0 beside 1: weights below exp(-87), and products of denormals."""

Array = np.ndarray[Any, Any]


class Case(NamedTuple):
    """The arguments of an inspection: three arrays, the masks, and the options."""

    query: Array
    key: Array
    value: Array
    options: dict[str, Any]


class Expected(NamedTuple):
    """A number of an inspection and how far another may be from it."""

    value: Array
    bound: Array


def scores(case: Case) -> tuple[Array, Array]:
    """The scores after all that is done to them, and their bounds."""
    q, k, o = case.query.astype(float), case.key.astype(float), case.options
    depth, (n_i, n_j) = q.shape[-1], (q.shape[-2], k.shape[-2])
    k = np.repeat(k, q.shape[-3] // k.shape[-3], axis=-3)
    factor = o.get("scale") or 1 / np.sqrt(depth)
    s = q @ k.swapaxes(-1, -2) * factor
    bound = EPS * (depth / 2 + 2) * (abs(q) @ abs(k).swapaxes(-1, -2) * abs(factor)) + FLUSHED
    if cap := o.get("softcap"):
        s = cap * np.tanh(s / cap)
        bound = bound + 4 * EPS * abs(s)
    mask = o.get("mask")
    if mask is not None and mask.dtype == bool:
        s = np.where(mask, s, -np.inf)
    elif mask is not None:
        s = s + mask.astype(float)
        bound = bound + EPS * np.where(np.isinf(s), 0, abs(s))
    distance = np.arange(n_i)[:, None] + (n_j - n_i) - np.arange(n_j)
    if o.get("causal"):
        s = np.where(distance >= 0, s, -np.inf)
    if window := o.get("window"):
        s = np.where(abs(distance) < window, s, -np.inf)
    if (padding := o.get("padding")) is not None:
        s = np.where(padding[..., None, None, :], s, -np.inf)
    return s, np.where(np.isinf(s), 0, bound)


def weights(s: Array, bound: Array) -> tuple[Expected, Array, Array]:
    """The weights; how far each score lies below the largest of its row, 0 where masked; the sums of exponentials."""
    masked = np.isinf(s)
    largest = s.max(-1, keepdims=True)
    below = np.where(masked, 0.0, s - np.where(np.isinf(largest), 0.0, largest))
    parts = np.where(masked, 0.0, np.exp(below))
    total = parts.sum(-1, keepdims=True)
    w = parts / np.where(total == 0, 1.0, total)
    worst = bound.max(-1, keepdims=True)
    return Expected(w, w * np.expm1(2 * worst + EPS * (abs(below) + rounding(s.shape[-1]))) + FLUSHED), below, total


def rounding(terms: int) -> float:
    """The roundings of a sum of ``terms`` terms of one sign, in units of eps."""
    return TILE / 2 + terms / TILE + 8


def statistics(case: Case, top: int) -> dict[str, Expected]:
    """What an inspection tells, by name."""
    s, bound = scores(case)
    (w, error), below, total = weights(s, bound)
    unattended = total[..., 0] == 0
    worst, logarithm = bound.max(-1), np.log(np.where(total == 0, 1.0, total))[..., 0]
    summing = EPS * rounding(s.shape[-1])
    surprise = np.where(w > 0, np.log(np.where(w > 0, w, 1.0)), 0.0)
    entropy = -(w * surprise).sum(-1)
    entropy_error = ((abs(surprise + entropy[..., None]) + 1) * error).sum(-1) + summing * (
        1 + logarithm + (w * -below).sum(-1)
    )
    v = np.repeat(case.value.astype(float), s.shape[-3] // case.value.shape[-3], axis=-3)
    largest = np.where(unattended, -np.inf, s.max(-1))
    edges = (0, *case.options.get("bands", ()), 10**9)
    distance = abs(np.arange(s.shape[-2])[:, None] + (s.shape[-1] - s.shape[-2]) - np.arange(s.shape[-1]))
    within = [(low <= distance) & (distance < high) for low, high in pairwise(edges)]

    def summed(x: Array) -> Array:
        return np.stack([np.where(each, x, 0).sum(-1) for each in within], -1)

    def first(x: Array) -> Array:
        return np.concatenate([x, np.zeros((*x.shape[:-1], max(4 - x.shape[-1], 0)))], -1)[..., :4]

    found = {
        "output": Expected(w @ v, error @ abs(v) + summing * (w @ abs(v)) + FLUSHED),
        "logsumexp": Expected(
            np.where(unattended, -np.inf, largest + logarithm),
            worst + summing + EPS * (abs(np.where(unattended, 0, largest)) + logarithm),
        ),
        "entropy": Expected(entropy, entropy_error),
        "max": Expected(largest, worst),
        "top_weights": Expected(_best(w, top), error.max(-1, keepdims=True)),
        "sink": Expected(first(w), first(error)),
        "self_weight": Expected(np.where(distance == 0, w, 0).sum(-1), np.where(distance == 0, error, 0).sum(-1)),
        "received.total": Expected(w.sum(-2), error.sum(-2) + EPS * rounding(s.shape[-2]) * w.sum(-2)),
        "received.max": Expected(w.max(-2), error.max(-2)),
    }
    if "bands" in case.options:
        found["bands"] = Expected(summed(w), summed(error) + summing * summed(w))
    return found


def gradients(case: Case, grad: Array) -> dict[str, Expected]:
    """The gradients of query, key and value, from that of the output, by name.

    With P the weights, dP those of the weights and D the sum of output times ``grad``: dS = P * (dP - D), times the
    derivative of the soft cap, if there is one.
    """
    q, k, v = (each.astype(float) for each in (case.query, case.key, case.value))
    groups, factor, g = k.shape[-3], case.options.get("scale") or 1 / np.sqrt(q.shape[-1]), grad.astype(float)
    k, v = (np.repeat(each, q.shape[-3] // groups, axis=-3) for each in (k, v))
    s, bound = scores(case)
    (w, error), *_ = weights(s, bound)
    summing = EPS * rounding(s.shape[-1])
    products = EPS * (v.shape[-1] / 2 + 2)
    change, own = g @ v.swapaxes(-1, -2), ((w @ v) * g).sum(-1, keepdims=True)
    off = products * (abs(g) @ abs(v).swapaxes(-1, -2)) + FLUSHED
    output_off = error @ abs(v) + summing * (w @ abs(v)) + FLUSHED
    off = off + ((output_off + products * (w @ abs(v))) * abs(g)).sum(-1, keepdims=True)
    d = w * (change - own)
    d_off = error * abs(change - own) + (w + error) * off + 4 * EPS * abs(d)
    if cap := case.options.get("softcap"):
        plain = Case(case.query, case.key, case.value, {"scale": factor})
        raw, raw_off = scores(plain)
        bent = 1 / np.cosh(np.minimum(abs(raw) / cap, 300)) ** 2
        # Array code has the derivative as 1 - (out/cap)^2, which is exact to eps of 1, not of itself.
        wrong = bent * np.expm1(2 * (raw_off + EPS * abs(raw)) / cap + 8 * EPS) + 8 * EPS
        d, d_off = d * bent, d_off * bent + (abs(d) + d_off) * wrong
    d, d_off = d * factor, d_off * abs(factor)
    return {
        "query": _summed(d, d_off, k),
        "key": _over_heads(_summed(d.swapaxes(-1, -2), d_off.swapaxes(-1, -2), q), groups),
        "value": _over_heads(_summed(w.swapaxes(-1, -2), error.swapaxes(-1, -2), g), groups),
    }


def _summed(factors: Array, bound: Array, rows: Array) -> Expected:
    """Sums of rows, each times a factor, and their bounds: sums of 12 or more, added up in turn."""
    roundings = EPS * (TILE / 2 + factors.shape[-1] / 12 + 8)
    return Expected(factors @ rows, bound @ abs(rows) + roundings * (abs(factors) @ abs(rows)) + FLUSHED)


def _over_heads(each: Expected, groups: int) -> Expected:
    """The sums over all heads of a group, and their bounds."""
    *batch, heads, rows, columns = each.value.shape
    shape = (*batch, groups, heads // groups, rows, columns)
    value, bound = each.value.reshape(shape), each.bound.reshape(shape)
    return Expected(value.sum(-3), bound.sum(-3) + EPS * heads * abs(value).sum(-3))


def _best(w: Array, top: int) -> Array:
    best = -np.sort(-w, -1)[..., :top]
    return np.concatenate([best, np.zeros((*best.shape[:-1], top - best.shape[-1]))], -1)


def best_keys(s: Array, top: int) -> Array:
    """The keys of the largest scores, of equal ones the first first, -1 where no more are allowed."""
    keys = np.argsort(-s, -1, kind="stable")[..., :top]
    keys = np.where(np.isinf(np.take_along_axis(s, keys, -1)), -1, keys)
    return np.concatenate([keys, np.full((*keys.shape[:-1], top - keys.shape[-1]), -1)], -1)
