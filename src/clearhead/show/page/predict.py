"""What a line's formula gives, in an arithmetic that Python and the page's `predict.js` share to the last bit.

The lines of a long trace would make a page too large. Of such a line the page stores only how its numbers differ from
what its formula gives, which is next to nothing, and works out the rest when it is looked at. For that both sides must
predict the same: only operations that IEEE 754 defines exactly are used, each sum is added up from its first term on,
and `exp` is made of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import factorial, prod
from typing import Any

import numpy as np

from clearhead.expr import Binary, Call, Expr, Formula, Index, Let, Local, Number, Reduce, Ref, Size, Where
from clearhead.expr.nodes import children, walk

Floats = np.ndarray[Any, Any]

DEAREST = 320_000_000
"""The most products and sums that a line may take to predict: about a third of a second."""

_BLOCK = 1 << 16
_EXPANDED = 1 << 20
"""Numbers at a time, and the most terms of a sum at once: what stays in a processor's cache."""

SHARED = frozenset({"neg", "abs", "sqrt", "share", "max", "exp", "tanh"})
_SYMBOLS = frozenset({"+", "-", "*", "/", "<", "<=", "==", "and", "^", "//", "%"})

_LOG2_E = 1.4426950408889634
_LN_2_HIGH, _LN_2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
_SERIES = tuple(1 / factorial(n) for n in range(13, -1, -1))
_LEAST, _MOST = -708.0, 709.0


def exp(x: Floats) -> Floats:
    """The exponential, exact to a few units of the last place: 0 below -708 and infinite above 709."""
    inside = np.where((x >= _LEAST) & (x <= _MOST), x, 0.0)
    power = np.floor(inside * _LOG2_E + 0.5)
    rest = (inside - power * _LN_2_HIGH) - power * _LN_2_LOW
    result = np.full_like(rest, _SERIES[0])
    for coefficient in _SERIES[1:]:
        result = result * rest + coefficient
    result *= ((power.astype(np.int64) + 1023) << 52).view(np.float64)
    return np.where(x < _LEAST, 0.0, np.where(x > _MOST, np.inf, np.where(np.isnan(x), np.nan, result)))


def _tanh(x: Floats) -> Floats:
    return 1.0 - 2.0 / (exp(2.0 * x) + 1.0)


_FUNCTIONS: Mapping[str, Any] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "<": np.less, "<=": np.less_equal,
    "==": np.equal, "and": np.logical_and, "neg": np.negative, "abs": np.abs, "sqrt": np.sqrt, "exp": exp,
    "tanh": _tanh, "max": lambda a, b: np.where(b > a, b, a), "share": lambda a, b: np.where(b == 0, 0.0, a / b),
    "^": lambda a, _: a * a, "//": lambda a, b: np.floor(a / b), "%": lambda a, b: a - b * np.floor(a / b),
}  # fmt: skip


def is_predictable(formula: Formula, sizes: Mapping[str, int], count: int) -> bool:
    """Whether both sides can work a formula out for so many numbers, at a price worth paying."""
    sums = [node for node in walk(formula.body) if isinstance(node, Reduce)]
    terms = max((prod(sizes[i] for i in node.over) for node in sums if _differs(node, formula)), default=1)
    return terms * count <= DEAREST and all(map(_is_shared, walk(formula.body)))


def _differs(node: Reduce, formula: Formula) -> bool:
    """Whether a sum is another one in each column: one for a whole row costs next to nothing."""
    return any(inner == Index(formula.result[-1]) for inner in walk(node.body))


def _is_of_cells(body: Expr) -> bool:
    """Whether the terms of a sum are made of cells alone, by arithmetic."""
    return isinstance(body, Ref) or (isinstance(body, (Binary, Call)) and all(map(_is_of_cells, children(body))))


def _cells_in(body: Binary | Call) -> list[Ref | Binary | Call]:
    return [child for child in children(body) if isinstance(child, (Ref, Binary, Call))]


def _is_shared(node: Expr) -> bool:
    match node:
        case Call(function):
            return function in SHARED
        case Binary("^", _, exponent):
            return exponent == Number(2)
        case Binary(symbol):
            return symbol in _SYMBOLS
        case Reduce(kind):
            return kind in ("sum", "mean")
    return isinstance(node, (Number, Index, Size, Local, Where, Let, Ref))


def predict(formula: Formula, operands: Mapping[str, Floats], sizes: Mapping[str, int]) -> Floats:
    """The result of a formula for operands of just the axes it speaks of, in float64."""
    shape = [sizes[letter] for letter in formula.result]
    result = np.empty(shape)
    axis = max(len(shape) - 2, 0)
    step = max(_BLOCK * shape[axis] // max(prod(shape), 1), 1) if shape else 1
    for start in range(0, shape[axis] if shape else 1, step):
        part = slice(start, start + step)
        ranges = {letter: slice(0, sizes[letter]) for letter in formula.result}
        if shape:
            ranges[formula.result[axis]] = slice(start, min(start + step, shape[axis]))
        with np.errstate(all="ignore"):
            found = _Block(operands, sizes, list(formula.result), ranges).value(formula.body)
        result[(*[slice(None)] * axis, part) if shape else ()] = found
    return result


class _Block:
    """A part of a result at once: each index is an axis, all its values along it, or one value of it."""

    def __init__(
        self,
        operands: Mapping[str, Floats],
        sizes: Mapping[str, int],
        letters: list[str],
        ranges: Mapping[str, slice | int],
        locals: Mapping[str, Floats] | None = None,
    ) -> None:
        self.operands = operands
        self.sizes = sizes
        self.letters = letters
        self.ranges = ranges
        self.locals = locals or {}

    def value(self, expr: Expr) -> Any:
        match expr:
            case Number(value):
                return np.float64(value)
            case Size(index):
                return np.float64(self.sizes[index])
            case Index(name):
                return self._index(name)
            case Local(name):
                return self.locals[name]
            case Ref(role, indices):
                names = [index.name for index in indices if isinstance(index, Index)]
                fits = self.operands[role].shape == tuple(self.sizes[name] for name in names)
                return self._cells(role, names) if fits else self._picked(role, indices)
            case Call(function, arguments):
                return _FUNCTIONS[function](*map(self.value, arguments))
            case Binary(symbol, left, right):
                return _FUNCTIONS[symbol](self.value(left), self.value(right))
            case Where(condition, then, otherwise):
                return np.where(self.value(condition), self.value(then), self.value(otherwise))
            case Let(name, value, body):
                known = {**self.locals, name: self.value(value)}
                return _Block(self.operands, self.sizes, self.letters, self.ranges, known).value(body)
            case Reduce(kind, over, body):
                whole = self._sum(over, body)
                return whole / np.float64(prod(self.sizes[i] for i in over)) if kind == "mean" else whole
        raise TypeError(f"{type(expr).__name__} is not shared")

    def _index(self, name: str) -> Any:
        found = self.ranges[name]
        if isinstance(found, int):
            return np.float64(found)
        return self._along(np.arange(found.start, found.stop, dtype=np.float64), [name])

    def _along(self, array: Floats, names: list[str]) -> Floats:
        """An array whose axes are these indices, with its axes where the block has them."""
        order = sorted(range(len(names)), key=lambda n: self.letters.index(names[n]))
        shape = [1] * len(self.letters)
        for n in order:
            shape[self.letters.index(names[n])] = array.shape[n]
        return array.transpose(order).reshape(shape)

    def _cells(self, role: str, names: list[str]) -> Floats:
        picked = self.operands[role][tuple(self.ranges[name] for name in names)]
        return self._along(picked, [name for name in names if not isinstance(self.ranges[name], int)])

    def _picked(self, role: str, indices: tuple[Expr, ...]) -> Floats:
        """Cells whose indices are worked out; what lies outside belongs to a case that does not hold."""
        array = self.operands[role]
        found = (np.asarray(self.value(index)).astype(np.intp) for index in indices)
        return array[tuple(np.clip(each, 0, size - 1) for each, size in zip(found, array.shape, strict=True))]

    def _sum(self, over: tuple[str, ...], body: Expr) -> Any:
        """The terms one after the other: along an axis of their own where they are few, else in a loop."""
        count = prod(self.sizes[i] for i in over)
        free = {node.name for node in walk(body) if isinstance(node, Index)} & set(self.letters)
        large = count * prod(self._length(letter) for letter in free) > _EXPANDED
        if large and isinstance(body, Binary) and _is_of_cells(body):
            return self._looped(over, body)
        return self._expanded(over, body, count)

    def _looped(self, over: tuple[str, ...], body: Binary) -> Any:
        """A sum term by term, in two arrays that stay where they are."""
        beside = self._beside(over)
        parts = [beside.terms(part, len(over)) for part in _cells_in(body)]
        combine = _FUNCTIONS[body.symbol]
        whole: Any = None
        for values in np.ndindex(*(self.sizes[i] for i in over)):
            if whole is None:
                whole = np.array(combine(*(part(values) for part in parts)))
                term = np.empty_like(whole)
            else:
                combine(*(part(values) for part in parts), out=term)
                whole += term
        return whole

    def _beside(self, over: tuple[str, ...]) -> _Block:
        """The same block with the indices of a sum as further axes, the last ones."""
        ranges = {**self.ranges, **{i: slice(0, self.sizes[i]) for i in over}}
        locals = {name: np.reshape(value, (*np.shape(value), *[1] * len(over))) for name, value in self.locals.items()}
        return _Block(self.operands, self.sizes, [*self.letters, *over], ranges, locals)

    def terms(self, expr: Ref | Binary | Call, count: int) -> Callable[[tuple[int, ...]], Any]:
        """An expression for one combination of values of the last axes."""
        if isinstance(expr, Ref):
            view = self.value(expr)
            ends = view.shape[view.ndim - count :]
            front = np.moveaxis(view, range(-count, 0), range(count))
            return lambda values: front[tuple(n if size > 1 else 0 for n, size in zip(values, ends, strict=True))]
        inner = [self.terms(child, count) for child in _cells_in(expr)]
        function = _FUNCTIONS[expr.symbol if isinstance(expr, Binary) else expr.function]
        return lambda values: function(*(part(values) for part in inner))

    def _length(self, letter: str) -> int:
        found = self.ranges[letter]
        return 1 if isinstance(found, int) else found.stop - found.start

    def _expanded(self, over: tuple[str, ...], body: Expr, count: int) -> Any:
        terms = np.asarray(self._beside(over).value(body))
        full = np.broadcast_to(terms, (*terms.shape[: -len(over)], *(self.sizes[i] for i in over)))
        return np.add.accumulate(full.reshape(*full.shape[: -len(over)], count), axis=-1)[..., -1]
