"""Formulas in MathML Core, which browsers set themselves. `clearhead.expr.text` is the same in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape as _escape

from clearhead.errors import visible
from clearhead.explanation import Explanation
from clearhead.expr import Expr, Local, Number, Ref, Size, Terms
from clearhead.expr.text import ADDED, ATOM, MULTIPLIED, RAISED, Piece, unlet
from clearhead.show.formula.symbols import GREEK, Symbol, symbol_of
from clearhead.show.formula.walk import Setter

LOCALS = {"mean": "<mi>μ</mi>", "variance": "<msup><mi>σ</mi><mn>2</mn></msup>"}
CONSTANTS = {"pi": "<mi>π</mi>"}
JOINTS = {"*": "·", "+": "+", "-": "−", "%": "mod", "<": "&lt;", "<=": "≤", "==": "=", "and": "∧"}
WORDS = {"NaN": "NaN", "inf": "∞", "-inf": "−∞"}
ACCENTS = {"tilde": "~", "bar": "¯"}


def escape(words: str) -> str:
    """Escaped text for HTML and MathML: every character is shown as it is, and invisible ones by their number."""
    return _escape(visible(words))


def equation(left: Ref, right: Expr, decimals: int | None, first: int) -> str:
    """The formula of a line as a ``<math>`` element: both sides, and its named values."""
    printer = _Printer(decimals, first)
    named, body = unlet(right)
    where = [(Local(name), value) for name, value in named]
    rows = [_equal(printer, left, body), *(_equal(printer, name, value) for name, value in where)]
    if not where:
        return _math(f"<mrow>{''.join(rows[0])}</mrow>")
    return _math(_table(["", "<mtext>where\u00a0</mtext>", *[""] * (len(where) - 1)], rows))


def arithmetic(explanation: Explanation) -> Iterator[str]:
    """The arithmetic of a cell, a ``<math>`` element for each step."""
    printer = _Printer(explanation.decimals, explanation.first)
    steps: list[tuple[Expr, Expr, float]] = [(Local(s.name), s.filled, s.value) for s in explanation.steps]
    for name, filled, value in [*steps, (explanation.target, explanation.filled, explanation.value)]:
        sides = dict.fromkeys([printer.whole(name), printer.whole(filled), printer.number(value)[0]])
        yield _math(f"<mrow>{_op('=').join(sides)}</mrow>")


def mathml(expr: Expr, *, decimals: int | None = 3, first: int = 1) -> str:
    """An expression in MathML, without the ``<math>`` around it. ``first`` is what the labels of cells count from."""
    return _Printer(decimals, first).whole(expr)


def _equal(printer: _Printer, left: Expr, right: Expr) -> tuple[str, str]:
    return printer.whole(left), f"{_op('=')}{printer.whole(right)}"


def _math(inside: str) -> str:
    return f'<math display="block">{inside}</math>'


def _table(leads: Iterable[str], rows: Iterable[tuple[str, str]]) -> str:
    """Equations below each other, each after a word, with their equals signs in one column."""
    cells = (
        f"<mtd>{lead}</mtd><mtd>{left}</mtd><mtd>{right}</mtd>" for lead, (left, right) in zip(leads, rows, strict=True)
    )
    return f'<mtable class="aligned" displaystyle="true">{"".join(f"<mtr>{row}</mtr>" for row in cells)}</mtable>'


def symbol(name: str) -> tuple[str, list[str]]:
    """The symbol of a line as MathML, and the text above it; an unknown name is written in full."""
    known, around = symbol_of(name)
    if known is None:
        return _words(name), []
    return _symbol(known), [*([_letter(known.top)] if known.top else []), *map(_words, around)]


def _symbol(known: Symbol) -> str:
    letter = _letter(known.letter)
    if not known.accent:
        return letter
    return f'<mover accent="true">{letter}<mo stretchy="false">{ACCENTS[known.accent]}</mo></mover>'


def _letter(letter: str) -> str:
    """A letter, Greek letters by their name; words are upright."""
    if len(letter) == 1 or letter in GREEK:
        return f"<mi>{GREEK.get(letter, letter)}</mi>"
    return f'<mi mathvariant="normal">{letter}</mi>'


def _words(words: str) -> str:
    return f"<mtext>{escape(words)}</mtext>"


def _op(sign: str, more: str = "") -> str:
    return f"<mo{more}>{sign}</mo>"


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def _fenced(inside: str, left: str = "(", right: str = ")") -> str:
    return _row(_op(left, ' fence="true"'), inside, _op(right, ' fence="true"'))


class _Printer(Setter[str]):
    def fenced(self, inside: str) -> str:
        return _fenced(inside)

    def digits(self, written: str) -> Piece:
        return _number(written)

    def letter(self, name: str) -> str:
        return f"<mi>{escape(name)}</mi>"

    def size(self, index: str) -> str:
        return f"<msub><mi>n</mi><mi>{escape(index)}</mi></msub>"

    def local(self, name: str) -> str:
        return LOCALS.get(name, _words(name))

    def cell(self, ref: Ref) -> Piece:
        """The symbol with its indices below and its head above; a symbol with text above it cannot get an exponent."""
        base, tops = symbol(ref.operand)
        if ref.at is not None:
            tops = [*tops, _fenced(self.index(ref.at))]
        below = _row(_op(",").join(map(self.index, ref.indices))) if ref.indices else ""
        top = _row(_op(",").join(tops)) if tops else ""
        if below and top:
            return f"<msubsup>{base}{below}{top}</msubsup>", RAISED
        if below:
            return f"<msub>{base}{below}</msub>", ATOM
        return (f"<msup>{base}{top}</msup>", RAISED) if top else (base, ATOM)

    def index(self, index: Expr) -> str:
        return f"<mn>{int(index.value) + self.first}</mn>" if isinstance(index, Number) else self.whole(index)

    def call(self, function: str, arguments: tuple[Expr, ...]) -> Piece:
        match function, arguments:
            case "neg", (argument,):
                return _row(_op("−", ' form="prefix"'), self.inside(argument, MULTIPLIED)), ADDED
            case "sqrt", (argument,):
                return f"<msqrt>{self.whole(argument)}</msqrt>", ATOM
            case "abs", (argument,):
                return _fenced(self.whole(argument), "|", "|"), ATOM
            case constant, ():
                return CONSTANTS.get(constant, _words(constant)), ATOM
        inside = _fenced(_op(",").join(map(self.whole, arguments)))
        return _row(f'<mi mathvariant="normal">{escape(function)}</mi>', _op("&#x2061;"), inside), ATOM

    def fraction(self, above: str, below: str) -> str:
        return f"<mfrac>{_row(above)}{_row(below)}</mfrac>"

    def floored(self, left: str, right: str) -> str:
        return _fenced(_row(left, _op("/"), right), "⌊", "⌋")

    def power(self, base: str, exponent: str) -> str:
        return f"<msup>{_row(base)}{_row(exponent)}</msup>"

    def added(self, sides: Sequence[str]) -> str:
        return _row(_added_up(sides))

    def joined(self, sides: Sequence[str], symbol: str, *, bare: bool) -> str:
        return _row(('<mspace width="0.17em"/>' if bare else _op(JOINTS[symbol])).join(sides))

    def reduce(self, kind: str, over: tuple[str, ...], body: Expr) -> Piece:
        below = _row(_op(",").join(f"<mi>{escape(each)}</mi>" for each in over))
        if kind == "max":
            sign = f'<munder><mi mathvariant="normal">max</mi>{below}</munder>'
            return _row(sign, self.inside(body, RAISED)), ADDED
        sizes = _row(*(self.whole(Size(each)) for each in over))
        factor = f"<mfrac><mn>1</mn>{sizes}</mfrac>" if kind == "mean" else ""
        return _row(factor, f"<munder><mo>∑</mo>{below}</munder>", self.inside(body, MULTIPLIED)), ADDED

    def cases(self, rows: Sequence[tuple[str, str]], otherwise: str) -> str:
        pairs = [
            *((then, f"<mtext>if\u00a0</mtext>{when}") for then, when in rows),
            (otherwise, "<mtext>otherwise</mtext>"),
        ]
        cells = "".join(f"<mtr><mtd>{then}</mtd><mtd>{when}</mtd></mtr>" for then, when in pairs)
        return _row(_op("{", ' fence="true"'), f'<mtable class="cases">{cells}</mtable>')

    def named(self, body: str, values: Sequence[tuple[str, str]]) -> str:
        where = _op(",").join(f"{name}{_op('=')}{value}" for name, value in values)
        return _row(body, "<mtext>\u00a0where\u00a0</mtext>", where)

    def terms(self, expr: Terms) -> Piece:
        more = expr.count - len(expr.terms)
        if expr.kind == "max":
            shown = [*map(self.whole, expr.terms), *([] if expr.rest is None else [f"<mtext>… {more} more</mtext>"])]
            return _row('<mi mathvariant="normal">max</mi>', _fenced(_op(",").join(shown))), ATOM
        written = _added_up([self.inside(term, ADDED) for term in expr.terms])
        if expr.rest is not None:
            written += _row(_op("+"), _words(f"… {more} more ("), self.number(expr.rest)[0], _words(")"))
        if expr.kind == "mean":
            return f"<mfrac>{_row(written)}<mn>{expr.count}</mn></mfrac>", MULTIPLIED
        return _row(written), ADDED if expr.count > 1 else self.piece(expr.terms[0])[1]


_MINUS = re.compile(r'((?:<mrow>)*)<mo(?: form="prefix")?>−</mo>')


def _added_up(pieces: Iterable[str]) -> str:
    """Pieces joined by plus signs, or by a minus sign where a piece starts with one."""
    first, *rest = pieces
    return first + "".join(
        _op("−") + _MINUS.sub(r"\1", piece, count=1) if _MINUS.match(piece) else _op("+") + piece for piece in rest
    )


def _number(written: str) -> Piece:
    strength = ADDED if written.startswith("-") else ATOM
    sign = _op("−", ' form="prefix"') if written.startswith("-") else ""
    digits = written.removeprefix("-")
    mantissa, e, exponent = digits.partition("e")
    if not e:
        digits = f"<mn>{WORDS.get(digits, digits)}</mn>"
        return (_row(sign, digits) if sign else digits), strength
    power = f"<msup><mn>10</mn>{_number(str(int(exponent)))[0]}</msup>"
    times = "" if mantissa == "1" else f"<mn>{mantissa}</mn>{_op('·')}"
    return _row(sign, times, power), strength if sign else MULTIPLIED
