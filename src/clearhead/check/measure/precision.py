"""How precise the arithmetic of a function is: bits that inputs keep, bits of the output, and where it overflows."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from clearhead.check.measure.access import Attend, Refused, Size
from clearhead.check.measure.parts import Array

ALL_BITS = tuple(range(53))
FEW_BITS = (3, 5, 6, 7, 8, 9, 10, 11, 12, 18, 21, 22, 23, 24, 25, 30, 40, 48, 50, 51, 52)
"""Which bits are tried of functions that take a batch, and of those called one example at a time."""

FLOATS = {"bfloat16": 7, "float16": 10, "float32": 23, "float64": 52}
"""How many bits behind the leading one the types keep."""

LIMITS = {"float16": 65504.0, "float32": 3.4e38}
EXPONENTS = {"float64": 709.78, "float32": 88.72, "float16": 11.09}
"""The largest number, and the largest one whose exponential is finite."""


class Bits(Struct, frozen=True):
    """How many bits behind the leading one are kept of each input and of the output; None where nothing is seen."""

    query: int | None
    key: int | None
    value: int | None
    output: int

    @property
    def least(self) -> int:
        """The least of all, which bounds what can be measured."""
        return min(each for each in (self.query, self.key, self.value, self.output) if each is not None)

    @property
    def type(self) -> str:
        """The floating-point type that keeps as many bits."""
        return next((name for name, bits in FLOATS.items() if self.least <= bits + 1), "float64")


def bits_of(f: Attend, size: Size, rng: np.random.Generator, y: Array) -> Bits:
    """The bits that a function keeps: the smallest change of a whole input that still changes an output."""
    tried = np.array(ALL_BITS if f.caller.form.batch else FEW_BITS)
    shapes = ((size.heads, size.tokens), (size.groups, size.keys), (size.groups, size.keys))
    signs = [rng.choice([-1.0, 1.0], (1, *shape, size.depth)) * rng.choice([0.5, 1.0], (1, *shape, size.depth))
             for shape in shapes]  # fmt: skip
    steps = (1 + 2.0 ** -tried.astype(float))[:, None, None, None]
    ones = np.ones_like(steps)
    factors = [np.concatenate([ones[:1], *(steps if at == place else ones for at in range(3))]) for place in range(3)]
    q, k, v = (sign * factor for sign, factor in zip(signs, factors, strict=True))
    out = f(q, k, v, size.past)
    moved = (out[1:] != out[:1]).reshape(3, len(tried), -1).any(-1)
    query, key, value = (int(tried[row].max()) if row.any() else None for row in moved)
    return Bits(query, key, value, _output_bits(y))


def _output_bits(y: Array) -> int:
    """The fewest bits that hold all outputs exactly."""
    single = y.astype(np.float32)
    half = (single.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    with np.errstate(over="ignore"):
        tries = ((7, half), (10, y.astype(np.float16)), (23, single))
    return next((bits for bits, kept in tries if np.array_equal(kept.astype(np.float64), y)), 52)


PRODUCTS = 2.0 ** np.arange(0, 25, 0.5)
"""The products of a query and a key that are tried for an overflow: from 1 to 16 million."""


def overflow(f: Attend, size: Size, rng: np.random.Generator) -> tuple[float, float] | None:
    """The largest product of a query and a key with finite outputs, and the smallest without; None if all are."""
    step = 1 if f.caller.form.batch else 4
    products = PRODUCTS[::step]
    each = np.sqrt(products / size.depth)[:, None, None, None]
    shapes = ((size.heads, size.tokens), (size.groups, size.keys))
    q, k = (np.ones((1, *shape, size.depth)) * each for shape in shapes)
    v = np.broadcast_to(rng.normal(size=(1, size.groups, size.keys, size.depth)), (len(k), *k.shape[1:]))
    try:
        bad = ~np.isfinite(f(q, k, v, size.past)).all((1, 2, 3))
    except Refused:
        return None
    if not bad.any():
        return None
    first = int(np.argmax(bad))
    return (float(products[first - 1]) if first else 0.0, float(products[first]))


def step_of(numbers: Array, least: float) -> float:
    """The step of which all numbers are multiples: a power of 10 or of 2, not below ``least``; 0 if there is none."""
    good = numbers[np.isfinite(numbers) & (np.abs(numbers) > least)]
    if len(np.unique(np.round(good / least))) < 4:
        return 0.0
    steps = sorted([10.0**-n for n in range(8)] + [0.5, 0.25, 0.125, 0.0625], reverse=True)
    return next(
        (s for s in steps if s > 50 * least and np.abs(good / s - np.round(good / s)).max() < 20 * least / s), 0.0
    )
