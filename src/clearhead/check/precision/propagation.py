"""How far lines may be off because of errors in their operands, to first order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from clearhead.axes import head_axis
from clearhead.check.search.stacked import Array, run_stacked
from clearhead.claim import Claim, Slack
from clearhead.deviations.rounding import in_small_steps
from clearhead.line import Line, split_head
from clearhead.working import Working

Arrays = Mapping[str, Array]

MAX_CELLS = 512
"""Arrays with more uncertain cells than this are changed all at once, at random, not cell by cell."""

MAX_NUMBERS = 2_000_000
"""How many numbers one line may have in all changed copies together."""

RANDOM, ERRORS = 24, 4.0
"""How many random copies are tried then, and how many standard deviations count."""

MUCH = 0.25
"""Noise of more than this part of a line's largest number says nothing about the number."""

TIES = 1e-9
"""Numbers this near to the middle of two are taken for ties, and rounded up, as they are by hand."""

After = Callable[[Line, Array], Array]
"""A function that is applied to a line after it is computed."""


def stacked_lines(working: Working, stacks: Arrays, after: After | None = None) -> dict[str, Array]:
    """Every line on stacks of given arrays, copy by copy.

    Args:
        working: the lines.
        stacks: the given arrays, each with an axis of copies in front; of size 1 where all copies share it.
        after: changes each line once it is computed, before others read it.
    """
    values = dict(stacks)
    for line in working.lines:
        result = run_stacked(line, [values[name] for name in line.operands])
        values[line.name] = result if after is None else after(line, result)
    return values


def copies_of(wanted: int, working: Working, arrays: Arrays) -> int:
    """How many copies of a working may be computed at once: fewer than wanted, but two, where its lines are large."""
    shapes = working.shapes({given.name: np.shape(arrays[given.name]) for given in working.givens})
    largest = max((prod(shape) for shape in shapes.values()), default=1)
    return max(2, min(wanted, MAX_NUMBERS // max(largest, 1)))


def reach(working: Working, arrays: Arrays, off: Arrays, name: str) -> Array:
    """How far each cell of a line may be off if given arrays are off by this much: the first-order interval.

    Args:
        working: the lines, entered at the arrays.
        arrays: the given arrays.
        off: for some of them how far each cell may be off, in the shape of the array.
        name: the line.
    """
    working = _up_to(working, name)
    stacks = {given.name: np.asarray(arrays[given.name])[None] for given in working.givens}
    moved = {each: off[each] for each in stacks if each in off and off[each].any()}
    lines = stacked_lines(working, stacks)
    base, largest = lines[name], max(array.size for array in lines.values())
    cells = sum(int(np.count_nonzero(each)) for each in moved.values())
    total = np.zeros(base.shape[1:])
    if not moved:
        return total
    if cells > min(MAX_CELLS, MAX_NUMBERS // largest):
        return ERRORS * _spread(working, stacks, moved, name)
    for each, distance in moved.items():
        for copy in _cell_by_cell(stacks[each][0], distance):
            total += _change(stacked_lines(working, {**stacks, each: copy})[name], base).sum(axis=0)
    return total


def _cell_by_cell(array: Array, distance: Array) -> Iterator[Array]:
    """Copies of an array, each with one changed cell."""
    cells = np.flatnonzero(distance)
    moved = np.repeat(array.reshape(1, -1), len(cells), axis=0)
    moved[np.arange(len(cells)), cells] += distance.reshape(-1)[cells]
    yield moved.reshape(len(cells), *array.shape)


def _spread(working: Working, stacks: Arrays, moved: Arrays, name: str) -> Array:
    """The root mean square effect of random changes of all cells on a line."""
    rng = np.random.default_rng(0)
    copies = copies_of(RANDOM, working, {name: stack[0] for name, stack in stacks.items()})
    drawn = {
        each: stacks[each] + distance * rng.choice([-1.0, 1.0], (copies, *distance.shape)) / np.sqrt(3)
        for each, distance in moved.items()
    }
    changed = _change(stacked_lines(working, {**stacks, **drawn})[name], stacked_lines(working, stacks)[name])
    spread: Array = np.sqrt((changed**2).mean(axis=0))
    return spread


def hand_noise(working: Working, arrays: Arrays, half_unit: float, name: str) -> Array:
    """How far a line may be off if every step before it is rounded by hand, to this much: four deviations.

    A number that is written in full, such as 1, or the 0 of a masked cell, is not rounded: it brings no error in.
    Where that is much of the line's largest number, such as where exponentials are rounded to 0, it is 0: any number
    would do. What rounding really gives there is `worked_by_hand`.
    """
    rng = np.random.default_rng(0)
    stacks = {given.name: np.asarray(arrays[given.name])[None] for given in working.givens}
    copies = copies_of(RANDOM, working, arrays)

    def rounded(line: Line, result: Array) -> Array:
        if (root := _root(line, exact, half_unit)) is not None:
            off = rng.uniform(-half_unit, half_unit, copies).reshape(-1, *[1] * (result.ndim - 1))
            result = result * (root / (root + off))
        if line.name == name or result.dtype.kind != "f":
            return result
        noise = rng.uniform(-half_unit, half_unit, (copies, *result.shape[1:]))
        in_full = _in_full(exact[line.name], half_unit) & (_change(result, exact[line.name]) <= TIES * half_unit)
        return np.where(in_full, result, result + noise)

    working = _steps_to(working, name)
    exact = stacked_lines(working, stacks)
    base = exact[name]
    changed = _change(stacked_lines(working, stacks, rounded)[name], base)
    noise: Array = ERRORS * np.sqrt((changed**2).mean(axis=0))
    largest = np.max(np.abs(base), initial=0.0, where=np.isfinite(base))
    return np.where(noise <= MUCH * largest, noise, 0.0)


@lru_cache(maxsize=512)
def _up_to(working: Working, name: str) -> Working:
    """The lines that a line needs."""
    return working.ending_at(name)


@lru_cache(maxsize=512)
def _steps_to(working: Working, name: str) -> Working:
    """The steps of hand computation up to a line."""
    return in_small_steps(working.ending_at(name))


def _to_nearest(values: Array, half_unit: float) -> Array:
    """Finite numbers rounded to multiples of two half units, ties away from zero."""
    size = np.floor(np.abs(values) / (2 * half_unit) + 0.5 + TIES) * 2 * half_unit
    return np.where(np.isfinite(values), size * np.sign(values), values)


def _in_full(values: Array, half_unit: float) -> Array:
    """Which numbers are multiples of two half units, so that rounding leaves them as they are; 0 and infinity too."""
    with np.errstate(invalid="ignore"):
        off = np.abs(values / (2 * half_unit) - np.round(values / (2 * half_unit)))
    return ~np.isfinite(values) | (off < TIES)


def worked_by_hand(working: Working, arrays: Arrays, half_unit: float, name: str) -> Array:
    """A line as it comes out if every step before it, and it, is rounded to the nearest multiple of two half units.

    Where all exponentials of a row are rounded to 0, so are its weights.
    """
    stacks = {given.name: np.asarray(arrays[given.name])[None] for given in working.givens}
    working = _steps_to(working, name)

    def rounded(line: Line, result: Array) -> Array:
        if result.dtype.kind != "f":
            return result
        if (root := _root(line, exact, half_unit)) is not None:
            result = result * (root / max(float(_to_nearest(np.asarray(root), half_unit)), half_unit))
        return _to_nearest(result, half_unit)

    with np.errstate(all="ignore"):
        exact = stacked_lines(working, stacks)
        line: Array = stacked_lines(working, stacks, rounded)[name][0]
    return np.where(np.isnan(line) & np.isfinite(exact[name][0]), 0.0, line)


def _root(line: Line, exact: Arrays, half_unit: float) -> float | None:
    """The root that scores are divided or multiplied by, where it is rounded by hand: None if it is written in full."""
    if line.operation.role != "scale":
        return None
    scores, scaled = exact[line.operands[0]], exact[line.name]
    largest = np.argmax(np.where(np.isfinite(scores), np.abs(scores), 0.0))
    factor = float(scaled.flat[largest] / scores.flat[largest]) if scores.flat[largest] else 0.0
    if factor <= 0 or not math.isfinite(factor) or _in_full(np.array([factor, 1 / factor]), half_unit).any():
        return None
    return max(factor, 1 / factor)


def _change(changed: Array, base: Array) -> Array:
    """How far finite numbers moved; 0 where one of the two is not finite."""
    with np.errstate(invalid="ignore"):
        distance = np.abs(changed - base)
    return np.where(np.isfinite(distance), distance, 0.0)


def part_of(claim: Claim, working: Working, name: str, array: Array) -> Array:
    """The part of a line's array that a claim is about, its head or cell; axes in front of the line's own stay."""
    _, label = split_head(claim.line)
    axis = head_axis(working.axes[name])
    if label is not None and axis is not None:
        array = np.take(array, label - working.label_base, axis=axis)
    cell: Any = (..., *(each - working.label_base for each in claim.cell or ()))
    return np.asarray(array[cell])


def as_slack(distances: Array) -> Slack:
    """Distances as a claim holds them."""
    return _nested(np.asarray(distances, dtype=np.float64).tolist())


def _nested(distances: float | list[object]) -> Slack:
    return tuple(map(_nested, distances)) if isinstance(distances, list) else float(distances)  # type: ignore[arg-type]
