"""Single wrong cells among right ones: slips of the pen, which no formula explains."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.claim import Claim
from clearhead.expr import number

MAX_SLIPS = 3
"""Who is wrong in more cells than these did not make slips."""

ONE_IN = 4
"""Nor who is wrong in more than one of this many cells."""


class Slip(Struct, frozen=True):
    """A cell that is wrong where its neighbours are right: what is claimed, what it is, what may have happened."""

    name: str
    claimed: str
    expected: str
    guess: str = ""

    def __str__(self) -> str:
        guess = f": {self.guess}" if self.guess else ""
        return f"{self.name} claims {self.claimed} and is {self.expected}{guess}"


def slips_of(claim: Claim, wrong: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], first: int) -> tuple[Slip, ...]:
    """The wrong cells of a claim, which is held against numbers of its shape."""
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
    return Slip(f"{claim.line}[{','.join(map(str, labels))}]", claimed, rounded, _guess(claimed, rounded))


def _guess(claimed: str, expected: str) -> str:
    """What may have happened to a number on its way to the paper."""
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
