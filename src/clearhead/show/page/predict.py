"""What a line's formula gives, in an arithmetic that Python and the page's `predict.js` share to the last bit.

The lines of a long trace would make a page too large. Of such a line the page stores only how its numbers differ from
what its formula gives, which is next to nothing, and works out the rest when it is looked at. For that both sides must
predict the same: only operations that IEEE 754 defines exactly are used, each sum is added up from its first term on,
and `exp` is made of these. Sums of products, which are most of the work, are taken of whole numbers: both factors are
rounded to so few bits that every partial sum is exact, so that the order of the terms, and with it the library that
adds them, does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import factorial, prod
from typing import Any

import numpy as np

from clearhead.expr import Binary, Call, Expr, Formula, Index, Let, Local, Number, Reduce, Ref, Size, Where
from clearhead.expr.nodes import children, walk

Floats = np.ndarray[Any, Any]

DEAREST = 400_000_000
"""The most products and sums that a line may take to predict: a second of a browser's time."""

_EXACT = 53
"""The bits of a float64: whole numbers of so many are exact."""

_FARTHEST = 400
"""The largest power of 2 that factors are scaled with: of numbers that are farther from 1 nothing is predicted."""

_BLOCK = 1 << 16
"""Numbers at a time: what stays in a processor's cache."""

SHARED = frozenset({"neg", "abs", "sqrt", "share", "max", "exp", "tanh"})
_SYMBOLS = frozenset({"+", "-", "*", "/", "<", "<=", "==", "and", "^", "//", "%"})

_LOG2_E = 1.4426950408889634
_LN_2_HIGH, _LN_2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
_SERIES = tuple(1 / factorial(n) for n in range(13, -1, -1))
_LEAST, _MAX = -708.0, 709.0


def exp(x: Floats) -> Floats:
    """The exponential, exact to a few units of the last place: 0 below -708 and infinite above 709."""
    inside = np.where((x >= _LEAST) & (x <= _MAX), x, 0.0)
    power = np.floor(inside * _LOG2_E + 0.5)
    rest = (inside - power * _LN_2_HIGH) - power * _LN_2_LOW
    result = np.full_like(rest, _SERIES[0])
    for coefficient in _SERIES[1:]:
        result = result * rest + coefficient
    result *= ((power.astype(np.int64) + 1023) << 52).view(np.float64)
    return np.where(x < _LEAST, 0.0, np.where(x > _MAX, np.inf, np.where(np.isnan(x), np.nan, result)))


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


def _is_product(node: Expr) -> bool:
    """Whether a node is a sum, over one index, of products of two cells."""
    match node:
        case Reduce("sum", (_,), Binary("*", Ref(_, first), Ref(_, second))):
            return all(isinstance(index, Index) for index in (*first, *second))
    return False


_Factor = tuple[Floats, list[str]]
_Factors = tuple[_Factor, _Factor, float]


def _quantized(node: Expr, operands: Mapping[str, Floats], sizes: Mapping[str, int]) -> _Factors:
    """The factors of a sum of products as whole numbers, and what their sum is to be multiplied with."""
    assert isinstance(node, Reduce)  # noqa: S101 - `_is_product` made sure of it
    bits = _EXACT - (sizes[node.over[0]] - 1).bit_length()
    left, right = _refs(node.body)
    first, power = _whole(operands[left.operand], bits // 2)
    second, other = _whole(operands[right.operand], bits - bits // 2)
    return (first, _letters(left)), (second, _letters(right)), 2.0 ** (power + other)


def _refs(body: Expr) -> list[Ref]:
    return [child for child in children(body) if isinstance(child, Ref)]


def _letters(ref: Ref) -> list[str]:
    return [index.name for index in ref.indices if isinstance(index, Index)]


def _whole(array: Floats, bits: int) -> tuple[Floats, int]:
    """The numbers as whole ones of so many bits, and the power of 2 that one of these stands for."""
    finite = np.where(np.isfinite(array), array, 0.0)
    power = int(np.frexp(np.abs(finite).max(initial=0.0))[1]) - bits
    if abs(power) > _FARTHEST:
        return np.zeros_like(finite), 0
    return np.floor(finite * 2.0**-power + 0.5), power


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
    products = {node: _quantized(node, operands, sizes) for node in walk(formula.body) if _is_product(node)}
    step = max(_BLOCK * shape[axis] // max(prod(shape), 1), 1) if shape else 1
    for start in range(0, shape[axis] if shape else 1, step):
        part = slice(start, start + step)
        ranges = {letter: slice(0, sizes[letter]) for letter in formula.result}
        if shape:
            ranges[formula.result[axis]] = slice(start, min(start + step, shape[axis]))
        with np.errstate(all="ignore"):
            found = _Block(operands, sizes, list(formula.result), ranges, products).value(formula.body)
        result[(*[slice(None)] * axis, part) if shape else ()] = found
    return result


class _Block:
    """A part of a result at once: each index is an axis, all its values along it, or one value of it."""

    def __init__(
        self,
        operands: Mapping[str, Floats],
        sizes: Mapping[str, int],
        letters: list[str],
        ranges: Mapping[str, slice],
        products: Mapping[Expr, _Factors],
        locals: Mapping[str, Floats] | None = None,
    ) -> None:
        self.operands = operands
        self.sizes = sizes
        self.letters = letters
        self.ranges = ranges
        self.products = products
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
                return _Block(self.operands, self.sizes, self.letters, self.ranges, self.products, known).value(body)
            case Reduce() if expr in self.products:
                return self._product(expr)
            case Reduce(kind, over, body):
                whole = self._sum(over, body)
                return whole / np.float64(prod(self.sizes[i] for i in over)) if kind == "mean" else whole
        raise TypeError(f"{type(expr).__name__} is not shared")

    def _index(self, name: str) -> Any:
        found = self.ranges[name]
        return self._along(np.arange(found.start, found.stop, dtype=np.float64), [name])

    def _along(self, array: Floats, names: list[str]) -> Floats:
        """An array whose axes are these indices, with its axes where the block has them."""
        order = sorted(range(len(names)), key=lambda n: self.letters.index(names[n]))
        shape = [1] * len(self.letters)
        for n in order:
            shape[self.letters.index(names[n])] = array.shape[n]
        return array.transpose(order).reshape(shape)

    def _cells(self, role: str, names: list[str]) -> Floats:
        return self._along(self.operands[role][tuple(self.ranges[name] for name in names)], names)

    def _picked(self, role: str, indices: tuple[Expr, ...]) -> Floats:
        """Cells whose indices are worked out; what lies outside belongs to a case that does not hold."""
        array = self.operands[role]
        found = (np.asarray(self.value(index)).astype(np.intp) for index in indices)
        return array[tuple(np.clip(each, 0, size - 1) for each, size in zip(found, array.shape, strict=True))]

    def _product(self, expr: Reduce) -> Any:
        """A sum of products by whatever is fastest: it is exact."""
        left, right, factor = self.products[expr]
        sides = [(array[tuple(map(self._range, names))], names) for array, names in (left, right)]
        letters = {name: n for n, name in enumerate(dict.fromkeys([*left[1], *right[1]]))}
        kept = [name for name in letters if name not in expr.over]
        (a, first), (b, second) = ((array, [letters[name] for name in names]) for array, names in sides)
        whole = np.einsum(a, first, b, second, [letters[name] for name in kept], optimize=True)
        return self._along(whole, kept) * factor

    def _range(self, name: str) -> slice:
        return self.ranges.get(name, slice(0, self.sizes[name]))

    def _sum(self, over: tuple[str, ...], body: Expr) -> Any:
        """The terms along axes of their own, added up one after the other."""
        count = prod(self.sizes[i] for i in over)
        ranges = {**self.ranges, **{i: slice(0, self.sizes[i]) for i in over}}
        locals = {name: np.reshape(value, (*np.shape(value), *[1] * len(over))) for name, value in self.locals.items()}
        block = _Block(self.operands, self.sizes, [*self.letters, *over], ranges, self.products, locals)
        terms = np.asarray(block.value(body))
        full = np.broadcast_to(terms, (*terms.shape[: -len(over)], *(self.sizes[i] for i in over)))
        return np.add.accumulate(full.reshape(*full.shape[: -len(over)], count), axis=-1)[..., -1]
