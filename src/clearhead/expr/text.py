"""Formulas as one line of plain text: the algebra's own notation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

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

LOOSE, COMPARED, ADDED, MULTIPLIED, RAISED, ATOM = range(6)
"""How tightly a piece of text binds: inside something that binds more tightly it gets parentheses."""

STRENGTH = {
    "and": LOOSE, "<": COMPARED, "<=": COMPARED, "==": COMPARED, "+": ADDED, "-": ADDED,
    "*": MULTIPLIED, "/": MULTIPLIED, "//": MULTIPLIED, "%": MULTIPLIED, "^": RAISED,
}  # fmt: skip

NOISE = 1e-14
"""The relative error up to which a number counts as written in full: the last digits differ between machines."""

SHARE = 1e-3
"""Numbers whose noise is more than this part of the last place that is written are written as they are."""

TIGHT = {"*": "*", "/": "/", "^": "^", "//": "//", "%": " mod "}

MOST_DIGITS = 15
"""No number is rounded to more digits than this in all: a float64 has no more that are its own."""

Piece = tuple[str, int]
Format = Callable[[float], str]


def number(value: float, decimals: int | None = 3) -> str:
    """A number for reading: rounded to ``decimals`` (None: all digits), and never 0 for a number that is not 0.

    Trailing zeros are left out only where nothing was rounded: 0.09 is 0.09 exactly, 0.0900306 is 0.090.

    A tie is rounded away from zero, as by hand: 0.1225 is 0.123 (see `fixed`).

    >>> number(2.4141), number(3.0), number(0.0900306), number(0.09), number(0.00012), number(-0.0), number(1e-5, None)
    ('2.414', '3', '0.090', '0.09', '1.2e-4', '0', '1e-5')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    digits = repr(float(value)) if decimals is None else fixed(value, decimals)
    if "e" in digits or float(digits) == 0 or abs(value) >= 1e7:
        places = 17 if decimals is None else max(decimals - 2, 1)
        off = value * (1 + NOISE) if SHARE * 10.0**-places > NOISE else value
        digits = repr(float(value)) if decimals is None else f"{off:.{places}e}"
        mantissa, _, exponent = digits.partition("e")
        if exponent:
            return f"{_trim(mantissa) if is_written_whole(value, digits) else mantissa}e{int(exponent)}"
    return _trim(digits) if is_written_whole(value, digits) else digits


def fixed(value: float, places: int) -> str:
    """A finite number rounded to decimal places, to 15 digits at most, from its exact value; ties away from zero.

    What the rounding errors of its computation may have moved off a tie is one: 0.35*0.35 is 0.12249999999999998 and
    written 0.123.

    >>> fixed(0.125, 2), fixed(0.35 * 0.35, 3), fixed(-2.5, 0), fixed(0.1249, 2)
    ('0.13', '0.123', '-3', '0.12')
    """
    if abs(value) >= 1:
        places = max(min(places, MOST_DIGITS - 1 - math.floor(math.log10(abs(value)))), 0)
    return f"{value * (1 + NOISE) if NOISE * abs(value) < SHARE * 10.0**-places else value:.{places}f}"


def is_written_whole(value: float, digits: str) -> bool:
    """Whether digits hold a whole number's value: their error is below the differences between machines."""
    return math.isclose(float(digits), value, rel_tol=NOISE)


def _trim(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def text(expr: Expr, *, decimals: int | None = 3, first: int = 0) -> str:
    """An expression as plain text, with numbers to ``decimals`` (None: all digits).

    ``first`` is what the labels of cells count from.
    """
    return _Printer(decimals, first).piece(expr)[0]


def unlet(expr: Expr) -> tuple[list[tuple[str, Expr]], Expr]:
    """The names that an expression gives to values, in order, and the body that uses them."""
    named = []
    while isinstance(expr, Let):
        named.append((expr.name, expr.value))
        expr = expr.body
    return named, expr


def added_up(pieces: Sequence[str]) -> str:
    """Pieces joined by plus signs, or by a minus sign where a piece starts with one."""
    rest = (f" - {piece[1:]}" if piece.startswith("-") else f" + {piece}" for piece in pieces[1:])
    return "".join([pieces[0], *rest])


class _Printer:
    def __init__(self, decimals: int | None, first: int) -> None:
        self.decimals = decimals
        self.first = first

    def inside(self, expr: Expr, strength: int) -> str:
        written, own = self.piece(expr)
        return written if own >= strength else f"({written})"

    def piece(self, expr: Expr) -> Piece:
        match expr:
            case Number(value):
                written = number(value, None)
                return written, ADDED if written.startswith("-") else ATOM
            case Index(name):
                return name, ATOM
            case Size(index):
                return f"n_{index}", ATOM
            case Local(name, None):
                return name, ATOM
            case Local(_, float(value)) | Ref(value=float(value)):
                return self.number(value)
            case Ref(operand, indices, at):
                cell = f"[{','.join(map(self.index, indices))}]" if indices else ""
                return f"{operand}{self.head(at)}{cell}", ATOM
            case Call("neg", (argument,)):
                return f"-{self.inside(argument, MULTIPLIED)}", ADDED
            case Call("share", (a, b)):
                return self.binary("/", a, b)
            case Call(constant, ()):
                return constant, ATOM
            case Call(function, arguments):
                return f"{function}({', '.join(self.piece(a)[0] for a in arguments)})", ATOM
            case Binary(symbol, left, right):
                return self.binary(symbol, left, right)
            case Reduce(kind, over, body):
                strength = MULTIPLIED if kind == "sum" else RAISED
                return f"{kind}_{','.join(over)} {self.inside(body, strength)}", ADDED
            case Where(condition, then, otherwise):
                parts = self.inside(then, COMPARED), self.piece(condition)[0], self.piece(otherwise)[0]
                return "{} if {} else {}".format(*parts), LOOSE
            case Let():
                named, body = unlet(expr)
                where = ", ".join(f"{name} = {self.piece(value)[0]}" for name, value in named)
                return f"{self.piece(body)[0]} where {where}", LOOSE
            case Terms():
                return self.terms(expr)
        raise TypeError(f"{type(expr).__name__} cannot be printed")

    def number(self, value: float) -> Piece:
        written = number(value, self.decimals)
        return written, ADDED if written.startswith("-") else ATOM

    def index(self, index: Expr) -> str:
        return str(int(index.value) + self.first) if isinstance(index, Number) else self.piece(index)[0]

    def head(self, at: Expr | None) -> str:
        if at is None:
            return ""
        return f"@{self.index(at) if isinstance(at, Number) else self.inside(at, ATOM)}"

    def binary(self, symbol: str, left: Expr, right: Expr) -> Piece:
        own = STRENGTH[symbol]
        # What follows a minus or a division holds tighter than what stands before it; powers the other way round.
        before = own + 1 if symbol == "^" else own
        after = own + 1 if symbol in "-/%//" else own
        joint = TIGHT.get(symbol, f" {symbol} ")
        written = self.inside(left, before), self.inside(right, after)
        if symbol == "+":
            return added_up(written), own
        # -a//b and a*b//c would be read as (-a)//b and (a*b)//c, so inside a product these two go in parentheses.
        return f"{written[0]}{joint}{written[1]}", ADDED if symbol in ("//", "%") else own

    def terms(self, expr: Terms) -> Piece:
        if expr.kind == "max":
            shown = [self.piece(t)[0] for t in expr.terms]
            more = [] if expr.rest is None else [f"... {expr.count - len(expr.terms)} more"]
            return f"max({', '.join(shown + more)})", ATOM
        written = added_up([self.inside(term, ADDED) for term in expr.terms])
        if expr.rest is not None:
            written += f" + ... {expr.count - len(expr.terms)} more ({number(expr.rest, self.decimals)})"
        if expr.kind == "mean":
            return f"({written})/{expr.count}", MULTIPLIED
        return written, ADDED if expr.count > 1 else self.piece(expr.terms[0])[1]
