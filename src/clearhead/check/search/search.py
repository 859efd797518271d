"""The search: which sets of deviations, up to a given size, give the claimed numbers.

No hypothesis is run by itself. The lines of the working are walked once, in order, with a *state* for every set of
deviations that is still possible: the deviations chosen so far, and for each line that is still needed the number of
its value. At a line, states below the size branch into the deviations that start here; every distinct
combination of operation and operands is computed once, all of one operation in one stacked call; then states branch
into roundings of the line. States that disagree with a claim on the line are dropped. Of states with the same values
and the same remaining deviations only a smallest is followed: the others are remembered with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
from msgspec import Struct

from clearhead.check.compare.comparison import claims_by_line, misses
from clearhead.check.search.hypotheses import NEVER, NONE, Chosen, Hypotheses
from clearhead.check.search.stacked import (
    ABSENT,
    Array,
    Column,
    absent,
    compute,
    constant,
    distinct,
    merged,
    on_values,
    side_by_side,
)
from clearhead.claim import Claim
from clearhead.line import Line
from clearhead.ops import Array as AnyArray
from clearhead.working import Working

MAX_NUMBERS = 8_000_000
"""How many numbers one line may have in all states together; a search that needs more is abandoned."""

MAX_WORK = 24_000_000
"""How many numbers a search may compute in all: about two seconds."""

MAX_PLANNED = 120_000
"""How many lines may be planned for pairs that change a common line: each pair is rewritten once, line by line."""

GROWTH = 4
"""How many times as many numbers sets of one more take, at least, where no claim ends them early."""

MAX_EXPANDED = 200
"""If more sets than this fit, those merged into them with the same values are not listed as well."""


class TooMany(Exception):
    """The problem is too large for sets of this size."""


class Found(Struct, frozen=True):
    """The result of a search: the sets that fit, as positions among the candidates, and how many were tried.

    ``larger`` says whether sets of one more can be tried too, by how many numbers these took.
    """

    sets: tuple[Chosen, ...]
    tried: int
    larger: bool = True


def search(hypotheses: Hypotheses, arrays: Mapping[str, AnyArray], claims: Iterable[Claim], size: int) -> Found:
    """The sets of at most this size that fit all claims.

    Raises:
        TooMany: it would take more memory or time than is reasonable.
    """
    if size > 1 and len(hypotheses.pairs) * len(hypotheses.working.lines) > MAX_PLANNED:
        raise TooMany
    walk = Walk(hypotheses, arrays, claims_by_line(claims, hypotheses.working), size)
    walk.run()
    return Found(tuple(walk.sets()), hypotheses.up_to(size), GROWTH * walk.work <= MAX_WORK)


class Walk:
    """One walk along the lines. ``devs`` has a row of deviations for each state, ``columns`` the values of lines.

    Lines in ``keep`` are kept to the end, all others as long as they are read.
    """

    def __init__(
        self,
        hypotheses: Hypotheses,
        arrays: Mapping[str, AnyArray],
        claims: Mapping[str, Sequence[Claim]],
        size: int,
        keep: Collection[str] = (),
    ) -> None:
        self.hypotheses = hypotheses
        self.working = hypotheses.working
        self.claims = claims
        self.size = size
        self.keep = keep
        self.devs = np.full((1, max(size, 1)), NONE, dtype=np.int32)
        self.columns = {given.name: constant(arrays[given.name], 1) for given in self.working.givens}
        self.twins: list[tuple[Array, Array]] = []
        self.work = 0

    def run(self) -> None:
        """Walks to the end.

        Raises:
            TooMany: it would take more memory than is reasonable.
        """
        own = [line.name for line in self.working.lines]
        for name in [*self.columns]:
            self._check(name)
        for slot in range(len(own) + 1):
            if not len(self.devs):
                break
            self._branch(slot)
            self._branch_early(slot)
            made = self._compute(slot)
            if slot < len(own) and own[slot] in made:
                self._round(own[slot])
            for name in made:
                self._check(name)
            if self._decided(slot):
                break
            self._tidy(slot)

    def _decided(self, slot: int) -> bool:
        """Whether no claim is left to compare with: what fits then has all the claimed lines, and needs no others."""
        claimed = [name for name, claims in self.claims.items() if claims]
        if self.keep or not claimed or any(self.hypotheses.plans.slots.get(name, -1) > slot for name in claimed):
            return False
        return all(name in self.columns and (self.columns[name].numbers != ABSENT).all() for name in claimed)

    def _room(self) -> Array:
        return np.asarray((self.devs[:, : self.size] == NONE).sum(axis=1))

    def _branch(self, slot: int) -> None:
        """Adds the states that take up deviations which start here."""
        starting = self.hypotheses.beginning_at(slot)
        room, taken = self._room(), []
        for more in range(1, min(self.size, len(starting)) + 1):
            able = np.flatnonzero(room >= more)
            sets = self._together(starting, more)
            if len(able) and len(sets):
                taken.append((np.repeat(able, len(sets)), np.tile(sets, (len(able), 1))))
        self._join(taken, NEVER)

    def _branch_early(self, slot: int) -> None:
        """Adds the states that take up deviations which start later, but here change the effect of one of theirs."""
        joining, start = self.hypotheses.joining_at(slot) if self.size > 1 else [], 0
        for _ in range(self.size - 1 if joining else 0):
            new, room, taken = self.devs[start:], self._room()[start:], []
            for one, other in joining:
                able = (new == one).any(axis=1) & (new != other).all(axis=1) & (room > 0)
                rows = start + np.flatnonzero(able)
                taken.append((rows, np.full((len(rows), 1), other, dtype=np.int32)))
            start = len(self.devs)
            self._join(taken, slot)

    def _join(self, taken: Sequence[tuple[Array, Array]], by: int) -> None:
        """Adds states that take up deviations, with the rows of states they join; not those due before ``by``."""
        rows, devs = [np.arange(len(self.devs))], [self.devs]
        for parents, more in taken:
            joined = _with(self.devs[parents], more)
            possible = ~self._clashing(joined, (self.devs[parents] != NONE).sum(axis=1), by)
            rows.append(parents[possible])
            devs.append(joined[possible])
        self._become(np.concatenate(rows), np.concatenate(devs))

    def _clashing(self, devs: Array, before: Array, by: int) -> Array:
        """Which rows have, after the first ``before``, a deviation that cannot join these, or had to join earlier."""
        impossible = np.zeros(len(devs), dtype=bool)
        if devs.shape[1] < 2:
            return impossible
        apart = self.hypotheses.clash | (self.hypotheses.early < by)
        places = np.where(devs == NONE, len(apart) - 1, devs).astype(np.int64)
        for one, other in combinations(range(devs.shape[1]), 2):
            impossible |= apart.take(places[:, one] * len(apart) + places[:, other]) & (other >= before)
        return impossible

    def _together(self, starting: Sequence[int], more: int) -> Array:
        """The sets of so many: one deviation is not tried with two values of its parameters at once."""
        sets = np.array([*combinations(starting, more)], dtype=np.int32).reshape(-1, more)
        kinds = self.hypotheses.kinds[sets]
        apart = [kinds[:, one] != kinds[:, other] for one, other in combinations(range(more), 2)]
        return sets[np.all(apart, axis=0)] if apart else sets

    def _become(self, rows: Array, devs: Array) -> None:
        self.columns = {name: column.pick(rows) for name, column in self.columns.items()}
        self.devs = devs

    def _compute(self, slot: int) -> list[str]:
        """Computes the lines of a slot in each state; returns their names.

        Step by step: a line that several plans have at a step is computed for all of their states together.
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
                made.setdefault(line.name, []).append((rows, compute(line, operands, len(rows))))
                self._limit(made[line.name][-1][1])
            for name in {line.name for line in numbered if line is not None}:
                local[name] = side_by_side([*made[name], *self._elsewhere(name, made[name])], len(self.devs))
        kept = [name for name in made if "#" not in name]
        failed = np.zeros(len(self.devs), dtype=bool)
        for name in kept:
            for rows, column in made[name]:
                failed[rows[column.numbers == ABSENT]] = True
            self.columns[name] = local[name] if self.claims.get(name) else merged(local[name])
        if failed.any():
            rows = np.flatnonzero(~failed)
            self._become(rows, self.devs[rows])
        return kept

    def _elsewhere(self, name: str, made: Sequence[tuple[Array, Column]]) -> list[tuple[Array, Column]]:
        """The values of a line in the states that have it from an earlier slot: some deviations move lines."""
        if name not in self.columns:
            return []
        rest = np.ones(len(self.devs), dtype=bool)
        for rows, _ in made:
            rest[rows] = False
        return [(np.flatnonzero(rest), self.columns[name].pick(np.flatnonzero(rest)))]

    def _column(self, name: str, local: Mapping[str, Column]) -> Column:
        found = local.get(name, self.columns.get(name))
        return absent(len(self.devs)) if found is None else found

    def _limit(self, column: Column) -> None:
        numbers = sum(block.size for block in column.blocks)
        self.work += numbers
        if numbers > MAX_NUMBERS or self.work > MAX_WORK:
            raise TooMany

    def _plans_of_states(self, slot: int) -> tuple[list[tuple[Line, ...]], Array]:
        """The different lists of lines in a slot, and which of them each state has; drops impossible states."""
        relevant = self._relevant(slot)
        first, which = distinct(list(relevant.T))
        plans = [self.hypotheses.plans.plan(chosen_of(row)) for row in relevant[first]]
        possible = np.array([plan is not None for plan in plans], dtype=bool)
        if not possible.all():
            rows = np.flatnonzero(possible[which])
            self._become(rows, self.devs[rows])
            which = which[rows]
        return [() if plan is None else plan[slot] for plan in plans], which

    def _relevant(self, slot: int) -> Array:
        """The deviations of each state with an effect in a slot: those that change it, and those that these meet."""
        says = self.hypotheses.touches[self.devs, slot]
        if self.size > 1:
            says = self.hypotheses.with_met(self.devs, says)
        return np.sort(np.where(says, self.devs, NONE), axis=1)

    def _round(self, name: str) -> None:
        """Adds the states that continue with the line rounded."""
        column = self.columns[name]
        able = np.flatnonzero((self._room() > 0) & (column.numbers != ABSENT))
        choices = self.hypotheses.roundings.get(name, [])
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
        self.columns[name] = side_by_side(parts, start)
        if not self.claims.get(name):
            self.columns[name] = merged(self.columns[name])

    def _check(self, name: str) -> None:
        """Drops the states that disagree with a claim on the line; adds those that show it rounded and agree so."""
        claims = self.claims.get(name, ())
        if not claims:
            return
        rows, devs = self._shown(name, claims)
        agree = np.arange(len(self.devs))
        for claim in claims:
            # A line that is missing here may come elsewhere: at the end the whole working is compared with the claims.
            agree = agree[~missed_by([claim], self.working, name, self.columns[name])[agree]]
        self._become(np.concatenate([agree, rows]), np.concatenate([self.devs[agree], devs]))
        self.columns[name] = merged(self.columns[name].compact()) if len(self.devs) else self.columns[name]

    def _shown(self, name: str, claims: Sequence[Claim]) -> tuple[Array, Array]:
        """The states that disagree with claims on a line and agree once it is shown rounded: rows, and sets with it."""
        rows, devs = [np.zeros(0, dtype=np.int64)], [self.devs[:0]]
        column, choices = self.columns[name], self.hypotheses.shown.get(name, [])
        disagrees = missed_by(claims, self.working, name, column) if choices else False
        able = np.flatnonzero((self._room() > 0) & (column.numbers != ABSENT) & disagrees)
        exact = column.pick(able).compact() if len(able) else column
        for number, line in choices if len(able) else ():
            shown = on_values(line, exact)
            fits = able[~missed_by(claims, self.working, name, shown)]
            rows.append(fits)
            devs.append(_with(self.devs[fits], np.full((len(fits), 1), number, dtype=np.int32)))
        return np.concatenate(rows), np.concatenate(devs)

    def _tidy(self, slot: int) -> None:
        """Drops lines that nothing reads any more, and follows one of the states that are equal from here on."""
        needed = self.hypotheses.needed_after
        self.columns = {n: c for n, c in self.columns.items() if n in self.keep or needed(n, slot, self.size)}
        if not len(self.devs):
            return
        order = np.argsort(-self._room(), kind="stable")
        self._become(order, self.devs[order])
        to_come = np.sort(self.hypotheses.open_after(self.devs, slot), axis=1)
        first, which = distinct([*to_come.T, *(column.numbers for column in self.columns.values())])
        if len(first) == len(self.devs):
            return
        room = self._room()
        stays = first[which]
        twins = np.flatnonzero((stays != np.arange(len(stays))) & (room == room[stays]))
        self.twins.append((self.devs[stays[twins]], self.devs[twins]))
        self._become(first, self.devs[first])

    def sets(self) -> list[tuple[int, ...]]:
        """The remaining sets, with those merged into them, the smallest first."""
        left = {chosen_of(row) for row in self.devs}
        return self.alike(left) if len(left) <= MAX_EXPANDED else sorted(left, key=_by_size)

    def alike(self, sets: Iterable[Chosen]) -> list[Chosen]:
        """These sets and all that were merged into them with the same values, the smallest first."""
        found = set(sets)
        member = np.zeros(len(self.hypotheses.candidates) + 1, dtype=bool)
        member[NONE] = True
        for kept, dropped in reversed(self.twins):
            for each in list(found):
                chosen = np.array(each, dtype=np.int64)
                member[chosen] = True
                inside = member[kept].all(axis=1)
                member[chosen] = False
                for old, new in zip(kept[inside], dropped[inside], strict=True):
                    found.add(tuple(sorted({*each} - set(chosen_of(old)) | set(chosen_of(new)))))
        return sorted((each for each in found if len(each) <= self.size), key=_by_size)


def missed_by(claims: Iterable[Claim], working: Working, name: str, column: Column) -> Array:
    """Whether each state misses a cell of claims on a line; a state without the line does not."""
    missed = np.zeros(column.count + 1, dtype=bool)
    for claim in claims:
        for start, block in column.parts():
            missed[start : start + len(block)] |= misses(claim, working, name, block)
    return np.asarray(missed[column.numbers])


def _with(devs: Array, more: Array) -> Array:
    """Rows of deviations with more in their free places."""
    filled = devs.copy()
    free = (devs != NONE).sum(axis=1)
    for column in range(more.shape[1]):
        filled[np.arange(len(devs)), free + column] = more[:, column]
    return filled


def chosen_of(row: Array) -> Chosen:
    """The set of a row of deviations."""
    return tuple(sorted(int(each) for each in row if each != NONE))


def _by_size(chosen: Chosen) -> tuple[int, Chosen]:
    return len(chosen), chosen
