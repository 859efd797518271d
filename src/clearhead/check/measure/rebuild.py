"""Outputs computed from what was measured alone, held against those of the function on other inputs."""

from __future__ import annotations

import numpy as np

from clearhead.check.measure.access import Attend
from clearhead.check.measure.observe import Observed, drawn
from clearhead.check.measure.parts import Array

LONGER = 1.3
"""How much longer queries are than those on which weights were measured."""


def rebuild(f: Attend, seen: Observed) -> float:
    """The largest difference between outputs and those of the parts, relative to the largest output."""
    made = drawn(seen.size, seed=1, batch=2)
    q = LONGER * made.q
    y = f(q, made.k, made.v, seen.size.past)
    return float(np.abs(outputs(seen, q, made.k, made.v) - y).max() / max(np.abs(y).max(), 1e-30))


def outputs(seen: Observed, q: Array, k: Array, v: Array) -> Array:
    """The outputs that the measured parts give."""
    heads, asks = ([int(row.argmax()) for row in follows] for follows in (seen.key_heads, seen.query_heads))
    if seen.curve:
        q = np.where(_only_direction(seen, asks), q / np.linalg.norm(q, axis=-1, keepdims=True), q)
        lengths = np.linalg.norm(k, axis=-1, keepdims=True)
        k = np.where(not all(seen.curve.key_counts), k / lengths, k)
    rows = [int(row.argmax()) if row.any() else at for at, row in enumerate(seen.query_rows)]
    s = np.einsum("xhia,hijab,xhjb->xhij", q[:, asks][:, :, rows], np.nan_to_num(seen.form), k[:, heads])
    if seen.curve:
        cap = np.where(np.isnan(seen.curve.cap), np.inf, seen.curve.cap)[:, None, None]
        with np.errstate(all="ignore"):
            s = np.where(np.isinf(cap), s, cap * np.tanh(s / cap))
    if seen.step:
        s = np.round(s / seen.step) * seen.step
    zero, sums = seen.zero, np.maximum(seen.sums, 1e-30)
    scaled = np.abs(seen.sums - seen.random_sums).max() <= 4 * seen.tolerance
    slot = np.zeros_like(sums) if scaled else 1 / sums - 1
    e = zero / sums[..., None, None] * np.exp(s - s.max())[..., None, :]
    total = e.sum((-2, -1)) + slot * np.exp(-s.max())
    p = e / np.maximum(total, 1e-300)[..., None, None] * (sums if scaled else 1.0 + 0 * sums)[..., None, None]
    out = np.einsum("xhigj,xgjd->xhid", p, v)
    return np.asarray(np.take(out, seen.columns.argmax(-1), axis=-1))


def _only_direction(seen: Observed, asks: list[int]) -> Array:
    """Of which heads of queries only the direction counts, shaped to meet queries."""
    assert seen.curve  # noqa: S101 - the caller has looked
    only = np.zeros(seen.size.heads, bool)
    for head, shape in enumerate(seen.curve.shape):
        only[asks[head]] = shape == "direction"
    return only[:, None, None]
