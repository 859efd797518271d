"""How a score grows with its query: in a straight line, or changed by a soft-cap, a norm of queries, or rounding."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from clearhead.check.measure.access import Attend, Size
from clearhead.check.measure.parts import Array
from clearhead.check.measure.weights import log, weights

STRAIGHT = 2e-3
"""The relative distance from a line up to which scores count as straight."""


FAR = 50
"""A soft-cap this many times above the largest measured score counts as none."""

EXACT, ROUGHLY = 1e-6, 0.15
"""For numbers less precise than the first, the slope is computed from scores up to this part of the largest."""


class Curve(Struct, frozen=True, eq=False):
    """Scores of one key along queries of growing length.

    Attributes:
        lengths: the lengths of the query.
        scores: the scores (head, length); NaN where weights are too small to see them.
        slope: how steep scores are for short queries, by head.
        shape: by head: ``"line"``, ``"tanh"`` (a soft-cap), ``"direction"`` (only the direction of queries counts),
            ``"flat"`` (scores follow no query), ``"unknown"`` (too little is seen), ``"bent"``.
        cap: the soft-cap, by head; NaN where there is none.
        key_counts: whether the length of keys counts, by head.
    """

    lengths: Array
    scores: Array
    slope: Array
    shape: tuple[str, ...]
    cap: Array
    key_counts: tuple[bool, ...] = ()

    def straight(self, form: Array) -> Array:
        """A form measured at queries and keys of length one, as it is before the soft-cap."""
        cap = np.where(np.isnan(self.cap), np.inf, self.cap)[:, None, None, None, None]
        with np.errstate(all="ignore"):
            inside = cap * np.arctanh(np.clip(form / cap, -1, 1))
        return np.where(np.isinf(cap), form, inside)


def curve_of(f: Attend, size: Size, form: Array, bias: Array, eps: float) -> Curve | None:
    """The curve of the last query's score of one key, against another key of zeros; None where there is none."""
    seen = np.asarray(np.isfinite(form[..., 0, 0])).all(axis=0, keepdims=False)
    seen = np.asarray(seen)
    rows = [row for row in range(size.tokens) if seen[row].sum() > 1]
    if not rows:
        return None
    row = rows[-1]
    key, zero = int(np.nonzero(seen[row])[0][-1]), int(np.nonzero(seen[row])[0][0])
    strength = np.nan_to_num(np.abs(form[:, row, key])).max(0)
    a, b = (int(place) for place in np.unravel_index(np.argmax(strength), strength.shape))
    lengths = np.concatenate([np.geomspace(0.02, 3000, 96 if f.caller.form.batch else 20), [1.0, 2.0]])
    lengths.sort()
    pairs = np.concatenate([np.stack([lengths, np.ones_like(lengths)], 1), [(1.0, 0.5)]])
    q = np.zeros((len(pairs), size.heads, size.tokens, size.depth))
    k = np.zeros((len(pairs), size.groups, size.keys, size.depth))
    q[..., a] = pairs[:, :1, None]
    k[:, :, key, b] = pairs[:, 1:]
    l = log(weights(f, q, k, size.past)) - bias
    *scores, shorter = l[:, :, row, key] - l[:, :, row, zero]
    scores, at_one = np.array(scores).T, form[:, row, key, a, b]
    counts = tuple(bool(abs(half / one - 1) > 0.05) if one else True for half, one in zip(shorter, at_one, strict=True))
    scores[np.abs(scores) > _deepest(eps)] = np.nan
    if eps > 1e-12:
        scores[np.abs(scores) < 64 * eps] = np.nan
    return _judged(lengths, scores, at_one, counts, eps)


def _deepest(eps: float) -> float:
    """The largest score whose weight beside a score of 0 is no denormal number."""
    return 600.0 if eps < 1e-12 else 70.0 if eps < 1e-5 else 6.0


def _judged(lengths: Array, scores: Array, form: Array, counts: tuple[bool, ...], eps: float) -> Curve:
    shapes, slopes, caps = [], [], []
    for row, at_one in zip(scores, form, strict=True):
        ok = np.isfinite(row)
        slope = _slope(lengths[ok], row[ok], eps)
        shape, cap = _shape(lengths[ok], row[ok], slope, 40 * eps)
        shapes.append(shape if abs(at_one) > 1e-9 else "flat")
        slopes.append(slope)
        caps.append(cap)
    return Curve(lengths, scores, np.array(slopes), tuple(shapes), np.array(caps), counts)


def _slope(t: Array, s: Array, eps: float) -> float:
    """The slope of scores for short queries: of the shortest, or of several where numbers are imprecise."""
    if not len(s):
        return 0.0
    low = np.abs(s) <= ROUGHLY * np.abs(s).max() if eps > EXACT else np.arange(len(s)) == 0
    return float(np.median(s[low] / t[low])) if low.any() else float(s[0] / t[0])


def _shape(t: Array, s: Array, slope: float, loose: float) -> tuple[str, float]:
    near = STRAIGHT + loose
    if len(s) < 6 or slope == 0 or t[-1] < 8 * t[0]:
        return "unknown", np.nan
    large = np.abs(s) > (0.05 * np.abs(s).max() if loose > STRAIGHT else 0.0)
    if np.abs(s[large] / (slope * t[large]) - 1).max() < near:
        return "line", np.nan
    if np.ptp(s) < near * np.abs(s).max():
        return "direction", np.nan
    low, high = np.abs(s).max() * 0.999, 1e6
    for _ in range(100):
        middle = (low * high) ** 0.5
        below = middle * np.tanh(abs(slope) * t[-1] / middle) < abs(s[-1])
        low, high = (middle, high) if below else (low, middle)
    fits = np.allclose(s, np.sign(slope) * middle * np.tanh(abs(slope) * t / middle), rtol=near, atol=loose)
    if not fits:
        return "bent", np.nan
    return ("tanh", float(middle)) if middle < FAR * np.abs(s).max() else ("line", np.nan)
