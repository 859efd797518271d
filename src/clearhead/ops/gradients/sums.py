"""Operations that join the gradients of lines: the start of a backward pass, and sums over all uses of a line."""

from __future__ import annotations

from functools import reduce

from clearhead.expr import Formula, Index, Number, Ref, total
from clearhead.expr.nodes import Expr
from clearhead.ops.operation import Array, Namespace, Operation, floats, operation
from clearhead.ops.textbook.training import letters_of


def _ref(role: str, letters: tuple[str, ...]) -> Ref:
    return Ref(role, tuple(map(Index, letters)))


@operation(lambda: Formula(("loss",), ((),), (), Number(1)))
def one(xp: Namespace, loss: Array) -> Array:
    """The gradient of a number with respect to itself: 1."""
    return xp.reshape(floats(xp, 1, loss), ()) + 1


@operation(lambda rank: Formula(("x",), (letters_of(rank),), letters_of(rank), Number(0)))
def none(xp: Namespace, x: Array, *, rank: int) -> Array:
    """The gradient of an array that has no effect: 0 everywhere."""
    shape = tuple(x.shape[x.ndim - rank :])
    return xp.broadcast_to(xp.reshape(floats(xp, 1, x), ()), shape)


def _sum_of(count: int, rank: int) -> Formula:
    roles = tuple(f"part{number}" for number in range(1, count + 1))
    parts: list[Expr] = [_ref(role, letters_of(rank)) for role in roles]
    return Formula(roles, (letters_of(rank),) * count, letters_of(rank), reduce(lambda a, b: a + b, parts))


@operation(_sum_of)
def sum_of(xp: Namespace, *parts: Array, count: int, rank: int) -> Array:
    """The sum of the gradients through all lines that read a line: the gradient of that line."""
    return reduce(lambda a, b: a + b, parts)


def _sum_over_first(count: int, rank: int) -> Formula:
    over = tuple("jklno"[:count])
    body = total(tuple(map(Index, over)), _ref("parts", (*over, *letters_of(rank))))
    return Formula(("parts",), ((*over, *letters_of(rank)),), letters_of(rank), body)


@operation(_sum_over_first)
def sum_over_first(xp: Namespace, parts: Array, *, count: int, rank: int) -> Array:
    """The sum over axes along which the same numbers were used: over heads that share a gain or a mask."""
    end = parts.ndim - rank
    return xp.sum(parts, axis=tuple(range(end - count, end)))


SUMS: dict[str, Operation] = {each.name: each for each in (one, none, sum_of, sum_over_first)}
"""These by name."""
