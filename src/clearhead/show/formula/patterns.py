"""Patterns that the printers of code and of sheets need: softmax, and values that may be minus infinity."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from msgspec import Struct

from clearhead.expr import Binary, Call, Expr, Index, Let, Local, Number, Reduce, Ref, Where, walk
from clearhead.expr.nodes import children, map_children
from clearhead.line import Given, Line
from clearhead.trace import Trace


class Softmax(Struct, frozen=True):
    """A softmax: the exponent, the indices that it runs over, the sum, and the base if it is not e."""

    exponent: Expr
    over: tuple[str, ...]
    whole: Reduce
    whole_exponent: Expr
    base: float | None = None


def softmax_of(part: Expr, whole: Expr) -> Softmax | None:
    """A quotient as a softmax: an exponential divided by the sum of the same exponential over some indices."""
    if not isinstance(whole, Reduce) or whole.kind != "sum":
        return None
    one, all_of = _exponent(part), _exponent(whole.body)
    if one is None or all_of is None or one[1] != all_of[1]:
        return None
    free = [name for name in _indices(one[0]) if name not in _indices(all_of[0])]
    if len(free) != len(whole.over):
        return None
    names = dict(zip(whole.over, free, strict=True))
    return Softmax(one[0], tuple(free), whole, all_of[0], one[1]) if renamed(all_of[0], names) == one[0] else None


def _exponent(expr: Expr) -> tuple[Expr, float | None] | None:
    match expr:
        case Call("exp", (exponent,)):
            return exponent, None
        case Binary("^", Number(base), exponent):
            return exponent, base
    return None


def _indices(expr: Expr) -> tuple[str, ...]:
    return tuple(dict.fromkeys(node.name for node in walk(expr) if isinstance(node, Index)))


def rewritten(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The expression with every node changed, innermost first."""
    return change(map_children(expr, lambda child: rewritten(child, change)))


def renamed(expr: Expr, names: Mapping[str, str]) -> Expr:
    """The expression with indices under other names."""
    return rewritten(expr, lambda node: Index(names.get(node.name, node.name)) if isinstance(node, Index) else node)


def inlined(expr: Expr) -> Expr:
    """The expression with every name replaced by its value."""
    if isinstance(expr, Let):
        value = inlined(expr.value)
        body = rewritten(expr.body, lambda node: value if node == Local(expr.name) else node)
        return inlined(body)
    return expr


@lru_cache(maxsize=4096)
def is_known(expr: Expr) -> bool:
    """Whether an expression can be computed without arrays."""
    return not any(isinstance(node, (Ref, Local)) for node in walk(expr))


@lru_cache(maxsize=4096)
def may_be_masked(expr: Expr, masked: frozenset[str]) -> bool:
    """Whether a value may be minus infinity, if the cells of these operands may be."""
    match expr:
        case Number(value):
            return math.isinf(value)
        case Ref(operand):
            return operand in masked
        case Local(name):
            return name in masked
        case Binary("/" | "^", left, _):
            return may_be_masked(left, masked)
        case Binary("+" | "-" | "*", left, right):
            return may_be_masked(left, masked) or may_be_masked(right, masked)
        case Call("neg" | "abs" | "round" | "round_even" | "truncate", arguments):
            return may_be_masked(arguments[0], masked)
        case Where(_, then, otherwise):
            return may_be_masked(then, masked) or may_be_masked(otherwise, masked)
        case Reduce(_, _, body):
            return may_be_masked(body, masked)
        case Let(name, value, body):
            return may_be_masked(body, masked | {name} if may_be_masked(value, masked) else masked)
    return False


def masked_lines(trace: Trace) -> frozenset[str]:
    """The lines and given arrays that may hold minus infinity, whatever the given numbers are."""
    masked: set[str] = set()
    for name, part in _parts(trace).items():
        if isinstance(part, Given):
            added = part.holds == "numbers" and part.axes[-2:] == ("query", "key")
            held = name in trace and bool(np.isneginf(trace.numpy(name)).any()) if part.holds == "numbers" else False
            found = added or held
        else:
            found = may_be_masked(part.formula.body, masked_roles(part, frozenset(masked)))
        if found:
            masked.add(name)
    return frozenset(masked)


def masked_roles(line: Line, masked: frozenset[str]) -> frozenset[str]:
    """The roles of a line's operands that are among these lines."""
    return frozenset(role for role, name in zip(line.formula.roles, line.operands, strict=True) if name in masked)


def _parts(trace: Trace) -> dict[str, Given | Line]:
    return {name: trace.working.line(name) for name in trace.working.names}


@lru_cache(maxsize=4096)
def free_indices(expr: Expr) -> frozenset[str]:
    """The indices of an expression that no reduction in it runs over."""
    if isinstance(expr, Index):
        return frozenset({expr.name})
    found = frozenset[str]().union(*map(free_indices, children(expr)))
    return found.difference(expr.over) if isinstance(expr, Reduce) else found


def moving_refs(expr: Expr, over: Sequence[str]) -> list[Ref]:
    """The cells that change along some indices, each once, except those inside another reduction."""
    if isinstance(expr, Ref):
        return [expr] if any(free_indices(index).intersection(over) for index in expr.indices) else []
    if isinstance(expr, Reduce) and not free_indices(expr).intersection(over):
        return []
    return list(dict.fromkeys(ref for child in children(expr) for ref in moving_refs(child, over)))


def spread_of(expr: Expr) -> Ref | None:
    """The cells of which an expression is the mean squared distance from their mean."""
    match expr:
        case Reduce("mean", over, Binary("^", Binary("-", Ref() as cell, Reduce("mean", same, mean)), Number(2))):
            return cell if over == same and mean == cell else None
    return None


def is_of_whole_numbers(node: Expr) -> bool:
    """Whether it is arithmetic of two whole numbers, or of one."""
    match node:
        case Binary("+" | "-" | "*" | "//" | "%", Number(left), Number(right)):
            return isinstance(left, int) and isinstance(right, int)
        case Call("abs" | "neg", (Number(value),)):
            return isinstance(value, int)
    return False
