"""Rotary frequencies for a longer context than the one of training."""

from __future__ import annotations

import math

from clearhead.errors import ShapeError
from clearhead.expr import Expr, Formula, Size, call, formula, indices, where
from clearhead.expr.formula import Operand
from clearhead.ops.operation import Array, Namespace, counting, floats, operation

c, i = indices("c i")

LONE_PAIR = 2
"""With so few rotated features there is one pair, which turns by 1 whatever the base; dynamic NTK divides by 0."""


def _llama3(factor: float, fast: float, slow: float, context: int) -> Formula:
    def body(frequency: Operand) -> Expr:
        turns = frequency[c] * context / (2 * call("pi"))
        share = (turns - slow) / (fast - slow)
        between = (1 - share) * frequency[c] / factor + share * frequency[c]
        return where(turns < slow, frequency[c] / factor, where(turns <= fast, between, frequency[c]))

    return formula("c -> c", body)


@operation(_llama3)
def stretch_slow(xp: Namespace, frequency: Array, *, factor: float, fast: float, slow: float, context: int) -> Array:
    """Frequencies for a longer context: low ones divided, high ones kept, those between interpolated (Llama 3.1)."""
    turns = frequency * (context / (2 * math.pi))
    share = (turns - slow) / (fast - slow)
    between = (1 - share) * frequency / factor + share * frequency
    return xp.where(turns < slow, frequency / factor, xp.where(turns <= fast, between, frequency))


def _yarn(factor: float, low: float, high: float) -> Formula:
    def body(frequency: Operand) -> Expr:
        share = call("max", 1 - call("max", (high - c) / (high - low), 0), 0)
        return (1 - share) * frequency[c] + share * frequency[c] / factor

    return formula("c -> c", body)


@operation(_yarn)
def divide_by_ramp(xp: Namespace, frequency: Array, *, factor: float, low: float, high: float) -> Array:
    """Frequencies of pairs up to low kept, from high on divided, interpolated between (YaRN: Peng et al. 2023)."""
    share = 1 - (high - floats(xp, frequency.shape[-1], frequency)) / (high - low)
    share = xp.where(share < 0, 0.0, xp.where(share > 1, 1.0, share))
    return (1 - share) * frequency + share * frequency / factor


@operation(lambda count, factor: formula("c -> c", lambda frequency: where(c < count, frequency[c] / factor, 0)))
def turn_first(xp: Namespace, frequency: Array, *, count: int, factor: float) -> Array:
    """The first frequencies divided; the others 0, so that these pairs stay (Gemma 4's proportional rotation)."""
    turned = counting(xp, frequency.shape[-1], frequency) < count
    return xp.where(turned, frequency / factor, 0.0)


@operation(lambda: formula("c, c -> c", lambda frequency, factor: frequency[c] / factor[c]))
def divide_frequencies(xp: Namespace, frequency: Array, factor: Array) -> Array:
    """Each frequency divided by its own number."""
    return frequency / factor


def _by_length(context: int) -> Formula:
    def body(frequency: Operand, position: Operand, short: Operand, long: Operand) -> Expr:
        return frequency[c] / where(position[Size("i") - 1] < context, short[c], long[c])

    return formula("c, i, c, c -> c", body)


@operation(_by_length)
def divide_by_length(
    xp: Namespace, frequency: Array, position: Array, short: Array, long: Array, *, context: int
) -> Array:
    """Each frequency divided by one of two numbers: for texts within the trained context, or longer ones (LongRoPE)."""
    return frequency / xp.where(position[..., -1:] < context, short, long)


def _dynamic(base: float, width: int | None, factor: float, context: int) -> Formula:
    turned: Expr | int = Size("d") if width is None else width

    def body(position: Operand, x: Operand) -> Expr:
        length = call("max", position[Size("i") - 1] + 1, context)
        grown = base * (factor * length / context - (factor - 1)) ** (turned / (turned - 2))
        return grown ** -(2 * c / turned)

    return formula("i, i d -> c", body, c=turned // 2)


@operation(_dynamic)
def dynamic_frequencies(
    xp: Namespace, position: Array, x: Array, *, base: float, width: int | None, factor: float, context: int
) -> Array:
    """Frequencies whose base grows with a text longer than the context of training (dynamic NTK)."""
    turned = x.shape[-1] if width is None else width
    if turned <= LONE_PAIR:
        raise ShapeError(
            f"dynamic NTK scaling needs 4 rotated features or more, got {turned}: its exponent is d/(d - 2)."
        )
    last = position[..., -1:] + 1
    length = xp.where(last < context, float(context), last)
    grown = base * (factor * length / context - (factor - 1)) ** (turned / (turned - 2))
    pairs = xp.astype(counting(xp, turned // 2, x), x.dtype)
    return grown ** (-2 * pairs / turned)
