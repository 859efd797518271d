"""Numbers rounded or truncated to some decimals."""

from __future__ import annotations

from collections.abc import Callable

from clearhead.expr import Formula, call, formula, indices, same, where
from clearhead.expr.evaluate import NEARLY
from clearhead.ops.operation import Array, Namespace, counting, operation

h, i, d = indices("h i d")


def _whole(function: str) -> Callable[[int], Formula]:
    return lambda decimals: formula("i d -> i d", lambda x: call(function, x[i, d], decimals))


def _one_head(function: str) -> Callable[[int, int], Formula]:
    return lambda decimals, head: formula(
        "h i d -> h i d", lambda x: where(same(h, head), call(function, x[h, i, d], decimals), x[h, i, d])
    )


def _in_head(xp: Namespace, x: Array, rounded: Array, head: int) -> Array:
    return xp.where((counting(xp, x.shape[-3], x) == head)[:, None, None], rounded, x)


@operation(_whole("round"), role="rounding")
def round_decimals(xp: Namespace, x: Array, *, decimals: int) -> Array:
    """Each number rounded to decimals, halves away from zero."""
    unit = 10.0**decimals
    return xp.sign(x) * xp.floor(xp.abs(x) * unit + 0.5) / unit


@operation(_one_head("round"), role="rounding")
def round_head(xp: Namespace, x: Array, *, decimals: int, head: int) -> Array:
    """The numbers of one head (counted from 0) rounded to decimals, halves away from zero."""
    return _in_head(xp, x, round_decimals.code(xp, x, decimals=decimals), head)


@operation(_whole("round_even"), role="rounding")
def round_half_even(xp: Namespace, x: Array, *, decimals: int) -> Array:
    """Each number rounded to decimals, halves to the even neighbour, as np.round does."""
    unit = 10.0**decimals
    return xp.round(x * unit) / unit


@operation(_one_head("round_even"), role="rounding")
def round_half_even_head(xp: Namespace, x: Array, *, decimals: int, head: int) -> Array:
    """The numbers of one head (counted from 0) rounded to decimals, halves to the even neighbour."""
    return _in_head(xp, x, round_half_even.code(xp, x, decimals=decimals), head)


@operation(_whole("truncate"), role="rounding")
def truncate(xp: Namespace, x: Array, *, decimals: int) -> Array:
    """Each number truncated to decimals."""
    unit = 10.0**decimals
    return xp.sign(x) * xp.floor(xp.abs(x) * unit + NEARLY) / unit


@operation(_one_head("truncate"), role="rounding")
def truncate_head(xp: Namespace, x: Array, *, decimals: int, head: int) -> Array:
    """The numbers of one head (counted from 0) truncated to decimals."""
    return _in_head(xp, x, truncate.code(xp, x, decimals=decimals), head)
