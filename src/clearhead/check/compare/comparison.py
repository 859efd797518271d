"""Claims compared with a trace, line by line, at the precision they were written in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from clearhead.axes import Cell, head_axis
from clearhead.brief import Brief
from clearhead.claim import Claim, differing
from clearhead.errors import UnknownName, WrongType, require
from clearhead.explanation import Explanation
from clearhead.line import find, split_head
from clearhead.trace import Trace
from clearhead.working import Working


class Compared(Brief, frozen=True):
    """A claim compared with the trace.

    ``claim`` is the claim. ``claimed`` and ``expected`` have the axes ``axes``, labelled with ``labels``; for a claim
    of one cell they have none. ``wrong`` has the differing cells, counted from 0; ``explanation`` computes the first
    of them. Labels count from ``first``.
    """

    claim: Claim
    axes: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    claimed: np.ndarray[Any, Any]
    expected: np.ndarray[Any, Any]
    wrong: tuple[Cell, ...]
    explanation: Explanation | None
    first: int = 1

    @property
    def where_wrong(self) -> np.ndarray[Any, Any]:
        """Which cells differ, as booleans."""
        return differing(self.claim, self.expected)

    @property
    def agrees(self) -> bool:
        """Whether every claimed cell agrees."""
        return not self.wrong


class Comparison(Brief, frozen=True):
    """All claims compared with a trace; ``lines`` has those that differ first, then the others, each in order."""

    lines: tuple[Compared, ...]

    @property
    def agrees(self) -> bool:
        """Whether every claim agrees."""
        return not self.differing

    @property
    def differing(self) -> tuple[Compared, ...]:
        """The claims that differ; the first is the first line of the working that differs."""
        return tuple(each for each in self.lines if not each.agrees)

    @property
    def agreeing(self) -> tuple[Compared, ...]:
        """The claims that agree."""
        return tuple(each for each in self.lines if each.agrees)


def compare(claims: Iterable[Claim], trace: Trace) -> Comparison:
    """Compares claims with a trace.

    A number agrees if the trace's number, rounded to the claim's decimals, is the claim: it is within half a unit of
    the claim's last decimal (see `Claim.precision`). A fraction agrees if it is equal up to rounding, NaN with NaN.

    Args:
        claims: the claims, for any lines, heads or cells.
        trace: the expected numbers.

    Raises:
        ProblemError: a claim has another shape than its line, or a cell that its line does not have.
        UnknownName: a claim is for a line or head that does not exist.
        WrongType: the claims are not an iterable of `Claim`, or the trace is no `Trace`.
    """
    claims, trace = claims_of(claims), trace_of(trace)
    order = list(trace.working.names)
    compared = [_compare_one(claim, trace) for claim in claims]
    compared.sort(key=lambda each: (each.agrees, order.index(trace.locate(each.claim.line)[0])))
    return Comparison(tuple(compared))


def claims_of(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """The claims as a tuple.

    Raises:
        WrongType: they are not an iterable of `Claim`.
    """
    if isinstance(claims, Claim) or not isinstance(claims, Iterable):
        raise WrongType(f"claims expects several claims, got one {type(claims).__name__}. Write [claim] for one.")
    return tuple(
        require(claim, Claim, f"claims[{number}]", "Claim.of(line, numbers) makes a claim of an array.")
        for number, claim in enumerate(claims)
    )


def trace_of(trace: Trace) -> Trace:
    """The trace itself.

    Raises:
        WrongType: it is something else.
    """
    remedy = "A working becomes one with working.run(arrays), a problem with problem.trace()."
    return require(trace, Trace, "trace", remedy)


def _compare_one(claim: Claim, trace: Trace) -> Compared:
    cell, expected = expected_of(claim, trace)
    differs = differing(claim, expected)
    wrong = tuple(tuple(int(i) for i in where) for where in np.argwhere(differs))
    explanation = trace.explain(claim.line, *cell, *wrong[0], decimals=_shown(claim)) if wrong else None
    whole = claim.cell is None
    axes, labels = (trace.left_axes(claim.line), trace.labels(claim.line)) if whole else ((), ())
    return Compared(claim, axes, labels, claim.values, expected, wrong, explanation, trace.working.label_base)


def expected_of(claim: Claim, trace: Trace) -> tuple[Cell, np.ndarray[Any, Any]]:
    """The claimed cell, counted from 0 (() for all), and the trace's numbers there.

    Raises:
        ProblemError: the claim has another shape than its line, or a cell that its line does not have.
        UnknownName: there is no such line or head.
    """
    try:
        axes, array = trace.left_axes(claim.line), trace.numpy(claim.line)
    except UnknownName as error:
        raise UnknownName(f"A claim is for {claim.line}. {error}") from None
    cell = claim.place(axes, array.shape, trace.working.label_base)
    return cell, np.asarray(array[cell], dtype=np.float64)


def wrong_cells(claim: Claim, working: Working, name: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """How many cells of a claim each of many arrays of its line misses, stacked along an axis in front.

    All of them, where the arrays have another shape than the claim.
    """
    part = _claimed_part(claim, working, name, values)
    if part is None:
        return np.full(len(values), claim.values.size)
    return np.asarray(differing(claim, part).sum(axis=tuple(range(1, part.ndim))))


def misses(claim: Claim, working: Working, name: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Whether each of many arrays misses a cell of a claim: as `wrong_cells`, but faster: one cell excludes most."""
    part = _claimed_part(claim, working, name, values)
    if part is None or not claim.claimed.any():
        return np.full(len(values), part is None)
    first = tuple(int(index) for index in np.argwhere(claim.claimed)[0])
    cell: Any = (slice(None), *first)
    missed = differing(claim, part[cell], first)
    left = np.flatnonzero(~missed)
    missed[left] = differing(claim, part[left]).any(axis=tuple(range(1, part.ndim)))
    return missed


def _claimed_part(
    claim: Claim, working: Working, name: str, values: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any] | None:
    """The claimed part of stacked arrays; None if it has another shape than the claim."""
    _, label = split_head(claim.line)
    axis = head_axis(working.axes[name])
    if label is not None and axis is not None:
        values = np.take(values, label - working.label_base, axis=axis)
    if claim.cell is not None:
        values = _cells(values, tuple(each - working.label_base for each in claim.cell))
    return values if values.shape[1:] == claim.values.shape else None


def _cells(stacked: np.ndarray[Any, Any], cell: Cell) -> np.ndarray[Any, Any]:
    """One cell of each array; the arrays as they are, if they have no such cell."""
    sizes = stacked.shape[1:]
    inside = len(cell) == len(sizes) and all(index < size for index, size in zip(cell, sizes, strict=True))
    return np.moveaxis(stacked, 0, -1)[cell] if inside else stacked


def claims_by_line(claims: Iterable[Claim], working: Working) -> dict[str, list[Claim]]:
    """Claims by the full name of their line, in the order they were made in."""
    found: dict[str, list[Claim]] = {}
    for claim in claims:
        found.setdefault(find(split_head(claim.line)[0], working.names), []).append(claim)
    return found


def _shown(claim: Claim) -> int:
    """The decimals to explain with: enough to see the difference, and the usual three at least."""
    return max(3, (claim.precision or 0) + 1)
