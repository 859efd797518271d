"""Arithmetic of indices and sizes as polynomials, and conditions that hold for all of their values.

An index of size n takes the values 0 to n - 1, and every size is 1 or more. So ``j - n_p < n_j`` holds for all j, and
a formula need not state it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from clearhead.expr.nodes import Binary, Call, Expr, Index, Number, Size

Polynomial = Mapping[tuple[str, ...], Fraction]
"""The coefficient of each product of names; a size is named ``#i``, an index ``i``. No coefficient is 0."""

SizeOf = Callable[[str], "Polynomial | None"]
"""The size of an index as a polynomial of independent sizes; None if it is no polynomial."""


def constant(value: float) -> Polynomial:
    """A number as a polynomial."""
    return {(): Fraction(value)} if value else {}


def plus(a: Polynomial, b: Polynomial, factor: int = 1) -> Polynomial:
    """``a + factor * b``."""
    whole = dict(a)
    for term, count in b.items():
        whole[term] = whole.get(term, Fraction(0)) + factor * count
    return {term: count for term, count in whole.items() if count}


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    """``a * b``."""
    whole: Polynomial = {}
    for term, count in a.items():
        whole = plus(whole, {tuple(sorted((*term, *other))): count * more for other, more in b.items()})
    return whole


def divided(a: Polynomial, b: Polynomial) -> Polynomial | None:
    """``a / b`` where ``b`` is a single product and divides every product of ``a``; None otherwise."""
    if len(b) != 1:
        return None
    ((divisor, count),) = b.items()
    whole: dict[tuple[str, ...], Fraction] = {}
    for term, own in a.items():
        rest = list(term)
        for name in divisor:
            if name not in rest:
                return None
            rest.remove(name)
        whole[tuple(rest)] = own / count
    return whole


def polynomial(expr: Expr, size: SizeOf) -> Polynomial | None:
    """An expression of indices and sizes as a polynomial; None if it is no polynomial."""
    match expr:
        case Number(int() | float() as value) if abs(value) < 2**53 and value == int(value):
            return constant(value)
        case Index(name):
            return {(name,): Fraction(1)}
        case Size(index):
            return size(index)
        case Call("neg", (argument,)):
            inner = polynomial(argument, size)
            return None if inner is None else plus({}, inner, -1)
        case Binary("+" | "-" | "*" | "/" | "//" as symbol, left, right):
            a, b = polynomial(left, size), polynomial(right, size)
            return None if a is None or b is None else _joined(symbol, a, b)
    return None


def _joined(symbol: str, a: Polynomial, b: Polynomial) -> Polynomial | None:
    if symbol == "//":
        whole = divided(a, b)
        return whole if whole is not None and all(count.denominator == 1 for count in whole.values()) else None
    arithmetic: dict[str, Callable[[], Polynomial | None]] = {
        "+": lambda: plus(a, b), "-": lambda: plus(a, b, -1), "*": lambda: times(a, b), "/": lambda: divided(a, b),
    }  # fmt: skip
    return arithmetic[symbol]()


def never_negative(whole: Polynomial, size: SizeOf) -> bool:
    """Whether a polynomial is 0 or more for all values of its indices and sizes; False also if it is not proved."""
    least: Polynomial = {}
    for term, count in whole.items():
        indices = [name for name in term if not name.startswith("#")]
        if len(indices) > 1:
            return False
        if indices and count > 0:
            continue
        part: Polynomial = {tuple(name for name in term if name not in indices): count}
        for index in indices:
            largest = size(index)
            if largest is None:
                return False
            part = times(part, plus(largest, constant(-1)))
        least = plus(least, part)
    return all(count >= 0 for count in _above_one(least).values())


def _above_one(whole: Polynomial) -> Polynomial:
    """A polynomial of sizes in terms of each size minus 1."""
    found: Polynomial = {}
    for term, count in whole.items():
        part: Polynomial = {(): count}
        for name in term:
            part = times(part, {(): Fraction(1), (name,): Fraction(1)})
        found = plus(found, part)
    return found


def always(condition: Expr, size: SizeOf) -> bool | None:
    """Whether a condition on indices always holds (True) or never (False); None where it depends, or is not known."""
    match condition:
        case Binary("and", left, right):
            both = always(left, size), always(right, size)
            return False if False in both else True if both == (True, True) else None
        case Binary("<" | "<=" | "==" as symbol, left, right):
            a, b = polynomial(left, size), polynomial(right, size)
            return None if a is None or b is None else _compared(symbol, a, b, size)
    return None


def _compared(symbol: str, a: Polynomial, b: Polynomial, size: SizeOf) -> bool | None:
    gap, back = plus(b, a, -1), plus(a, b, -1)
    below, above = plus(gap, constant(-1)), plus(back, constant(-1))
    if symbol == "==":
        if not gap:
            return True
        return False if never_negative(below, size) or never_negative(above, size) else None
    holds, fails = (below, back) if symbol == "<" else (gap, above)
    if never_negative(holds, size):
        return True
    return False if never_negative(fails, size) else None


def same_size(a: Any, b: Any) -> bool:
    """Whether two sizes are known and equal."""
    return a is not None and b is not None and dict(a) == dict(b)
