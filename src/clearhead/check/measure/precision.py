"""How precise the arithmetic of a function is: bits that inputs keep, bits of the output, and where it overflows."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from clearhead.check.measure.access import Attend, Refused, Size
from clearhead.check.measure.parts import Array

ALL_BITS = tuple(range(53))
FEW_BITS = (3, 5, 6, 7, 8, 9, 10, 11, 12, 18, 21, 22, 23, 24, 25, 30, 40, 48, 50, 51, 52)
"""The bits that are tried for functions with a batch, and for those called one example at a time."""

FLOATS = {"bfloat16": 7, "float16": 10, "float32": 23, "float64": 52}
"""How many bits after the leading one the types keep."""

LIMITS = {"float16": 65504.0, "float32": 3.4e38}
EXPONENTS = {"float64": 709.78, "float32": 88.72, "float16": 11.09}
"""The largest number, and the largest one whose exponential is finite."""

VANISHING = {"float32": (EXPONENTS["float32"], 103.97, 87.34), "float64": (EXPONENTS["float64"], 745.13, 708.40)}
"""Above and below which exponentials are infinite and 0; the last where subnormal numbers are flushed to 0."""


class Bits(Struct, frozen=True):
    """How many bits after the leading one are kept of each input and of the output; None where it is not known.

    ``inside`` are those of numbers in between.
    """

    query: int | None
    key: int | None
    value: int | None
    output: int
    inside: int = 52

    @property
    def least(self) -> int:
        """The least of all, which limits what can be measured."""
        return min(each for each in (self.query, self.key, self.value, self.output, self.inside) if each is not None)

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


ROUNDS = ((2.0**-10, 2.0**-12.4, 7), (2.0**-10, 2.0**-16, 10), (2.0**-22, 2.0**-30, 23))
"""By how much inputs are moved, how far outputs are then off a straight line, and how many bits numbers then have."""

DIRECTIONS = 64
"""In how many directions inputs are moved to see whether outputs jump."""


def bits_inside(f: Attend, size: Size, q: Array, k: Array, v: Array) -> int:
    """The bits that are kept of numbers in between, such as weights: where these are rounded, outputs jump.

    What is smooth comes 16 times nearer to a straight line where inputs move by a quarter; what jumps does not.
    """
    if not f.caller.form.batch or f.filled:
        return 52
    try:
        bends = {
            step: (_bend(f, size, (q, k, v), step), _bend(f, size, (q, k, v), 4 * step)) for step, *_ in ROUNDS[1:]
        }
    except Refused:
        return 52
    for step, reach, bits in ROUNDS:
        near, far = bends[step]
        if near > reach and near > far / 4:
            return bits
    return 52


def _bend(f: Attend, size: Size, inputs: tuple[Array, Array, Array], step: float) -> float:
    """How far outputs are off a straight line, relative to values, where queries and keys move by one and two steps."""
    rng = np.random.default_rng(0)
    *moving, v = inputs
    moves = [step * x * rng.normal(size=(DIRECTIONS, *x.shape[1:])) for x in moving]
    q, k = (np.concatenate([x + t * move for t in range(3)]) for x, move in zip(moving, moves, strict=True))
    one, two, three = np.split(f(q, k, np.repeat(v, len(q), 0), size.past), 3)
    return float(np.sqrt(np.mean(np.nan_to_num(one - 2 * two + three) ** 2)) / np.abs(v).max())


def _output_bits(y: Array) -> int:
    """The fewest bits that hold all outputs exactly."""
    single = y.astype(np.float32)
    half = (single.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    with np.errstate(over="ignore"):
        tries = ((7, half), (10, y.astype(np.float16)), (23, single))
    return next((bits for bits, kept in tries if np.array_equal(kept.astype(np.float64), y)), 52)


PRODUCTS = 2.0 ** np.arange(0, 25, 0.5)
"""The products of a query and a key that are tried for an overflow: from 1 to 16 million."""


BETWEEN = 256
"""How many products are tried between two of `PRODUCTS`."""

Limit = tuple[float, float]
"""The largest product of a query and a key with finite outputs, and the smallest without."""


def overflow(f: Attend, size: Size, rng: np.random.Generator) -> tuple[Limit | None, Limit | None]:
    """Where outputs stop being finite as all scores grow, and as all fall, or a query gets 0; None where not.

    Limits of products below 0 have their absolute values.
    """
    v = rng.normal(size=(1, size.groups, size.keys, size.depth))
    return _limit(f, size, v, 1), _limit(f, size, v, -1)


def _limit(f: Attend, size: Size, v: Array, sign: int) -> Limit | None:
    """Where outputs stop being finite, for products of this sign; nearer for functions with a batch."""
    batch = f.caller.form.batch
    found = _bracket(f, size, v, sign, PRODUCTS[:: 1 if batch else 4])
    near = batch and found is not None and found[0] > 0
    return _bracket(f, size, v, sign, np.geomspace(*found, BETWEEN)) if found and near else found


def _bracket(f: Attend, size: Size, v: Array, sign: int, products: Array) -> Limit | None:
    """Between which of some products outputs stop being finite."""
    each = np.sqrt(products / size.depth)[:, None, None, None]
    shapes = ((size.heads, size.tokens), (size.groups, size.keys))
    q, k = (np.ones((1, *shape, size.depth)) * each for shape in shapes)
    try:
        y = f(sign * q, k, np.broadcast_to(v, (len(k), *v.shape[1:])), size.past)
    except Refused:
        return None
    empty = (y == 0).all(-1)
    vanish = (empty & ~empty[:1]).any((1, 2)) | empty.all((1, 2)) if sign < 0 else False
    bad = ~np.isfinite(y).all((1, 2, 3)) | vanish
    if not bad.any():
        return None
    first = int(np.argmax(bad))
    return (float(products[first - 1]) if first else 0.0, float(products[first]))


def subtracted(grown: Limit, fallen: Limit, keys: int) -> tuple[str, float] | None:
    """The type whose exponentials overflow and vanish at two limits of scores, and the constant taken off before.

    Both limits must give the same constant; None where no type's do.

    Args:
        grown: the limit of scores that grow, as `overflow`, after the scale.
        fallen: the limit of scores that fall.
        keys: how many keys a query sees at most: their sum may overflow before one of them.
    """
    for name, (above, *below) in VANISHING.items():
        for least in below:
            slack = grown[1] - grown[0] + fallen[1] - fallen[0]
            constant = least - sum(fallen) / 2
            if grown[0] - above - slack <= constant <= grown[1] - above + np.log(keys) + slack:
                return name, float(constant)
    return None


def step_of(numbers: Array, least: float) -> float:
    """The step of which all numbers are multiples: a power of 10 or of 2, not below ``least``; 0 if there is none."""
    good = numbers[np.isfinite(numbers) & (np.abs(numbers) > least)]
    if len(np.unique(np.round(good / least))) < 4:
        return 0.0
    steps = sorted([10.0**-n for n in range(8)] + [0.5, 0.25, 0.125, 0.0625], reverse=True)
    return next(
        (s for s in steps if s > 50 * least and np.abs(good / s - np.round(good / s)).max() < 20 * least / s), 0.0
    )
