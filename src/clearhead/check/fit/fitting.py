"""Parameters of deviations fitted to claims: a coarse grid, then Gauss and Newton's steps on half of the cells.

A value counts only if all claims agree with it, those too that it was not fitted to. Of all values that fit, the one
that people are likely to have written is taken. Whole numbers are tried one by one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from clearhead.check.fit.evaluation import Evaluation, Numbers
from clearhead.check.fit.snapping import Snapped, snap
from clearhead.deviations import Applied, Deviation, Parameter
from clearhead.deviations.table import DEVIATIONS
from clearhead.ops import Parameters, as_parameters

PER_DECADE = 5
"""How many values of a grid lie between a number and ten times it."""

STARTS, STEPS = 3, 12
"""From how many of the best values of the grid steps are taken, and how many at most."""

SMALL = 1e-6
"""The change of a parameter, or of its logarithm, that shows how numbers follow it."""

EDGE = 1e-9
"""How far, relative to its size, a fitted value may be off by rounding."""

MIN_SCANNED = 8
"""Whole numbers up to this are tried on small data too."""


class Fitted(Struct, frozen=True):
    """A deviation with a fitted parameter: how the value may be read, and how many values could have been told apart.

    Attributes:
        applied: the deviation with its value.
        parameter: the name of what was fitted.
        reading: the value as people may have written it.
        values: how many different values the claims could have shown.
        held: how many cells it holds on that it was not fitted to.
        cost: how much there is to write of the value: the less, the likelier.
    """

    applied: Applied
    parameter: str
    reading: str
    values: float
    held: int
    cost: float = 1.0


def fitted(evaluation: Evaluation) -> Iterator[Fitted]:
    """Every deviation of which some value of its parameter gives all claims."""
    for row in DEVIATIONS.values():
        spanned = [each for each in row.parameters if each.span is not None]
        for parameter in spanned[:1]:
            for rest in _others(row, parameter, evaluation):
                trial = _Trial(evaluation, row, parameter, rest)
                found = trial.scanned() if parameter.type is int else trial.fitted()
                if found is not None:
                    yield found


def _others(row: Deviation, parameter: Parameter, evaluation: Evaluation) -> list[Parameters]:
    """The values of the other parameters that are tried."""
    tried = [
        tuple((name, value) for name, value in each if name != parameter.name) for each in row.tries(evaluation.working)
    ]
    return list(dict.fromkeys(tried)) if len(row.parameters) > 1 else [()]


class _Trial:
    """The fit of one parameter of one deviation."""

    def __init__(self, evaluation: Evaluation, row: Deviation, parameter: Parameter, rest: Parameters) -> None:
        self.evaluation = evaluation
        self.row = row
        self.parameter = parameter
        self.rest = rest
        claims = evaluation.claims
        self.claimed = np.concatenate([claim.values[claim.claimed].reshape(-1) for claim in claims])
        self.tolerance = np.concatenate([np.maximum(c.tolerances[c.claimed], 1e-300).reshape(-1) for c in claims])
        self.usable = np.isfinite(self.claimed)

    def applied(self, value: float) -> Applied:
        chosen = {**dict(self.rest), self.parameter.name: self.parameter.type(value)}
        return Applied(self.row.id, as_parameters(chosen))

    def residual(self, value: float) -> Numbers | None:
        """How far the numbers lie beside the claims; where either is no number, nothing is said."""
        parts = self.evaluation.of(self.applied(value))
        if parts is None:
            return None
        flat = [part[claim.claimed].reshape(-1) for part, claim in zip(parts, self.evaluation.claims, strict=True)]
        with np.errstate(invalid="ignore"):
            off: Numbers = np.concatenate(flat) - self.claimed
        return off

    def scanned(self) -> Fitted | None:
        """The first whole number, by size, that gives all claims."""
        span = self.parameter.span
        assert span is not None  # noqa: S101 - asked for by the caller
        # A width or an offset beyond what the data holds shows nothing.
        reach = max(MIN_SCANNED, *self._sizes()) + 1
        numbers = range(max(int(span.low), -reach), min(int(span.high), reach) + 1)
        first = self.residual(1)
        if first is None or not self._matters(first):
            first = self.residual(2)
            if first is None or not self._matters(first):
                return None
        for value in sorted(numbers, key=abs):
            if self.evaluation.agrees(self.evaluation.of(self.applied(value))):
                return Fitted(self.applied(value), self.parameter.name, str(value), len(numbers), len(self.claimed) - 1)
        return None

    def fitted(self) -> Fitted | None:
        """A value that gives all claims, fitted to half of them."""
        grid = self._grid()
        # One value may say nothing: a factor of 1, a fill far below all scores.
        if not any(self._matters(off) for n in (3, 5, 7, 9) if (off := self._at(grid, n / 12)) is not None):
            return None
        losses = np.array([self._loss(value) for value in grid])
        best = [n for n in np.argsort(losses) if self._is_valley(losses, n) and np.isfinite(losses[n])][:STARTS]
        for start in best:
            found = self._from(float(grid[start]))
            if found is not None:
                return found
        return None

    def _at(self, grid: Numbers, share: float) -> Numbers | None:
        return self.residual(float(grid[int(share * len(grid))]))

    def _grid(self) -> Numbers:
        span = self.parameter.span
        assert span is not None  # noqa: S101 - asked for by the caller
        decades = np.log10(span.high / span.low)
        sizes = np.logspace(np.log10(span.low), np.log10(span.high), int(PER_DECADE * decades) + 1)
        return np.concatenate([-sizes[::-1], sizes]) if span.signed else sizes

    def _matters(self, other: Numbers) -> bool:
        """Whether every cell that differs from the working depends on the deviation."""
        base = self.evaluation.parts(self.evaluation.working, self.evaluation.values)
        if base is None:
            return False
        flat = [part[claim.claimed].reshape(-1) for part, claim in zip(base, self.evaluation.claims, strict=True)]
        with np.errstate(invalid="ignore"):
            own = np.concatenate(flat) - self.claimed
            differs = self.usable & ~(np.abs(own) <= 2 * self.tolerance)
            follows = ~(np.abs(own - other) <= 1e-15 * (1 + np.abs(self.claimed)))
        return bool(np.all(follows[differs]))

    def _loss(self, value: float) -> float:
        off = self.residual(value)
        if off is None or not np.isfinite(off[self.usable]).all():
            return np.inf
        return float(np.mean(off[self.usable] ** 2))

    @staticmethod
    def _is_valley(losses: Numbers, at: int) -> bool:
        around = losses[max(at - 1, 0) : at + 2]
        return bool(losses[at] <= around.min())

    def _from(self, value: float) -> Fitted | None:
        """Steps from a value of the grid; in the logarithm, so that the size of a parameter does not matter."""
        for _ in range(STEPS):
            off, slope = self._slope(value)
            if off is None or slope is None:
                return None
            fit = self._half(slope)
            if fit is None:
                return None
            step = -float(slope[fit] @ off[fit]) / float(slope[fit] @ slope[fit])
            value *= float(np.exp(np.clip(step, -0.5, 0.5)))
            if abs(step) < EDGE * 1e-3:
                break
        return self._held(value)

    def _slope(self, value: float) -> tuple[Numbers | None, Numbers | None]:
        """The residual, and how it follows the logarithm of the value."""
        off = self.residual(value)
        up, down = self.residual(value * (1 + SMALL)), self.residual(value * (1 - SMALL))
        if off is None or up is None or down is None:
            return None, None
        with np.errstate(invalid="ignore"):
            slope = (up - down) / (2 * SMALL)
        off, slope = (np.where(self.usable & np.isfinite(each), each, 0.0) for each in (off, slope))
        return off, slope

    def _half(self, slope: Numbers) -> Numbers | None:
        """Every second of the cells that follow the parameter; None if there are not enough to hold it on others."""
        telling = np.flatnonzero(np.abs(slope) > 1e-3 * np.abs(slope).max(initial=0.0))
        _, different = np.unique(self.claimed[telling], return_index=True)
        telling = telling[np.sort(different)]
        return telling[::2] if len(telling) > 1 and np.any(slope[telling]) else None

    def _held(self, value: float) -> Fitted | None:
        """The likeliest value that all claims agree with, those too that were not fitted."""
        off, slope = self._slope(value)
        if off is None or slope is None or not np.any(slope):
            return None
        follows = np.abs(slope) > 0
        with np.errstate(divide="ignore", over="ignore"):
            reach = self.tolerance[follows] / np.abs(slope[follows])
            middle = -off[follows] / slope[follows]
        low, high = float(np.max(middle - reach)), float(np.min(middle + reach))
        low, high = min(low, high), max(low, high)
        width = max(high - low, EDGE)
        ends = sorted(value * np.exp(np.clip([low - EDGE, high + EDGE], -20, 20)))
        for each in (snap(ends[0], ends[1], self._sizes()), Snapped(value, f"{value:.6g}", 9.0)):
            if self.evaluation.agrees(self.evaluation.of(self.applied(each.value))):
                span = self.parameter.span
                decades = 1.0 if span is None else float(np.log(span.high / span.low))
                told = int(np.count_nonzero(np.abs(slope) > self.tolerance))
                return Fitted(
                    self.applied(each.value), self.parameter.name, each.reading, decades / width, told // 2, each.cost
                )
        return None

    def _sizes(self) -> set[int]:
        return {size for array in self.evaluation.values.values() for size in np.shape(array)}
