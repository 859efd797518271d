"""Other shares of experts."""

from __future__ import annotations

from clearhead.expr import Size, call, formula, indices, total
from clearhead.ops.operation import Array, Namespace, operation

e, i, k, t = indices("e i k t")


@operation(
    lambda: formula(
        "i e -> i e",
        lambda x: call("share", x[i, e], total((t, k), x[t, k])),
        t=Size("i"),
        k=Size("e"),
    ),
    role="experts",
)
def shares_of_all_tokens(xp: Namespace, x: Array) -> Array:
    """Each number divided by the sum of all rows' numbers."""
    whole = xp.sum(x, axis=(-2, -1), keepdims=True)
    return xp.where(whole == 0, 0.0, x / xp.where(whole == 0, 1.0, whole))
