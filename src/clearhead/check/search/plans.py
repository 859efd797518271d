"""The effect of deviations on a working, line by line.

A deviation rewrites a whole working, but mostly changes only a few lines. Its *plan* has for each line of the base
working (a *slot*) the lines that replace it: most often the line itself. Deviations whose plans change no common slot
need not be rewritten together; for others, the plan comes from rewriting the working with all of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import combinations, pairwise, permutations
from typing import Any

import numpy as np
from msgspec.structs import replace

from clearhead.axes import Shape
from clearhead.deviations import Applied, deviation
from clearhead.deviations.applied import rewritten_by_each
from clearhead.errors import ClearheadError
from clearhead.line import Line
from clearhead.working import Working

Plan = tuple[tuple[Line, ...], ...]
"""The lines in each slot; one more slot after the last line takes lines that are added at the end."""


class Plans:
    """The plans of deviations for one working, and of sets of them that affect each other.

    Sets of deviations are ascending tuples of positions in ``deviations``. ``touches[d, slot]`` says whether
    deviation ``d`` changes the slot; one that changes none, or cannot be applied, touches none. ``rewritten`` are the
    workings that the deviations make, where they are known.
    """

    def __init__(
        self, working: Working, deviations: Sequence[Applied], rewritten: Sequence[Working] | None = None
    ) -> None:
        self.base = working
        self.deviations = tuple(deviations)
        self.slots = {line.name: slot for slot, line in enumerate(working.lines)}
        self._workings: dict[tuple[int, ...], Working | None] = {(): working}
        self._workings |= {(number,): made for number, made in enumerate(rewritten or ())}
        self._plans: dict[tuple[int, ...], Plan | None] = {}
        self.touches = np.array([self._touched(number) for number in range(len(self.deviations))], dtype=bool)
        self.touches = self.touches.reshape(-1, len(working.lines) + 1)

    @cached_property
    def in_common(self) -> list[tuple[int, int]]:
        """The pairs that change a common slot."""
        common = (self.touches.astype(np.int32) @ self.touches.T) > 0
        return [(int(one), int(other)) for one, other in np.argwhere(np.triu(common, 1))]

    @cached_property
    def clash(self) -> np.ndarray[Any, Any]:
        """``clash[a, b]`` says whether two deviations cannot be applied together; True for one with itself."""
        return self.clash_of(self.in_common)

    def clash_of(self, pairs: Sequence[tuple[int, int]]) -> np.ndarray[Any, Any]:
        """The same for these of the pairs that change a common slot."""
        clash = np.eye(len(self.deviations), dtype=bool)
        for one, other in pairs:
            clash[one, other] = clash[other, one] = self.plan((one, other)) is None
        return clash

    @cached_property
    def parted(self) -> dict[tuple[int, int], int]:
        """The pairs of which one changes the effect of the other in one of its slots, and the first such slot.

        The effect of other pairs on a slot is that of those of the two that touch it.
        """
        return self.parted_of(self.in_common)

    def parted_of(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
        """The same for these of the pairs that change a common slot."""
        found = {pair: self._parted(*pair) for pair in pairs}
        return {pair: slot for pair, slot in found.items() if slot is not None}

    def _parted(self, one: int, other: int) -> int | None:
        both = self.plan((one, other))
        mine, theirs = self.plan((one,)), self.plan((other,))
        if both is None or mine is None or theirs is None:
            return None
        for slot in np.flatnonzero(~(self.touches[one] & self.touches[other])):
            if both[slot] != (theirs if self.touches[other, slot] else mine)[slot]:
                return int(slot)
        return None

    def working(self, chosen: tuple[int, ...]) -> Working | None:
        """The working with these deviations; None if no order of them can be applied."""
        if chosen not in self._workings:
            # Sets with a pair that cannot be applied cannot either; testing pairs first saves most of the orders.
            possible = len(chosen) < 3 or all(self.working(pair) is not None for pair in combinations(chosen, 2))
            orders = (self._in_order(order) for order in permutations(chosen) if possible)
            self._workings[chosen] = next((made for made in orders if made is not None), None)
        return self._workings[chosen]

    def _in_order(self, order: tuple[int, ...]) -> Working | None:
        first = self._workings.get(order[:-1]) or (self._in_order(order[:-1]) if len(order) > 1 else self.base)
        try:
            return None if first is None else self.deviations[order[-1]].rewrite(first)
        except ClearheadError:
            return None

    def plan(self, chosen: tuple[int, ...]) -> Plan | None:
        """The lines in each slot with these deviations; None if they cannot be applied together."""
        if chosen not in self._plans:
            working = self.working(chosen)
            self._plans[chosen] = None if working is None else self._plan(working)
        return self._plans[chosen]

    @cached_property
    def uses_of_one(self) -> dict[str, int]:
        """The last slot at which sets of one deviation at most read each line."""
        return self._uses((), *((number,) for number in range(len(self.deviations))))

    @cached_property
    def uses_of_many(self) -> dict[str, int]:
        """The last slot at which sets of any size read each line."""
        pairs = self._uses(*self.in_common)
        return {name: max(slot, pairs.get(name, 0)) for name, slot in (pairs | self.uses_of_one).items()}

    def _uses(self, *sets: tuple[int, ...]) -> dict[str, int]:
        """The last slot at which these sets read each line."""
        uses = {name: slot for slot, line in enumerate(self.base.lines) for name in line.operands}
        for plan in map(self.plan, sets):
            for slot, (own, lines) in enumerate(zip(self._own, plan or (), strict=False)):
                for line in lines if own[:1] != lines else ():
                    for name in line.operands:
                        uses[name] = max(uses.get(name, 0), slot)
        return uses

    def _touched(self, number: int) -> list[bool]:
        plan = self.plan((number,))
        if plan is None:
            return [False] * (len(self.base.lines) + 1)
        return [lines != own for lines, own in zip(plan, self._own, strict=True)]

    @cached_property
    def _own(self) -> Plan:
        return (*((line,) for line in self.base.lines), ())

    def _plan(self, working: Working) -> Plan:
        """Lines in the base's order keep their slots; any other line joins the next of these."""
        if [line.name for line in working.lines] == [*self.slots]:
            return (*((line,) for line in working.lines), ())
        anchored = self._anchored(working)
        slots: list[list[Line]] = [[] for _ in range(len(self.base.lines) + 1)]
        waiting: list[Line] = []
        for line in working.lines:
            waiting.append(line)
            if line.name in anchored:
                slots[self.slots[line.name]] = waiting
                waiting = []
        slots[-1] = waiting
        inside = self._inside(slots)
        return tuple(_renamed(lines, inside) if inside else tuple(lines) for lines in slots)

    def _inside(self, slots: Sequence[Sequence[Line]]) -> set[str]:
        """The new lines that are read in their own slot only."""
        new = {line.name: n for n, lines in enumerate(slots) for line in lines if line.name not in self.slots}
        if not new:
            return set()
        elsewhere = {
            name for n, lines in enumerate(slots) for line in lines for name in line.operands if new.get(name, n) != n
        }
        return new.keys() - elsewhere

    def _anchored(self, working: Working) -> set[str]:
        """The names of the longest series of lines in the order of the base."""
        names = [line.name for line in working.lines if line.name in self.slots]
        if all(self.slots[one] < self.slots[other] for one, other in pairwise(names)):
            return set(names)
        ends: list[int] = []
        lengths: list[int] = []
        for name in names:
            length = bisect_left(ends, self.slots[name])
            ends[length : length + 1] = [self.slots[name]]
            lengths.append(length)
        anchored, wanted = set(), len(ends) - 1
        for name, length in zip(reversed(names), reversed(lengths), strict=True):
            if length == wanted:
                anchored.add(name)
                wanted -= 1
        return anchored


@lru_cache(maxsize=64)
def plans_for(working: Working, given: tuple[tuple[str, Shape], ...]) -> Plans:
    """The plans of all deviations that apply to a working and fit arrays of these shapes.

    They are kept, with earlier results: one working is mostly compared with many numbers.
    """
    found = [*rewritten_by_each(working, dict(given))]
    return Plans(working, [applied for applied, _ in found], [rewritten for _, rewritten in found])


def _renamed(lines: Sequence[Line], inside: set[str]) -> tuple[Line, ...]:
    """The lines of a slot; those read only there are named by their place, so that equal steps compare equal."""
    if not any(line.name in inside for line in lines):
        return tuple(lines)
    names = {line.name: f"#{place}" for place, line in enumerate(lines) if line.name in inside}
    return tuple(
        replace(line, name=names.get(line.name, line.name), operands=tuple(names.get(n, n) for n in line.operands))
        for line in lines
    )


def written(applied: Applied) -> str:
    """A deviation as text, its parameters in the order that the table has them: ``round:line=weights,decimals=2``."""
    order = [parameter.name for parameter in deviation(applied.id).parameters]
    ordered = sorted(applied.parameters, key=lambda pair: order.index(pair[0]))
    return str(replace(applied, parameters=tuple(ordered)))
