"""Formulas worked out to 50 digits, together with what floating point may lose on the way.

A `Rough` number has its value, to 50 digits, and its loss: how far, to first order and in units of eps, the value can
move if every input and every step of the formula is rounded once (a running error analysis: Higham, "Accuracy and
Stability of Numerical Algorithms", 2nd ed., section 3.3). The loss is the scale against which errors are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from mpmath import MPContext
from msgspec import Struct

from clearhead.expr import Arithmetic, Scope, evaluate
from clearhead.expr.evaluate import round_half_away, round_half_even, truncate
from clearhead.expr.formula import OWN
from clearhead.ops import Operation, as_parameters

mp = MPContext()
mp.dps = 50

Real = Any
"""A number of mpmath."""


class Rough(Struct, frozen=True):
    """A value to 50 digits and its loss in units of eps."""

    value: Real
    loss: Real


def exact(value: Real) -> Rough:
    """A value that nothing was lost of."""
    return Rough(mp.mpf(value), mp.zero)


def rounded(value: Real, loss: Real = 0) -> Rough:
    """A value that is rounded once more; infinities and NaN are what they are."""
    return Rough(value, loss + abs(value)) if mp.isfinite(value) else Rough(value, mp.zero)


def lift(x: Rough | float) -> Rough:
    """Whole numbers are exact; others may have been rounded to the type of the arrays."""
    if isinstance(x, Rough):
        return x
    return exact(x) if float(x).is_integer() else rounded(mp.mpf(x))


def add(a: Rough, b: Rough) -> Rough:
    """The sum: both losses."""
    return rounded(a.value + b.value, a.loss + b.loss)


def negative(a: Rough) -> Rough:
    """The other sign, which rounds nothing."""
    return Rough(-a.value, a.loss)


def multiply(a: Rough, b: Rough) -> Rough:
    """The product: the loss of each times the size of the other."""
    return rounded(a.value * b.value, abs(a.value) * b.loss + a.loss * abs(b.value))


def divide(a: Rough, b: Rough) -> Rough:
    """The quotient: infinite or NaN where floating point has it so."""
    if b.value == 0:
        return exact(mp.nan if a.value == 0 else mp.inf * mp.sign(a.value))
    value = a.value / b.value
    return rounded(value, (a.loss + abs(value) * b.loss) / abs(b.value))


def power(a: Rough, b: Rough) -> Rough:
    """The power: the loss of the base by d(a^b)/da, that of the exponent by d(a^b)/db."""
    value = a.value**b.value
    by_base = abs(b.value * a.value ** (b.value - 1)) * a.loss if a.loss else 0
    by_exponent = abs(mp.log(a.value) * value) * b.loss if b.loss else 0
    return rounded(value, by_base + by_exponent)


def smooth(function: Callable[[Real], Real], slope: Callable[[Real], Real]) -> Callable[[Rough], Rough]:
    """A function of one number, with its slope."""

    def apply(x: Rough) -> Rough:
        return rounded(function(x.value), abs(slope(x.value)) * x.loss if x.loss else 0)

    return apply


def round_to(x: Rough, decimals: Rough) -> Rough:
    """The number to ``decimals`` places, taken not to be near a tie."""
    return rounded(round_half_away(x.value, decimals.value, mp.floor))


def round_even_to(x: Rough, decimals: Rough) -> Rough:
    """The number to ``decimals`` places, halves to even."""
    return rounded(round_half_even(x.value, decimals.value, mp.nint))


def truncate_to(x: Rough, decimals: Rough) -> Rough:
    """The number cut to ``decimals`` places."""
    return rounded(truncate(x.value, decimals.value, mp.floor))


ROUGH: Mapping[str, Callable[..., Any]] = {
    "+": add,
    "-": lambda a, b: add(a, negative(b)),
    "*": multiply,
    "/": divide,
    "^": power,
    "<": lambda a, b: a.value < b.value,
    "<=": lambda a, b: a.value <= b.value,
    "==": lambda a, b: a.value == b.value,
    "neg": negative,
    "abs": lambda a: Rough(abs(a.value), a.loss),
    "exp": smooth(mp.exp, mp.exp),
    "log": smooth(lambda x: mp.log(x) if x else mp.ninf, lambda x: 1 / x if x else mp.inf),
    "sqrt": smooth(mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x))),
    "sin": smooth(mp.sin, mp.cos),
    "cos": smooth(mp.cos, mp.sin),
    "tanh": smooth(mp.tanh, lambda x: mp.sech(x) ** 2),
    "erf": smooth(mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "max": lambda a, b: max(a, b, key=lambda each: each.value),
    "pi": lambda: rounded(+mp.pi),
    "//": lambda a, b: exact(mp.floor(a.value / b.value)),
    "round": round_to,
    "round_even": round_even_to,
    "truncate": truncate_to,
    "share": lambda a, b: exact(0) if b.value == 0 else divide(a, b),
}
"""The functions of the algebra on rough numbers."""

WHOLE: Mapping[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "abs": abs,
}
"""What stays exact, among indices and sizes."""


def _either(symbol: str) -> Callable[..., Any]:
    def apply(*arguments: Any) -> Any:
        if symbol in WHOLE and all(isinstance(each, int) for each in arguments):
            return WHOLE[symbol](*arguments)
        return ROUGH[symbol](*map(lift, arguments))

    return apply


MPMATH: Arithmetic = {
    **{symbol: _either(symbol) for symbol in WHOLE | ROUGH},
    "and": lambda a, b: a and b,
    "number": lambda x: exact(x) if isinstance(x, int) or x == 0 else rounded(mp.mpf(x)),
}
"""The algebra in 50 digits; cells of operands are taken as rounded once."""


def worked_out(operation: Operation, parameters: Mapping[str, Any], operands: Sequence[np.ndarray]) -> np.ndarray:
    """Every cell of an operation's formula as a `Rough`, in an array of objects."""
    formula = operation.formula(as_parameters(parameters))
    shapes = [operand.shape for operand in operands]
    scope = Scope(dict(zip(formula.roles, operands, strict=True)), formula.bind(shapes), {})
    cells = np.empty(formula.shape(shapes), dtype=object)
    scope.operands[OWN] = cells  # those that a recurrence reads
    for cell in formula.ordered(cells.shape):
        cells[cell] = lift(evaluate(formula.body, scope.at(dict(zip(formula.result, cell, strict=True))), MPMATH))
    return cells


def worst_error(found: np.ndarray, cells: np.ndarray) -> float:
    """The largest error of the numbers found, in units of eps times the loss of their cell.

    Below the normal range numbers stand a smallest subnormal apart, however small they are: errors are measured in no
    less than a thousand of these. Infinities and NaN count as 0 where they belong and as infinity where they do not.
    """
    limits = np.finfo(found.dtype)
    return max(_error(float(got), want, limits) for got, want in zip(found.flat, cells.flat, strict=True))


def _error(got: float, want: Rough, limits: Any) -> float:
    if not (mp.isfinite(want.value) and np.isfinite(got)):
        return 0.0 if str(mp.mpf(got)) == str(want.value) else float("inf")
    error = abs(mp.mpf(got) - want.value)
    spacing = mp.mpf(float(limits.eps)) * max(want.loss, 1000 * mp.mpf(float(limits.tiny)))
    return float(error / spacing)
