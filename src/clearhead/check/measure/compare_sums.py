"""What the weights of a query sum to, of the function and of the working."""

from __future__ import annotations

from typing import Any

import numpy as np

from clearhead.check.measure.observe import Observed
from clearhead.check.measure.parts import Array
from clearhead.check.measure.seen import Row, Seen


def computed(row: Row) -> Array:
    """The heads that are compared: all but those of 0 (head)."""
    return np.asarray(row.a.visible.any((1, 2)) | ~row.b.visible.any((1, 2)))


def mass(row: Row) -> Seen:
    """What the weights of a query sum to, where scores are zero and where they are random."""
    a, b = row.a, row.b
    near = row.tolerance * 4
    other = (a.visible != b.visible).any(-1)
    due = np.where(other, sums_of(a.visible, b), b.sums)
    due = np.where(np.isfinite(due), due, a.sums)
    off = (np.abs(a.sums - due) > near) | (~other & (np.abs(a.random_sums - b.random_sums) > near))
    off &= computed(row)[:, None] & a.visible.any(-1)  # what sees no key has no weights
    scaled = bool(np.abs(a.sums - a.random_sums).max() <= near)
    seeing = a.visible.any((0, -1)) | ~a.visible.any()
    slots, expected = (each.visible.sum(-1) * (1 / np.maximum(each.sums, 1e-30) - 1) for each in (a, b))
    details: dict[str, Any] = {"scaled": scaled, "slots": slots[:, seeing], "expected": expected[:, seeing],
                               "beside top": a.beside_top, "blind": tuple(np.nonzero(~seeing)[0].tolist())}  # fmt: skip
    where = {"head": tuple(np.nonzero(off.any(1))[0].tolist()), "query": tuple(np.nonzero(off.any(0))[0].tolist())}
    return Seen(a.sums, due, bool(off.any()), ("head", "query"), where, details)


def sums_of(visible: Array, b: Observed) -> Array:
    """What the expected weights at scores of zero would sum to if these keys were seen; NaN where that is not known."""
    shares = np.where(b.visible, np.nan_to_num(np.exp(b.bias)), 0.0)
    known = np.maximum(b.visible.sum(-1, keepdims=True), 1)
    mean = shares.sum(-1, keepdims=True) / known
    alike = (np.abs(shares - mean) * b.visible).max(-1) <= 1e-6 * mean[..., 0]
    kept = np.where(visible, np.where(b.visible, shares, mean), 0.0).sum(-1)
    with np.errstate(all="ignore"):
        due = kept / (kept + np.maximum(1 - b.sums, 0.0))
    return np.where(alike | ~(visible & ~b.visible).any(-1), due, np.nan)
