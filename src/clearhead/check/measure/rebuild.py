"""Outputs computed from the measurements alone, compared with those of the function on other inputs."""

from __future__ import annotations

import numpy as np

from clearhead.check.measure.access import Attend
from clearhead.check.measure.observe import Observed, drawn
from clearhead.check.measure.parts import Array

LONGER = 1.3
"""How much longer queries are than those on which weights were measured."""


def rebuild(f: Attend, seen: Observed, masks: dict[str, Array] | None = None) -> float:
    """The largest difference between outputs and those of the parts, relative to the largest output.

    ``masks`` are those with which weights were measured, for two items. Of queries that see keys under them which they
    do not see without, as padding itself may, scores were not measured.
    """
    made = drawn(seen.size, seed=1, batch=2)
    q = LONGER * made.q
    y = f(q, made.k, made.v, seen.size.past, masks)
    shares = weights(seen, q, made.k)
    mine = shares.sum(-2) if f.roles.weights else outputs(seen, shares, made.v)
    scored = ~seen.visible | np.isfinite(seen.form[..., 0, 0])
    known = np.all(scored | (masks is None), axis=-1)[None, :, :, None]
    return float(np.abs(np.where(known, mine - y, 0.0)).max() / max(np.abs(y).max(), 1e-30))


def outputs(seen: Observed, shares: Array, v: Array) -> Array:
    """The outputs of these weights that follow from the measured parts."""
    out = np.einsum("xhigj,xgjd->xhid", shares, v)
    return np.asarray(np.take(out, seen.columns.argmax(-1), axis=-1) * seen.columns.any(-1))


def weights(seen: Observed, q: Array, k: Array) -> Array:
    """The weights (batch, head, query, value head, key) that follow from the measured parts."""
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
    top, seen_keys = np.exp(-s.max()), seen.visible.sum(-1)
    if (np.abs(seen.beside_top - slot * seen_keys) <= 40 * seen.tolerance * (1 + seen.beside_top)).all():
        top = e.sum(-2).max(-1) * seen_keys  # the slot has the largest score, and not 0
    total = e.sum((-2, -1)) + slot * top
    return np.asarray(
        e / np.maximum(total, 1e-300)[..., None, None] * (sums if scaled else 1 + 0 * sums)[..., None, None]
    )


def _only_direction(seen: Observed, asks: list[int]) -> Array:
    """The heads of queries whose direction alone counts, in a shape that broadcasts against queries."""
    assert seen.curve  # noqa: S101 - the caller has looked
    only = np.zeros(seen.size.heads, bool)
    for head, shape in enumerate(seen.curve.shape):
        only[asks[head]] = shape == "direction"
    return only[:, None, None]
