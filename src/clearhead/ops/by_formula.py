"""Formulas computed for all cells at once, in any array library: array code for operations that have only a formula.

Every value has an axis for each index in scope, of one entry where it does not depend on it, behind the axes in front
that are looped over. So values combine by broadcasting, and a sum runs over the last axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from clearhead.axes import Shape
from clearhead.errors import SpecError
from clearhead.expr import (
    FLOAT,
    Binary,
    Call,
    Expr,
    Formula,
    Index,
    Let,
    Local,
    Number,
    Reduce,
    Ref,
    Size,
    Where,
)  # fmt: skip
from clearhead.expr.formula import OWN
from clearhead.expr.simplify import with_indices
from clearhead.ops.operation import Array, Namespace, counting, floats
from clearhead.ops.textbook.erf import erfc

Scope = tuple[str, ...]
"""The indices that the last axes of a value run over, in order."""

Value = Any
"""An array, or a plain number where a value depends on no index."""


def computed(xp: Namespace, formula: Formula, operands: Sequence[Array], like: Array) -> Array:
    """The result of a formula on arrays, equal to `clearhead.expr.evaluate` cell by cell.

    Args:
        xp: the namespace of the arrays.
        formula: the formula.
        operands: its operands, in order.
        like: an array of the type and device of the result.
    """
    shapes = [tuple(operand.shape) for operand in operands]
    # NumPy's own scalars, which sums give, are no arrays.
    operands = [operand if operand.shape else xp.broadcast_to(operand, ()) for operand in operands]
    like = like if like.shape else xp.broadcast_to(like, ())
    cells = _Cells(xp, dict(zip(formula.roles, operands, strict=True)), formula.bind(shapes), like)
    shape, axis = formula.shape(shapes), formula.recurs
    if axis is not None:
        return _by_rows(xp, formula, cells, shape, axis - len(formula.result))
    return xp.broadcast_to(cells.array(cells.value(formula.body, formula.result, {})), shape)


def _by_rows(xp: Namespace, formula: Formula, cells: _Cells, shape: Shape, axis: int) -> Array:
    """The result of a recurrence, row by row: each reads the rows that are known, where the others are 0 still."""
    letter, count = formula.result[axis], shape[axis]
    row_shape = tuple(1 if place == len(shape) + axis else size for place, size in enumerate(shape))
    rows = [xp.broadcast_to(xp.reshape(floats(xp, 1, cells.like), ()), row_shape)] * count
    scope = tuple(each for each in formula.result if each != letter)
    for row in reversed(range(count)) if formula.backwards else range(count):
        cells.arrays[OWN] = xp.concat(rows, axis=axis)
        value = cells.array(cells.value(with_indices(formula.body, {letter: Number(row)}), scope, {}))
        without = (*shape[: len(shape) + axis], *shape[len(shape) + axis + 1 :])
        rows[row] = xp.reshape(xp.broadcast_to(value, without), row_shape)
    return xp.concat(rows, axis=axis) if rows else xp.broadcast_to(cells.like, shape)


class _Cells:
    """The values of expressions for all cells of a result."""

    def __init__(self, xp: Namespace, arrays: Mapping[str, Array], sizes: Mapping[str, int], like: Array) -> None:
        self.xp, self.arrays, self.sizes, self.like = xp, {**arrays}, sizes, like

    def array(self, value: Value) -> Array:
        """A value as an array of the type of the result."""
        if isinstance(value, (int, float)):
            value = self.xp.reshape(floats(self.xp, 1, self.like), ()) + value
        return self._float(value)

    def value(self, expr: Expr, scope: Scope, named: Mapping[str, tuple[Value, Scope]]) -> Value:
        """The value of an expression, with an axis for each index of the scope."""
        match expr:
            case Number(value):
                return value
            case Size(index):
                return self.sizes[index]
            case Index(name):
                places = counting(self.xp, self.sizes[name], self.like)
                return self.xp.reshape(places, tuple(-1 if name == each else 1 for each in scope))
            case Local(name):
                value, outer = named[name]
                return self._wider(value, len(scope) - len(outer))
            case Ref():
                return self._read(expr, scope, named)
            case Call(function, arguments):
                return self._call(function, [self.value(argument, scope, named) for argument in arguments])
            case Binary(symbol, left, right):
                return self._binary(symbol, self.value(left, scope, named), self.value(right, scope, named))
            case Where(condition, then, otherwise):
                return self._where(*(self.value(each, scope, named) for each in (condition, then, otherwise)))
            case Let(name, value, body):
                return self.value(body, scope, {**named, name: (self.value(value, scope, named), scope)})
            case Reduce():
                return self._reduce(expr, scope, named)
        raise SpecError(f"A formula with {type(expr).__name__} cannot be computed for all cells at once.")

    def _wider(self, value: Value, more: int) -> Value:
        """A value with axes of one entry behind."""
        return (
            value if more == 0 or not hasattr(value, "shape") else self.xp.reshape(value, (*value.shape, *(1,) * more))
        )

    def _read(self, ref: Ref, scope: Scope, named: Mapping[str, tuple[Value, Scope]]) -> Array:
        """The cells of an operand that a reference reads."""
        array, core = self.arrays[ref.operand], len(ref.indices)
        plain = [index.name for index in ref.indices if isinstance(index, Index)]
        lead = array.ndim - core
        own = tuple(array.shape[lead:])
        # What no branch takes may reach beyond an operand, so sizes are compared.
        if len(set(plain)) == core and tuple(self.sizes[name] for name in plain) == own:
            order = sorted(range(core), key=lambda axis: scope.index(plain[axis]))
            turned = self.xp.permute_dims(array, (*range(lead), *(lead + axis for axis in order)))
            shape = tuple(self.sizes[name] if name in plain else 1 for name in scope)
            return self.xp.reshape(turned, (*array.shape[:lead], *shape))
        ends = zip(ref.indices, own, strict=True)
        places = [self._place(index, size, scope, named) for index, size in ends]
        if all(place.ndim == len(scope) for place in places):
            return array[(..., *places)]
        leads = [counting(self.xp, size, array) for size in array.shape[:lead]]
        shaped = [
            self.xp.reshape(each, (-1, *(1,) * (lead - 1 - axis + len(scope)))) for axis, each in enumerate(leads)
        ]
        return array[(*shaped, *places)]

    def _place(self, index: Expr, size: int, scope: Scope, named: Mapping[str, tuple[Value, Scope]]) -> Array:
        """Where along an axis each cell reads; what no branch takes may lie anywhere."""
        value = self.value(index, scope, named)
        if isinstance(value, (int, float)):
            value = counting(self.xp, 1, self.like) + int(value)
            return self.xp.reshape(value, (1,) * len(scope)) % size
        return value % size

    def _call(self, function: str, values: Sequence[Value]) -> Value:
        if all(isinstance(value, (int, float)) for value in values):
            return FLOAT[function](*values)
        if function == "max":
            first, second = (self._float(value) for value in values)
            return self.xp.where(first < second, second, first)
        if function == "share":
            part, whole = (self._float(value) for value in values)
            return self.xp.where(whole == 0, 0.0, part / whole)
        if function == "erf":
            return 1 - erfc(self.xp, self._float(values[0]))
        if function == "neg":
            return -values[0]
        if function not in _SAME:
            raise SpecError(f"The function {function} cannot be computed for all cells at once.")
        return getattr(self.xp, function)(self._float(values[0]))

    def _binary(self, symbol: str, left: Value, right: Value) -> Value:
        if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            return FLOAT[symbol](left, right)
        if symbol in ("/", "^") or self._is_float(left) or self._is_float(right):
            left, right = self._float(left), self._float(right)
        return _SYMBOLS[symbol](left, right)

    def _where(self, condition: Value, then: Value, otherwise: Value) -> Value:
        if isinstance(condition, bool):
            return then if condition else otherwise
        if self._is_float(then) or self._is_float(otherwise) or isinstance(then, float) or isinstance(otherwise, float):
            then, otherwise = self._float(then), self._float(otherwise)
        return self.xp.where(condition, then, otherwise)

    def _is_float(self, value: Value) -> bool:
        return hasattr(value, "dtype") and value.dtype == self.like.dtype

    def _float(self, value: Value) -> Value:
        """A value of whole numbers in the type of the result; a plain number as it is."""
        if isinstance(value, (int, float)) or value.dtype == self.like.dtype:
            return value
        return self.xp.astype(value, self.like.dtype)

    def _reduce(self, expr: Reduce, scope: Scope, named: Mapping[str, tuple[Value, Scope]]) -> Value:
        """A sum, mean or maximum over the last axes."""
        inner = (*scope, *expr.over)
        axes = tuple(range(-len(expr.over), 0))
        factors = list(_factors(expr.body))
        if expr.kind == "sum" and len(factors) > 1 and hasattr(self.xp, "einsum"):
            return self._contracted([self.value(each, inner, named) for each in factors], scope, expr.over)
        value = self.array(self.value(expr.body, inner, named))
        full = tuple(self.sizes[name] for name in expr.over)
        lead = tuple(value.shape[: value.ndim - len(full)])
        value = self.xp.broadcast_to(value, (*lead, *full))
        if expr.kind == "max":
            return self.xp.max(value, axis=axes)
        whole = self.xp.sum(value, axis=axes)
        return whole / math.prod(full) if expr.kind == "mean" else whole

    def _contracted(self, values: Sequence[Value], scope: Scope, over: Scope) -> Value:
        """The sum of products, by the library's own contraction."""
        inner = (*scope, *over)
        count = math.prod(value for value in values if isinstance(value, (int, float)))
        letters = dict(zip(inner, map(chr, range(ord("a"), ord("z"))), strict=False))
        parts, used = [], set[str]()
        for value in filter(lambda each: hasattr(each, "shape"), values):
            lead = tuple(value.shape[: value.ndim - len(inner)])
            has = [name for name, size in zip(inner, value.shape[value.ndim - len(inner) :], strict=True) if size > 1]
            parts.append((self._float(self.xp.reshape(value, (*lead, *(self.sizes[name] for name in has)))), has))
            used.update(has)
        out = [name for name in scope if name in used]
        written = ",".join("..." + "".join(letters[name] for name in has) for _, has in parts)
        options = {"optimize": True} if "numpy" in self.xp.__name__ and len(parts) > 1 else {}
        equation = f"{written}->...{''.join(letters[name] for name in out)}"
        whole = self.xp.einsum(equation, *(array for array, _ in parts), **options)
        lead = tuple(whole.shape[: whole.ndim - len(out)])
        shape = (*lead, *(self.sizes[name] if name in out else 1 for name in scope))
        count *= math.prod(self.sizes[name] for name in over if name not in used)
        # NumPy's own scalars have no reshape.
        whole = self.xp.reshape(whole, shape) if whole.ndim else self.xp.broadcast_to(whole, shape)
        return whole if count == 1 else whole * count


def _factors(expr: Expr) -> Iterator[Expr]:
    """What a product is made of."""
    if isinstance(expr, Binary) and expr.symbol == "*":
        yield from _factors(expr.left)
        yield from _factors(expr.right)
    else:
        yield expr


_SAME = frozenset({"exp", "log", "sqrt", "sin", "cos", "tanh", "abs"})
"""Functions that array libraries call as formulas do."""

_SYMBOLS: Mapping[str, Callable[[Value, Value], Value]] = {
    **{symbol: FLOAT[symbol] for symbol in ("+", "-", "*", "//", "%", "<", "<=", "==")},
    "/": lambda a, b: a / b,
    "^": lambda a, b: a**b,
    "and": lambda a, b: a & b,
}
