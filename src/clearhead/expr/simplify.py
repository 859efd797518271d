"""Formulas simplified as textbooks write them: without times 1 and plus 0."""

from __future__ import annotations

from collections.abc import Mapping

from clearhead.expr.nodes import Binary, Call, Expr, Index, Number, Reduce, Where, map_children

ZERO, ONE = Number(0), Number(1)


def product(left: Expr, right: Expr) -> Expr:
    """``left * right``."""
    match left, right:
        case (Number(0), _) | (_, Number(0)):
            return ZERO
        case (Number(1), other) | (other, Number(1)):
            return other
        case (Call("neg", (a,)), Call("neg", (b,))):
            return product(a, b)
        case (Call("neg", (a,)), b) | (a, Call("neg", (b,))):
            return negative(product(a, b))
    return left * right


def quotient(left: Expr, right: Expr) -> Expr:
    """``left / right``."""
    match left, right:
        case (Number(0), _):
            return ZERO
        case (_, Number(1)):
            return left
        case (Call("neg", (a,)), _):
            return negative(quotient(a, right))
    return left / right


def negative(expr: Expr) -> Expr:
    """``-expr``."""
    match expr:
        case Number(value):
            return Number(-value)
        case Call("neg", (argument,)):
            return argument
        case Binary("-", left, right):
            return Binary("-", right, left)
    return -expr


def added(left: Expr, right: Expr) -> Expr:
    """``left + right``."""
    match left, right:
        case (Number(0), other) | (other, Number(0)):
            return other
        case (a, Call("neg", (b,))):
            return a - b
        case (Call("neg", (a,)), b):
            return b - a
    return left + right


def choice(condition: Expr, then: Expr, otherwise: Expr = ZERO) -> Expr:
    """``then`` where the condition holds, ``otherwise`` elsewhere."""
    return then if then == otherwise else Where(condition, then, otherwise)


def summed(over: tuple[str, ...], body: Expr) -> Expr:
    """The sum of a body over indices; over none, the body."""
    match body:
        case Number(0):
            return body
        case Call("neg", (inner,)):
            return negative(summed(over, inner))
    return Reduce("sum", over, body) if over else body


def names(expr: Expr) -> frozenset[str]:
    """The indices that an expression depends on: those that no sum in it runs over."""
    match expr:
        case Index(name):
            return frozenset({name})
        case Reduce(_, over, body):
            return names(body) - set(over)
    found: set[str] = set()

    def look(child: Expr) -> Expr:
        found.update(names(child))
        return child

    map_children(expr, look)
    return frozenset(found)


def with_indices(expr: Expr, by: Mapping[str, Expr]) -> Expr:
    """An expression with other expressions in place of indices; the indices of its sums stay."""
    match expr:
        case Index(name):
            return by.get(name, expr)
        case Reduce(kind, over, body):
            left = {name: other for name, other in by.items() if name not in over}
            return Reduce(kind, over, with_indices(body, left))
    return map_children(expr, lambda child: with_indices(child, by))
