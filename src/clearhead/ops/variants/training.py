"""Steps of training as they go wrong: eps at another place, no root."""

from __future__ import annotations

from clearhead.expr import Expr, Formula, call, lift
from clearhead.ops.operation import Array, Namespace, operation
from clearhead.ops.textbook.training import cellwise


def _sum(expr: Expr, eps: float) -> Expr:
    return expr + eps if eps else expr


def _inside(rate: float, eps: float, rank: int) -> Formula:
    return cellwise(rank, lambda x, first, second: x - rate * first / call("sqrt", _sum(second, eps)))


@operation(_inside)
def step_with_eps_inside(
    xp: Namespace, x: Array, first: Array, second: Array, *, rate: float, eps: float, rank: int
) -> Array:
    """A step in units of the root of the squares, with eps inside the root."""
    return x - rate * first / xp.sqrt(second + eps)


def _early(rate: float, eps: float, beta: float, number: int, rank: int) -> Formula:
    share = call("sqrt", 1 - lift(beta) ** number)
    return cellwise(rank, lambda x, first, second: x - rate * first * share / _sum(call("sqrt", second), eps))


@operation(_early)
def step_with_eps_early(
    xp: Namespace,
    x: Array,
    first: Array,
    second: Array,
    *,
    rate: float,
    eps: float,
    beta: float,
    number: int,
    rank: int,
) -> Array:
    """A step whose eps is added to the root of the average that is not yet divided by its share."""
    return x - rate * first * (1 - beta**number) ** 0.5 / (xp.sqrt(second) + eps)


def _rootless(rate: float, eps: float, rank: int) -> Formula:
    return cellwise(rank, lambda x, first, second: x - rate * first / _sum(second, eps))


@operation(_rootless)
def step_without_root(
    xp: Namespace, x: Array, first: Array, second: Array, *, rate: float, eps: float, rank: int
) -> Array:
    """A step in units of the squares, not of their root."""
    return x - rate * first / (second + eps)


@operation(lambda rate, decay, rank: cellwise(rank, lambda x: x - lift(rate) * decay))
def shrink_by_constant(xp: Namespace, x: Array, *, rate: float, decay: float, rank: int) -> Array:
    """The numbers less the same number each: a decay that is not a share of them."""
    return x - rate * decay
