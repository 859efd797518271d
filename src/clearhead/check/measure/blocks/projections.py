"""Weights of projections that are read from other places: other layouts of a fused weight, offsets, orders, heads.

The rows (head*depth) of queries, keys and values are put together, and taken apart as some code may do it. What holds
with these weights in the working, at all sizes, is what the function reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import permutations, product
from time import process_time

import numpy as np
from msgspec import Struct

from clearhead.axes import HEADS
from clearhead.check.calls.task import Arrays, Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Computed
from clearhead.check.measure.blocks.match import stored_orders
from clearhead.check.measure.blocks.outline import lines_of
from clearhead.check.measure.blocks.trials import Trial
from clearhead.check.measure.parts import Array

MAX_SECONDS = 2.5
"""Readings are tried for so long, by the clock of the processor."""

ROLES = ("query", "key", "value")


class Counts(Struct, frozen=True):
    """The sizes that a layout of rows depends on: query heads, key/value heads, and rows of each."""

    heads: int
    groups: int
    depth: int

    @property
    def starts(self) -> Array:
        """Where the rows of queries, keys and values start, and where the last end."""
        each = self.depth * np.array([0, self.heads, self.groups, self.groups])
        return np.asarray(np.cumsum(each))


Order = Callable[[Counts], "Array | None"]
"""Rows of [query | key | value], by their places; None for sizes that have no such order."""


class Reading(Struct, frozen=True):
    """Which rows of [query | key | value] some projections read, and how to say it.

    Attributes:
        says: a sentence.
        rows: for all rows that are read, the rows of what is given.
        parts: the projections that it is about.
        in_numbers: whether offsets count numbers, not rows.
    """

    says: str
    rows: Order
    parts: tuple[str, ...] = ROLES
    in_numbers: bool = False


def read_elsewhere(task: Task, ran: Sequence[Trial]) -> tuple[Reading, ...]:
    """The readings with which all trials come out as the function has them; none if there are none."""
    names = _projections(task)
    known = sorted((each for each in ran if each.y is not None and each.kind == "ordinary"),
                   key=lambda each: each.expected[-1].size)  # fmt: skip
    if not names or not known or all(each.agrees for each in known):
        return ()
    search = _Search(task, names, known)
    try:
        return search.together() or search.apart()
    except TimeoutError:
        return ()


def _projections(task: Task) -> dict[str, tuple[str, str]] | None:
    """The weight and the bias ("" for none) of queries, keys and values; None where not all are taken."""
    biases = {line.operands[0]: line.operands[1] for line in lines_of(task, "bias")}
    found = {}
    for line in lines_of(task, "product"):
        axes = task.axes(line.operands[1])
        role = next((each for each in ROLES if each in line.operands[1].split(".")), "")
        if role and len(axes) == 3 and axes[0] in HEADS and axes[1:] == ("model", "depth"):
            found[role] = (line.operands[1], biases.get(line.name, ""))
    taken = {name for pair in found.values() for name in pair if name} <= set(task.takes)
    return found if found.keys() == {*ROLES} and taken else None


class _Search:
    """The search for what projections read."""

    def __init__(self, task: Task, names: dict[str, tuple[str, str]], known: Sequence[Trial]) -> None:
        self.run = Computed(task, task.working)
        self.names = names
        self.known = known
        self.end = process_time() + MAX_SECONDS

    def together(self) -> tuple[Reading, ...]:
        """One reading of all three, or the same for some of them."""
        return next(((each,) for each in _readings() if self._hold((each,), self.known)), ())

    def apart(self) -> tuple[Reading, ...]:
        """A reading for values, found with one token alone, whose weights are 1; then for queries and keys."""
        single = [each for each in self.known if each.sizes.get("token") == 1 and "past" not in each.sizes]
        if not single:
            return ()
        values = [()] if all(each.agrees for each in single) else [
            (each,) for each in _of_one("value") if self._hold((each,), single)]  # fmt: skip
        queries, keys = ([(), *((each,) for each in _of_one(role))] for role in ("query", "key"))
        for value, key, query in product(values, keys, queries):
            chosen = (*query, *key, *value)
            if chosen and self._hold(chosen, self.known):
                return chosen
        return ()

    def _hold(self, chosen: tuple[Reading, ...], trials: Iterable[Trial]) -> bool:
        if process_time() > self.end:
            raise TimeoutError
        return all(self._holds(chosen, each) for each in trials)

    def _holds(self, chosen: tuple[Reading, ...], trial: Trial) -> bool:
        arrays = self._read(chosen, trial.arrays)
        try:
            return arrays is not None and trial.holds(self.run({**trial.arrays, **arrays}))
        except Refused:
            return False

    def _read(self, chosen: tuple[Reading, ...], arrays: Arrays) -> Arrays | None:
        """The arrays that are read instead of the given ones."""
        weights = [arrays[self.names[role][0]] for role in ROLES]
        counts = Counts(len(weights[0]), len(weights[1]), weights[0].shape[-1])
        if any(each.shape[-1] != counts.depth for each in weights):
            return None
        biases = [arrays[name].reshape(-1) if (name := self.names[role][1]) else np.zeros(w.shape[0] * counts.depth)
                  for role, w in zip(ROLES, weights, strict=True)]  # fmt: skip
        rows = np.concatenate([np.moveaxis(each, -1, 1).reshape(-1, each.shape[1]) for each in weights])
        bias = np.concatenate(biases)
        found: Arrays = {}
        for reading in chosen:
            order = reading.rows(counts)
            if order is None or order.min() < 0:
                return None
            for part in reading.parts:
                at = ROLES.index(part)
                wanted = order[counts.starts[at] : counts.starts[at + 1]]
                taken = _taken(rows, wanted, in_numbers=reading.in_numbers)
                if taken is None:
                    return None
                weight, name = self.names[part]
                found[weight] = np.moveaxis(taken.reshape(len(weights[at]), counts.depth, -1), 1, -1)
                if name and not reading.in_numbers:
                    found[name] = bias[wanted].reshape(arrays[name].shape)
        return found


def _taken(rows: Array, wanted: Array, *, in_numbers: bool) -> Array | None:
    """Some of the rows; or as many that start at a number that should be the number of a row."""
    if not in_numbers:
        return np.asarray(rows[wanted]) if wanted.max() < len(rows) else None
    size = len(wanted) * rows.shape[1]
    flat = rows.reshape(-1)[wanted[0] : wanted[0] + size]
    return flat.reshape(len(wanted), -1) if len(flat) == size else None


# Layouts of all three


def _readings() -> Iterator[Reading]:
    """Readings of all three projections, the usual first."""
    whole = Reading("Offsets of rows in the weight that holds query, key and value are used as offsets of numbers: the "
                    "length of a row is left out, so keys and values are read from inside the queries.", _as_given,
                    in_numbers=True)  # fmt: skip
    yield whole
    plain, *others = _layouts()
    for written, read in [*((plain, each) for each in others), *((each, plain) for each in others),
                          *permutations(others, 2)]:  # fmt: skip
        says = f"The rows of query, key and value stand in one weight as {written[0]}, and are read as {read[0]}."
        yield Reading(says, _Laid(written[1], read[1]))
    for roles in (ROLES, ("query", "key"), ("key", "value")):
        yield from _same_for(roles)


def _as_given(counts: Counts) -> Array:
    return np.arange(counts.starts[-1])


class _Laid(Struct, frozen=True):
    """Rows that were written in one layout and are read in another."""

    written: Order
    read: Order

    def __call__(self, counts: Counts) -> Array | None:
        written, read = self.written(counts), self.read(counts)
        if written is None or read is None or np.array_equal(written, read):
            return None
        found = np.empty_like(written)
        found[read] = written
        return found


def _layouts() -> Iterator[tuple[str, Order]]:
    """Layouts of the rows of all three in one weight, the usual one first."""
    for order in permutations(range(3)):
        yield f"[{_listed(order, ' | ')}]", _Blocks(1, order)
    for order in permutations(range(3)):
        yield f"[{_listed(order, ' ')}] of each key/value head after the other", _Blocks(0, order)
    for shards in (2, 4):
        yield f"{shards} shards of [{_listed((0, 1, 2), ' | ')}] each", _Blocks(shards, (0, 1, 2))


def _listed(order: Sequence[int], between: str) -> str:
    return between.join(ROLES[at] for at in order)


class _Blocks(Struct, frozen=True):
    """Rows in shards that each have some heads of all three: one shard, several, or one for each key/value head."""

    shards: int
    order: tuple[int, ...]

    def __call__(self, counts: Counts) -> Array | None:
        shards = self.shards or counts.groups
        if counts.groups % shards or counts.heads % shards:
            return None
        rows = np.arange(counts.starts[-1])
        parts = [np.split(rows[start:end], shards)
                 for start, end in zip(counts.starts[:-1], counts.starts[1:], strict=True)]  # fmt: skip
        return np.concatenate([parts[at][shard] for shard in range(shards) for at in self.order])


# The same change of one or more of them


def _same_for(roles: tuple[str, ...]) -> Iterator[Reading]:
    """The same heads, or the same order of rows, for each of these projections by itself."""
    of = " and ".join(roles) if len(roles) < 3 else "query, key and value"
    for says, heads in HEAD_MAPS.items():
        yield Reading(f"The weights of {of} are read for other heads: {says}.", _Each(heads, None), roles)
    for says in stored_orders(2, 4):
        yield Reading(f"The weight of {of} {says}.", _Each(None, says), roles)


HEAD_MAPS: dict[str, Callable[[int], Array]] = {
    "the first half of them twice, as if each rank loaded the first shard": lambda n: np.arange(n) % max(n // 2, 1),
    "the last half of them twice": lambda n: np.arange(n) % max(n // 2, 1) + n // 2,
    "each second one twice, h // 2 * 2": lambda n: np.arange(n) // 2 * 2,
    "the first of them for all": lambda n: np.zeros(n, int),
    "in reversed order": lambda n: np.arange(n)[::-1],
    "each the next one": lambda n: (np.arange(n) + 1) % n,
    "each the one before": lambda n: (np.arange(n) - 1) % n,
}
"""Heads that are read in place of all heads, by what is said of them."""


class _Each(Struct, frozen=True):
    """Other heads, or another order of rows, of each projection."""

    heads: Callable[[int], Array] | None
    says: str | None

    def __call__(self, counts: Counts) -> Array | None:
        found = []
        for start, heads in zip(counts.starts, (counts.heads, counts.groups, counts.groups), strict=False):
            if self.heads:
                rows = (self.heads(heads)[:, None] * counts.depth + np.arange(counts.depth)).reshape(-1)
            else:
                rows = stored_orders(heads, counts.depth).get(self.says or "", np.array([-1]))
            if rows.min() < 0 or rows.max() >= heads * counts.depth:
                return None
            found.append(start + rows)
        return np.concatenate(found)


def _of_one(role: str) -> Iterator[Reading]:
    """Readings of one projection: from another row on, of other heads, in another order."""
    for (heads, groups), more in product(((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (0, 2), (1, 2)), (0, 1, -1)):
        shift = _Shifted(ROLES.index(role), heads, groups, more)
        start = " + ".join(filter(None, (_counted(heads, "query"), _counted(groups, "key/value")))) or "0"
        step = f" {'+' if more > 0 else '-'} {abs(more)}" if more else ""
        yield Reading(
            f"The weight of {role} is read from row {start}{step} of [query | key | value] on.", shift, (role,)
        )
    yield from _same_for((role,))


def _counted(times: int, heads: str) -> str:
    return f"{'' if times == 1 else f'{times} * '}depth * {heads} heads" if times else ""


class _Shifted(Struct, frozen=True):
    """Rows of one projection that start elsewhere: after the rows of some heads of queries and keys, and ``more``."""

    part: int
    heads: int
    groups: int
    more: int

    def __call__(self, counts: Counts) -> Array | None:
        start = counts.depth * (self.heads * counts.heads + self.groups * counts.groups) + self.more
        rows = np.arange(counts.starts[-1]) + start - counts.starts[self.part]
        mine = rows[counts.starts[self.part] : counts.starts[self.part + 1]]
        if mine[0] == counts.starts[self.part] or mine[0] < 0 or mine[-1] >= counts.starts[-1]:
            return None
        return np.asarray(np.clip(rows, 0, counts.starts[-1] - 1))
