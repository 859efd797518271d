"""The hypotheses about a working: deviations and roundings, where each starts and ends, which exclude each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import combinations
from math import comb
from typing import Any

import numpy as np

from clearhead.check.search.plans import Plans, written
from clearhead.deviations import Applied, deviate, deviation
from clearhead.deviations.rounding import CARRIED, SHOWN
from clearhead.errors import ClearheadError
from clearhead.line import Line, find, split_head
from clearhead.working import Working

Array = np.ndarray[Any, Any]

Chosen = tuple[int, ...]
"""A set of hypotheses: ascending positions among the candidates."""

NONE = -1
"""Marks a free place in a row of deviations."""

NEVER = 2**30
"""The number of a slot that no working has."""


class Hypotheses:
    """The candidates: rewrites first, then roundings.

    They depend on the working only, not on numbers, so they serve all claims about it.

    Args:
        plans: the rewrites, and what they do to the working.
        roundings: the roundings.
        rare: whether rewrites are tried too that people rarely make.
        across: whether sets have at most one deviation of the forward pass, and others of the backward pass.
    """

    def __init__(self, plans: Plans, roundings: Sequence[Applied], *, rare: bool = True, across: bool = False) -> None:
        self.plans = plans
        self.across = across
        self.working = plans.base
        self.candidates = (*plans.deviations, *roundings)
        self.roundings, self.shown = (
            _by_line(plans.base, roundings, len(plans.deviations), ways) for ways in (CARRIED, SHOWN)
        )
        self._first = [
            _first(row) if rare or not deviation(each.id).rare else None
            for each, row in zip(plans.deviations, plans.touches, strict=True)
        ]
        self._last = [_last(row) for row in plans.touches]

    @cached_property
    def clash(self) -> Array:
        """Which candidates cannot be applied together; with an empty last row and column for `NONE`."""
        if self.across:
            forward = self._forward
            clash = self.plans.clash_of(self.pairs) | (forward[:, None] & forward)
        else:
            clash = self.plans.clash
        return self._with_roundings(clash, nothing=False)

    @cached_property
    def _forward(self) -> Array:
        """Which rewrites are of the forward pass."""
        return np.array([deviation(each.id).of == "forward" for each in self.plans.deviations], dtype=bool)

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs of rewrites that may be in one set and change a common slot: they are rewritten together."""
        if not self.across:
            return self.plans.in_common
        forward = self._forward
        return [(one, other) for one, other in self.plans.in_common if not (forward[one] and forward[other])]

    @cached_property
    def _parted(self) -> dict[tuple[int, int], int]:
        return self.plans.parted_of(self.pairs) if self.across else self.plans.parted

    @cached_property
    def meet(self) -> Array:
        """Which candidates change the effect of the other in one of its slots; with a row and column for `NONE`."""
        meet = np.zeros((len(self.plans.deviations),) * 2, dtype=bool)
        for one, other in self._parted:
            meet[one, other] = meet[other, one] = True
        return self._with_roundings(meet, nothing=False)

    @cached_property
    def early(self) -> Array:
        """The slot, before its own first, at which the second candidate joins a set that has the first.

        There the first has another effect if the second is in the set. Most never have: `NEVER`.
        """
        early = np.full((len(self._first),) * 2, NEVER, dtype=np.int32)
        for pair, slot in self._parted.items():
            for one, other in (pair, pair[::-1]):
                first, late = self._first[one], self._first[other]
                if first is not None and late is not None and first <= slot < late:
                    early[one, other] = slot
        return self._with_roundings(early, nothing=NEVER)

    def _with_roundings(self, of_rewrites: Array, *, nothing: int) -> Array:
        size = len(self.candidates) + 1
        whole = np.full((size, size), nothing, dtype=of_rewrites.dtype)
        whole[: len(of_rewrites), : len(of_rewrites)] = of_rewrites
        return whole

    @cached_property
    def kinds(self) -> Array:
        """A number for each candidate that is the same for one deviation, whatever its parameters."""
        numbers = {id: number for number, id in enumerate(dict.fromkeys(each.id for each in self.candidates))}
        return np.array([numbers[each.id] for each in self.candidates], dtype=np.int32)

    @cached_property
    def touches(self) -> Array:
        """Which slots each candidate rewrites; roundings rewrite none, nor does `NONE`."""
        touches = np.zeros((len(self.candidates) + 1, len(self.working.lines) + 1), dtype=bool)
        touches[: len(self.plans.touches)] = self.plans.touches
        return touches

    def beginning_at(self, slot: int) -> list[int]:
        """The deviations whose first change is in this slot."""
        return [number for number, first in enumerate(self._first) if first == slot]

    def joining_at(self, slot: int) -> list[tuple[int, int]]:
        """The pairs of which the second joins the first in this slot, before its own first."""
        return [(int(one), int(other)) for one, other in np.argwhere(self.early == slot)]

    def open_after(self, devs: Array, slot: int) -> Array:
        """The deviations of each state that still have an effect; others are replaced by `NONE`."""
        last = np.array([*self._last, *([-1] * (len(self.candidates) - len(self._last))), -1])
        return np.where(self.with_met(devs, last[devs] > slot), devs, NONE)

    def with_met(self, devs: Array, chosen: Array) -> Array:
        """The deviations of each row, and those that one of these meets, and so on."""
        chosen = chosen.copy()
        pairs = list(combinations(range(devs.shape[1]), 2))
        for _ in range(len(pairs) and devs.shape[1] - 1):
            for a, b in pairs:
                meet = self.meet[devs[:, a], devs[:, b]]
                chosen[:, a] |= meet & chosen[:, b]
                chosen[:, b] |= meet & chosen[:, a]
        return chosen

    def needed_after(self, name: str, slot: int, size: int) -> bool:
        """Whether sets of this size may read a line after this slot."""
        uses = self.plans.uses_of_one if size == 1 else self.plans.uses_of_many
        return uses.get(name, len(self.working.lines) + 1) > slot

    def rewritten(self, chosen: Chosen) -> Working | None:
        """The working with these candidates, roundings last; None if they cannot be applied together."""
        rewrites = len(self.plans.deviations)
        working = self.plans.working(tuple(each for each in chosen if each < rewrites))
        try:
            return working and deviate(working, *(self.candidates[each] for each in chosen if each >= rewrites))
        except ClearheadError:
            return None

    def up_to(self, size: int) -> int:
        """How many sets of up to this size there are, with the empty one."""
        return sum(map(self.count, range(size + 1)))

    def count(self, size: int) -> int:
        """How many sets of this size there are."""
        rounded = [*self.roundings.values(), *self.shown.values()]
        usable = sum(first is not None for first in self._first) + sum(map(len, rounded))
        if self.across and size == 2:
            forward = sum(first is not None for first, own in zip(self._first, self._forward, strict=True) if own)
            return comb(usable, 2) - comb(forward, 2)
        return comb(usable, size)

    def texts(self, chosen: Chosen) -> tuple[str, ...]:
        """The deviations of a set as text."""
        return tuple(written(self.candidates[each]) for each in chosen)


def _by_line(
    working: Working, roundings: Sequence[Applied], start: int, ways: Sequence[str]
) -> dict[str, list[tuple[int, Line]]]:
    """For each line the numbers of its roundings of these kinds, and the line that each adds after it."""
    found: dict[str, list[tuple[int, Line]]] = {}
    for number, rounding in enumerate(roundings, start=start):
        if rounding.id not in ways:
            continue
        name = find(split_head(str(dict(rounding.parameters)["line"]))[0], [line.name for line in working.lines])
        line = rounding.rewrite(working).line(name)
        assert isinstance(line, Line)  # noqa: S101 - a rounding rewrites a line
        found.setdefault(name, []).append((number, line))
    return found


def _first(row: Array) -> int | None:
    return int(np.argmax(row)) if row.any() else None


def _last(row: Array) -> int:
    return int(np.flatnonzero(row)[-1]) if row.any() else -1
