r"""Numbers as people write them: decimals, percent, fractions, roots, powers of e, angles, in various characters.

LaTeX that says the same (``\frac{1}{3}``, ``\sqrt{2}``, ``\times 10^{-3}``, ``0{,}5``, ``5\%``) is read as well.

The grammar, in which ``*`` may be left out before a name, a root or a bracket::

    sum     = product {("+" | "-") product}
    product = signed {["*" | "/"] signed}
    signed  = ["-" | "+"] power
    power   = value [("^" | "**") signed]
    value   = (digits | "(" sum ")" | "pi" | "e" | function "(" sum ")" | "sqrt" value) ["%" | "deg"]

Whole numbers and fractions are computed exactly. Nothing else is evaluated.
"""

# ruff: noqa: RUF001, RUF002 - these characters are read

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from clearhead.errors import ProblemError

DECIMAL = re.compile(r"[+-]?(\d+\.?(\d*)|\.(\d+))(e([+-]?\d{1,4}))?", re.IGNORECASE | re.ASCII)
"""A decimal number; its groups 2 and 3 are its decimals, group 5 its exponent."""

MAX_CHARACTERS = 60
MAX_DEPTH = 12
"""The largest length and depth of a written number."""

MAX_BITS = 4096
"""An exact number with more bits than this is refused."""

UNCLAIMED = "?"
SPECIAL = frozenset({UNCLAIMED, "nan", "inf", "+inf", "-inf"})
"""Texts for cells without a number."""

_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("−–‒﹣－‐‑", "-"),
        **dict.fromkeys("×·⋅∙", "*"),
        "⁄": "/", "÷": "/", "∕": "/", "＋": "+", "√": "sqrt", "π": "pi", "∞": "inf", "°": "deg", "％": "%",
    }
)  # fmt: skip
_THOUSANDS = re.compile(r"(?<![\d.,])([1-9]\d{0,2})((?:[ \u00a0\u2009\u202f]\d{3})+)(?!\d)")
_RAISED = re.compile(r"[⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_COMMA = re.compile(r"([+-]?)(\d*),(\d+)(\s*%)?")
_PERCENT = re.compile(r"([+-]?)(\d*)\.?(\d*)\s*%", re.ASCII)
_FRACTION = re.compile(r"^([+-]?)\((\d+/\d+)\)$", re.ASCII)
_TWO = re.compile(r"[\u00bc-\u00be\u2150-\u215e]{2}")

_LATEX = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)
_IN_LATEX = {
    "\\times": "*", "\\cdot": "*", "\\div": "/", "\\pi": "pi", "\\infty": "inf", "\\exp": "exp",
    "\\ln": "ln", "\\sin": "sin", "\\cos": "cos", "\\left": "", "\\right": "",
    "\\(": "", "\\)": "", "\\%": "%", "\\,": "\u2009",
}  # fmt: skip
_FRACTIONS = ("\\frac", "\\dfrac", "\\tfrac")
"""Commands of LaTeX in plain characters, and those that take two arguments; others are refused."""

_TIMES_TEN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))\*10(?:\^|\*\*)\(?([+-]?\d{1,4})\)?", re.ASCII)
_TOKEN = re.compile(r"\s*(\d+\.?\d*(?:e[+-]?\d{1,4}(?![\w.]))?|\.\d+|[a-z]+|\*\*|[-+*/^()%])", re.ASCII)

Number = Fraction | float


def canonical(text: str) -> str:
    """A number in plain characters: a decimal with its written digits, or an expression; ``?``, nan, inf.

    >>> [canonical(each) for each in ("−0,50", "33%", "½", "√2 / 2")]
    ['-0.50', '0.33', '1/2', 'sqrt(2)/2']

    Raises:
        ProblemError: it is no number.
    """
    return text if DECIMAL.fullmatch(text) or text in SPECIAL else _canonical(text)


def value_of(text: str) -> float:
    """The value of a written number; NaN for ``?`` and nan.

    Raises:
        ProblemError: it is no number.
    """
    text = canonical(text)
    if text == UNCLAIMED:
        return math.nan
    return float(text) if DECIMAL.fullmatch(text) or text in SPECIAL else _value(text)


def is_exact(text: str) -> bool:
    """Whether a number in plain characters is an exact expression, not a rounded decimal."""
    return DECIMAL.fullmatch(text) is None and text not in SPECIAL


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    plain = _plain(text)
    if plain in SPECIAL:
        return plain
    if match := _COMMA.fullmatch(plain):
        plain = _with_point(text, *match.groups(default=""))
    if match := _PERCENT.fullmatch(plain):
        plain = _hundredth(*match.groups()) if match[2] or match[3] else plain
    plain = "".join(plain.split()) if _spaces_are_idle(plain) else plain
    if match := _TIMES_TEN.fullmatch(plain):
        plain = f"{match[1]}e{int(match[2])}"
    if DECIMAL.fullmatch(plain):
        return plain
    if _TWO.search(text):
        raise _refused(text)
    _value(plain, text)
    return _FRACTION.sub(r"\1\2", re.sub(r"sqrt(\d+)", r"sqrt(\1)", plain))


def _plain(text: str) -> str:
    """The text in ASCII, without surrounding spaces."""
    if len(text) > MAX_CHARACTERS or not text.strip():
        raise _refused(text)
    found = _without_latex(text) if any(each in text for each in "\\{}$") else text
    found = _THOUSANDS.sub(lambda match: match[0].translate(dict.fromkeys(map(ord, " \u00a0\u2009\u202f"))), found)
    found = _RAISED.sub(lambda match: f"^({unicodedata.normalize('NFKC', match[0])})", found)
    found = re.sub(r"(\d*)([\u00bc-\u00be\u2150-\u215e])", _vulgar, found).translate(_CHARACTERS)
    found = re.sub(r"[\u00a0\u2009\u202f]", " ", found).strip(" ")
    return found.lower() if found.isascii() else found


def _without_latex(text: str) -> str:
    """LaTeX in plain characters; a command that is not known stays, and is refused later."""
    found = text.strip()
    if found[:1] == found[-1:] == "$" and len(found) > 2:
        found = found[1:-1]
    found = re.sub(r"\^(\\circ|\{\\circ\})", "deg", found.replace("{,}", ","))
    tokens = _LATEX.findall(found)[::-1]
    plain = _sequence(tokens)
    if tokens:  # a bracket that nothing opened
        raise _refused(text)
    return plain


def _sequence(tokens: list[str]) -> str:
    """Takes tokens up to a closing bracket, which stays."""
    found = ""
    while tokens and tokens[-1] != "}":
        part = tokens.pop()
        if part in _FRACTIONS:
            found += f"({_argument(tokens)}/{_argument(tokens)})"
        elif part == "\\sqrt":
            inner = part if tokens[-1:] == ["["] else _argument(tokens)
            found += f"sqrt{inner}" if inner.startswith("(") else f"sqrt({inner})"
        elif part == "{":
            tokens.append(part)
            found += _argument(tokens)
        else:
            found += _IN_LATEX.get(part, part)
    return found


def _argument(tokens: list[str]) -> str:
    """What is in the brackets that follow, or one character; itself in brackets, unless it is a whole number."""
    while tokens and tokens[-1] == " ":
        tokens.pop()
    if tokens[-1:] != ["{"]:
        inner = tokens.pop() if tokens else ""
    else:
        tokens.pop()
        inner = _sequence(tokens)
        if not tokens:
            return "\\"  # nothing closes it
        tokens.pop()
    return inner if inner.isdigit() else f"({inner})"


def _vulgar(match: re.Match[str]) -> str:
    """``½`` as ``1/2``, and ``1½`` as a sum in brackets."""
    fraction = unicodedata.normalize("NFKC", match[2]).replace("⁄", "/")
    return f"({match[1]}+{fraction})" if match[1] else f"({fraction})"


def _with_point(text: str, sign: str, whole: str, decimals: str, percent: str) -> str:
    """A number with a decimal comma; refused where the comma may also separate thousands."""
    if len(decimals) == 3 and whole.strip("0"):
        raise ProblemError(f"A number is written {text!r}: is the comma a decimal point? Write it with a point.")
    return f"{sign}{whole or '0'}.{decimals}{percent}"


def _hundredth(sign: str, whole: str, decimals: str) -> str:
    """A percentage as a decimal with the same digits."""
    digits = f"{whole:0>3}"
    return f"{sign}{digits[:-2].lstrip('0') or '0'}.{digits[-2:]}{decimals}"


def _spaces_are_idle(text: str) -> bool:
    """Whether there is no space between two digits, which might be a missing comma."""
    return re.search(r"[\d.]\s+[\d.]", text) is None


@lru_cache(maxsize=4096)
def _value(plain: str, text: str = "") -> float:
    """The value of an expression in plain characters; ``text`` is what was written, for the message."""
    try:
        value = float(_Reader(plain).whole())
    except ZeroDivisionError:
        raise ProblemError(f"A number divides by 0: {text or plain!r}.") from None
    except (ArithmeticError, ValueError):
        raise _refused(text or plain) from None
    if not math.isfinite(value):
        raise _refused(text or plain)
    return value


def _refused(text: str) -> ProblemError:
    shown = text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."
    return ProblemError(
        f"A number such as 2.425, 1e-3, 7/6, 33%, sqrt(2)/2 or e^2 is expected; got {shown!r}. Check how it is written."
    )


_FUNCTIONS: dict[str, Callable[[Number], float]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "ln": math.log,
    "sin": math.sin,
    "cos": math.cos,
}
_CONSTANTS = {"pi": math.pi, "e": math.e}


class _Reader:
    """Reads an expression by the grammar above, each rule a method; raises ValueError for anything else."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        self.depth = 0
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError
            self.tokens.append(match[1])
            at = match.end()
        self.tokens.reverse()

    @property
    def next(self) -> str:
        return self.tokens[-1] if self.tokens else ""

    def take(self, *wanted: str) -> str:
        """The next token, if it is one of these; else none."""
        return self.tokens.pop() if self.next in wanted and self.tokens else ""

    def need(self, wanted: str) -> None:
        if not self.take(wanted):
            raise ValueError

    def whole(self) -> Number:
        found = self.sum()
        if self.tokens:
            raise ValueError
        return found

    def sum(self) -> Number:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError
        found = self.product()
        while sign := self.take("+", "-"):
            other = self.product()
            found = _bounded(found + other if sign == "+" else found - other)
        self.depth -= 1
        return found

    def product(self) -> Number:
        found = self.signed()
        while True:
            if sign := self.take("*", "/"):
                other = self.signed()
                found = _bounded(found * other if sign == "*" else found / other)
            elif self.next.isalpha() or self.next == "(":
                # 2e may be a number that was cut off; 2e^3 is none.
                if self.next == "e" and self.tokens[-2:-1] not in (["^"], ["**"]):
                    raise ValueError
                found = _bounded(found * self.power())
            else:
                return found

    def signed(self) -> Number:
        if sign := self.take("-", "+"):
            return -self.power() if sign == "-" else self.power()
        return self.power()

    def power(self) -> Number:
        base = self.value()
        if not self.take("^", "**"):
            return base
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError
        exponent = self.signed()
        self.depth -= 1
        return _power(base, exponent)

    def value(self) -> Number:
        found = self.part()
        if self.take("%"):
            return found / 100
        return math.radians(found) if self.take("deg") else found

    def part(self) -> Number:
        first = self.tokens.pop() if self.tokens else ""
        if first[:1].isdigit() or first[:1] == ".":
            return Fraction(first)
        if first == "(":
            found = self.sum()
            self.need(")")
            return found
        if first == "sqrt" and self.next != "(":
            return math.sqrt(self.part())
        if first in _FUNCTIONS:
            self.need("(")
            found = self.sum()
            self.need(")")
            return _FUNCTIONS[first](found)
        if first not in _CONSTANTS:
            raise ValueError
        return _CONSTANTS[first]


def _power(base: Number, exponent: Number) -> Number:
    whole = int(exponent)
    if isinstance(base, Fraction) and exponent == whole:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(whole) * bits <= MAX_BITS:
            return Fraction(base**whole)
    found: float | complex = float(base) ** float(exponent)
    if isinstance(found, complex):
        raise ValueError
    return found


def _bounded(number: Number) -> Number:
    if isinstance(number, Fraction) and max(number.numerator.bit_length(), number.denominator.bit_length()) > MAX_BITS:
        raise ValueError
    return number
