"""How well an explanation fits, and whether chance would have done as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.compare.comparison import Compared, compare
from clearhead.claim import Claim
from clearhead.trace import Trace

Numbers = np.ndarray[Any, Any]

WEAK = 0.05
"""If more unrelated deviations than this would fit by chance, an explanation does not convince."""


class Evidence(Struct, frozen=True):
    """What speaks for one deviation of a set: the first claimed line that would differ without it, and in what cells.

    ``digits`` are those of the line that shows most. The digits of a cell say how far it would be off, in powers of
    ten of the tolerance: a deviation picked at random hits it once in that many times. Cells that claim the same number
    count once.
    """

    deviation: str
    line: str
    cells: int
    digits: float


class Fit(Struct, frozen=True):
    """The evidence for each deviation of a set, and how many unrelated ones would fit as well, by estimate."""

    evidence: tuple[Evidence, ...]
    by_chance: float

    @property
    def convincing(self) -> bool:
        """Whether chance would hardly have fitted as well."""
        return self.by_chance <= WEAK


def fit_of(claims: Iterable[Claim], without: Mapping[str, Trace], candidates: int) -> Fit:
    """The fit of a set, from the traces that leave out one of its deviations each."""
    claims = tuple(claims)
    evidence = tuple(_evidence(name, claims, trace) for name, trace in without.items())
    return Fit(evidence, float(sum(candidates * 10.0**-each.digits for each in evidence)))


def _evidence(name: str, claims: tuple[Claim, ...], trace: Trace) -> Evidence:
    differing = compare([claim for claim in claims if claim.line in trace], trace).differing
    if not differing:
        return Evidence(name, "", 0, 0.0)
    return Evidence(name, differing[0].claim.line, len(differing[0].wrong), max(map(_digits, differing)))


def _digits(each: Compared) -> float:
    where = each.where_wrong
    return digits_of(each.claimed[where], each.expected[where], each.claim.tolerances[where])


def digits_of(claimed: Numbers, expected: Numbers, tolerance: Numbers) -> float:
    """How many digits of claimed numbers an explanation must hit that hits them by chance."""
    digits: dict[float, float] = {}
    for number, due, near in zip(claimed.reshape(-1), expected.reshape(-1), tolerance.reshape(-1), strict=True):
        off = abs(float(number) - float(due)) / max(float(near), 1e-12)
        known = np.log10(max(off, 1.0)) if np.isfinite(off) else 1.0
        digits[float(number)] = min(digits.get(float(number), np.inf), float(known))
    return sum(digits.values())
