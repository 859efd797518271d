"""What joins the gradients of lines: the beginning of a backward pass, and sums over all that use a line."""

from __future__ import annotations

from functools import reduce

from clearhead.expr import Formula, Index, Number, Ref, total
from clearhead.expr.nodes import Expr
from clearhead.ops.operation import Array, Namespace, Operation, floats, operation


def _cell(rank: int) -> tuple[str, ...]:
    """The letters of a cell with so many axes: those of a token, of a head's token."""
    return {0: (), 1: ("m",), 2: ("i", "m"), 3: ("h", "i", "d")}.get(rank) or tuple("abcdefg"[:rank])


def _ref(role: str, letters: tuple[str, ...]) -> Ref:
    return Ref(role, tuple(map(Index, letters)))


@operation(lambda: Formula(("loss",), ((),), (), Number(1)))
def one(xp: Namespace, loss: Array) -> Array:
    """The gradient of a number by itself: 1."""
    return xp.reshape(floats(xp, 1, loss), ()) + 1


@operation(lambda rank: Formula(("x",), (_cell(rank),), _cell(rank), Number(0)))
def none(xp: Namespace, x: Array, *, rank: int) -> Array:
    """The gradient by what has no effect: 0 everywhere."""
    shape = tuple(x.shape[x.ndim - rank :])
    return xp.broadcast_to(xp.reshape(floats(xp, 1, x), ()), shape)


def _sum_of(count: int, rank: int) -> Formula:
    roles = tuple(f"part{number}" for number in range(1, count + 1))
    parts: list[Expr] = [_ref(role, _cell(rank)) for role in roles]
    return Formula(roles, (_cell(rank),) * count, _cell(rank), reduce(lambda a, b: a + b, parts))


@operation(_sum_of)
def sum_of(xp: Namespace, *parts: Array, count: int, rank: int) -> Array:
    """The sum of what comes through all lines that use one: the gradient of that line."""
    return reduce(lambda a, b: a + b, parts)


def _sum_over_first(count: int, rank: int) -> Formula:
    over = tuple("jklno"[:count])
    body = total(tuple(map(Index, over)), _ref("parts", (*over, *_cell(rank))))
    return Formula(("parts",), ((*over, *_cell(rank)),), _cell(rank), body)


@operation(_sum_over_first)
def sum_over_first(xp: Namespace, parts: Array, *, count: int, rank: int) -> Array:
    """The sum over axes along which the same numbers were used: over heads that share a gain or a mask."""
    end = parts.ndim - rank
    return xp.sum(parts, axis=tuple(range(end - count, end)))


SUMS: dict[str, Operation] = {each.name: each for each in (one, none, sum_of, sum_over_first)}
"""These by name."""
