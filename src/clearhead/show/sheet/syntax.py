"""The syntax of a spreadsheet's numbers and functions, and the limits of its formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence

from clearhead.errors import ShapeError
from clearhead.show.sheet.places import MINUS_INFINITY

LOWEST = -1e300
"""Minus infinity, which spreadsheets lack."""
MASKED = "-1E+290"
"""Numbers below this are minus infinity, also after scaling or a shift."""
LARGEST_EXPONENT = 700
"""The exponential of more overflows; as a divisor it is large enough to make the quotient 0."""
MAX_LENGTH, MAX_DEPTH, MAX_ARGUMENTS = 8192, 64, 255
"""The limits of Excel: characters of a formula, parentheses within each other, arguments of a function."""

COMPARED, ADDED, MULTIPLIED, RAISED, ATOM = range(5)
SYMBOLS = {
    "+": ("+", ADDED, ADDED, ADDED), "-": ("-", ADDED, ADDED, MULTIPLIED),
    "*": ("*", MULTIPLIED, MULTIPLIED, MULTIPLIED), "/": ("/", MULTIPLIED, MULTIPLIED, RAISED),
    "^": ("^", RAISED, ATOM, ATOM),
    "<": ("<", COMPARED, ADDED, ADDED), "<=": ("<=", COMPARED, ADDED, ADDED), "==": ("=", COMPARED, ADDED, ADDED),
}  # fmt: skip
FUNCTIONS = {
    "exp": "EXP", "log": "LN", "sqrt": "SQRT", "sin": "SIN", "cos": "COS", "tanh": "TANH", "erf": "ERF", "abs": "ABS",
    "max": "MAX", "round": "ROUND", "pi": "PI",
}  # fmt: skip
ROUNDED = {
    "truncate": "TRUNC({0}+SIGN({0})*1E-9/10^{1},{1})",
    "round_even": "IF(ABS({0})>1E+15,{0},IF(ABS(MOD(ABS({0})*10^{1},1)-0.5)<1E-9,2*ROUND({0}*10^{1}/2,0)/10^{1},"
    "ROUND({0},{1})))",
}
"""Truncation, where a number one bit below the next counts as the next; and rounding of ties to even."""
CELLWISE = frozenset({"exp", "log", "sqrt", "sin", "cos", "tanh", "abs", "neg"})
"""The functions that SUMPRODUCT applies to every cell of a range."""

Piece = tuple[str, int]
"""A formula, and how tightly its outermost operation binds."""


def number_of(value: float) -> Piece:
    """A number as a formula has it."""
    if math.isinf(value):
        return (MINUS_INFINITY, ATOM) if value < 0 else (f"-{MINUS_INFINITY}", ADDED)
    if math.isnan(value):
        return "NA()", ATOM
    written = repr(value).removesuffix(".0").upper()
    return written, ADDED if value < 0 else ATOM


def power(base: float | None, exponent: str) -> str:
    """The exponential of a difference. Other bases use EXP too: only EXP is 0 for the lowest number."""
    return f"EXP({exponent})" if base is None else f"EXP(({exponent})*LN({number_of(base)[0]}))"


def arguments_of(listed: Sequence[str]) -> str:
    """Arguments of a function, with commas between.

    Raises:
        ShapeError: they are more than spreadsheets allow.
    """
    if len(listed) > MAX_ARGUMENTS:
        raise ShapeError(f"a formula of {len(listed)} cells in no row or column is more than spreadsheets allow")
    return ",".join(listed)


def depth_of(formula: str) -> int:
    """The largest number of parentheses within each other."""
    depth = deepest = 0
    for letter in formula:
        depth += (letter == "(") - (letter == ")")
        deepest = max(deepest, depth)
    return deepest
