"""The results of a rewritten working for claims; lines that it shares with the working are not computed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from msgspec import Struct, field

from clearhead.check.precision.propagation import part_of
from clearhead.check.search.stacked import run_stacked
from clearhead.claim import Claim, differing
from clearhead.deviations import Applied
from clearhead.errors import ClearheadError
from clearhead.line import Line, find, split_head
from clearhead.ops import Array
from clearhead.working import Working

Numbers = np.ndarray[Any, Any]

MAX_WORK = 24_000_000
"""How many numbers may be computed in one stage of a diagnosis: about a second."""

PER_LINE = 1_000
"""A line takes as long as this many numbers more, however small it is."""


NEARLY = 60.0
"""How many times the tolerance rounding of every step before a line may move most of its cells."""


class Work:
    """How many numbers may still be computed in one stage of a diagnosis."""

    def __init__(self, numbers: int = MAX_WORK) -> None:
        self.left = numbers

    @property
    def done(self) -> bool:
        """Whether nothing more may be computed."""
        return self.left < 0

    def spend(self, numbers: int) -> None:
        """Subtracts the count of a line's computed numbers, and what every line takes."""
        self.left -= numbers + PER_LINE

    def keep(self, numbers: int) -> None:
        """Lets at least this many be computed from here on."""
        self.left = max(self.left, numbers)


class Evaluation(Struct, frozen=True, dict=True):
    """Claims, the working and its numbers, with which rewrites are compared.

    Attributes:
        claims: what is claimed.
        working: the working as it is.
        values: the given arrays and every line of the working, without an axis of copies.
        work: how much may still be computed; at 0 no rewrite has numbers.
    """

    claims: tuple[Claim, ...]
    working: Working
    values: Mapping[str, Array]
    work: Work = field(default_factory=Work)

    @cached_property
    def own(self) -> frozenset[Line]:
        """The lines of the working."""
        return frozenset(self.working.lines)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """For each claim the full name of its line."""
        return tuple(find(split_head(claim.line)[0], self.working.names) for claim in self.claims)

    @cached_property
    def base(self) -> list[Numbers] | None:
        """The number of the working for each claim."""
        return self.parts(self.working, self.values)

    @cached_property
    def claimed(self) -> Numbers:
        """All claimed numbers side by side."""
        return np.concatenate([claim.values[claim.claimed].reshape(-1) for claim in self.claims])

    @cached_property
    def tolerance(self) -> Numbers:
        """The tolerance of each of them, a little above 0 at least."""
        return np.concatenate([np.maximum(c.tolerances[c.claimed], 1e-300).reshape(-1) for c in self.claims])

    def cells(self, parts: Sequence[Numbers] | None) -> Numbers | None:
        """The working's numbers for the claimed cells, side by side."""
        if parts is None:
            return None
        return np.concatenate([part[..., c.claimed] for part, c in zip(parts, self.claims, strict=True)], axis=-1)

    def lines(self, working: Working) -> dict[str, Array] | None:
        """The values of a rewritten working; None if its lines do not fit these arrays."""
        return self._values(working.lines)

    def leading(self, working: Working) -> list[Line]:
        """The lines of a rewritten working that lead to the claimed ones, in its order, with these."""
        needed, found = {*self.names}, []
        for line in reversed(working.lines):
            if line.name in needed:
                found.append(line)
                needed.update(line.operands)
        return found[::-1]

    def _values(self, lines: Sequence[Line]) -> dict[str, Array] | None:
        fresh = self.fresh(lines, lambda line, operands: run_stacked(line, operands))
        return None if fresh is None else {**self.values, **{name: stack[0] for name, stack in fresh.items()}}

    def fresh(
        self, lines: Sequence[Line], compute: Callable[[Line, list[Numbers]], Numbers]
    ) -> dict[str, Numbers] | None:
        """The lines of a rewritten working that differ from those of the working, each stacked along an axis in front.

        Args:
            lines: the lines of the rewritten working, all or those that lead to some, in its order.
            compute: computes a line from stacks of its operands; those of size 1 are the same for all copies.

        Returns:
            The stacks by name; None if a line does not fit these arrays, or no work is left.
        """
        stacks: dict[str, Numbers] = {}
        for line in lines:
            if line in self.own and not stacks.keys() & set(line.operands):
                continue
            if self.work.done:
                return None
            try:
                operands = [stacks[n] if n in stacks else np.asarray(self.values[n])[None] for n in line.operands]
                stacks[line.name] = compute(line, operands)
            except (ClearheadError, ValueError, IndexError, KeyError):
                return None
            self.work.spend(stacks[line.name].size)
        return stacks

    def of(self, applied: Applied, working: Working | None = None) -> list[Numbers] | None:
        """The numbers for each claim with a deviation; None where it does not apply, or gives other shapes."""
        try:
            rewritten = applied.rewrite(working or self.working)
        except ClearheadError:
            return None
        values = self._values(self.leading(rewritten))
        return None if values is None else self.parts(rewritten, values)

    def gives(self, applied: Applied, working: Working | None = None) -> bool:
        """Whether a deviation gives all claims, and its lines behind the claimed ones fit these arrays too."""
        return self.agrees(self.of(applied, working)) and self.whole(applied, working)

    def whole(self, applied: Applied, working: Working | None = None) -> bool:
        """Whether all lines fit these arrays with a deviation that applies."""
        return self.lines(applied.rewrite(working or self.working)) is not None

    def parts(self, working: Working, values: Mapping[str, Array], *, stacked: bool = False) -> list[Numbers] | None:
        """The part of a line that each claim is about; None if a line is missing, or has another shape.

        Args:
            working: the rewritten working.
            values: its lines.
            stacked: whether the lines, and so the parts, have an axis of copies in front.
        """
        lead = 1 if stacked else 0
        found = []
        for claim, name in zip(self.claims, self.names, strict=True):
            if name not in working.names:
                return None
            try:
                part = np.asarray(part_of(claim, working, name, np.asarray(values[name])), dtype=np.float64)
            except (IndexError, ValueError):
                return None
            if part.shape[lead:] != claim.values.shape:
                return None
            found.append(part)
        return found

    def nearly(self, working: Working) -> bool:
        """Whether most claimed cells are near the numbers of a rewritten working: rounding would explain the rest."""
        values = self.lines(working)
        cells = None if values is None else self.cells(self.parts(working, values))
        if cells is None:
            return False
        with np.errstate(invalid="ignore"):
            off = np.abs(cells - self.claimed) / self.tolerance
        return bool(np.median(np.where(np.isnan(off), np.inf, off)) <= NEARLY)

    def agrees(self, parts: Sequence[Numbers] | None) -> bool:
        """Whether all claims agree with these numbers."""
        return parts is not None and not any(
            differing(claim, part).any() for claim, part in zip(self.claims, parts, strict=True)
        )
