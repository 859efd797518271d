"""Derivatives of formulas, as formulas: how a weighted sum over the result changes with one cell of an operand.

For ``y[i,m] = sum_c a[i,c]*b[c,m]`` and numbers ``grad[i,m]``, one for each cell of ``y``, the adjoint for ``a`` is
``sum_m grad[i,m]*b[c,m]``: the derivative of ``sum grad*y`` by ``a[i,c]``. Reverse-mode differentiation walks a formula
from its result down to each cell that it reads, with the derivative for each (`terms`); `cells` then inverts this, and
finds for one cell of an operand the places that read it.

Where a function has no derivative, the choice is PyTorch's:

- *A maximum of two* whose arguments are equal passes the gradient to the second: 0 at ``max(x, 0)``, as ``relu``.
  NaN is not hidden: of a first argument that is NaN the gradient passes.
- *The maximum of a row* that is there several times passes equal parts to each, as ``amax``.
- *Rounding, whole parts and remainders* have the derivative 0, as ``round`` and ``floor``; ``abs`` has 0 at 0.
- *A branch that was not taken* passes 0 to what it reads, whatever it would have computed: no infinity of a masked
  score, and no NaN, reaches a gradient. A row without any key has weights of 0, whose gradient is 0.
- *0/0* stays NaN: the norm of equal numbers with an eps of 0 has no derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import NamedTuple

from msgspec import Struct

from clearhead.errors import SpecError
from clearhead.expr.formula import Formula
from clearhead.expr.nodes import (
    Binary,
    Call,
    Expr,
    Index,
    Let,
    Local,
    Number,
    Reduce,
    Ref,
    Size,
    Where,
    call,
    map_children,
    same,
    walk,
)  # fmt: skip
from clearhead.expr.simplify import ONE, ZERO, added, choice, names, negative, product, quotient, summed, with_indices

UPSTREAM = "grad"
"""The role of the gradient of the result, one number for each cell, which weights its changes."""

RESULT = "out"
"""The role of the forward result, in the formulas of gradients that read it."""


class Term(Struct, frozen=True):
    """One place where a formula reads an operand, and the derivative of the result by it.

    ``over`` are the indices of the result and of all sums around the place. ``named`` are the `Let` values around it.
    """

    ref: Ref
    change: Expr
    over: tuple[str, ...]
    named: tuple[tuple[str, Expr], ...]


class Fresh:
    """Names for indices that no formula uses: a letter, a prime and a number."""

    def __init__(self) -> None:
        self._count = count(1)

    def name(self, letter: str) -> str:
        """A new name for an index of the size of this one."""
        return f"{letter_of(letter)}'{next(self._count)}"


def letter_of(name: str) -> str:
    """The letter that a fresh name stands for, whose size it has."""
    return name.partition("'")[0]


def terms(forward: Formula, fresh: Fresh) -> list[Term]:
    """Every place where a formula reads a number that its result depends on, with the derivative.

    All indices have fresh names, so that none is mistaken for another when they are solved for.

    Raises:
        SpecError: the formula holds something that has no derivative here.
    """
    result = {letter: fresh.name(letter) for letter in forward.result}
    cell = {letter: Index(name) for letter, name in result.items()}
    upstream = Ref(UPSTREAM, tuple(cell.values()))
    walker = _Walk(fresh)
    body = with_indices(_apart(forward.body, fresh), cell)
    walker.down(body, upstream, _Place(tuple(result.values())))
    return walker.found


def _apart(expr: Expr, fresh: Fresh) -> Expr:
    """An expression in which every sum has its own indices."""
    if not isinstance(expr, Reduce):
        return map_children(expr, lambda child: _apart(child, fresh))
    new = {name: fresh.name(name) for name in expr.over}
    body = with_indices(expr.body, {name: Index(other) for name, other in new.items()})
    return Reduce(expr.kind, tuple(new.values()), _apart(body, fresh))


class _Place(NamedTuple):
    """The position of the walk: the indices, branches and named values around it."""

    over: tuple[str, ...]
    branches: tuple[tuple[Expr, bool], ...] = ()
    named: tuple[tuple[str, Expr], ...] = ()

    def guarded(self, change: Expr) -> Expr:
        """A change that is 0 where another branch was taken."""
        for condition, taken in reversed(self.branches):
            change = choice(condition, change) if taken else choice(condition, ZERO, change)
        return change


class _Walk:
    """The walk from the result down to what a formula reads."""

    def __init__(self, fresh: Fresh) -> None:
        self.fresh = fresh
        self.found: list[Term] = []
        self.locals: dict[str, list[tuple[Expr, _Place]]] = {}

    def down(self, expr: Expr, change: Expr, place: _Place) -> None:
        """Records what is read below an expression, whose derivative is given."""
        if change == ZERO or not _reads(expr):
            return
        match expr:
            case Ref():
                self.found.append(Term(expr, place.guarded(change), place.over, place.named))
            case Local(name):
                self.locals.setdefault(name, []).append((place.guarded(change), place))
            case Call(function, arguments):
                for argument, part in zip(arguments, _of_call(function, expr, change), strict=False):
                    self.down(argument, part, place)
            case Binary():
                for argument, part in zip((expr.left, expr.right), _of_binary(expr, change), strict=True):
                    self.down(argument, part, place)
            case Where(condition, then, otherwise):
                self.down(then, change, place._replace(branches=(*place.branches, (condition, True))))
                self.down(otherwise, change, place._replace(branches=(*place.branches, (condition, False))))
            case Reduce():
                self._reduce(expr, change, place)
            case Let():
                self._let(expr, change, place)
            case _:
                raise SpecError(f"A formula with {type(expr).__name__} has no derivative.")

    def _reduce(self, expr: Reduce, change: Expr, place: _Place) -> None:
        """A sum, mean or maximum: its indices become those of what is below."""
        new = {name: self.fresh.name(name) for name in expr.over}
        body = with_indices(expr.body, {name: Index(other) for name, other in new.items()})
        if expr.kind == "mean":
            for name in expr.over:
                change = quotient(change, Size(letter_of(name)))
        if expr.kind == "max":
            ties = summed(expr.over, choice(same(expr.body, expr), ONE))
            change = choice(same(body, expr), quotient(change, ties))
        self.down(body, change, place._replace(over=(*place.over, *new.values())))

    def _let(self, expr: Let, change: Expr, place: _Place) -> None:
        """A named value: first what is below it, then the value itself, by all its uses."""
        outer = self.locals.pop(expr.name, [])
        here = place._replace(named=(*place.named, (expr.name, expr.value)))
        self.down(expr.body, change, here)
        whole: Expr = ZERO
        named = here.named
        for part, inner in self.locals.pop(expr.name, []):
            over = inner.over[len(place.over) :]
            more = inner.named[len(here.named) :]
            named = (*named, *(each for each in more if each not in named and not names(each[1]) & {*over}))
            whole = added(whole, summed(over, with_named(part, [each for each in more if names(each[1]) & {*over}])))
        if outer:
            self.locals[expr.name] = outer
        self.down(expr.value, whole, place._replace(branches=(), named=named))


def with_named(expr: Expr, named: Sequence[tuple[str, Expr]]) -> Expr:
    """An expression inside the named values that it uses, directly or through others."""
    for name, value in reversed(named):
        if any(isinstance(node, Local) and node.name == name for node in walk(expr)):
            expr = Let(name, value, expr)
    return expr


def _reads(expr: Expr) -> bool:
    """Whether an expression depends on a number that it reads."""
    match expr:
        case Ref() | Local():
            return True
        case Where(_, then, otherwise):
            return _reads(then) or _reads(otherwise)
        case Reduce(body=body):
            return _reads(body)
        case Let(_, value, body):
            return _reads(value) or _reads(body)
        case Call(function, arguments):
            return function not in _FLAT and any(map(_reads, arguments))
        case Binary(symbol, left, right):
            return symbol not in _FLAT and (_reads(left) or _reads(right))
    return False


_FLAT = frozenset({"round", "round_even", "truncate", "pi", "//", "%", "<", "<=", "==", "and"})
"""Nodes whose value changes only in steps, if at all."""


def _maximum(expr: Call, change: Expr) -> tuple[Expr, Expr]:
    first, second = expr.arguments
    return choice(first <= second, ZERO, change), choice(first <= second, change)


def _share(expr: Call, change: Expr) -> tuple[Expr, Expr]:
    _, whole = expr.arguments
    each = call("share", change, whole)
    return each, negative(product(each, expr))


def _abs(expr: Call, change: Expr) -> tuple[Expr]:
    (x,) = expr.arguments
    return (choice(x < ZERO, negative(change), choice(x > ZERO, change)),)


def _erf(expr: Call, change: Expr) -> tuple[Expr]:
    (x,) = expr.arguments
    slope = quotient(product(Number(2), call("exp", negative(product(x, x)))), call("sqrt", call("pi")))
    return (product(change, slope),)


_CALLS: Mapping[str, Callable[[Call, Expr], tuple[Expr, ...]]] = {
    "neg": lambda _, change: (negative(change),),
    "exp": lambda expr, change: (product(change, expr),),
    "log": lambda expr, change: (quotient(change, expr.arguments[0]),),
    "sqrt": lambda expr, change: (quotient(change, product(Number(2), expr)),),
    "tanh": lambda expr, change: (product(change, 1 - expr**2),),
    "sin": lambda expr, change: (product(change, Call("cos", expr.arguments)),),
    "cos": lambda expr, change: (negative(product(change, Call("sin", expr.arguments))),),
    "erf": _erf,
    "abs": _abs,
    "share": _share,
    "max": _maximum,
}
"""The derivatives by the arguments of a function, each from that by its value."""


def _of_call(function: str, expr: Call, change: Expr) -> tuple[Expr, ...]:
    if function not in _CALLS:
        raise SpecError(f"The function {function} has no derivative.")
    return _CALLS[function](expr, change)


def _of_binary(expr: Binary, change: Expr) -> tuple[Expr, Expr]:
    left, right = expr.left, expr.right
    match expr.symbol:
        case "+":
            return change, change
        case "-":
            return change, negative(change)
        case "*":
            return product(change, right), product(change, left)
        case "/":
            each = quotient(change, right)
            return each, negative(product(each, expr))
        case "^":
            return _of_power(expr, change)
    raise SpecError(f"{expr.symbol} has no derivative.")


def _of_power(expr: Binary, change: Expr) -> tuple[Expr, Expr]:
    base, exponent = expr.left, expr.right
    below: Expr = ZERO
    if _reads(base):
        lower = Number(exponent.value - 1) if isinstance(exponent, Number) else exponent - 1
        power = base if lower == ONE else base**lower
        below = product(product(change, exponent), power)
    if not _reads(exponent):
        return below, ZERO
    logarithm = Number(math.log(base.value)) if isinstance(base, Number) else call("log", base)
    return below, product(product(change, expr), logarithm)
