"""A step of training: what an optimizer makes of the gradient of an array, cell by cell."""

from __future__ import annotations

from collections.abc import Callable

from clearhead.expr import Expr, Formula, Index, call, lift, total, where
from clearhead.expr.formula import Operand
from clearhead.ops.operation import Array, Namespace, floats, operation

CLIP_EPS = 1e-6
"""What is added to the norm of all gradients before a limit is divided by it, as PyTorch has it."""


def letters_of(rank: int) -> tuple[str, ...]:
    """The letters of a cell with ``rank`` axes: those of a token, of a head's token."""
    return {0: (), 1: ("m",), 2: ("i", "m"), 3: ("h", "i", "d")}.get(rank) or tuple("abcdefg"[:rank])


def cellwise(rank: int, body: Callable[..., Expr], *, numbers: tuple[str, ...] = ()) -> Formula:
    """The formula of what is done to each cell of arrays with this many axes.

    Args:
        rank: how many axes.
        body: the arithmetic, of one cell of each operand; the names of its parameters are the roles.
        numbers: the roles of those operands that are one number for all cells.
    """
    letters = letters_of(rank)
    roles = body.__code__.co_varnames[: body.__code__.co_argcount]
    own = [() if role in numbers else letters for role in roles]
    cells = [Operand(role)[tuple(map(Index, axes))] for role, axes in zip(roles, own, strict=True)]
    return Formula(roles, tuple(own), letters, lift(body(*cells)))


@operation(lambda rank: cellwise(rank, lambda x: lift(0)))
def zeros(xp: Namespace, x: Array, *, rank: int) -> Array:
    """What an optimizer remembers before its first step: 0 everywhere."""
    return xp.broadcast_to(xp.reshape(floats(xp, 1, x), ()), tuple(x.shape[x.ndim - rank :]))


@operation(lambda decay, rank: cellwise(rank, lambda slope, x: slope + decay * x))
def add_decay(xp: Namespace, slope: Array, x: Array, *, decay: float, rank: int) -> Array:
    """The gradient with that of a penalty on the squares of all numbers (L2)."""
    return slope + decay * x


@operation(lambda rate, decay, rank: cellwise(rank, lambda x: (1 - lift(rate) * decay) * x))
def shrink(xp: Namespace, x: Array, *, rate: float, decay: float, rank: int) -> Array:
    """The numbers, made smaller by a share of themselves: weight decay beside the gradient (AdamW)."""
    return (1 - rate * decay) * x


def _velocity(momentum: float, dampening: float, rank: int) -> Formula:
    share = 1 - lift(dampening) if dampening else lift(1)
    return cellwise(rank, lambda past, slope: momentum * past + (share * slope if dampening else slope))


@operation(_velocity)
def velocity(xp: Namespace, past: Array, slope: Array, *, momentum: float, dampening: float, rank: int) -> Array:
    """The velocity: a share of that of the step before, and the gradient."""
    return momentum * past + (1 - dampening) * slope


@operation(lambda momentum, rank: cellwise(rank, lambda slope, velocity: slope + momentum * velocity))
def look_ahead(xp: Namespace, slope: Array, velocity: Array, *, momentum: float, rank: int) -> Array:
    """The direction of a step with Nesterov's momentum: the gradient, and where the velocity leads."""
    return slope + momentum * velocity


@operation(lambda beta, rank: cellwise(rank, lambda past, slope: beta * past + (1 - lift(beta)) * slope))
def first_moment(xp: Namespace, past: Array, slope: Array, *, beta: float, rank: int) -> Array:
    """The moving average of the gradients."""
    return beta * past + (1 - beta) * slope


@operation(lambda beta, rank: cellwise(rank, lambda past, slope: beta * past + (1 - lift(beta)) * slope**2))
def second_moment(xp: Namespace, past: Array, slope: Array, *, beta: float, rank: int) -> Array:
    """The moving average of the squares of the gradients."""
    return beta * past + (1 - beta) * (slope * slope)


@operation(lambda beta, number, rank: cellwise(rank, lambda moment: moment / (1 - lift(beta) ** number)))
def unbiased(xp: Namespace, moment: Array, *, beta: float, number: int, rank: int) -> Array:
    """A moving average that began at 0, divided by the share of it that is not that 0."""
    return moment / (1 - beta**number)


@operation(lambda rank: cellwise(rank, lambda past, slope: past + slope**2))
def add_square(xp: Namespace, past: Array, slope: Array, *, rank: int) -> Array:
    """The sum of the squares of all gradients so far."""
    return past + slope * slope


@operation(lambda rate, rank: cellwise(rank, lambda x, slope: x - rate * slope))
def step_along(xp: Namespace, x: Array, slope: Array, *, rate: float, rank: int) -> Array:
    """The numbers after a step against their gradient."""
    return x - rate * slope


@operation(
    lambda rate, eps, rank: cellwise(
        rank, lambda x, first, second: x - rate * first / (call("sqrt", second) + eps if eps else call("sqrt", second))
    )
)
def step_scaled(xp: Namespace, x: Array, first: Array, second: Array, *, rate: float, eps: float, rank: int) -> Array:
    """The numbers after a step against a gradient, in units of the root of its squares."""
    return x - rate * first / (xp.sqrt(second) + eps)


def _squared_length(rank: int) -> Formula:
    letters = letters_of(rank)
    cell = Operand("slope")[tuple(map(Index, letters))]
    return Formula(("slope",), (letters,), (), total(tuple(map(Index, letters)), cell**2) if letters else cell**2)


@operation(_squared_length)
def squared_length(xp: Namespace, slope: Array, *, rank: int) -> Array:
    """The sum of the squares of all numbers of a gradient."""
    return xp.sum(slope * slope, axis=tuple(range(slope.ndim - rank, slope.ndim))) if rank else slope * slope


@operation(lambda: cellwise(0, lambda square: call("sqrt", square)))
def root_of_number(xp: Namespace, square: Array) -> Array:
    """The root of a number: of the sum of the squares of all gradients, their norm."""
    return xp.sqrt(square)


@operation(
    lambda limit, rank: cellwise(
        rank,
        lambda slope, norm: where(norm + CLIP_EPS <= limit, slope, slope * (limit / (norm + CLIP_EPS))),
        numbers=("norm",),
    )
)
def shorten(xp: Namespace, slope: Array, norm: Array, *, limit: float, rank: int) -> Array:
    """The gradient, shortened so that all gradients together are no longer than a limit."""
    share = xp.where(norm + CLIP_EPS <= limit, 1.0, limit / (norm + CLIP_EPS))
    return slope * xp.reshape(share, tuple(share.shape) + (1,) * rank)
