"""Biases of scores that are learned for how far a key lies from its query (Raffel et al. 2020)."""

from __future__ import annotations

import math

from clearhead.expr import Expr, Formula, Size, call, formula, indices, lift, same, total, where
from clearhead.ops.operation import Array, Namespace, counting, operation
from clearhead.ops.textbook.tables import look_up

b, h, i, j = indices("b h i j")

AHEAD = j - i + (Size("i") - Size("j"))
"""How many tokens a key lies behind its query, in the order of the text: below 0 for an earlier one."""


def _in_bucket(distance: Expr, bucket: Expr, cell: Expr, rows: int, reach: int) -> Expr:
    """A cell of the table where a distance falls into a bucket: one has each of the first half, others grow wider."""
    exact = rows // 2
    edge, following = (exact * (reach / exact) ** ((bucket - exact + more) / (rows - exact)) for more in (0, 1))
    within = where(bucket < rows - 1, where(distance < following, cell, 0), cell)
    return where(bucket < exact, where(same(bucket, distance), cell, 0), where(edge <= distance, within, 0))


def _biased(buckets: int, reach: int, both: bool) -> Formula:  # noqa: FBT001 - a parameter of the operation
    rows, size = buckets // 2 if both else buckets, call("abs", AHEAD)

    def of(cell: Expr) -> Expr:
        if not both:
            return _in_bucket((size - AHEAD) // 2, b, cell, rows, reach)
        earlier = where(AHEAD <= 0, _in_bucket(size, b, cell, rows, reach), 0)
        return where(b < rows, earlier, where(lift(0) < AHEAD, _in_bucket(size, b - rows, cell, rows, reach), 0))

    return formula(
        "h i j, b h -> h i j",
        lambda s, table: s[h, i, j] + total(b, of(table[b, h])),
        few=buckets - Size("b"),
        many=Size("b") - buckets,
    )


def edges(buckets: int, reach: int) -> list[int]:
    """The smallest distance of each bucket behind the first."""
    exact = buckets // 2
    wide = buckets - exact
    grown = (exact * (reach / exact) ** (number / wide) for number in range(1, wide))
    return [*range(1, exact + 1), *(math.ceil(edge * (1 - 1e-12)) for edge in grown)]


def bucket_of(xp: Namespace, ahead: Array, *, buckets: int, reach: int, both: bool) -> Array:
    """The bucket of each distance; below 0 for a key before its query."""
    rows = buckets // 2 if both else buckets
    far = xp.abs(ahead) if both else xp.where(ahead < 0, -ahead, 0)
    place = rows * xp.astype(ahead > 0, ahead.dtype) if both else 0 * ahead
    for edge in edges(rows, reach):
        place = place + xp.astype(far >= edge, far.dtype)
    return place


@operation(_biased, role="distance")
def relative_bias(xp: Namespace, s: Array, table: Array, *, buckets: int, reach: int, both: bool) -> Array:
    """The scores plus a learned number for the distance of query and key, one for each head (Raffel et al. 2020)."""
    queries, keys = s.shape[-2:]
    ahead = counting(xp, queries + keys - 1, s) - (keys - 1)
    place = bucket_of(xp, ahead, buckets=buckets, reach=reach, both=both)
    by_distance = look_up.code(xp, table, place)
    which = counting(xp, keys, s)[None, :] - counting(xp, queries, s)[:, None] + (queries - 1)
    bias = xp.matrix_transpose(look_up.code(xp, by_distance, xp.reshape(which, (-1,))))
    return s + xp.reshape(bias, (*bias.shape[:-1], queries, keys))
