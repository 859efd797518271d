"""What is known of an expression without arrays: conditions and indices over ranges of whole numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace

from clearhead.expr import FLOAT, Arithmetic, Binary, Call, Expr, Index, Number, Scope, Size, evaluate, walk

Ranges = Mapping[str, range]
"""The values of each index."""

_GRID: Arithmetic = {**FLOAT, "and": np.logical_and, "/": np.true_divide, "^": np.power, "where": np.where}


def indices_in(expr: Expr) -> tuple[str, ...]:
    """The names of the indices in an expression, in order of their first use."""
    return tuple(dict.fromkeys(node.name for node in walk(expr) if isinstance(node, Index)))


def grid(expr: Expr, letters: tuple[str, ...], ranges: Ranges, sizes: Mapping[str, int]) -> np.ndarray[Any, Any]:
    """The values of a known expression for all values of these indices, an axis for each."""
    shape = tuple(len(ranges[letter]) for letter in letters)
    places: dict[str, Any] = {
        letter: np.asarray(ranges[letter]).reshape([-1 if at == own else 1 for at in range(len(letters))])
        for own, letter in enumerate(letters)
    }
    return np.broadcast_to(np.asarray(evaluate(expr, Scope({}, sizes, places), _GRID)), shape)


def folded(expr: Expr, sizes: Mapping[str, int]) -> Expr:
    """A known expression with its sizes as numbers, and arithmetic of whole numbers computed where possible."""
    if isinstance(expr, Size):
        return Number(sizes[expr.index])
    if isinstance(expr, Call):
        return replace(expr, arguments=tuple(folded(argument, sizes) for argument in expr.arguments))
    if not isinstance(expr, Binary):
        return expr
    left, right = folded(expr.left, sizes), folded(expr.right, sizes)
    if _is_whole(left) and _is_whole(right) and expr.symbol in ("+", "-", "*", "//", "%"):
        return Number(evaluate(Binary(expr.symbol, left, right), Scope({}, {}, {})))
    if right == Number(0) and expr.symbol in ("+", "-"):
        return left
    if left == Number(0) and expr.symbol == "+":
        return right
    if right == Number(1) and expr.symbol in ("*", "//"):
        return left
    return Binary(expr.symbol, left, right)


def _is_whole(expr: Expr) -> bool:
    return isinstance(expr, Number) and isinstance(expr.value, int)


def factors(expr: Expr) -> list[Expr]:
    """The factors of a product."""
    if isinstance(expr, Binary) and expr.symbol == "*":
        return [*factors(expr.left), *factors(expr.right)]
    return [expr]
