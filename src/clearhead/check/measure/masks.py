"""What a function makes of masks that it is called with: which keys they hide, and whether anything is left of them."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from clearhead.check.measure.access import Attend, Size
from clearhead.check.measure.compare import bias, keys_seen, mass
from clearhead.check.measure.observe import Observed, drawn
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.premises import drawn_masks
from clearhead.check.measure.seen import Row, part_of
from clearhead.check.measure.weights import weights

COMPARED = {"keys seen": keys_seen, "mass": mass, "bias": bias}


def masked(f: Attend, due: Attend, rows: list[tuple[Observed, Observed]]) -> tuple[Part, ...]:
    """The parts in which a mask that hides keys changes what is seen."""
    pairs = []
    for a, b in rows:
        made = drawn(a.size, seed=2)
        masks = drawn_masks(f, a.size, made.rng, batch=1)
        twice = {name: np.repeat(mask, 2, 0) if f.task.takes_batch(name) else mask for name, mask in masks.items()}
        seen = []
        for attend, whole in ((f, a), (due, b)):
            q, k = (np.concatenate([0 * x, x]) for x in (made.q, made.k))
            w = weights(attend, q, k, a.size.past, twice)
            seen.append(_with(whole, w))
        pairs.append(Row(*seen))
    parts = []
    for name, compared in COMPARED.items():
        known = [(row, each) for row in pairs if (each := compared(row)) is not None]
        if any(each.differs for _, each in known):
            part = part_of(name, known)
            parts.append(part)
            part.details["masks"] = f.roles.masks
    return tuple(parts)


def far_seen(f: Attend, due: Attend, size: Size, row: tuple[Observed, Observed]) -> Part | None:
    """Which keys are seen at a size too large to measure more; None if it cannot be seen, or if nothing differs."""
    if not f.wide:
        return None
    made = drawn(size)
    pair = []
    for each, seen in zip((f, due), row, strict=True):
        w = weights(each, 0 * made.q, 0 * made.k, size.past)
        pair.append(replace(_with(seen, np.concatenate([w, w])), size=size))
    found = keys_seen(Row(*pair))
    return part_of("keys seen", [(Row(*pair), found)]) if found.differs else None


def _with(seen: Observed, w: Array) -> Observed:
    """What was measured, with these weights at zero and at random scores."""
    share = seen.zero.shape[2]
    zero, random = (np.repeat(x[:, :, None], share, 2) / share for x in w)
    return replace(seen, zero=zero, random=random)
