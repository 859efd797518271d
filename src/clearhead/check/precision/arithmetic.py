"""In what sense numbers are right that differ from float64 in some digits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.compare.comparison import expected_of
from clearhead.check.precision.propagation import as_slack, copies_of, part_of, reach, stacked_lines
from clearhead.claim import Claim, differing, leaves, significant_of
from clearhead.line import Line, find, split_head
from clearhead.trace import Trace
from clearhead.working import Working

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]

COPIES, ERRORS = 16, 6.0
"""How many noisy copies of a working are run, and how many standard deviations of them count as arithmetic."""

CODE = 6
"""Numbers with at least this many significant digits were printed by code."""

MIN_DIGITS = 2
"""Types without other evidence are named only if numbers are right to this many digits."""

FLOAT16_DIGITS = 4
"""The digits that NumPy prints of a float16 that is no short decimal."""

SINGLE = 9
"""The most digits that are printed of a float32."""

BY_CHANCE = 0.01
"""The probability with which other numbers may all be this near to numbers of a type."""

MIN_DECIMALS, MAX_DECIMALS = 3, 8
"""Given arrays count as rounded from this many decimals on; numbers with fewer were chosen."""

NARROW = 0.05
"""If rounded given arrays leave more than this part of a line's size uncertain, the line is ignored."""


class Type(Struct, frozen=True):
    """A type of floating-point numbers: the bits of its significand, its largest number, its least above 0."""

    name: str
    bits: int
    largest: float
    least: float

    @property
    def unit(self) -> float:
        """The largest relative error of rounding to this type."""
        return float(2.0**-self.bits)

    def round(self, array: Array) -> Array:
        """The nearest numbers of this type, as float64."""
        with np.errstate(all="ignore"):
            exponent = np.floor(np.log2(np.abs(np.where(np.isfinite(array) & (array != 0), array, 1.0))))
            step = np.maximum(2.0 ** (exponent + 1 - self.bits), self.least)
            near = np.rint(array / step) * step
        near = np.where(np.isfinite(array), near, array)
        return np.where(np.abs(near) > self.largest, np.copysign(np.inf, near), near)


FLOAT32 = Type("float32", 24, 3.4028235e38, 2.0**-149)
FLOAT16 = Type("float16", 11, 65504.0, 2.0**-24)
BFLOAT16 = Type("bfloat16", 8, 3.3895314e38, 2.0**-133)
TYPES = (FLOAT32, FLOAT16, BFLOAT16)


class Precision(Struct, frozen=True):
    """In what sense numbers are right.

    Attributes:
        kind: right in arithmetic of this type; or within the digits of the given arrays; or each line follows from the
            lines before it as they were written, rounded at each step; or computed from given arrays that were rounded.
        line: where the difference is largest.
        largest: that difference.
        digits: to how many significant digits all lines are right, relative to their largest number.
        allowed: the difference that the kind, and the digits of the claim, allow there.
        overflowed: how many numbers are infinite or NaN because they are too large for the type.
        rounded: of the last kind: to how many decimals, and the names of the arrays, none for all.
        claims: the numbers, with the slack that the kind allows each: compared with it, those that are right agree.
    """

    kind: Literal["float32", "float16", "bfloat16", "givens", "steps", "inputs"]
    line: str
    largest: float
    digits: int
    allowed: float
    overflowed: int = 0
    claims: tuple[Claim, ...] = ()
    rounded: tuple[int | str, ...] = ()

    def __str__(self) -> str:
        right = f"right to {self.digits} digits (largest difference {self.largest:.1e}, in {self.line})"
        if self.kind == "givens":
            return f"The numbers are {right}: the digits of the given arrays and of the claim allow {self.allowed:.1e}."
        if self.kind == "inputs":
            decimals, *names = self.rounded
            whose = " and ".join(map(str, names)) or "the given arrays"
            digits = "1 decimal" if decimals == 1 else f"{decimals} decimals"
            return f"The numbers are computed from {whose} rounded to {digits} first: with that they are {right}."
        if self.kind == "steps":
            return (
                "Each line follows from the lines before it as they were written: it was rounded at each step. "
                f"The numbers are {right}."
            )
        if self.overflowed:
            return (
                f"Arithmetic in {self.kind} explains the numbers: {self.overflowed} overflow or are computed from "
                f"numbers that do, and the others are {right}."
            )
        bits = {each.name: each.bits for each in TYPES}[self.kind]
        return f"The numbers are {right}: as arithmetic in {self.kind} gives, which keeps {bits} bits."


def measured(claims: Sequence[Claim], trace: Trace, allowed: Arrays, kind: Any, overflowed: int = 0) -> Precision:
    """The precision of claims that are right in this sense; ``allowed`` has the differences allowed in each line."""
    worst, line, largest, there = 0.0, claims[0].line, 0.0, 0.0
    loose = loosened(claims, trace.working, allowed)
    for claim in loose:
        expected = expected_of(claim, trace)[1]
        with np.errstate(invalid="ignore"):
            off, size = np.abs(np.where(claim.claimed, claim.values - expected, 0)), _largest(expected)
        off = np.where(np.isfinite(off), off, 0.0)
        worst = max(worst, _largest(off) / size if size else 0.0)
        if _largest(off) > largest:
            cell = np.unravel_index(off.argmax(), off.shape)
            line, largest, there = claim.line, float(off[cell]), float(claim.tolerances[cell])
    digits = 15 if not worst else max(0, math.floor(-math.log10(worst)))
    return Precision(kind, line, largest, digits, there, overflowed, loose)


def _largest(array: Array) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0))


def _full_name(claim: Claim, working: Working) -> str:
    return find(split_head(claim.line)[0], working.names)


def noise_of(kind: Type, working: Working, arrays: Arrays) -> dict[str, Array]:
    """How far arithmetic in a type moves each line from float64: six standard deviations."""
    rng = np.random.default_rng(0)
    copies = copies_of(COPIES, working, arrays)

    def noisy(array: Array) -> Array:
        signs = rng.choice([-kind.unit, kind.unit], (copies, *array.shape[1:]))
        return np.where(np.isfinite(array), array * (1 + signs), array)

    stacks = {name: noisy(array[None]) if array.dtype.kind == "f" else array[None] for name, array in arrays.items()}
    lines = stacked_lines(
        working, stacks, after=lambda _, result: noisy(result) if result.dtype.kind == "f" else result
    )
    exact = stacked_lines(working, {name: array[None] for name, array in arrays.items()})
    return {name: _allowed(kind, values, exact[name]) for name, values in lines.items() if values.dtype.kind == "f"}


def _allowed(kind: Type, values: Array, exact: Array) -> Array:
    with np.errstate(invalid="ignore"):
        off = np.where(np.isfinite(values - exact), values - exact, 0.0)
        size = np.where(np.isfinite(exact[0]), np.abs(exact[0]), 0.0)
    return np.asarray(ERRORS * np.sqrt((off**2).mean(axis=0)) + 2 * kind.unit * size + kind.least)


def loosened(claims: Sequence[Claim], working: Working, allowed: Arrays, kind: Type | None = None) -> tuple[Claim, ...]:
    """The claims with the slack that is allowed in their lines, and at least with that of their own type."""
    return tuple(
        replace(claim, slack=as_slack(np.maximum(part_of(claim, working, name, allowed[name]), _own(claim, kind))))
        if name in allowed
        else claim
        for claim in claims
        for name in (_full_name(claim, working),)
    )


def _own(claim: Claim, kind: Type | None) -> Array:
    """How far the nearest number of a type may be from each claimed number, whatever line it is of."""
    size = np.where(np.isfinite(claim.values), np.abs(claim.values), 0.0)
    return np.asarray(size * (kind.unit if kind else 0.0))


def arithmetic(claims: Sequence[Claim], trace: Trace, arrays: Arrays, *, undeclared: bool) -> Precision | None:
    """The type whose arithmetic explains the numbers; None if none does.

    Args:
        claims: numbers that differ from the trace.
        trace: the working in float64.
        arrays: its given arrays.
        undeclared: whether types count that neither the claims' type nor their digits suggest.
    """
    # Numbers that bfloat16 can hold can mostly be held by float16 too, and hardly ever by chance.
    order = TYPES if undeclared else (FLOAT32, BFLOAT16, FLOAT16)
    kinds = [kind for kind in order if undeclared != suggested(kind, claims)]
    needed = MIN_DIGITS if undeclared else 1
    if undeclared and not any(claim.dtype for claim in claims) and _printed(claims) < SINGLE:
        kinds = [FLOAT16] if _shortest(claims) else []
    for kind in kinds:
        found = _as_in(kind, claims, trace, arrays)
        if found is not None and found.digits >= needed:
            return found
    return None


def suggested(kind: Type, claims: Sequence[Claim], least: int = 1) -> bool:
    """Whether the type of the claims, or their digits, of which float32 prints ``least`` to 9, suggest a type."""
    declared = [each.dtype for each in claims if each.dtype is not None]
    if declared:
        return kind.name in declared
    return least <= _printed(claims) <= SINGLE if kind is FLOAT32 else _representable(kind, claims)


def printed_by_code(claims: Sequence[Claim]) -> bool:
    """Whether claims come from an array, or have more digits than people write by hand."""
    return any(each.dtype for each in claims) or _printed(claims) > SINGLE


def _printed(claims: Sequence[Claim]) -> int:
    return max((significant_of(n) for claim in claims for n in leaves(claim.written)), default=0)


def _representable(kind: Type, claims: Sequence[Claim]) -> bool:
    """Whether all numbers are printed numbers of a type, which is unlikely by chance."""
    chance = 1.0
    for claim in claims:
        values, half = claim.values, np.maximum(claim.half_units, 1e-300)
        where = claim.claimed & np.isfinite(values) & (values != 0)
        near = kind.round(values[where])
        if np.any(np.abs(near - values[where]) > half[where] * (1 + 1e-9)):
            return False
        step = np.abs(values[where]) * 2 * kind.unit
        chance *= float(np.prod(np.minimum(1.0, 2 * half[where] / np.maximum(step, 1e-300))))
    return chance < BY_CHANCE


def _shortest(claims: Sequence[Claim]) -> bool:
    """Whether all numbers are written as NumPy prints its float16: in the fewest digits that distinguish neighbours."""
    numbers = [n for claim in claims for n in leaves(claim.written) if significant_of(n)]
    with np.errstate(over="ignore"):
        short = all(float(str(np.float16(n))) == float(n) for n in numbers)
    return short and max(map(significant_of, numbers), default=0) == FLOAT16_DIGITS


def _as_in(kind: Type, claims: Sequence[Claim], trace: Trace, arrays: Arrays) -> Precision | None:
    allowed = noise_of(kind, trace.working, arrays)
    loose = loosened(claims, trace.working, allowed)
    wrong = [differing(claim, expected_of(claim, trace)[1]) for claim in loose]
    if not any(each.any() for each in wrong):
        return measured(claims, trace, allowed, kind.name)
    stored = _stored(kind, trace.working, arrays)
    overflowed = 0
    for claim, where in zip(loose, wrong, strict=True):
        name = _full_name(claim, trace.working)
        values = part_of(claim, trace.working, name, stored[name])
        same = (np.isnan(values) & np.isnan(claim.values)) | (np.isinf(values) & (values == claim.values))
        if np.any(where & ~same):
            return None
        overflowed += int((where & same).sum())
    return measured(claims, trace, allowed, kind.name, overflowed)


def _stored(kind: Type, working: Working, arrays: Arrays) -> dict[str, Array]:
    """Every line of a working of which each number is stored in a type, with what overflows."""

    def store(array: Array) -> Array:
        return kind.round(array) if array.dtype.kind == "f" else array

    def after(_: Line, result: Array) -> Array:
        return store(result)

    lines = stacked_lines(working, {name: store(array[None]) for name, array in arrays.items()}, after)
    return {name: values[0] for name, values in lines.items()}


def of_givens(claims: Sequence[Claim], trace: Trace, arrays: Arrays) -> Precision | None:
    """Whether the numbers are right within what the digits of the given arrays allow, if these look rounded."""
    off = rounding_of(arrays)
    if not off:
        return None
    names = {_full_name(claim, trace.working) for claim in claims} - arrays.keys()
    allowed = {name: reach(trace.working, arrays, off, name) for name in names}
    for claim in claims:
        name, expected = _full_name(claim, trace.working), expected_of(claim, trace)[1]
        if name in allowed and _largest(part_of(claim, trace.working, name, allowed[name])) > NARROW * _largest(
            expected
        ):
            return None
    if any(differing(claim, expected_of(claim, trace)[1]).any() for claim in loosened(claims, trace.working, allowed)):
        return None
    return measured(claims, trace, allowed, "givens")


def rounding_of(arrays: Arrays) -> dict[str, Array]:
    """Half a unit of the last digit of the given arrays that look rounded."""
    return {name: np.full(array.shape, 0.5 * 10.0**-d) for name, array in arrays.items() if (d := _decimals(array))}


def _decimals(array: Array) -> int | None:
    """To how many decimals an array seems rounded: None for whole or round numbers, and for all digits."""
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        return None
    for decimals in range(MAX_DECIMALS + 1):
        if np.allclose(np.round(array, decimals), array, rtol=0, atol=1e-12 * max(1.0, _largest(array))):
            return decimals if decimals >= MIN_DECIMALS else None
    return None
