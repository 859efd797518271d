"""The effect of masks that a function takes: which keys they mask, and whether these keep any weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from clearhead.check.measure.access import Attend, Refused, Size
from clearhead.check.measure.compare import bias, keys_seen
from clearhead.check.measure.compare_sums import mass
from clearhead.check.measure.observe import FLOOR, Observed, drawn
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.premises import Swept, drawn_masks, same
from clearhead.check.measure.seen import Row, part_of
from clearhead.check.measure.weights import weights

SUMMED = 4
"""The units of precision by which sums of very many weights may be off."""

COMPARED = {"keys seen": keys_seen, "mass": mass, "bias": bias}


Under = tuple[Observed, Observed, dict[str, Array]]
"""What was measured of a function and its working under masks, and these, for two items."""


def masked(
    f: Attend, expected: Attend, rows: list[tuple[Observed, Observed]]
) -> tuple[tuple[Part, ...], tuple[Under, ...]]:
    """The parts in which the effect of a mask is visible, and what was measured under masks."""
    pairs, under = [], []
    for a, b in rows:
        made = drawn(a.size, seed=2)
        masks = drawn_masks(f, a.size, made.rng, batch=1)
        twice = {name: np.repeat(mask, 2, 0) if f.task.takes_batch(name) else mask for name, mask in masks.items()}
        q, k = (np.concatenate([0 * x, x]) for x in (made.q, made.k))
        seen, right = (
            _with(whole, weights(attend, q, k, a.size.past, twice)) for attend, whole in ((f, a), (expected, b))
        )
        pairs.append(Row(seen, right))
        under.append((seen, right, twice))
    parts = []
    for name, compared in COMPARED.items():
        known = [(row, each) for row in pairs if (each := compared(row)) is not None]
        if any(each.differs for _, each in known):
            part = part_of(name, known)
            parts.append(part)
            part.details["masks"] = f.roles.masks
            part.details["padded"] = name == "keys seen" and all(
                _is_of_padding(f, row, each.where, masks) for (row, each), (*_, masks) in zip(known, under, strict=True)
            )
    return tuple(parts), tuple(under)


def _is_of_padding(f: Attend, row: Row, where: dict[str, tuple[int, ...]], masks: dict[str, Array]) -> bool:
    """Whether the queries that see other keys are those that are padding themselves."""
    name = next((each for each in masks if len(f.task.axes(each)) == 1), "")
    size = row.a.size
    if not name or len(masks) > 1 or masks[name].dtype.kind != "b" or size.past or size.keys != size.tokens:
        return False
    padding = np.atleast_2d(masks[name])[0]
    return bool((~padding).any()) and where.get("query") == tuple(np.nonzero(~padding)[0].tolist())


BLIND: dict[str, str] = {
    "nan": "NaN",
    "all": "the mean of all values, as from a finite fill",
    "others": "the mean of the values that its other masks leave, as from a finite fill",
    "other": "other numbers",
}
"""What a query gets that sees no key, where it is not 0."""


def blind_query(f: Attend, expected: Attend, size: Size) -> Part | None:
    """What a query gets whose keys are all hidden by a mask; None where that cannot be tried."""
    if f.roles.weights or size.keys != size.tokens or size.past:
        return None
    made, row = drawn(size, seed=5), size.tokens // 2
    masks = drawn_masks(f, size, made.rng, batch=1)
    for name, mask in masks.items():
        hidden = False if mask.dtype.kind == "b" else -np.inf
        mask[(..., row, slice(None)) if "query" in f.task.axes(name) else ...] = hidden
    try:
        mine, due = (weights(each, made.q, made.k, size.past, masks)[:, :, row] for each in (f, expected))
        open_ = weights(expected, 0 * made.q, 0 * made.k, size.past)[:, :, row]
    except Refused:
        return None
    if np.abs(due).max() > 0:
        return None
    near: dict[str, Any] = {"zero": 0.0, "all": 1 / size.keys, "others": open_}
    found = next((kind for kind, gets in near.items() if np.allclose(mine, gets, rtol=1e-3, atol=1e-6)), "other")
    found = "nan" if np.isnan(mine).all() else found
    return Part("query without keys", found, "zero", differs=False, sizes=(size.words,))


def far_seen(f: Attend, expected: Attend, size: Size, row: tuple[Observed, Observed]) -> Part | None:
    """Which keys are visible at a size too large to measure more, or else what weights sum to; None if all is right."""
    if not f.wide:
        return None
    made = drawn(size)
    pair = []
    for each, seen in zip((f, expected), row, strict=True):
        w = weights(each, 0 * made.q, 0 * made.k, size.past)
        if not np.isfinite(w).all():
            return None  # zero scores break the function, which says nothing about the keys that are seen
        pair.append(replace(_with(seen, np.concatenate([w, w])), size=size))
    if (found := keys_seen(Row(*pair))).differs:
        return part_of("keys seen", [(Row(*pair), found)])
    if np.abs(pair[0].sums - pair[1].sums).max() <= SUMMED * row[0].eps + FLOOR:
        return None
    part = part_of("mass", [(Row(*pair), replace(mass(Row(*pair)), differs=True))])
    part.details.update(far=True, type=row[0].bits.type if row[0].bits else "")
    return part


GIVEN: dict[str, Callable[[Array], Array]] = {
    "zeros": np.zeros_like,
    "the mean of all values": lambda v: np.broadcast_to(v.mean(-2, keepdims=True), v.shape),
}
"""What queries of padding may get, by the values (batch, head, key, depth)."""


def padded_queries(f: Attend, expected: Attend, swept: Sequence[Swept], eps: float) -> Part | None:
    """What queries get that are padding themselves, if all others are right; None if it is not the same everywhere."""
    holds = {each.name: each.holds for each in f.task.working.givens}
    name = next((each for each in f.roles.masks if len(f.task.axes(each)) == 1 and holds[each] == "booleans"), "")
    off = [each for each in swept if each.y is not None and not each.agrees(eps)]
    if not name or f.roles.weights or any(each.size.keys != each.size.tokens or each.size.past for each in off):
        return None
    near, gives = same(eps), dict(GIVEN)
    for each in off:
        made = drawn(each.size, batch=each.size.batch)
        masks = drawn_masks(f, each.size, made.rng, batch=each.size.batch)
        real, y = np.atleast_2d(masks[name])[:, None, :, None], np.asarray(each.y)
        bound = near * max(float(np.abs(y).max()), 1e-30)
        due = expected(made.q, made.k, made.v, 0, masks)
        if (np.abs(np.where(real, y - due, 0)) > bound).any():
            return None
        v = np.repeat(made.v, each.size.heads // each.size.groups, 1)
        gives = {what: gets for what, gets in gives.items()
                 if (np.abs(np.where(real, 0, y - gets(v))) <= bound).all()}  # fmt: skip
    sizes = tuple(each.size.words for each in off)
    return Part("padded queries", next(iter(gives)), "", differs=True, sizes=sizes) if off and gives else None


def _with(seen: Observed, w: Array) -> Observed:
    """What was measured, with these weights at zero and at random scores, of the value heads that are read."""
    read = seen.zero.sum((1, 3))
    share = (read / np.maximum(read.sum(-1, keepdims=True), 1e-30))[:, None, :, None]
    zero, random = (x[:, :, None] * share for x in w)
    return replace(seen, zero=zero, random=random)
