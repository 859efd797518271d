"""What stands in the place of minus infinity: hidden keys are seen once all other scores are below it."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from clearhead.check.measure.access import Attend, Refused
from clearhead.check.measure.observe import SEEN, Observed, drawn
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.precision import FLOATS
from clearhead.check.measure.premises import drawn_masks
from clearhead.check.measure.weights import weights

LARGEST = 1e6
"""Fills of this size and more hide keys from all scores that occur."""

FELT = 1e-6
"""A hidden key that gets this weight is seen."""

ROUNDS, POINTS = 3, 16
"""How often, and at how many scores, the score is looked for below which hidden keys are seen."""


class _Spot(Struct, frozen=True, eq=False):
    """A query with hidden keys and with others whose scores can be set: head and row, and what sets them."""

    head: int
    row: int
    hidden: Array
    feature: int
    keys: Array
    """Each key for which the score is -1 (key, depth); 0 for hidden ones."""


def leaking(f: Attend, expected: Attend, row: tuple[Observed, Observed]) -> Part | None:
    """The fill of hidden keys, if scores that occur can fall below it; None where hidden keys stay so."""
    a, _ = row
    if a.eps > 2.0 ** -FLOATS["float32"]:  # half precision has no larger numbers
        return None
    masks = drawn_masks(f, a.size, drawn(a.size, seed=2).rng, batch=1)
    try:
        spot = _spot(expected, a, masks)
        fill = _fill(f, a, masks, spot) if spot else None
    except Refused:
        return None
    if fill is None:
        return None
    return Part("fill", fill, -np.inf, differs=True, sizes=(a.size.words,), details={"masks": f.roles.masks})


def _spot(expected: Attend, a: Observed, masks: dict[str, Array]) -> _Spot | None:
    made = drawn(a.size)
    seen = weights(expected, 0 * made.q, 0 * made.k, a.size.past, masks)[0] > SEEN
    hidden = ~seen & (np.bool_(bool(masks)) | ~a.visible)
    for head, at in np.argwhere(hidden.any(-1) & (seen.sum(-1) > 1)):
        others = seen[head, at]
        form = a.form[head, at][others]
        if not np.isfinite(form).all():
            continue
        strength = np.linalg.norm(form, axis=-1).min(0)
        feature = int(strength.argmax())
        if strength[feature] < FELT:
            continue
        rows = form[:, feature]
        keys = np.zeros((a.size.keys, a.size.depth))
        keys[others] = -rows / (rows * rows).sum(-1, keepdims=True)
        return _Spot(int(head), int(at), hidden[head, at], feature, keys)
    return None


def _fill(f: Attend, a: Observed, masks: dict[str, Array], spot: _Spot) -> float | None:
    """The score of hidden keys, by where they come to be seen, and by their weight beside that of others there."""
    depths = 10.0 ** np.arange(1, np.log10(LARGEST) + 0.25, 0.5)
    for _ in range(ROUNDS):
        w = _weights(f, a, masks, spot, depths)
        felt = np.nan_to_num(w[:, spot.hidden]).sum(-1) > FELT
        if not felt.any():
            return None
        first = int(felt.argmax())
        beside = w[first, spot.hidden].max() / max(w[first, ~spot.hidden].max(), 1e-300)
        if w[first, ~spot.hidden].max() > 0 and np.isfinite(beside):
            return float(np.log(beside) - depths[first])
        depths = np.linspace(depths[max(first - 1, 0)], depths[first], POINTS + 1)[1:]
    return float(-depths[first])


def _weights(f: Attend, a: Observed, masks: dict[str, Array], spot: _Spot, depths: Array) -> Array:
    """The weights (depth of scores, key) where the scores of all keys that are not hidden are so low."""
    q = np.zeros((len(depths), a.size.heads, a.size.tokens, a.size.depth))
    q[..., spot.feature] = 1
    k = np.broadcast_to(depths[:, None, None, None] * spot.keys, (len(depths), a.size.groups, *spot.keys.shape))
    many = {name: np.repeat(mask, len(depths), 0) if f.task.takes_batch(name) else mask for name, mask in masks.items()}
    return weights(f, q, k, a.size.past, many)[:, spot.head, spot.row]
