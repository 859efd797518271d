"""Parameters of deviations fitted to claims: a coarse grid, then Gauss and Newton's steps on half of the cells.

A value counts only if all claims agree with it, also those that it was not fitted to. Of all values that fit, the one
that people most likely wrote is taken. Whole numbers are tried one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from msgspec import Struct

from clearhead.check.fit.evaluation import Evaluation, Numbers
from clearhead.check.fit.family import Family, family, numbers_of
from clearhead.check.fit.snapping import Snapped, snap
from clearhead.deviations import Applied, Deviation, Parameter
from clearhead.deviations.table import DEVIATIONS
from clearhead.ops import Parameters, as_parameters

PER_DECADE = 5
"""The values of the grid per power of ten."""

CLOSE = 50
"""The values per power of ten where angles go round."""

STARTS, STEPS = 3, 12
"""How many of the best values of the grid are followed by steps, and how many steps at most."""

SMALL = 1e-6
"""The change of a parameter, or of its logarithm, for finite differences."""

STATED = 0.5
"""The cost of a number that the working states already."""

MAX_DIGITS = 7.0
"""Decimals with more digits than this are not what somebody wrote."""

EDGE = 1e-9
"""The relative error of a fitted value by rounding."""

ROUNDED = 2.0**-48
"""How far numbers may be from claims in double precision if computed in another order, relative to the largest."""

MIN_SCANNED = 8
"""Whole numbers up to this are tried on small data too."""


class Start(Struct, frozen=True):
    """A value to start steps from, and the part of the error that would be left at best, by a parabola."""

    value: float
    left: float


class Fitted(Struct, frozen=True):
    """A deviation with a fitted parameter: the likely form of its value, and how many other values are possible.

    Attributes:
        applied: the deviation with its value.
        parameter: the name of what was fitted.
        reading: the value as people would write it.
        values: how many different values the claims can distinguish, of those that are as short.
        held: how many cells agree that it was not fitted to.
        cost: the cost of writing the value: lower is likelier.
    """

    applied: Applied
    parameter: str
    reading: str
    values: float
    held: int
    cost: float = 1.0


def fitted(evaluation: Evaluation) -> Iterator[Fitted]:
    """Every deviation that gives all claims for some value of its parameter."""
    for trial in trials(evaluation):
        found = trial.scanned() if trial.parameter.type is int else trial.fitted()
        if found is not None:
            yield found


def trials(evaluation: Evaluation) -> Iterator[Trial]:
    """A trial for every deviation with a parameter that can be fitted, and for each value of its other parameters."""
    for row in DEVIATIONS.values():
        parameter = next((each for each in row.parameters if each.span is not None), None)
        if parameter is not None:
            for rest in _others(row, parameter, evaluation):
                yield Trial(evaluation, row, parameter, rest)


def _others(row: Deviation, parameter: Parameter, evaluation: Evaluation) -> list[Parameters]:
    """The values of the other parameters that are tried."""
    tried = [
        tuple((name, value) for name, value in each if name != parameter.name) for each in row.tries(evaluation.working)
    ]
    return list(dict.fromkeys(tried)) if len(row.parameters) > 1 else [()]


class Trial:
    """The fit of one parameter of one deviation.

    Attributes:
        evaluation: the claims and the working.
        row: the deviation.
        parameter: what is fitted.
        rest: the values of its other parameters.
    """

    def __init__(self, evaluation: Evaluation, row: Deviation, parameter: Parameter, rest: Parameters) -> None:
        self.evaluation = evaluation
        self.row = row
        self.parameter = parameter
        self.rest = rest
        self.claimed = evaluation.claimed
        self.tolerance = evaluation.tolerance
        self.usable = np.isfinite(self.claimed)

    def applied(self, value: float) -> Applied:
        """The deviation with a value."""
        chosen = {**dict(self.rest), self.parameter.name: self.parameter.type(value)}
        return Applied(self.row.id, as_parameters(chosen))

    def scanned(self) -> Fitted | None:
        """The first whole number, by size, that gives all claims."""
        span = self.parameter.span
        assert span is not None  # noqa: S101 - asked for by the caller
        if not any(offs is not None and self._matters(offs) for offs in (self._offs([1]), self._offs([2]))):
            return None
        # A width or an offset beyond the data has no effect.
        reach = max(MIN_SCANNED, *self._sizes()) + 1
        numbers = range(max(int(span.low), -reach), min(int(span.high), reach) + 1)
        for value in sorted(numbers, key=abs):
            if self.evaluation.gives(self.applied(value)):
                return Fitted(self.applied(value), self.parameter.name, str(value), len(numbers), len(self.claimed) - 1)
        return None

    def fitted(self) -> Fitted | None:
        """A value that gives all claims, fitted to half of them."""
        return next((found for start in self.starts() if (found := self.fitted_from(start.value)) is not None), None)

    def starts(self) -> list[Start]:
        """The best values of a coarse grid; none where a differing cell does not depend on the parameter."""
        grid = self._grid()
        offs = self._offs(grid)
        if offs is None or not self.usable.any() or not self._matters(offs):
            return []
        with np.errstate(all="ignore"):
            losses = (offs[:, self.usable] ** 2).mean(axis=1)
        losses = np.where(np.isfinite(losses), losses, np.inf)
        valleys = [int(n) for n in np.argsort(losses) if np.isfinite(losses[n]) and _is_valley(losses, n)]
        return [Start(float(grid[n]), _outlook(offs[max(n - 1, 0) : n + 2, self.usable])) for n in valleys[:STARTS]]

    def _offs(self, values: Sequence[float] | Numbers) -> Numbers | None:
        """The differences from the claims with each of these values, cell by cell."""
        if self._family is None or any(map(self._is_refused, values)):
            return None
        if self._family.open:
            numbers = numbers_of(self._family, [float(value) for value in values], self.evaluation)
        else:
            rows = [self.evaluation.cells(self.evaluation.of(self.applied(value))) for value in values]
            numbers = None if any(row is None for row in rows) else np.array(rows)
        with np.errstate(invalid="ignore"):
            return None if numbers is None else numbers - self.claimed

    @cached_property
    def _family(self) -> Family | None:
        return family(self.applied, self.evaluation.working)

    def _matters(self, offs: Numbers) -> bool:
        """Whether every cell that differs from the working depends on the deviation, for one of its values."""
        base = self.evaluation.cells(self.evaluation.base)
        if base is None:
            return False
        with np.errstate(invalid="ignore"):
            own = base - self.claimed
            differs = self.usable & ~(np.abs(own) <= 2 * self.tolerance)
            follows = ~(np.abs(own - offs) <= 1e-15 * (1 + np.abs(self.claimed))).all(axis=0)
        return bool(np.all(follows[differs]))

    def _grid(self) -> Numbers:
        span = self.parameter.span
        assert span is not None  # noqa: S101 - asked for by the caller
        decades = np.log10(span.high / span.low)
        sizes = np.logspace(np.log10(span.low), np.log10(span.high), int(PER_DECADE * decades) + 1)
        if span.waves:
            close = np.geomspace(span.low, span.waves, int(CLOSE * np.log10(span.waves / span.low)) + 1)
            sizes = np.concatenate([close, sizes[sizes > span.waves]])
        return np.concatenate([-sizes[::-1], sizes]) if span.signed else sizes

    def fitted_from(self, value: float) -> Fitted | None:
        """Steps from a value, in the logarithm, so that they do not depend on the size of the parameter."""
        for _ in range(STEPS):
            off, slope = self._slope(value)
            fit = None if slope is None else self._half(slope)
            if off is None or slope is None or fit is None:
                return None
            step = -float(slope[fit] @ off[fit]) / float(slope[fit] @ slope[fit])
            value *= float(np.exp(np.clip(step, -0.5, 0.5)))
            if abs(step) < EDGE * 1e-3:
                break
        return self._held(value)

    def _slope(self, value: float) -> tuple[Numbers | None, Numbers | None]:
        """The residual, and its derivative by the logarithm of the value."""
        offs = self._offs([value, value * (1 + SMALL), value * (1 - SMALL)])
        if offs is None:
            return None, None
        off, up, down = offs
        with np.errstate(invalid="ignore"):
            slope = (up - down) / (2 * SMALL)
        off, slope = (np.where(self.usable & np.isfinite(each), each, 0.0) for each in (off, slope))
        return off, slope

    def _half(self, slope: Numbers) -> Numbers | None:
        """Every second of the cells that depend on the parameter; None if too few would be left to test it."""
        telling = np.flatnonzero(np.abs(slope) > 1e-3 * np.abs(slope).max(initial=0.0))
        _, different = np.unique(self.claimed[telling], return_index=True)
        telling = telling[np.sort(different)]
        return telling[::2] if len(telling) > 1 and np.any(slope[telling]) else None

    def _held(self, value: float) -> Fitted | None:
        """The likeliest value that all claims agree with, also those that were not fitted."""
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
        snapped = snap(ends[0], ends[1], self._sizes())
        exact = Snapped(value, f"{value:.6g}", 9.0)
        # A number that nobody writes is kept as it was fitted: cut to the digits that these claims show, it would fail
        # on other inputs.
        order = (snapped, exact) if snapped.cost <= MAX_DIGITS else (exact, snapped)
        for each in (*self._stated(ends[0], ends[1]), *order):
            if self._agrees(each.value):
                span = self.parameter.span
                decades = 1.0 if span is None else float(np.log(span.high / span.low))
                shown = int(np.count_nonzero(np.abs(slope) > self.tolerance))
                # As many values are as short as this one; fewer are possible where the claims distinguish fewer.
                values = min(decades / width, decades * 10.0**each.cost)
                return Fitted(
                    self.applied(each.value), self.parameter.name, each.reading, values, shown // 2, each.cost
                )
        return None

    def _is_refused(self, value: float) -> bool:
        """Whether the parameter does not take a value, to which steps may lead."""
        return self.parameter.fault(self.parameter.type(value)) is not None

    def _agrees(self, value: float) -> bool:
        """Whether all claims agree with a value, up to the rounding of double precision in the steps before."""
        if self._is_refused(value):
            return False
        parts = self.evaluation.of(self.applied(value))
        return (self.evaluation.agrees(parts) or self._nearly(parts)) and self.evaluation.whole(self.applied(value))

    def _nearly(self, parts: Sequence[Numbers] | None) -> bool:
        cells = self.evaluation.cells(parts)
        if cells is None or not np.isfinite(self.claimed).all():
            return False
        near = np.maximum(self.tolerance, ROUNDED * np.abs(self.claimed).max(initial=0.0))
        return bool((np.abs(cells - self.claimed) <= near).all())

    def _stated(self, low: float, high: float) -> Iterator[Snapped]:
        """The numbers of the working itself between two: what is done with one of them twice, or with the wrong one."""
        stated = {value for line in self.evaluation.working.lines for _, value in line.parameters}
        for value in stated:
            if isinstance(value, float) and low <= value <= high and value != 1:
                yield Snapped(value, f"{value:.6g}, a number of the working", STATED)

    def _sizes(self) -> set[int]:
        return {size for array in self.evaluation.values.values() for size in np.shape(array)}


def _is_valley(losses: Numbers, at: int) -> bool:
    return bool(losses[at] <= losses[max(at - 1, 0) : at + 2].min())


def _outlook(offs: Numbers) -> float:
    """The part of the error that is left at best near a value, if each cell follows a parabola through three values."""
    if len(offs) < 3 or not np.isfinite(offs).all():
        return 1.0
    before, here, behind = offs
    t = np.linspace(-1, 1, 41)[:, None]
    near = here + t * (behind - before) / 2 + t**2 * ((behind + before) / 2 - here)
    largest = max(float((offs**2).sum(axis=1).max()), 1e-300)
    return float((near**2).sum(axis=1).min()) / largest
