"""The search: which sets of deviations, of a given size at most, give the numbers that are claimed.

No hypothesis is run by itself. The lines of the working are walked once, in order, with a *state* for every set of
deviations that is still possible: the deviations chosen so far, and for each line that is still needed the number of
its value. At a line, states that have room for more branch into the deviations that begin here; every distinct
combination of operation and operands is worked out once, all of one operation in one stacked call; then states branch
into roundings of the line. States that disagree with a claim on the line are dropped, and of states that hold the same
values and have the same to come only a smallest is followed: the others are remembered beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import combinations
from math import comb

import numpy as np
from msgspec import Struct

from clearhead.axes import head_axis
from clearhead.check.plans import Plans
from clearhead.check.stacked import (
    ABSENT,
    Array,
    Column,
    absent,
    constant,
    distinct,
    merged,
    on_values,
    side_by_side,
    work_out,
)
from clearhead.claim import Claim, differing
from clearhead.deviations import Applied, deviate
from clearhead.errors import ClearheadError
from clearhead.line import Line, find, split_head
from clearhead.ops import Array as AnyArray
from clearhead.working import Working

NONE = -1
"""Stands in a state where there is room for one more deviation."""

MOST_NUMBERS = 60_000_000
"""How many numbers one line may have in all states together; a search that needs more is given up."""


MOST_EXPANDED = 200
"""If more sets than this fit, those that went another way to the same values are not looked up as well."""


class TooMany(Exception):
    """The problem is too large for sets of this size."""


class Miss(Struct, frozen=True):
    """A set of deviations that failed: at which claim, counted in the order of the working, in how many cells."""

    chosen: tuple[int, ...]
    claim: Claim
    passed: int
    wrong: int


class Found(Struct, frozen=True):
    """What a search found: the sets that fit, as positions among the candidates; near misses, the nearest first."""

    sets: tuple[tuple[int, ...], ...]
    misses: tuple[Miss, ...]
    tried: int


class Search:
    """All that searches of different sizes share: the plans, the claims by line, when lines are last used."""

    def __init__(
        self,
        plans: Plans,
        arrays: Mapping[str, AnyArray],
        claims: Sequence[Claim],
        roundings: Sequence[Applied],
    ) -> None:
        self.plans = plans
        self.working = working = plans.base
        self.arrays = arrays
        self.candidates = (*plans.deviations, *roundings)
        self.roundings = _by_line(working, roundings, len(plans.deviations))
        self.claims = _claims_by_line(working, claims)
        self._first = [_first(row) for row in self.plans.touches]
        self._last = [_last(row) for row in self.plans.touches]
        self._last_use = self._uses()

    def _uses(self) -> dict[str, int]:
        """The last slot at which each line may be read."""
        uses: dict[str, int] = {}
        plans = [self.plans.plan((number,)) for number in range(len(self.plans.deviations))]
        for plan in [self.plans.plan(()), *plans]:
            for slot, lines in enumerate(plan or ()):
                for line in lines:
                    for name in line.operands:
                        uses[name] = max(uses.get(name, 0), slot)
        return uses

    @cached_property
    def clash(self) -> Array:
        """Which candidates cannot be applied together; a row and a column of nothing stand behind, for `NONE`."""
        rewrites, all = len(self.plans.deviations), len(self.candidates)
        clash = np.zeros((all + 1, all + 1), dtype=bool)
        clash[:rewrites, :rewrites] = self.plans.clash
        return clash

    def beginning_at(self, slot: int) -> list[int]:
        """The deviations whose first change is in this slot."""
        return [number for number, first in enumerate(self._first) if first == slot]

    def open_after(self, devs: Array, slot: int) -> Array:
        """The deviations of each state that have more to change; the others of it are put down as none."""
        last = np.array([*self._last, *([-1] * (len(self.candidates) - len(self._last))), -1])
        return np.where(last[devs] > slot, devs, NONE)

    def needed_after(self, name: str, slot: int) -> bool:
        """Whether a line may be read after this slot."""
        return self._last_use.get(name, len(self.working.lines) + 1) > slot

    def rewritten(self, chosen: tuple[int, ...]) -> Working | None:
        """The working with these candidates in it, roundings last; None if they cannot be applied together."""
        rewrites = len(self.plans.deviations)
        working = self.plans.working(tuple(each for each in chosen if each < rewrites))
        try:
            return working and deviate(working, *(self.candidates[each] for each in chosen if each >= rewrites))
        except ClearheadError:
            return None

    def count(self, size: int) -> int:
        """How many sets of this size there are."""
        usable = sum(first is not None for first in self._first) + sum(map(len, self.roundings.values()))
        return comb(usable, size)

    def run(self, size: int) -> Found:
        """The sets of at most this size that fit all claims.

        Raises:
            TooMany: it would take more memory than is reasonable.
        """
        return _Walk(self, size).run()


def _by_line(working: Working, roundings: Sequence[Applied], start: int) -> dict[str, list[tuple[int, Line]]]:
    """For each line the numbers of its roundings, and the line that each puts behind it."""
    found: dict[str, list[tuple[int, Line]]] = {}
    for number, rounding in enumerate(roundings, start=start):
        name = find(split_head(str(dict(rounding.parameters)["line"]))[0], [line.name for line in working.lines])
        line = rounding.rewrite(working).line(name)
        assert isinstance(line, Line)  # noqa: S101 - a rounding rewrites a line
        found.setdefault(name, []).append((number, line))
    return found


def _claims_by_line(working: Working, claims: Sequence[Claim]) -> dict[str, list[Claim]]:
    found: dict[str, list[Claim]] = {}
    for claim in claims:
        found.setdefault(find(split_head(claim.line)[0], working.names), []).append(claim)
    return found


def _first(row: Array) -> int | None:
    return int(np.argmax(row)) if row.any() else None


def _last(row: Array) -> int:
    return int(np.flatnonzero(row)[-1]) if row.any() else -1


def expected_for(claim: Claim, working: Working, name: str, values: Array) -> Array | None:
    """What stacked values of a line say for a claim's cells; None if they have not its shape."""
    _, label = split_head(claim.line)
    axis = head_axis(working.axes[name])
    if label is not None and axis is not None:
        values = np.take(values, label - working.first, axis=axis)
    if claim.cell is not None:
        index = tuple(each - working.first for each in claim.cell)
        if len(index) != values.ndim - 1 or any(i >= n for i, n in zip(index, values.shape[1:], strict=True)):
            return None
        values = np.moveaxis(values, 0, -1)[index]
    return values if values.shape[1:] == claim.values.shape else None


class _Walk:
    """One walk along the lines. ``devs`` has a row of deviations for each state, ``columns`` the values of lines."""

    def __init__(self, search: Search, size: int) -> None:
        self.search = search
        self.size = size
        self.devs = np.full((1, max(size, 1)), NONE, dtype=np.int32)
        arrays = search.arrays
        self.columns = {given.name: constant(arrays[given.name], 1) for given in search.working.givens}
        self.twins: list[tuple[Array, Array]] = []
        self.misses: list[Miss] = []
        self.passed = 0

    def run(self) -> Found:
        own = [line.name for line in self.search.working.lines]
        for name in [*self.columns]:
            self._check(name)
        for slot in range(len(own) + 1):
            if not len(self.devs):
                break
            self._branch(slot)
            made = self._work_out(slot)
            if slot < len(own) and own[slot] in made:
                self._round(own[slot])
            for name in made:
                self._check(name)
            self._tidy(slot)
        misses = sorted(self.misses, key=lambda miss: (-miss.passed, miss.wrong, len(miss.chosen)))
        tried = sum(self.search.count(size) for size in range(self.size + 1))
        return Found(tuple(self._sets()), tuple(misses[:12]), tried)

    def _room(self) -> Array:
        return np.asarray((self.devs[:, : self.size] == NONE).sum(axis=1))

    def _branch(self, slot: int) -> None:
        """Adds the states that take up deviations which begin here."""
        starting = self.search.beginning_at(slot)
        room = self._room()
        parts, rows = [self.devs], [np.arange(len(self.devs))]
        for more in range(1, min(self.size, len(starting)) + 1):
            able = np.flatnonzero(room >= more)
            chosen = [c for c in combinations(starting, more) if self._goes_together(c)]
            if not len(able) or not chosen:
                continue
            sets = np.array(chosen, dtype=np.int32)
            parents = np.repeat(able, len(sets))
            joined = _with(self.devs[parents], np.tile(sets, (len(able), 1)))
            possible = ~self._clashing(joined)
            parts.append(joined[possible])
            rows.append(parents[possible])
        self._become(np.concatenate(rows), np.concatenate(parts))

    def _clashing(self, devs: Array) -> Array:
        """Which rows hold two deviations that cannot be applied together."""
        clash = self.search.clash
        impossible = np.zeros(len(devs), dtype=bool)
        for one, other in combinations(devs.T, 2):
            impossible |= clash[one, other]
        return impossible

    def _goes_together(self, chosen: tuple[int, ...]) -> bool:
        """One deviation is not tried with two values of its parameters at once."""
        return len({self.search.candidates[number].id for number in chosen}) == len(chosen)

    def _become(self, rows: Array, devs: Array) -> None:
        self.columns = {name: column.pick(rows) for name, column in self.columns.items()}
        self.devs = devs

    def _work_out(self, slot: int) -> list[str]:
        """Works out the lines of a slot in each state; returns their names.

        Step by step: a line that several plans have at a step is worked out for all of their states together.
        """
        plans, which = self._plans_of_states(slot)
        if not len(self.devs):
            return []
        made: dict[str, list[tuple[Array, Column]]] = {}
        local: dict[str, Column] = {}
        for step in range(max(map(len, plans), default=0)):
            lines = [plan[step] if len(plan) > step else None for plan in plans]
            numbered = {line: number for number, line in enumerate(dict.fromkeys(lines))}
            line_of_state = np.array([numbered[line] for line in lines])[which]
            for line, number in numbered.items():
                rows = np.flatnonzero(line_of_state == number)
                if line is None or not len(rows):
                    continue
                operands = [self._column(name, local).pick(rows) for name in line.operands]
                made.setdefault(line.name, []).append((rows, work_out(line, operands, len(rows))))
                self._limit(made[line.name][-1][1])
            for name in {line.name for line in numbered if line is not None}:
                local[name] = side_by_side(made[name], len(self.devs))
        kept = [name for name in made if "#" not in name]
        failed = np.zeros(len(self.devs), dtype=bool)
        for name in kept:
            for rows, column in made[name]:
                failed[rows[column.numbers == ABSENT]] = True
            self.columns[name] = merged(local[name])
        if failed.any():
            rows = np.flatnonzero(~failed)
            self._become(rows, self.devs[rows])
        return kept

    def _column(self, name: str, local: Mapping[str, Column]) -> Column:
        found = local.get(name, self.columns.get(name))
        return absent(len(self.devs)) if found is None else found

    @staticmethod
    def _limit(column: Column) -> None:
        if sum(block.size for block in column.blocks) > MOST_NUMBERS:
            raise TooMany

    def _plans_of_states(self, slot: int) -> tuple[list[tuple[Line, ...]], Array]:
        """The different lists of lines in a slot, and which of them each state has; drops impossible states."""
        relevant = self._relevant(slot)
        first, which = distinct(list(relevant.T))
        plans = [self.search.plans.plan(_chosen(row)) for row in relevant[first]]
        possible = np.array([plan is not None for plan in plans], dtype=bool)
        if not possible.all():
            rows = np.flatnonzero(possible[which])
            self._become(rows, self.devs[rows])
            which = which[rows]
        return [() if plan is None else plan[slot] for plan in plans], which

    def _relevant(self, slot: int) -> Array:
        """The deviations of each state that have a say in a slot: those that change it, and what these meet."""
        plans, devs = self.search.plans, self.devs
        count = len(plans.deviations)
        is_rewrite = (devs != NONE) & (devs < count)
        safe = np.where(is_rewrite, devs, 0)
        if not count or not is_rewrite.any():
            return np.full_like(devs, NONE)
        says = is_rewrite & plans.touches[safe, slot]
        if self.size < 2:
            return np.sort(np.where(says, devs, NONE), axis=1)
        for _ in range(devs.shape[1] - 1):
            for a, b in combinations(range(devs.shape[1]), 2):
                meet = is_rewrite[:, a] & is_rewrite[:, b] & plans.meet[safe[:, a], safe[:, b]]
                says[:, a] |= meet & says[:, b]
                says[:, b] |= meet & says[:, a]
        return np.sort(np.where(says, devs, NONE), axis=1)

    def _round(self, name: str) -> None:
        """Adds the states that go on with the line rounded."""
        column = self.columns[name]
        able = np.flatnonzero((self._room() > 0) & (column.numbers != ABSENT))
        choices = self.search.roundings.get(name, [])
        if not len(able) or not choices:
            return
        rows, devs, parts = [np.arange(len(self.devs))], [self.devs], [(np.arange(len(self.devs)), column)]
        start = len(self.devs)
        exact = column.pick(able).compact()
        for number, line in choices:
            parts.append((np.arange(start, start + len(able)), on_values(line, exact)))
            self._limit(parts[-1][1])
            rows.append(able)
            devs.append(_with(self.devs[able], np.full((len(able), 1), number, dtype=np.int32)))
            start += len(able)
        self._become(np.concatenate(rows), np.concatenate(devs))
        self.columns[name] = merged(side_by_side(parts, start))

    def _check(self, name: str) -> None:
        """Drops the states that disagree with a claim on the line."""
        for claim in self.search.claims.get(name, ()):
            column = self.columns[name]
            wrong = [self._wrong(claim, name, block) for block in column.blocks]
            # A line that is not here may come elsewhere: in the end the whole working is held against the claims.
            off = np.concatenate([*wrong, [0]])[column.numbers]
            self._note_misses(claim, off)
            rows = np.flatnonzero(off == 0)
            self._become(rows, self.devs[rows])
            self.passed += 1

    def _wrong(self, claim: Claim, name: str, block: Array) -> Array:
        """How many cells of a claim each of the stacked values misses."""
        expected = expected_for(claim, self.search.working, name, block)
        if expected is None:
            return np.full(len(block), claim.values.size)
        return np.asarray(differing(claim, expected).reshape(len(block), -1).sum(axis=1))

    def _note_misses(self, claim: Claim, off: Array) -> None:
        rows = np.flatnonzero(off > 0)
        nearest = rows[np.argsort(off[rows], kind="stable")[:12]]
        self.misses += [Miss(_chosen(self.devs[row]), claim, self.passed, int(off[row])) for row in nearest]

    def _tidy(self, slot: int) -> None:
        """Forgets lines that nothing reads any more, and follows one of the states that are the same from here on."""
        self.columns = {n: c for n, c in self.columns.items() if self.search.needed_after(n, slot)}
        if not len(self.devs):
            return
        order = np.argsort(-self._room(), kind="stable")
        self._become(order, self.devs[order])
        to_come = np.sort(self.search.open_after(self.devs, slot), axis=1)
        first, which = distinct([*to_come.T, *(column.numbers for column in self.columns.values())])
        if len(first) == len(self.devs):
            return
        room = self._room()
        stays = first[which]
        twins = np.flatnonzero((stays != np.arange(len(stays))) & (room == room[stays]))
        self.twins.append((self.devs[stays[twins]], self.devs[twins]))
        self._become(first, self.devs[first])

    def _sets(self) -> list[tuple[int, ...]]:
        """The sets that are left, with those that went another way to the same values."""
        sets = {_chosen(row) for row in self.devs}
        if len(sets) > MOST_EXPANDED:
            return sorted(sets, key=lambda each: (len(each), each))
        for kept, dropped in reversed(self.twins):
            for each in list(sets):
                inside = (np.isin(kept, each) | (kept == NONE)).all(axis=1)
                for old, new in zip(kept[inside], dropped[inside], strict=True):
                    sets.add(tuple(sorted({*each} - set(_chosen(old)) | set(_chosen(new)))))
        return sorted((each for each in sets if len(each) <= self.size), key=lambda each: (len(each), each))


def _with(devs: Array, more: Array) -> Array:
    """Rows of deviations with more put into their free places."""
    filled = devs.copy()
    free = (devs != NONE).sum(axis=1)
    for column in range(more.shape[1]):
        filled[np.arange(len(devs)), free + column] = more[:, column]
    return filled


def _chosen(row: Array) -> tuple[int, ...]:
    return tuple(sorted(int(each) for each in row if each != NONE))
