"""What the functions and symbols of formulas mean on exact numbers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from clearhead.errors import ProblemError
from clearhead.expr.evaluate import Arithmetic
from clearhead.show.exact.numbers import Exact, Numbers, certified, less


def arithmetic_of(numbers: Numbers) -> Arithmetic:
    """The arithmetic of exact numbers; whole numbers of indices stay whole."""
    return {**_symbols(numbers), **_comparisons(numbers), **_functions(numbers)}


def _symbols(numbers: Numbers) -> Arithmetic:
    def binary(compute: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def result(a: Any, b: Any) -> Any:
            if _whole(a, b):
                return compute(a, b)
            a, b = numbers.of(a), numbers.of(b)
            both = a.interval is not None and b.interval is not None
            return Exact(compute(a.expr, b.expr), compute(a.interval, b.interval) if both else None)

        return result

    def power(a: Any, b: Any) -> Exact:
        a, b = numbers.of(a), numbers.of(b)
        exponent = int(b.expr) if b.expr.is_Integer else b.interval
        return Exact(a.expr**b.expr, None if a.interval is None or exponent is None else a.interval**exponent)

    return {
        "+": binary(lambda a, b: a + b),
        "-": binary(lambda a, b: a - b),
        "*": binary(lambda a, b: a * b),
        "/": lambda a, b: _divided(numbers, a, b),
        "//": lambda a, b: a // b,
        "%": lambda a, b: a % b,
        "^": power,
        "and": lambda a, b: a and b,
    }


def _divided(numbers: Numbers, a: Any, b: Any) -> Exact:
    a, b = numbers.of(a), numbers.of(b)
    if b.expr == 0:
        return Exact(numbers.sympy.nan if a.expr == 0 else numbers.sympy.oo * numbers.sympy.sign(a.expr))
    both = a.interval is not None and b.interval is not None and 0 not in b.interval
    return Exact(a.expr / b.expr, a.interval / b.interval if both else None)


def _comparisons(numbers: Numbers) -> Arithmetic:
    of = numbers.of
    return {
        "<": lambda a, b: a < b if _whole(a, b) else less(of(a), of(b)),
        "<=": lambda a, b: a <= b if _whole(a, b) else not less(of(b), of(a)),
        "==": lambda a, b: a == b if _whole(a, b) else of(a) == of(b),
        "max": lambda a, b: max(a, b) if _whole(a, b) else max(of(a), of(b)),
    }


def _functions(numbers: Numbers) -> Arithmetic:
    sympy, iv, of = numbers.sympy, numbers.iv, numbers.of

    def unary(exact: Callable[[Any], Any], enclose: Callable[[Any], Any] | None) -> Callable[[Any], Exact]:
        def result(a: Any) -> Exact:
            a = of(a)
            return Exact(exact(a.expr), None if a.interval is None or enclose is None else enclose(a.interval))

        return result

    minus = unary(lambda x: -x, lambda x: -x)
    return {
        "neg": lambda a: -a if isinstance(a, int) else minus(a),
        "abs": unary(sympy.Abs, abs),
        "exp": unary(sympy.exp, iv.exp),
        "log": unary(sympy.log, iv.log),
        "sqrt": unary(sympy.sqrt, iv.sqrt),
        "sin": unary(sympy.sin, iv.sin),
        "cos": unary(sympy.cos, iv.cos),
        "tanh": unary(sympy.tanh, lambda x: 1 - 2 / (iv.exp(2 * x) + 1)),
        "erf": unary(sympy.erf, None),
        "pi": lambda: Exact(sympy.pi, +iv.pi),
        "round": lambda a, decimals: of(_rounded(of(a), int(decimals))),
        "share": lambda a, b: of(0) if of(b).expr == 0 else _divided(numbers, a, b),
        "number": of,
    }


def _rounded(number: Exact, decimals: int) -> Fraction:
    text = certified(number, decimals)
    if text is None:
        raise ProblemError("A number lies too near to the middle of two to be rounded exactly.")
    return Fraction(text)


def _whole(a: Any, b: Any) -> bool:
    return isinstance(a, int) and isinstance(b, int)
