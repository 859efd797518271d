"""Single wrong cells among right ones: slips of the pen, which no formula explains."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.claim import Claim
from clearhead.expr import number

MAX_SLIPS = 3
"""More wrong cells than these are no slips."""

ONE_IN = 4
"""Nor is more than one wrong cell in this many."""


class Slip(Struct, frozen=True):
    """A wrong cell among right ones: the claimed and the right number, and what may have happened."""

    name: str
    claimed: str
    expected: str
    guess: str = ""

    def __str__(self) -> str:
        guess = f": {self.guess}" if self.guess else ""
        return f"{self.name} claims {self.claimed} and is {self.expected}{guess}"


def slips_of(claim: Claim, wrong: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], first: int) -> tuple[Slip, ...]:
    """The wrong cells of a claim, compared with numbers of its shape."""
    return tuple(_slip(claim, tuple(int(i) for i in cell), expected, first) for cell in np.argwhere(wrong))


def are_slips(wrong: int, cells: int) -> bool:
    """Whether this few wrong cells of this many may be slips."""
    return 0 < wrong <= MAX_SLIPS and wrong * ONE_IN <= cells


def _slip(claim: Claim, cell: tuple[int, ...], expected: np.ndarray[Any, Any], first: int) -> Slip:
    claimed: Any = claim.written
    for index in cell:
        claimed = claimed[index]
    value = float(expected[cell])
    rounded = number(value, claim.precision)
    labels = claim.cell or tuple(index + first for index in cell)
    name = f"{claim.line}[{','.join(map(str, labels))}]" if labels else claim.line
    return Slip(name, claimed, rounded, _guess(claimed, rounded))


def _guess(claimed: str, expected: str) -> str:
    """What may have happened to a number when it was written down."""
    bare, right = claimed.lstrip("+-"), expected.lstrip("+-")
    if bare == right:
        return "the sign is lost" if "-" in expected else "the sign is one too many"
    if len(bare) == len(right) and sorted(bare) == sorted(right):
        return "digits may be swapped"
    if len(bare) == len(right) and sum(a != b for a, b in zip(bare, right, strict=True)) == 1:
        return "one digit differs"
    try:
        ratio = abs(float(claimed) / float(expected))
    except (ValueError, ZeroDivisionError):
        return ""
    return "the point may have moved" if any(abs(ratio / shift - 1) < 0.02 for shift in (0.01, 0.1, 10, 100)) else ""
