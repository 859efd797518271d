"""Formulas in LaTeX, for any medium that sets them. `clearhead.expr.text` is the same in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clearhead.errors import visible
from clearhead.explanation import Explanation
from clearhead.expr import Expr, Local, Number, Ref, Terms
from clearhead.expr.text import ADDED, ATOM, MULTIPLIED, RAISED, Piece, added_up
from clearhead.show.formula.symbols import GREEK, symbol_of
from clearhead.show.formula.walk import Setter
from clearhead.written import DECIMAL

LOCALS = {"mean": r"\mu", "variance": r"\sigma^2"}
CONSTANTS = {"pi": r"\pi"}
FUNCTIONS = {name: rf"\{name}" for name in ("exp", "log", "sin", "cos", "tanh", "max")}
JOINTS = {
    "*": r" \cdot ", "+": " + ", "-": " - ", "%": r" \bmod ",
    "<": " < ", "<=": r" \le ", "==": " = ", "and": r" \land ",
}  # fmt: skip
WORDS = {"NaN": r"\mathrm{NaN}", "inf": r"\infty", "-inf": r"-\infty", "yes": r"\text{yes}", "no": r"\text{no}"}

ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
}  # fmt: skip
"""Characters that are commands to LaTeX, or not in all of its fonts."""


def escape(words: str) -> str:
    """Escaped text for LaTeX: every character is shown as it is, and invisible ones by their number."""
    escaped = "".join(ESCAPES.get(c, c) for c in visible(words))
    # Two of these in a row would become one dash, or one quotation mark.
    return escaped.replace("--", "-{}-").replace("--", "-{}-").replace(",,", ",{},").replace(",,", ",{},")


def latex(expr: Expr, *, decimals: int | None = 3, first: int = 1) -> str:
    """An expression in LaTeX, with numbers to ``decimals`` (None: all digits).

    ``first`` is what the labels of cells count from.
    """
    return _Printer(decimals, first).piece(expr)[0]


def equation(left: Ref, right: Expr, decimals: int | None, first: int) -> str:
    """The formula of a line: both sides, and its named values."""
    return f"{latex(left, first=first)} = {latex(right, decimals=decimals, first=first)}"


def arithmetic(explanation: Explanation) -> Iterator[str]:
    """The arithmetic of a cell, a formula for each step."""
    steps: list[tuple[Expr, Expr, float]] = [(Local(s.name), s.filled, s.value) for s in explanation.steps]
    for name, filled, value in [*steps, (explanation.target, explanation.filled, explanation.value)]:
        printer = _Printer(explanation.decimals, explanation.first)
        sides = [printer.piece(name)[0], printer.piece(filled)[0], printer.number(value)[0]]
        yield " = ".join(dict.fromkeys(sides))


def symbol(name: str) -> tuple[str, list[str]]:
    r"""The symbol of a line, and the text above it.

    >>> print(*symbol("layers.3.query.weight"))
    W ['Q', '\\text{layers.3}']
    """
    known, around = known_symbol(name)
    if known is None:
        return _words(name), []
    base, _, top = known.partition("^")
    return base, [*filter(None, [top]), *map(_words, around)]


def known_symbol(name: str) -> tuple[str | None, list[str]]:
    """The field's symbol for a line in LaTeX, and the other words of its name."""
    known, around = symbol_of(name)
    if known is None:
        return None, [name]
    letter = _letter(known.letter)
    base = rf"\{known.accent}{{{letter}}}" if known.accent else letter
    return f"{base}^{_letter(known.top)}" if known.top else base, around


def _letter(letter: str) -> str:
    """A letter as LaTeX has it, a word upright."""
    if letter in GREEK:
        return rf"\{letter}"
    return letter if len(letter) == 1 else rf"\mathrm{{{letter}}}"


def _words(words: str) -> str:
    return rf"\text{{{escape(words)}}}"


class _Printer(Setter[str]):
    def fenced(self, inside: str) -> str:
        return rf"\left({inside}\right)"

    def digits(self, written: str) -> Piece:
        return _number(written)

    def letter(self, name: str) -> str:
        return name

    def size(self, index: str) -> str:
        return f"n_{{{index}}}"

    def local(self, name: str) -> str:
        return LOCALS.get(name, _words(name))

    def cell(self, ref: Ref) -> Piece:
        """The symbol with its indices below and its head above; a symbol with text above it cannot get an exponent."""
        base, tops = symbol(ref.operand)
        if ref.at is not None:
            tops = [*tops, f"({self.index(ref.at)})"]
        below = f"_{{{','.join(map(self.index, ref.indices))}}}" if ref.indices else ""
        top = f"^{{{','.join(tops)}}}" if tops else ""
        return f"{base}{top}{below}", RAISED if tops else ATOM

    def index(self, index: Expr) -> str:
        return str(int(index.value) + self.first) if isinstance(index, Number) else self.whole(index)

    def call(self, function: str, arguments: tuple[Expr, ...]) -> Piece:
        match function, arguments:
            case "neg", (argument,):
                return f"-{self.inside(argument, MULTIPLIED)}", ADDED
            case "sqrt", (argument,):
                return rf"\sqrt{{{self.whole(argument)}}}", ATOM
            case "abs", (argument,):
                return rf"\left|{self.whole(argument)}\right|", ATOM
            case constant, ():
                return CONSTANTS.get(constant, _words(constant)), ATOM
        name = FUNCTIONS.get(function, rf"\operatorname{{{escape(function)}}}")
        return rf"{name}\left({', '.join(map(self.whole, arguments))}\right)", ATOM

    def fraction(self, above: str, below: str) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def floored(self, left: str, right: str) -> str:
        return rf"\lfloor {left} / {right} \rfloor"

    def power(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def added(self, sides: Sequence[str]) -> str:
        return added_up(sides)

    def joined(self, sides: Sequence[str], symbol: str, *, bare: bool) -> str:
        return (r"\," if bare else JOINTS[symbol]).join(sides)

    def reduce(self, kind: str, over: tuple[str, ...], body: Expr) -> Piece:
        below = ",".join(over)
        if kind == "max":
            return rf"\max_{{{below}}} {self.inside(body, RAISED)}", ADDED
        sizes = "".join(f"n_{{{index}}}" for index in over)
        factor = rf"\frac{{1}}{{{sizes}}}" if kind == "mean" else ""
        return rf"{factor}\sum_{{{below}}} {self.inside(body, MULTIPLIED)}", ADDED

    def cases(self, rows: Sequence[tuple[str, str]], otherwise: str) -> str:
        lines = [*(rf"{then} & \text{{if }} {when}" for then, when in rows), rf"{otherwise} & \text{{otherwise}}"]
        return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}"

    def named(self, body: str, values: Sequence[tuple[str, str]]) -> str:
        where = r",\quad ".join(f"{name} = {value}" for name, value in values)
        return rf"{body} \quad\text{{where }} {where}"

    def terms(self, expr: Terms) -> Piece:
        more = expr.count - len(expr.terms)
        if expr.kind == "max":
            shown = [*map(self.whole, expr.terms), *([] if expr.rest is None else [rf"\dots\text{{ {more} more}}"])]
            return rf"\max\left({', '.join(shown)}\right)", ATOM
        written = added_up([self.inside(term, ADDED) for term in expr.terms])
        if expr.rest is not None:
            written += rf" + \underbrace{{\cdots}}_{{\text{{{more} more: }}{self.number(expr.rest)[0]}}}"
        if expr.kind == "mean":
            return rf"\frac{{{written}}}{{{expr.count}}}", MULTIPLIED
        return written, ADDED if expr.count > 1 else self.piece(expr.terms[0])[1]


def number_in_latex(written: str) -> str:
    """A number as in plain text, in LaTeX: a decimal, or an expression such as ``e^2/(1 + 2*e^2)``."""
    plain = not written or written in WORDS or DECIMAL.fullmatch(written)
    return _number(written)[0] if plain else _expression(written)


def _expression(written: str) -> str:
    """An expression as it was written, with roots and exponents set as such and names of cells as text."""
    names = re.sub(r"[A-Za-z][\w.]*(@\d+)?\[[\d,]+\]", lambda name: rf"\text{{{escape(name[0])}}}", written)
    for opening, command in (("sqrt(", r"\sqrt"), ("^(", "^")):
        while (start := names.find(opening)) >= 0:
            inner = start + len(opening)
            end = _closing(names, inner)
            names = f"{names[:start]}{command}{{{names[inner:end]}}}{names[end + 1 :]}"
    names = re.sub(r"\^(\d+)", r"^{\1}", names)
    return re.sub(r"\b(ln|exp|sin|cos|tanh)\(", r"\\\1(", names).replace("*", r" \cdot ").replace("pi", r"\pi ")


def _closing(text: str, at: int) -> int:
    """Where the bracket closes that was opened before a place."""
    depth = 1
    for place in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return place
    return len(text)


def _number(written: str) -> Piece:
    if written in WORDS:
        return WORDS[written], ADDED if written.startswith("-") else ATOM
    mantissa, e, exponent = written.partition("e")
    if e:
        times = "" if mantissa == "1" else rf"{mantissa} \cdot "
        return f"{times}10^{{{int(exponent)}}}", ADDED if written.startswith("-") else MULTIPLIED
    return written, ADDED if written.startswith("-") else ATOM
