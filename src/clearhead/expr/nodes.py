"""The algebra in which formulas are written: eleven kinds of node.

A formula is the arithmetic of *one* cell of a result, in terms of cells of its operands, written over indices as a
textbook writes it: ``total(k, a[i, k] * b[k, j])``. Nodes are frozen data, so a formula can be printed, evaluated in
any arithmetic, taken apart and written to a file. Python's operators build them; ``<``, ``<=`` and ``&`` build
conditions; equality of nodes stays structural, so the condition "equal" is spelled `same`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Union

from msgspec import Struct
from msgspec.structs import replace

Number_ = Union[int, float]


class Expr(Struct, frozen=True):
    """Any node. Arithmetic on nodes gives nodes; plain numbers become `Number`."""

    def __add__(self, other: Expr | Number_) -> Expr:
        return Binary("+", self, lift(other))

    def __radd__(self, other: Number_) -> Expr:
        return Binary("+", lift(other), self)

    def __sub__(self, other: Expr | Number_) -> Expr:
        return Binary("-", self, lift(other))

    def __rsub__(self, other: Number_) -> Expr:
        return Binary("-", lift(other), self)

    def __mul__(self, other: Expr | Number_) -> Expr:
        return Binary("*", self, lift(other))

    def __rmul__(self, other: Number_) -> Expr:
        return Binary("*", lift(other), self)

    def __truediv__(self, other: Expr | Number_) -> Expr:
        return Binary("/", self, lift(other))

    def __rtruediv__(self, other: Number_) -> Expr:
        return Binary("/", lift(other), self)

    def __floordiv__(self, other: Expr | Number_) -> Expr:
        return Binary("//", self, lift(other))

    def __mod__(self, other: Expr | Number_) -> Expr:
        return Binary("%", self, lift(other))

    def __pow__(self, other: Expr | Number_) -> Expr:
        return Binary("^", self, lift(other))

    def __rpow__(self, other: Number_) -> Expr:
        return Binary("^", lift(other), self)

    def __neg__(self) -> Expr:
        return Call("neg", (self,))

    def __lt__(self, other: Expr | Number_) -> Expr:
        return Binary("<", self, lift(other))

    def __le__(self, other: Expr | Number_) -> Expr:
        return Binary("<=", self, lift(other))

    def __and__(self, other: Expr) -> Expr:
        return Binary("and", self, other)


class Number(Expr, frozen=True):
    """A constant, such as a parameter of a line."""

    value: Number_


class Index(Expr, frozen=True):
    """The index ``name``, used as a number and counted from 0: the ``i`` of ``sin(i)``."""

    name: str


class Size(Expr, frozen=True):
    """How many values an index takes: the ``n`` of ``1/sqrt(n)``."""

    index: str


class Ref(Expr, frozen=True):
    """A cell of the role ``operand``, at ``indices``.

    ``at`` is the head, once a formula is bound to a line; ``value`` is the number there, once it is computed.
    """

    operand: str
    indices: tuple[Expr, ...]
    at: Expr | None = None
    value: float | None = None


class Local(Expr, frozen=True):
    """A name given by an enclosing `Let`; ``value`` once it is computed."""

    name: str
    value: float | None = None


class Call(Expr, frozen=True):
    """A function of numbers: see `clearhead.expr.evaluate.FLOAT` for the list.

    ``share(a, b)`` is ``a / b``, and 0 where ``b`` is 0.
    """

    function: str
    arguments: tuple[Expr, ...]


class Binary(Expr, frozen=True):
    """``+ - * / // % ^``, the comparisons ``< <= ==`` and ``and``."""

    symbol: str
    left: Expr
    right: Expr


class Reduce(Expr, frozen=True):
    """``sum``, ``mean`` or ``max`` of a body over all values of one or more indices."""

    kind: str
    over: tuple[str, ...]
    body: Expr


class Where(Expr, frozen=True):
    """One of two expressions, by a condition; the other one is not evaluated."""

    condition: Expr
    then: Expr
    otherwise: Expr


class Let(Expr, frozen=True):
    """A value computed once and named, for use in a body: the mean inside a norm."""

    name: str
    value: Expr
    body: Expr


class Terms(Expr, frozen=True):
    """A `Reduce` written out: its terms, or only the largest if there are many, and the value of the rest."""

    kind: str
    terms: tuple[Expr, ...]
    count: int
    rest: float | None = None


def lift(value: Expr | Number_) -> Expr:
    """A node as it is, a plain number as a `Number`."""
    return value if isinstance(value, Expr) else Number(value)


def indices(names: str) -> tuple[Index, ...]:
    """One `Index` for each name in the string ``names``."""
    return tuple(Index(name) for name in names.split())


def total(over: Index | tuple[Index, ...], body: Expr) -> Expr:
    """The sum of ``body`` over one or more indices, ``over``."""
    return _reduce("sum", over, body)


def mean(over: Index | tuple[Index, ...], body: Expr) -> Expr:
    """The mean of ``body`` over one or more indices, ``over``."""
    return _reduce("mean", over, body)


def _reduce(kind: str, over: Index | tuple[Index, ...], body: Expr) -> Expr:
    many = over if isinstance(over, tuple) else (over,)
    return Reduce(kind, tuple(index.name for index in many), body)


def where(condition: Expr, then: Expr | Number_, otherwise: Expr | Number_) -> Expr:
    """``then`` where ``condition`` holds, ``otherwise`` elsewhere."""
    return Where(condition, lift(then), lift(otherwise))


def same(left: Expr, right: Expr | Number_) -> Expr:
    """The condition that two values are equal."""
    return Binary("==", left, lift(right))


def call(function: str, *arguments: Expr | Number_) -> Expr:
    """The ``function`` of this name, of some ``arguments``: see `clearhead.expr.evaluate.FLOAT`."""
    return Call(function, tuple(lift(a) for a in arguments))


def children(expr: Expr) -> Iterator[Expr]:
    """The nodes directly below this one."""
    for name in expr.__struct_fields__:
        value = getattr(expr, name)
        if isinstance(value, Expr):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, Expr))


def map_children(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The same node with every node directly below it changed."""
    changed: dict[str, object] = {}
    for name in expr.__struct_fields__:
        value = getattr(expr, name)
        if isinstance(value, Expr):
            changed[name] = change(value)
        elif isinstance(value, tuple) and any(isinstance(item, Expr) for item in value):
            changed[name] = tuple(change(item) for item in value)
    return replace(expr, **changed) if changed else expr


def replace_refs(expr: Expr, change: Callable[[Ref], Expr]) -> Expr:
    """The same expression with every `Ref` in it changed; the indices of a reference are not entered."""
    if isinstance(expr, Ref):
        return change(expr)
    return map_children(expr, lambda child: replace_refs(child, change))


def walk(expr: Expr) -> Iterator[Expr]:
    """This node and all below it, outermost first."""
    yield expr
    for child in children(expr):
        yield from walk(child)
