"""Many variants of a line worked out at once, stacked along an axis in front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.errors import ShapeError
from clearhead.line import Line
from clearhead.ops import Operation, Parameters, namespace, quiet

Array = np.ndarray[Any, Any]

ABSENT = -1

_MOST_KEYS = 4_000_000
"""Up to so many possible combinations a table of all is kept to find the distinct ones."""

_KEPT_BITS = 40
"""How many bits of a fingerprint count: numbers that differ by less are the same but for rounding."""


class Column(Struct, frozen=True):
    """The value that a line has in each state: a number into the distinct values, `ABSENT` where there is none.

    ``blocks`` hold the distinct values, those of one shape stacked in one block; numbers run on over the blocks.
    """

    numbers: Array
    blocks: tuple[Array, ...]

    def pick(self, rows: Array) -> Column:
        """The column for these rows of states alone."""
        return Column(self.numbers[rows], self.blocks)

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


def work_out(line: Line, operands: Sequence[Column], states: int) -> Column:
    """A line for each state, each distinct combination of its operands once.

    It is absent where an operand is, and where the operands do not fit each other.
    """
    operands = operands or (constant(0.0, states),)
    able = np.flatnonzero(np.all([column.numbers != ABSENT for column in operands], axis=0))
    if len(able) < states:
        numbers = np.full(states, ABSENT, dtype=np.int64)
        if not len(able):
            return Column(numbers, ())
        found = work_out(line, [column.pick(able) for column in operands], len(able))
        numbers[able] = found.numbers
        return Column(numbers, found.blocks)
    blocks = [_block_numbers(column) for column in operands]
    first, which = distinct([*blocks, *(column.numbers for column in operands)])
    numbers, results, start = np.full(len(first), ABSENT, dtype=np.int64), [], 0
    kinds = np.stack([block[first] for block in blocks], axis=1)
    for kind in np.unique(kinds, axis=0):
        rows = np.flatnonzero((kinds == kind).all(axis=1))
        inputs = [_values(column, int(b), first[rows]) for column, b in zip(operands, kind, strict=True)]
        try:
            result = _run(line, inputs[: len(line.operands)])
        except (ShapeError, ValueError, IndexError):
            continue
        numbers[rows] = start + (np.arange(len(rows)) if len(result) > 1 else 0)
        results.append(result)
        start += len(result)
    return Column(numbers[which], tuple(results))


def _block_numbers(column: Column) -> Array:
    if len(column.blocks) == 1:
        return np.zeros(len(column.numbers), dtype=np.int64)
    starts = [start for start, _ in column.parts()]
    return np.searchsorted(starts, column.numbers, side="right") - 1


def _values(column: Column, block: int, rows: Array) -> Array:
    start, values = list(column.parts())[block]
    numbers = column.numbers[rows] - start
    taken: Array = values[numbers[:1]] if (numbers == numbers[0]).all() else values[numbers]
    return taken


def _run(line: Line, inputs: Sequence[Array]) -> Array:
    """The line on stacks of operands. A stack of one is given as it is, the others with room for broadcasting."""
    formula, read = line.formula, _read(line.operation, line.parameters)
    leads = [array.ndim - 1 - len(letters) for array, letters in zip(inputs, formula.operands, strict=True)]
    most = max((lead for lead, role in zip(leads, formula.roles, strict=True) if role in read), default=0)
    given = []
    for array, lead, role in zip(inputs, leads, formula.roles, strict=True):
        stays = len(array) == 1 or role not in read
        given.append(array[0] if stays else array.reshape(len(array), *(1,) * (most - lead), *array.shape[1:]))
    xp = namespace(*given)
    with quiet(xp):
        result: Array = line.operation.code(xp, *given, **dict(line.parameters))
    return result if result.ndim > most + len(formula.result) else result[None]


@lru_cache(maxsize=4096)
def _read(operation: Operation, parameters: Parameters) -> frozenset[str]:
    return operation.formula(parameters).read


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
    """The column with one number for values that are the same but for rounding."""
    total = sum(map(len, column.blocks))
    if total <= 1:
        return column
    renumbered, kept, count = np.empty(total + 1, dtype=np.int64), [], 0
    for start, block in column.parts():
        _, first, which = np.unique(fingerprints(block), return_index=True, return_inverse=True)
        renumbered[start : start + len(block)] = which + count
        kept.append(block[first])
        count += len(first)
    renumbered[ABSENT] = ABSENT
    return Column(renumbered[column.numbers], tuple(kept))


def distinct(columns: Sequence[Array]) -> tuple[Array, Array]:
    """The rows that hold each combination of whole numbers first, and which of these each row has."""
    key = columns[0].astype(np.int64) + 1
    for column in columns[1:]:
        span = int(column.max(initial=0)) + 2
        if int(key.max(initial=0)) > 2**62 // span:
            key = np.unique(key, return_inverse=True)[1]
        key = key * span + (column + 1)
    keys = int(key.max(initial=0)) + 1
    if keys > _MOST_KEYS:
        _, first, which = np.unique(key, return_index=True, return_inverse=True)
        return first, which
    # With few possible keys it is quicker to tick them off than to sort.
    at = np.full(keys, ABSENT, dtype=np.int64)
    at[key[::-1]] = np.arange(len(key) - 1, -1, -1)
    present = np.flatnonzero(at != ABSENT)
    rank = np.empty(keys, dtype=np.int64)
    rank[present] = np.arange(len(present))
    return at[present], rank[key]


def fingerprints(values: Array) -> Array:
    """A number for each of the stacked arrays: the same for arrays that are the same but for rounding."""
    flat = values.reshape(len(values), -1).astype(np.float64, copy=False)
    if not np.isfinite(flat).all():
        flat = np.nan_to_num(flat, nan=1.2345e7, posinf=2.3451e7, neginf=-3.4512e7)
    mixed = flat @ _directions(flat.shape[1])
    lost = 52 - _KEPT_BITS
    bits = (np.ascontiguousarray(mixed).view(np.int64) + (1 << (lost - 1))) >> lost
    return np.asarray(bits[:, 0] * np.int64(0x9E3779B97F4A7C1) + bits[:, 1])


@lru_cache(maxsize=64)
def _directions(size: int) -> Array:
    return np.random.default_rng(size).uniform(1, 2, (size, 2))
