"""Numbers cut to the decimals that people write down."""

from __future__ import annotations

from clearhead.expr import call, formula, indices, same, where
from clearhead.ops.operation import Array, Namespace, counting, operation

h, i, d = indices("h i d")


@operation(lambda decimals: formula("i d -> i d", lambda x: call("round", x[i, d], decimals)))
def round_decimals(xp: Namespace, x: Array, *, decimals: int) -> Array:
    """Each number to so many decimals, halves away from zero."""
    unit = 10.0**decimals
    return xp.sign(x) * xp.floor(xp.abs(x) * unit + 0.5) / unit


@operation(
    lambda decimals, head: formula(
        "h i d -> h i d", lambda x: where(same(h, head), call("round", x[h, i, d], decimals), x[h, i, d])
    ),
)
def round_head(xp: Namespace, x: Array, *, decimals: int, head: int) -> Array:
    """The numbers of one head (counted from 0) to so many decimals, halves away from zero."""
    chosen = (counting(xp, x.shape[-3], x) == head)[:, None, None]
    return xp.where(chosen, round_decimals.code(xp, x, decimals=decimals), x)
