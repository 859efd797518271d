"""Heads, tokens and columns in another order, or some of them twice."""

from __future__ import annotations

from collections.abc import Callable

from clearhead.expr import Expr, Formula, formula, indices, lift, same, where
from clearhead.ops.operation import Array, Namespace, operation

h, i, d = indices("h i d")


def _chosen(index: Expr, order: tuple[int, ...], of: Callable[[Expr], Expr]) -> Expr:
    """Where ``index`` is n, what ``of`` has at the n-th number of the order."""
    cell = of(lift(order[-1]))
    for number in range(len(order) - 2, -1, -1):
        cell = where(same(index, number), of(lift(order[number])), cell)
    return cell


def _heads(order: tuple[int, ...]) -> Formula:
    return formula("g i d -> h i d", lambda x: _chosen(h, order, lambda n: x[n, i, d]), h=len(order))


def _tokens(order: tuple[int, ...]) -> Formula:
    return formula("n d -> i d", lambda x: _chosen(i, order, lambda n: x[n, d]), i=len(order))


def _columns(order: tuple[int, ...]) -> Formula:
    return formula("i n -> i d", lambda x: _chosen(d, order, lambda n: x[i, n]), d=len(order))


def _taken(xp: Namespace, x: Array, order: tuple[int, ...], axis: int) -> Array:
    behind = (slice(None),) * (-1 - axis)
    return xp.concat([x[(..., slice(number, number + 1), *behind)] for number in order], axis=axis)


@operation(_heads)
def take_heads(xp: Namespace, x: Array, *, order: tuple[int, ...]) -> Array:
    """Heads in another order: ``order`` has the number of each, counted from 0."""
    return _taken(xp, x, order, -3)


@operation(_tokens)
def take_tokens(xp: Namespace, x: Array, *, order: tuple[int, ...]) -> Array:
    """Rows in another order: ``order`` has the number of each, counted from 0."""
    return _taken(xp, x, order, -2)


@operation(_columns)
def take_columns(xp: Namespace, x: Array, *, order: tuple[int, ...]) -> Array:
    """Columns in another order: ``order`` has the number of each, counted from 0."""
    return _taken(xp, x, order, -1)
