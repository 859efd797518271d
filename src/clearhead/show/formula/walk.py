"""What all media that set formulas as mathematics have in common: the walk, and where parentheses are needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from clearhead.expr import (
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
    number,
)  # fmt: skip
from clearhead.expr.text import ATOM, COMPARED, LOOSE, MULTIPLIED, RAISED, STRENGTH, unlet

T = TypeVar("T")


class Setter(ABC, Generic[T]):
    """Sets expressions as values of type ``T``. A piece is such a value, and how tightly its operation binds.

    Numbers have ``decimals`` (None: all digits), and labels of cells count from ``first``.
    """

    def __init__(self, decimals: int | None, first: int) -> None:
        self.decimals = decimals
        self.first = first

    def inside(self, expr: Expr, strength: int) -> T:
        """The expression, in parentheses if what surrounds it binds more tightly."""
        set_, own = self.piece(expr)
        return set_ if own >= strength else self.fenced(set_)

    def whole(self, expr: Expr) -> T:
        """The expression by itself."""
        return self.piece(expr)[0]

    def number(self, value: float) -> tuple[T, int]:
        """A computed number."""
        return self.digits(number(value, self.decimals))

    def piece(self, expr: Expr) -> tuple[T, int]:
        """The expression, and how tightly its outermost operation binds."""
        match expr:
            case Number(value):
                return self.digits(number(value, None))
            case Index(name):
                return self.letter(name), ATOM
            case Size(index):
                return self.size(index), ATOM
            case Local(name, None):
                return self.local(name), RAISED
            case Local(_, float(value)) | Ref(value=float(value)):
                return self.number(value)
            case Ref():
                return self.cell(expr)
            case Call("share", (part, whole)):
                return self.binary("/", part, whole)
            case Call(function, arguments):
                return self.call(function, arguments)
            case Binary(symbol, left, right):
                return self.binary(symbol, left, right)
            case Reduce(kind, over, body):
                return self.reduce(kind, over, body)
            case Where():
                return self._where(expr), ATOM
            case Let():
                named, body = unlet(expr)
                return self.named(self.whole(body), [(self.whole(Local(n)), self.whole(v)) for n, v in named]), LOOSE
            case Terms():
                return self.terms(expr)
        raise TypeError(f"{type(expr).__name__} cannot be printed")

    def binary(self, symbol: str, left: Expr, right: Expr) -> tuple[T, int]:
        """Two expressions with a symbol between them."""
        if symbol == "/":
            return self.fraction(self.whole(left), self.whole(right)), MULTIPLIED
        if symbol == "//":
            return self.floored(self.inside(left, MULTIPLIED), self.inside(right, RAISED)), ATOM
        own = STRENGTH[symbol]
        if symbol == "^":
            return self.power(self.inside(left, ATOM), self.whole(right)), own
        sides = [self.inside(left, own), self.inside(right, own + 1 if symbol in "-%" else own)]
        if symbol == "+":
            return self.added(sides), own
        return self.joined(sides, symbol, bare=symbol == "*" and _is_symbol(right)), own

    def _where(self, expr: Where) -> T:
        rows: list[tuple[T, T]] = []
        rest: Expr = expr
        while isinstance(rest, Where):
            rows.append((self.inside(rest.then, COMPARED), self.whole(rest.condition)))
            rest = rest.otherwise
        return self.cases(rows, self.whole(rest))

    @abstractmethod
    def fenced(self, inside: T) -> T:
        """Parentheses around it."""

    @abstractmethod
    def digits(self, written: str) -> tuple[T, int]:
        """A number as in plain text."""

    @abstractmethod
    def letter(self, name: str) -> T:
        """An index."""

    @abstractmethod
    def size(self, index: str) -> T:
        """How many values an index takes."""

    @abstractmethod
    def local(self, name: str) -> T:
        """A named value of the formula."""

    @abstractmethod
    def cell(self, ref: Ref) -> tuple[T, int]:
        """A symbol with its indices below and its head above; a symbol with text above it cannot get an exponent."""

    @abstractmethod
    def call(self, function: str, arguments: tuple[Expr, ...]) -> tuple[T, int]:
        """A function of its arguments; a constant without any."""

    @abstractmethod
    def reduce(self, kind: str, over: tuple[str, ...], body: Expr) -> tuple[T, int]:
        """A sum, mean or max over indices."""

    @abstractmethod
    def terms(self, expr: Terms) -> tuple[T, int]:
        """A sum, mean or max written out."""

    @abstractmethod
    def cases(self, rows: Sequence[tuple[T, T]], otherwise: T) -> T:
        """Values, each with its condition, and the value for all other cases."""

    @abstractmethod
    def named(self, body: T, values: Sequence[tuple[T, T]]) -> T:
        """An expression and its named values."""

    @abstractmethod
    def fraction(self, above: T, below: T) -> T:
        """One above the other."""

    @abstractmethod
    def floored(self, left: T, right: T) -> T:
        """A quotient without its remainder."""

    @abstractmethod
    def power(self, base: T, exponent: T) -> T:
        """One raised to the other."""

    @abstractmethod
    def added(self, sides: Sequence[T]) -> T:
        """A sum: plus signs between terms, or a minus where a term starts with one."""

    @abstractmethod
    def joined(self, sides: Sequence[T], symbol: str, *, bare: bool) -> T:
        """Two sides with a symbol between them; ``bare`` where a product needs none."""


def _is_symbol(expr: Expr) -> bool:
    """Whether a piece is a letter: a product with a letter needs no sign."""
    return isinstance(expr, (Index, Size)) or (isinstance(expr, (Ref, Local)) and expr.value is None)
