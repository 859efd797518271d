"""Formulas evaluated, one cell at a time: slowly, in any arithmetic, with all intermediate values."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from msgspec import Struct

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
    Terms,
    Where,
)  # fmt: skip

Arithmetic = Mapping[str, Callable[..., Any]]
"""What each function and symbol of the algebra means on one kind of number."""


def _divide(a: float, b: float) -> float:
    if b != 0 or math.isnan(a):
        return a / b if b != 0 else math.nan
    return math.nan if a == 0 else math.copysign(math.inf, a) * math.copysign(1.0, b)


def _power(a: Any, b: Any) -> Any:
    try:
        return a**b
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ZeroDivisionError:
        return math.inf


def _total(function: Callable[[float], float]) -> Callable[[float], float]:
    """The function with infinity where it overflows and NaN where it is not defined."""

    def total(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return total


def _log(x: float) -> float:
    return -math.inf if x == 0 else math.log(x)


def _floor(x: float) -> float:
    return math.floor(x) if math.isfinite(x) else x


def _nearest(x: float) -> float:
    return round(x) if math.isfinite(x) else x


def round_half_away(x: Any, decimals: Any, floor: Callable[[Any], Any] = _floor) -> Any:
    """``x`` rounded to decimals, halves away from zero, as by hand."""
    unit = 10 ** int(decimals)
    size = floor(abs(x) * unit + 0.5) / unit
    return -size if x < 0 else size


def round_half_even(x: Any, decimals: Any, nearest: Callable[[Any], Any] = _nearest) -> Any:
    """``x`` rounded to decimals, halves to the even neighbour: the way ``np.round`` does."""
    unit = 10 ** int(decimals)
    return nearest(x * unit) / unit


NEARLY = 1e-9
"""How far below the next number counts as equal to it, in units of the last decimal: 0.29*100 is 28.999999."""


def truncate(x: Any, decimals: Any, floor: Callable[[Any], Any] = _floor) -> Any:
    """``x`` truncated to decimals."""
    unit = 10 ** int(decimals)
    size = floor(abs(x) * unit + NEARLY) / unit
    return -size if x < 0 else size


FLOAT: Arithmetic = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "^": _power,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "and": lambda a, b: a and b,
    "neg": lambda a: -a,
    "abs": abs,
    "exp": _total(math.exp),
    "log": _total(_log),
    "sqrt": _total(math.sqrt),
    "sin": _total(math.sin),
    "cos": _total(math.cos),
    "tanh": math.tanh,
    "erf": math.erf,
    "max": max,
    "pi": lambda: math.pi,
    "round": round_half_away,
    "round_even": round_half_even,
    "truncate": truncate,
    "share": lambda a, b: 0.0 if b == 0 else _divide(a, b),
    "number": float,
}
"""IEEE double precision, with infinities and NaN where Python would raise."""


class Scope(Struct, frozen=True):
    """The values of a formula's names: operands as arrays of their core axes, sizes, indices, locals."""

    operands: Mapping[str, Any]
    sizes: Mapping[str, int]
    indices: Mapping[str, int]
    locals: Mapping[str, Any] = {}

    def at(self, indices: Mapping[str, int]) -> Scope:
        """The same scope with these indices."""
        return Scope(self.operands, self.sizes, {**self.indices, **indices}, self.locals)

    def knowing(self, name: str, value: Any) -> Scope:
        """The same scope with one more local."""
        return Scope(self.operands, self.sizes, self.indices, {**self.locals, name: value})

    def runs(self, over: tuple[str, ...]) -> list[Scope]:
        """One scope for each combination of values of these indices."""
        ranges = (range(self.sizes[name]) for name in over)
        return [self.at(dict(zip(over, values, strict=True))) for values in product(*ranges)]


def evaluate(expr: Expr, scope: Scope, arithmetic: Arithmetic = FLOAT) -> Any:
    """The value of an expression: a number of the arithmetic, an int for indices, or a bool for conditions."""
    match expr:
        case Number(value):
            return value
        case Index(name):
            return scope.indices[name]
        case Size(index):
            return scope.sizes[index]
        case Local(name):
            return scope.locals[name]
        case Ref(operand, indices):
            cell = scope.operands[operand][cell_of(indices, scope)]
            if not hasattr(cell, "dtype"):
                return cell  # a number of the arithmetic already, from an array of objects
            return bool(cell) if "bool" in str(cell.dtype) else arithmetic["number"](float(cell))
        case Call(function, arguments):
            return arithmetic[function](*(evaluate(a, scope, arithmetic) for a in arguments))
        case Binary(symbol, left, right):
            return arithmetic[symbol](evaluate(left, scope, arithmetic), evaluate(right, scope, arithmetic))
        case Where(condition, then, otherwise):
            if choose := arithmetic.get("where"):  # many cells at once
                return choose(*(evaluate(part, scope, arithmetic) for part in (condition, then, otherwise)))
            return evaluate(then if evaluate(condition, scope, arithmetic) else otherwise, scope, arithmetic)
        case Let(name, value, body):
            return evaluate(body, scope.knowing(name, evaluate(value, scope, arithmetic)), arithmetic)
        case Reduce(kind, over, body):
            return reduce(kind, [evaluate(body, s, arithmetic) for s in scope.runs(over)], arithmetic)
    raise TypeError(f"{type(expr).__name__} has no value of its own")


def cell_of(indices: tuple[Expr, ...], scope: Scope) -> tuple[int, ...]:
    """The cell of these indices, counted from 0."""
    return tuple(int(evaluate(index, scope)) for index in indices)


def reduce(kind: str, values: list[Any], arithmetic: Arithmetic) -> Any:
    """The sum, mean or max of values, added in order; the mean of equal values is exactly that value."""
    if kind == "max":
        return max(values)
    if kind == "mean" and all(value == values[0] for value in values):
        return values[0]
    whole = functools.reduce(arithmetic["+"], values, arithmetic["number"](0.0))
    return arithmetic["/"](whole, arithmetic["number"](len(values))) if kind == "mean" else whole


def substitute(expr: Expr, scope: Scope, *, max_terms: int) -> tuple[Expr, list[tuple[str, Expr, float]]]:
    """The expression with its numbers in it, and the `Let` steps before it as (name, numbers, value).

    References and locals keep their name with the number; sums are written out, of more than ``max_terms`` terms only
    the largest, in order; of a `Where` only the branch that was taken is left.
    """
    steps: list[tuple[str, Expr, float]] = []

    def fill(expr: Expr, scope: Scope) -> Expr:
        match expr:
            case Index() | Size():
                return Number(evaluate(expr, scope))
            case Local(name):
                return Local(name, float(scope.locals[name]))
            case Ref(operand, indices, at):
                where = tuple(Number(i) for i in cell_of(indices, scope))
                return Ref(operand, where, at, float(evaluate(expr, scope)))
            case Call(function, arguments):
                return Call(function, tuple(fill(a, scope) for a in arguments))
            case Binary(symbol, left, right):
                return Binary(symbol, fill(left, scope), fill(right, scope))
            case Where(condition, then, otherwise):
                return fill(then if evaluate(condition, scope) else otherwise, scope)
            case Let(name, value, body):
                number = float(evaluate(value, scope))
                steps.append((name, fill(value, scope), number))
                return fill(body, scope.knowing(name, number))
            case Reduce(kind, over, body):
                return write_out(kind, body, scope.runs(over))
        return expr

    def write_out(kind: str, body: Expr, runs: list[Scope]) -> Expr:
        if len(runs) <= max_terms:
            return Terms(kind, tuple(fill(body, s) for s in runs), len(runs))
        values = [float(evaluate(body, s)) for s in runs]
        weight = values if kind == "max" else [abs(v) for v in values]
        chosen = sorted(sorted(range(len(runs)), key=lambda n: -weight[n])[: max_terms - 1])
        rest = [v for n, v in enumerate(values) if n not in set(chosen)]
        left = reduce("max" if kind == "max" else "sum", rest, FLOAT)
        return Terms(kind, tuple(fill(body, runs[n]) for n in chosen), len(runs), left)

    return fill(expr, scope), steps
