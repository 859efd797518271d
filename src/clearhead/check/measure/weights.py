"""The weights of the heads, exactly: outputs are linear in the values, which are one-hot here."""

from __future__ import annotations

import numpy as np

from clearhead.check.measure.access import Attend, Refused
from clearhead.check.measure.parts import Array


def weights(f: Attend, q: Array, k: Array, past: int = 0, masks: dict[str, Array] | None = None) -> Array:
    """The weights (batch, head, query, key) that each query gives to each key, of all key/value heads together."""
    batch, groups, keys = k.shape[:3]
    if f.roles.weights:
        return f(q, k, np.zeros_like(k), past, masks)
    hot = np.broadcast_to(np.eye(keys), (batch, groups, keys, keys))
    return _through(f, q, k, hot, past, masks)


def weights_by_group(f: Attend, q: Array, k: Array, past: int = 0) -> Array:
    """The same by the key/value head whose values are read: (batch, head, query, group, key)."""
    batch, groups, keys = k.shape[:3]
    if f.roles.weights:
        return np.asarray(weights(f, q, k, past)[..., None, :] / groups * np.ones((groups, 1)))
    hot = np.eye(groups * keys).reshape(1, groups, keys, groups * keys)
    out = _through(f, q, k, np.broadcast_to(hot, (batch, *hot.shape[1:])), past, None)
    return out.reshape(*out.shape[:3], groups, keys)


def _through(f: Attend, q: Array, k: Array, hot: Array, past: int, masks: dict[str, Array] | None) -> Array:
    """The outputs for values of any width, in slices of the queries' width where the function needs that."""
    if f.live is not None:
        return _through_some(f, q, k, hot, past, masks)
    width, depth = hot.shape[-1], q.shape[-1]
    if f.wide and width != depth:
        try:
            return f(q, k, hot, past, masks)
        except Refused:
            f.wide = False
    return _sliced(f, q, k, _slices(hot, depth), past, masks)[..., :width]


def _through_some(f: Attend, q: Array, k: Array, hot: Array, past: int, masks: dict[str, Array] | None) -> Array:
    """The same where only some columns of the values are in the output."""
    live = np.arange(q.shape[-1]) if f.live is None else f.live
    slices = []
    for part in _slices(hot, len(live)):
        whole = np.zeros((*hot.shape[:-1], q.shape[-1]))
        whole[..., live] = part
        slices.append(whole)
    out = _sliced(f, q, k, slices, past, masks)
    kept = [each[..., live] for each in np.split(out, len(slices), axis=-1)]
    return np.concatenate(kept, -1)[..., : hot.shape[-1]]


def _slices(hot: Array, width: int) -> list[Array]:
    """Values in pieces of this width, the last one filled with zeros."""
    padded = np.concatenate([hot, np.zeros((*hot.shape[:-1], -hot.shape[-1] % width))], -1)
    return np.split(padded, padded.shape[-1] // width, axis=-1)


def _sliced(f: Attend, q: Array, k: Array, slices: list[Array], past: int, masks: dict[str, Array] | None) -> Array:
    """The outputs for all slices of the values, in one batch, joined along the columns."""
    times = len(slices)
    many = dict(masks or {})
    for name in many:
        if f.task.takes_batch(name):
            many[name] = np.concatenate([many[name]] * times)
    out = f(np.concatenate([q] * times), np.concatenate([k] * times), np.concatenate(slices), past, many)
    return np.concatenate(np.split(out, times), -1)


def log(w: Array) -> Array:
    """The logarithm of weights; NaN where one is 0 or no number."""
    with np.errstate(all="ignore"):
        return np.where(w > 0, np.log(np.where(w > 0, w, 1.0)), np.nan)


def median(x: Array) -> Array:
    """The median along the last axis, without NaN; NaN where all are NaN."""
    ordered = np.sort(x, axis=-1)
    count = np.isfinite(ordered).sum(-1)
    place = np.maximum(count - 1, 0) // 2
    return np.where(count > 0, np.take_along_axis(ordered, place[..., None], -1)[..., 0], np.nan)
