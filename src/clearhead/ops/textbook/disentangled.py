"""Scores that content and distance give together: disentangled attention (He et al. 2021, "DeBERTa", section 3)."""

from __future__ import annotations

import math

from clearhead.expr import Expr, Formula, Size, call, formula, indices, lift, same, total, where
from clearhead.ops.operation import Array, Namespace, counting, operation
from clearhead.ops.textbook.scores import POSITION

b, h, i, j = indices("b h i j")

BACK = POSITION - j
"""How many tokens a key lies before its query, in the order of the text: below 0 for a later one."""


def _edge(number: Expr, span: int, reach: int | None) -> Expr:
    """The largest distance of a bucket, by its number from the middle."""
    if reach is None:
        return number
    near = span // 2
    share = (number - near) / (near - 1)
    # As a mean of powers it is exactly near and reach - 1 at the ends.
    return where(number <= near, number, near ** (1 - share) * (reach - 1) ** share)


def _in_bucket(cell: Expr, back: Expr, span: int, reach: int | None) -> Expr:
    """A cell of the table where the distance of query and key falls into its bucket; the outermost have no end."""
    signed, far = b - span, call("abs", back)
    number = call("abs", signed)
    within = where(far <= _edge(number, span, reach), cell, 0)
    open_ = where(same(b, 0), cell, where(same(b, 2 * span - 1), cell, within))
    beyond = where(_edge(number - 1, span, reach) < far, open_, 0)
    return where(same(signed, 0), where(same(back, 0), cell, 0), where(lift(0) < signed * back, beyond, 0))


def added(row: str, span: int, reach: int | None, back: Expr = BACK) -> Formula:
    """The scores plus a cell of each query's (``i``) or each key's (``j``) row of distances."""
    at = i if row == "i" else j
    return formula(
        f"h i j, h {row} b -> h i j",
        lambda s, by_distance: s[h, i, j] + total(b, _in_bucket(by_distance[h, at, b], back, span, reach)),
        few=2 * span - Size("b"),
        many=Size("b") - 2 * span,
    )


def place_of(xp: Namespace, back: Array, *, span: int, reach: int | None) -> Array:
    """The bucket of each distance, of which ``span`` is that of no distance; above it for a key before its query."""
    far, near = xp.abs(back), span if reach is None else span // 2
    number = xp.where(far < near, far, near)
    if reach is not None:
        for above in range(span - near):
            share = above / (near - 1)
            edge = near ** (1 - share) * (reach - 1) ** share
            number = number + xp.astype(far > math.floor(edge * (1 + 1e-12)), far.dtype)
    below = xp.where(number < span, number, span - 1)
    return xp.where(back < 0, span - number, span + below)


def by_query(xp: Namespace, s: Array, by_distance: Array, place: Array) -> Array:
    """The scores plus, of each query's row, the cell for the distance of each key: ``place`` (query, key)."""
    lead = by_distance.shape[:-1]
    return s + xp.take_along_axis(by_distance, xp.broadcast_to(place, (*lead, place.shape[-1])), axis=-1)


def by_key(xp: Namespace, s: Array, by_distance: Array, place: Array) -> Array:
    """The scores plus, of each key's row, the cell for its distance from each query: ``place`` (query, key)."""
    lead, turned = by_distance.shape[:-1], xp.matrix_transpose(place)
    found = xp.take_along_axis(by_distance, xp.broadcast_to(turned, (*lead, turned.shape[-1])), axis=-1)
    return s + xp.matrix_transpose(found)


def places(xp: Namespace, s: Array, *, span: int, reach: int | None, turn: int = 1) -> Array:
    """The buckets of all distances between queries and keys, times ``turn``."""
    queries, keys = s.shape[-2:]
    back = counting(xp, queries, s)[:, None] + (keys - queries) - counting(xp, keys, s)[None, :]
    return place_of(xp, turn * back, span=span, reach=reach)


@operation(lambda span, reach: added("i", span, reach), role="distance")
def add_by_query(xp: Namespace, s: Array, by_distance: Array, *, span: int, reach: int | None) -> Array:
    """The scores plus what each query's content says of a key's distance (He et al. 2021)."""
    return by_query(xp, s, by_distance, places(xp, s, span=span, reach=reach))


@operation(lambda span, reach: added("j", span, reach), role="distance")
def add_by_key(xp: Namespace, s: Array, by_distance: Array, *, span: int, reach: int | None) -> Array:
    """The scores plus what each key's content says of its distance from a query (He et al. 2021)."""
    return by_key(xp, s, by_distance, places(xp, s, span=span, reach=reach))
