"""How well an explanation fits, and whether chance would fit as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.compare.comparison import expected_of
from clearhead.claim import Claim, differing
from clearhead.trace import Trace

Numbers = np.ndarray[Any, Any]

WEAK = 0.05
"""If more unrelated deviations than this would fit by chance, an explanation is not certain."""


class Evidence(Struct, frozen=True):
    """The evidence for one deviation of a set: the first claimed line that would differ without it, and its cells.

    ``digits`` are those of the line that shows most. The digits of a cell are the logarithm, to base ten, of its
    difference without the deviation over the tolerance: a random deviation fits the cell with that small probability.
    Cells that claim the same number count once.
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
        """Whether chance would hardly fit as well."""
        return self.by_chance <= WEAK


def fit_of(
    claims: Iterable[Claim], without: Mapping[str, Trace], candidates: int, *, fitted: bool = False, one: bool = False
) -> Fit:
    """The fit of a set, from the traces that leave out one of its deviations each.

    Args:
        claims: what the set explains.
        without: for each deviation the trace of the others.
        candidates: how many sets were tried.
        fitted: whether a number was fitted. Cells that differ by the same amount then count once, as both weights of
            a query with two keys do: whatever fits one of them fits all.
        one: whether a number was fitted that gives one factor on all of the data, so that one cell fits all others.
    """
    claims = tuple(claims)
    evidence = tuple(_evidence(name, claims, trace, fitted=fitted, one=one) for name, trace in without.items())
    return Fit(evidence, float(sum(candidates * 10.0**-each.digits for each in evidence)))


def _evidence(name: str, claims: tuple[Claim, ...], trace: Trace, *, fitted: bool, one: bool) -> Evidence:
    order = list(trace.working.names)
    known = sorted((c for c in claims if c.line in trace), key=lambda claim: order.index(trace.locate(claim.line)[0]))
    expected = [(claim, expected_of(claim, trace)[1]) for claim in known]
    wrong = [(claim, each, where) for claim, each in expected if (where := differing(claim, each)).any()]
    if not wrong:
        return Evidence(name, "", 0, 0.0)
    digits = max(_digits(*each, fitted=fitted, one=one) for each in wrong)
    return Evidence(name, wrong[0][0].line, int(wrong[0][2].sum()), digits)


def _digits(claim: Claim, expected: Numbers, where: Numbers, *, fitted: bool, one: bool) -> float:
    numbers = claim.values[where], expected[where], claim.tolerances[where]
    if one:
        return max(digits_of(*(array[n : n + 1] for array in numbers)) for n in range(len(numbers[0])))
    return digits_of(*numbers, fitted=fitted)


def digits_of(claimed: Numbers, expected: Numbers, tolerance: Numbers, *, fitted: bool = False) -> float:
    """How many digits of claimed numbers a chance explanation must match; ``fitted`` as in `fit_of`."""
    digits: dict[float, float] = {}
    coarsest = max(float(np.max(tolerance, initial=0.0)), 1e-12)
    for number, due, near in zip(claimed.reshape(-1), expected.reshape(-1), tolerance.reshape(-1), strict=True):
        gap, unit = abs(float(number) - float(due)), max(float(near), 1e-12)
        known = np.log10(max(gap / unit, 1.0)) if np.isfinite(gap) else 1.0
        key = float(np.rint(gap / (2 * coarsest))) if fitted and np.isfinite(gap) else float(number)
        digits[key] = min(digits.get(key, np.inf), float(known))
    return sum(digits.values())
