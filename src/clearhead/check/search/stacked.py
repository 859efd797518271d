"""Many variants of a line computed at once, stacked along an axis in front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.errors import ShapeError
from clearhead.line import Line
from clearhead.ops import namespace, quiet

Array = np.ndarray[Any, Any]

ABSENT = -1

_FEW = 8
"""With fewer possible combinations per row than this, a table of all is used to find the distinct ones."""

_WIDEST = 2**62
"""More possible combinations than these do not fit a key."""

_ODD = np.int64(-0x61C8864680B583EB)

_MANY = 2
"""With more values of an operand than one for each pair of states, few combinations of operands would be the same."""

_LOST_BITS = 12
"""How many of a number's 52 bits do not count: numbers that differ by less are equal up to rounding."""

_UNITS, _LARGE = 2.0**44, 256.0
"""The unit in which numbers up to 256 are compared."""


_AT_ONCE = 16_384
"""How many numbers are made into fingerprints at once: temporary arrays then stay in the processor's cache."""


class Column(Struct, frozen=True):
    """The value of a line in each state: an index into the distinct values, `ABSENT` where there is none.

    ``blocks`` hold the distinct values, those of one shape stacked in one block; indices run on over the blocks.
    """

    numbers: Array
    blocks: tuple[Array, ...]

    def pick(self, rows: Array) -> Column:
        """The column for these rows of states alone."""
        return Column(self.numbers[rows], self.blocks)

    def compact(self) -> Column:
        """The same column without the values that no state has."""
        first, which = distinct([self.numbers])
        used = self.numbers[first]
        blocks = [block[used[(used >= start) & (used < start + len(block))] - start] for start, block in self.parts()]
        return Column(which if used[0] != ABSENT else which - 1, tuple(block for block in blocks if len(block)))

    @property
    def count(self) -> int:
        """How many distinct values there are."""
        return sum(map(len, self.blocks))

    def block_numbers(self, rows: Array) -> Array:
        """The block with the value of each of these states."""
        starts = [start for start, _ in self.parts()]
        return np.searchsorted(starts, self.numbers[rows], side="right") - 1

    def parts(self) -> Iterator[tuple[int, Array]]:
        """Each block with the number of its first value."""
        start = 0
        for block in self.blocks:
            yield start, block
            start += len(block)


def constant(value: Any, states: int) -> Column:
    """The column of an array that is the same in each state."""
    return Column(np.zeros(states, dtype=np.int64), (np.asarray(value)[None],))


def absent(states: int) -> Column:
    """The column of a line that no state has."""
    return Column(np.full(states, ABSENT, dtype=np.int64), ())


def compute(line: Line, operands: Sequence[Column], states: int) -> Column:
    """A line for each state, each distinct combination of its operands once.

    It is absent where an operand is, and where the operands do not fit each other.
    """
    operands = operands or (constant(0.0, states),)
    if any(column.numbers.min(initial=0) == ABSENT for column in operands):
        return _where_able(line, operands, states)
    first, which = _combinations(operands, states)
    numbers, results, start = np.full(len(first), ABSENT, dtype=np.int64), [], 0
    for kind, rows in _by_blocks(operands, first):
        inputs = [_values(column, block, first[rows]) for column, block in zip(operands, kind, strict=True)]
        try:
            result = run_stacked(line, inputs[: len(line.operands)])
        except (ShapeError, ValueError, IndexError):
            continue
        numbers[rows] = start + (np.arange(len(rows)) if len(result) > 1 else 0)
        results.append(result)
        start += len(result)
    return Column(numbers[which], tuple(results))


def _where_able(line: Line, operands: Sequence[Column], states: int) -> Column:
    """The line where no operand is absent, and absent elsewhere."""
    numbers = np.full(states, ABSENT, dtype=np.int64)
    able = np.flatnonzero(np.all([column.numbers != ABSENT for column in operands], axis=0))
    if not len(able):
        return Column(numbers, ())
    found = compute(line, [column.pick(able) for column in operands], len(able))
    numbers[able] = found.numbers
    return Column(numbers, found.blocks)


def on_values(line: Line, column: Column) -> Column:
    """A line of one operand, for each value of the operand, whether a state has it or not."""
    return Column(column.numbers, tuple(run_stacked(line, [block]) for block in column.blocks))


def _combinations(operands: Sequence[Column], states: int) -> tuple[Array, Array]:
    """The first state with each combination of operands, and the combination of each state.

    Where there are nearly as many values as states it is faster to compute some twice than to search for equal ones.
    """
    vary = [column for column in operands if column.count > 1]
    if states == 1 or not vary:
        return np.zeros(1, dtype=np.int64), np.zeros(states, dtype=np.int64)
    if _MANY * max(column.count for column in vary) > states:
        every = np.arange(states)
        return every, every
    return distinct([column.numbers for column in vary])


def _by_blocks(operands: Sequence[Column], rows: Array) -> Iterator[tuple[tuple[int, ...], Array]]:
    """For each combination of blocks, the rows whose operands are in these."""
    if all(len(column.blocks) == 1 for column in operands):
        yield (0,) * len(operands), np.arange(len(rows))
        return
    kinds = [column.block_numbers(rows) for column in operands]
    first, which = distinct(kinds)
    for number, at in enumerate(first):
        yield tuple(int(kind[at]) for kind in kinds), np.flatnonzero(which == number)


def _values(column: Column, block: int, rows: Array) -> Array:
    """The values of a block that these states have: a single one, if it is the same in all."""
    if column.count == 1:
        return column.blocks[0]
    start = sum(map(len, column.blocks[:block]))
    numbers = column.numbers[rows] - start
    values = column.blocks[block]
    taken: Array = values[numbers[:1]] if (numbers == numbers[0]).all() else values[numbers]
    return taken


def run_stacked(line: Line, inputs: Sequence[Array], parameters: Mapping[str, Any] = MappingProxyType({})) -> Array:
    """The line on stacks of operands. A stack of one is passed without its axis, others with axes for broadcasting.

    Args:
        line: the line.
        inputs: a stack for each operand.
        parameters: other values for some of its parameters; a vector has one for each copy.
    """
    formula, read = line.formula, line.formula.read
    leads = [array.ndim - 1 - len(letters) for array, letters in zip(inputs, formula.operands, strict=True)]
    most = max((lead for lead, role in zip(leads, formula.roles, strict=True) if role in read), default=0)
    given = []
    for array, lead, role in zip(inputs, leads, formula.roles, strict=True):
        stays = len(array) == 1 or role not in read
        given.append(array[0] if stays else array.reshape(len(array), *(1,) * (most - lead), *array.shape[1:]))
    room = (1,) * (most + len(formula.result))
    other = {
        name: each.reshape(-1, *room) if isinstance(each, np.ndarray) else each for name, each in parameters.items()
    }
    xp = namespace(*given)
    with quiet(xp):
        result: Array = line.operation.code(xp, *given, **{**dict(line.parameters), **other})
    return result if result.ndim > most + len(formula.result) else result[None]


def side_by_side(parts: Sequence[tuple[Array, Column]], states: int) -> Column:
    """One column from columns for some rows of states each."""
    if len(parts) == 1 and len(parts[0][0]) == states:
        return parts[0][1]
    blocks: dict[tuple[int, ...], list[Array]] = {}
    places: dict[tuple[int, ...], list[Array]] = {}
    numbers, total = np.full(states, ABSENT, dtype=np.int64), 0
    for rows, column in parts:
        numbers[rows] = np.where(column.numbers == ABSENT, ABSENT, column.numbers + total)
        for start, block in column.parts():
            blocks.setdefault(block.shape[1:], []).append(block)
            places.setdefault(block.shape[1:], []).append(np.arange(total + start, total + start + len(block)))
        total += sum(map(len, column.blocks))
    # Blocks of one shape become one, which puts their values in another order.
    renumbered = np.empty(total + 1, dtype=np.int64)
    if not total:
        return absent(states)
    renumbered[np.concatenate([each for places_of_shape in places.values() for each in places_of_shape])] = np.arange(
        total
    )
    renumbered[ABSENT] = ABSENT
    return Column(
        renumbered[numbers], tuple(np.concatenate(each) if len(each) > 1 else each[0] for each in blocks.values())
    )


def merged(column: Column) -> Column:
    """The column with one index for values that are equal up to rounding."""
    total = sum(map(len, column.blocks))
    if total <= 1:
        return column
    renumbered, kept, count = np.empty(total + 1, dtype=np.int64), [], 0
    for start, block in column.parts():
        first, which = _unique(fingerprints(block))
        renumbered[start : start + len(block)] = which + count
        kept.append(block[first])
        count += len(first)
    renumbered[ABSENT] = ABSENT
    return Column(renumbered[column.numbers], tuple(kept))


def distinct(columns: Sequence[Array]) -> tuple[Array, Array]:
    """The first row with each combination of whole numbers (from -1), and the combination of each row."""
    columns = [column for column in columns if (column != column[0]).any()] or [columns[0]]
    spans = [int(column.max(initial=0)) + 2 for column in columns]
    keys = prod(spans)
    key = columns[0].astype(np.int64) + 1
    for column, span in zip(columns[1:], spans[1:], strict=True):
        # Beyond 64 bits the key is a hash of the combination; one in 10^9 searches may have a collision.
        key = key * span + (column + 1) if keys < _WIDEST else (key ^ (key >> 32)) * _ODD + column
    return _unique(key) if keys > _FEW * len(key) + _FEW else _ticked(key, keys)


def _unique(key: Array) -> tuple[Array, Array]:
    """The first place of each number, and the number of each place; in the order of the numbers."""
    order = np.argsort(key)
    ordered = key[order]
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    which = np.empty(len(key), dtype=np.int64)
    which[order] = np.cumsum(begins) - 1
    return np.minimum.reduceat(order, np.flatnonzero(begins)), which


def _ticked(key: Array, keys: int) -> tuple[Array, Array]:
    """The same for few possible numbers, by marking them in a table."""
    at = np.full(keys, ABSENT, dtype=np.int64)
    at[key[::-1]] = np.arange(len(key) - 1, -1, -1)
    present = np.flatnonzero(at != ABSENT)
    rank = np.empty(keys, dtype=np.int64)
    rank[present] = np.arange(len(present))
    return at[present], rank[key]


def fingerprints(values: Array) -> Array:
    """A fingerprint of each of the stacked arrays: the same for arrays that are equal up to rounding.

    Every cell counts separately, so that a small one is not lost next to the large numbers of masks.
    """
    flat = values.reshape(len(values), -1).astype(np.float64, copy=False)
    rows = max(1, _AT_ONCE // max(flat.shape[1], 1))
    parts = [_fingerprints(flat[at : at + rows]) for at in range(0, len(flat), rows)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _fingerprints(flat: Array) -> Array:
    # Relative to 1 a number below the unit counts as 0; adding 0 turns -0 into 0.
    with np.errstate(over="ignore"):
        near = np.rint(flat * _UNITS) / _UNITS + 0.0
    if not np.abs(flat).max(initial=0) < _LARGE:
        near = np.where(np.abs(flat) < _LARGE, near, flat)
        near[np.isnan(near)] = np.nan
    bits = (near.view(np.int64) + (1 << (_LOST_BITS - 1))) >> _LOST_BITS
    return np.asarray(bits @ _multipliers(bits.shape[1]))


@lru_cache(maxsize=64)
def _multipliers(size: int) -> Array:
    return np.random.default_rng(size).integers(-(2**62), 2**62, size) * 2 + 1
