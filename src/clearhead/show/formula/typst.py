"""Formulas for typst: not as its source, but as nested lists from which its template builds them.

So no name is ever read as markup or code. A list is the name of a function of the template and its arguments;
a text is set upright, as it is. ``["attach", base, top, below]`` is a base with indices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Union

from clearhead.errors import visible
from clearhead.explanation import Explanation
from clearhead.expr import Expr, Local, Number, Ref, Size, Terms
from clearhead.expr.text import ADDED, ATOM, MULTIPLIED, RAISED, unlet
from clearhead.show.formula.symbols import GREEK, symbol_of
from clearhead.show.formula.walk import Setter

Node = Union[str, list["Node"]]
Piece = tuple[Node, int]

MINUS = "\u2212"
LOCALS: dict[str, Node] = {"mean": ["letter", "\u03bc"], "variance": ["attach", ["letter", "\u03c3"], "2", ""]}
JOINTS = {
    "*": "\u22c5", "+": "+", "-": MINUS, "<": "<", "<=": "\u2264", "==": "=", "and": "\u2227",
}  # fmt: skip
WORDS = {"NaN": "NaN", "inf": "\u221e", "-inf": f"{MINUS}\u221e"}
CONSTANTS: dict[str, Node] = {"pi": ["letter", "\u03c0"]}


def formula(left: Ref, right: Expr, decimals: int | None, first: int) -> list[Node]:
    """The formula of a line and its named values: each an equation."""
    printer = _Printer(decimals, first)
    named, body = unlet(right)
    sides = [(left, body), *((Local(name), value) for name, value in named)]
    return [_row(printer.whole(one), _sign("="), printer.whole(other)) for one, other in sides]


def letter(name: str) -> Node:
    """The symbol of a line."""
    return _Printer(None, 0).whole(Ref(name, ()))


def arithmetic(explanation: Explanation) -> Iterator[Node]:
    """The arithmetic of a cell, an equation for each step."""
    steps: list[tuple[Expr, Expr, float]] = [(Local(s.name), s.filled, s.value) for s in explanation.steps]
    printer = _Printer(explanation.decimals, explanation.first)
    for name, filled, value in [*steps, (explanation.target, explanation.filled, explanation.value)]:
        sides = [printer.whole(name), printer.whole(filled), printer.number(value)[0]]
        if sides[1] == sides[2]:
            del sides[2]
        yield _row(*_between(sides, _sign("=")))


def number_for_paper(written: str) -> str:
    """A number as in plain text, with a typographic minus."""
    return WORDS.get(written, written.replace("-", MINUS))


class _Printer(Setter[Node]):
    def fenced(self, inside: Node) -> Node:
        return ["round", inside]

    def digits(self, written: str) -> Piece:
        return _number(written)

    def letter(self, name: str) -> Node:
        return _letter(name)

    def size(self, index: str) -> Node:
        return ["attach", _letter("n"), "", _letter(index)]

    def local(self, name: str) -> Node:
        return LOCALS.get(name, visible(name))

    def cell(self, ref: Ref) -> Piece:
        """The symbol with its indices below and its head above; a symbol with text above it cannot get an exponent."""
        known, around = symbol_of(ref.operand)
        base: Node = visible(ref.operand) if known is None else _letter(known.letter)
        if known is not None and known.accent:
            base = [known.accent, base]
        tops: list[Node] = [_letter(known.top)] if known is not None and known.top else []
        tops += map(visible, around)
        if ref.at is not None:
            tops.append(["round", self.index(ref.at)])
        below = _row(*_between([self.index(each) for each in ref.indices], ","))
        set_: Node = ["attach", base, _row(*_between(tops, ",")), below] if tops or ref.indices else base
        return set_, RAISED if tops else ATOM

    def index(self, index: Expr) -> Node:
        return str(int(index.value) + self.first) if isinstance(index, Number) else self.whole(index)

    def call(self, function: str, arguments: tuple[Expr, ...]) -> Piece:
        match function, arguments:
            case "neg", (argument,):
                return _row(_sign("-"), self.inside(argument, MULTIPLIED)), ADDED
            case ("sqrt", (argument,)) | ("abs", (argument,)):
                return [function, self.whole(argument)], ATOM
            case "exp", (argument,):
                return ["attach", _letter("e"), self.whole(argument), ""], RAISED
            case constant, ():
                return CONSTANTS.get(constant, visible(constant)), ATOM
        written = _between([self.whole(each) for each in arguments], ", ")
        return _row(["name", visible(function)], ["round", _row(*written)]), ATOM

    def fraction(self, above: Node, below: Node) -> Node:
        return ["frac", above, below]

    def floored(self, left: Node, right: Node) -> Node:
        return ["floor", _row(left, "/", right)]

    def power(self, base: Node, exponent: Node) -> Node:
        return ["attach", base, exponent, ""]

    def added(self, sides: Sequence[Node]) -> Node:
        return _added(sides)

    def joined(self, sides: Sequence[Node], symbol: str, *, bare: bool) -> Node:
        joint: Node = " " if bare else " mod " if symbol == "%" else _sign(symbol)
        return _row(*_between(sides, joint))

    def reduce(self, kind: str, over: tuple[str, ...], body: Expr) -> Piece:
        below = _row(*_between([_letter(index) for index in over], ","))
        if kind == "max":
            return _row(["big", "max", below], self.inside(body, RAISED)), ADDED
        sizes = [self.whole(Size(index)) for index in over]
        factor: list[Node] = [["frac", "1", _row(*sizes)]] if kind == "mean" else []
        return _row(*factor, ["big", "sum", below], self.inside(body, MULTIPLIED)), ADDED

    def cases(self, rows: Sequence[tuple[Node, Node]], otherwise: Node) -> Node:
        return ["cases", *([then, _row("if ", when)] for then, when in rows), [otherwise, "otherwise"]]

    def named(self, body: Node, values: Sequence[tuple[Node, Node]]) -> Node:
        where = [_row(name, _sign("="), value) for name, value in values]
        return _row(body, " where ", *_between(where, ", "))

    def terms(self, expr: Terms) -> Piece:
        more = expr.count - len(expr.terms)
        if expr.kind == "max":
            shown = [*map(self.whole, expr.terms), *([] if expr.rest is None else [f"\u2026 {more} more"])]
            return _row(["name", "max"], ["round", _row(*_between(shown, ", "))]), ATOM
        written = _added([self.inside(term, ADDED) for term in expr.terms])
        if expr.rest is not None:
            rest = _row(f"{more} more: ", self.number(expr.rest)[0])
            written = _row(written, _sign("+"), ["under", "\u22ef", rest])
        if expr.kind == "mean":
            return ["frac", written, str(expr.count)], MULTIPLIED
        return written, ADDED if expr.count > 1 else self.piece(expr.terms[0])[1]


def _row(*nodes: Node) -> Node:
    match nodes:
        case ():
            return ""
        case (node,):
            return node
    return ["row", *nodes]


def _sign(symbol: str) -> Node:
    return ["sign", JOINTS.get(symbol, symbol)]


def _letter(name: str) -> Node:
    """A single letter is a variable, in italics; several letters are a word, upright."""
    name = GREEK.get(name, name)
    return ["letter", name] if len(name) == 1 else visible(name)


def _between(nodes: Sequence[Node], joint: Node) -> list[Node]:
    return [part for node in nodes for part in (joint, node)][1:]


def _added(nodes: Sequence[Node]) -> Node:
    """Nodes joined by plus signs, or by a minus sign where a node starts with one."""
    parts: list[Node] = [nodes[0]]
    for node in nodes[1:]:
        rest = _without_minus(node)
        parts += [_sign("+"), node] if rest is None else [_sign("-"), rest]
    return _row(*parts)


def _without_minus(node: Node) -> Node | None:
    """What follows the leading minus of a node; None if there is none."""
    if isinstance(node, str):
        return node[1:] if node.startswith(MINUS) else None
    if node[0] != "row":
        return None
    if node[1] == _sign("-"):
        return _row(*node[2:])
    rest = _without_minus(node[1])
    return None if rest is None else _row(rest, *node[2:])


def _number(written: str) -> Piece:
    strength = ADDED if written.startswith("-") else ATOM
    mantissa, e, exponent = written.partition("e")
    if not e or written in WORDS:
        return number_for_paper(written), strength
    power: Node = ["attach", "10", number_for_paper(str(int(exponent))), ""]
    if mantissa == "1":
        return power, MULTIPLIED
    return _row(number_for_paper(mantissa), _sign("*"), power), min(strength, MULTIPLIED)
