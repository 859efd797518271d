"""Which of several gradients are wrong, where, and from which line on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from clearhead.brief import Brief
from clearhead.check.calls.observing import Array, Seen
from clearhead.check.calls.task import Task
from clearhead.claim import differing
from clearhead.working import Working

MATCHED = 1e-6
"""The largest error, as a share of the whole, of a gradient that counts as a multiple of the right one."""


class Place(Brief, frozen=True):
    """A gradient that was returned, compared with that of the working on all inputs.

    Attributes:
        line: the gradient, such as ``query.grad``.
        right: whether it agrees on all inputs.
        wrong, cells: how many of its numbers differ on the first input on which any do, and how many it has.
        factor: where it is a multiple of the right one on all inputs: of what; 0 where it is nothing but zeros.
        factors: where it is another multiple at each size: the sizes in words, with the factor.
        only: where only some of an axis are wrong: the axis, which of them, and how many there are.
        holds: another gradient, or a part of the sum that it is, whose right numbers it has on all inputs.
        nothing: the places along an axis where it is 0 and should not be, on all inputs: as in ``only``.
    """

    line: str
    right: bool
    wrong: int = 0
    cells: int = 0
    factor: float | None = None
    factors: tuple[tuple[str, float], ...] = ()
    only: tuple[tuple[str, tuple[int, ...], int], ...] = ()
    holds: str | None = None
    nothing: tuple[tuple[str, tuple[int, ...], int], ...] = ()


def places(seen: Sequence[Seen], task: Task, *, single: bool = False) -> tuple[Place, ...]:
    """Each gradient compared with the working's; ``single``: whether the precision of float32 is enough."""
    full = [each for each in seen if each.outputs]
    return tuple(_place(number, task, full, single=single) for number in range(len(task.returns)))


def _place(number: int, task: Task, seen: Sequence[Seen], *, single: bool) -> Place:
    name = task.returns[number]
    pairs = [(each.outputs[number].astype(np.float64), each.trace.numpy(name), each) for each in seen]
    off = [_off(name, each, number, single=single) for *_, each in pairs]
    if not any(flags.any() for flags in off):
        return Place(name, right=True, cells=pairs[0][0].size)
    first = next(flags for flags in off if flags.any())
    factor, factors = _multiples(name, pairs)
    words = pairs[0][2].trace.axes(name)
    lead = ("batch",) * (first.ndim - len(words))
    alike = [flags for flags in off if flags.shape == first.shape]
    only = _only((*lead, *words), np.logical_or.reduce(alike))
    holds = next((each for each in task.returns if each != name and _holds(each, seen, number, single=single)), None)
    holds = holds or next(_summands(number, task, seen, single=single), None)
    same = [(out, right) for out, right, _ in pairs if out.shape == first.shape == right.shape]
    there = [(out != 0) | (right == 0) for out, right in same]
    should = np.logical_and.reduce([right != 0 for _, right in same])
    nothing = _nothing((*lead, *words), np.logical_or.reduce(there), should) if same else ()
    return Place(name, False, int(first.sum()), first.size, factor, factors, only, holds, nothing)  # noqa: FBT003


def _summands(number: int, task: Task, seen: Sequence[Seen], *, single: bool) -> Iterator[str]:
    """The parts of a gradient that is a sum over the uses of an array, of which it has the numbers on all inputs."""
    name = task.returns[number]
    line = next((each for each in task.working.lines if each.name == name), None)
    parts = [each for each in line.operands if each.startswith(f"{name}.through_")] if line else []
    runs = [task.working.run(each.inputs.given(task), keep=parts) for each in seen if parts]
    for part in parts:
        pairs = [
            (each.claim(name, each.outputs[number], single=single), run.numpy(part))
            for each, run in zip(seen, runs, strict=True)
        ]
        if all(claim.values.shape == right.shape and not differing(claim, right).any() for claim, right in pairs):
            yield part


def _holds(other: str, seen: Sequence[Seen], number: int, *, single: bool) -> bool:
    """Whether the gradient has the numbers that another should have, on all inputs."""
    return all(
        each.trace.numpy(other).shape == each.outputs[number].shape
        and not _off(other, each, number, single=single).any()
        for each in seen
    )


def _multiples(
    name: str, pairs: Sequence[tuple[Array, Array, Seen]]
) -> tuple[float | None, tuple[tuple[str, float], ...]]:
    """The one factor between a gradient and the right one at all sizes; or else the factor at each size."""
    by: dict[str, float] = {}
    for out, right, seen in pairs:
        factor = _factor(out, right)
        sizes = zip(seen.trace.axes(name), right.shape, strict=True)
        where = ", ".join(f"{word} {size}" for word, size in sizes if word != "batch")
        if factor is None or abs(by.setdefault(where, factor) - factor) > MATCHED:
            return None, ()
    found = list(by.values())
    if max(found) - min(found) < MATCHED:
        return found[0], ()
    return None, tuple(by.items())


def _off(name: str, seen: Seen, number: int, *, single: bool) -> Array:
    """The wrong cells of a gradient."""
    return np.asarray(differing(seen.claim(name, seen.outputs[number], single=single), seen.trace.numpy(name)))


def _factor(out: Array, right: Array) -> float | None:
    """The factor between a gradient and the right one, where there is one."""
    if not out.any():
        return 0.0
    square = float(np.sum(right * right))
    factor = float(np.sum(out * right)) / square if square and np.isfinite(out).all() else 0.0
    close = np.abs(out - factor * right).max() <= MATCHED * np.abs(out).max()
    return factor if factor and close else None


def _only(words: Sequence[str], off: Array) -> tuple[tuple[str, tuple[int, ...], int], ...]:
    """The axes along which only some places are wrong."""
    found = []
    for axis, word in enumerate(words):
        others = tuple(each for each in range(off.ndim) if each != axis)
        wrong = np.flatnonzero(off.any(axis=others))
        if len(wrong) < off.shape[axis]:
            found.append((word, tuple(map(int, wrong)), off.shape[axis]))
    return tuple(found)


def _nothing(words: Sequence[str], there: Array, should: Array) -> tuple[tuple[str, tuple[int, ...], int], ...]:
    """The axes along which a gradient is 0 in some places, and should be something in each of them."""
    found = []
    for axis, word in enumerate(words):
        others = tuple(each for each in range(there.ndim) if each != axis)
        empty = np.flatnonzero(~there.any(axis=others) & should.any(axis=others))
        if 0 < len(empty) < there.shape[axis]:
            found.append((word, tuple(map(int, empty)), there.shape[axis]))
    return tuple(found)


def suspects(working: Working, wrong: Iterable[str], right: Iterable[str]) -> tuple[str, ...]:
    """The lines of which one must be wrong, if one is: all that is wrong comes from it, and nothing that is right."""
    sources = {name: _sources(working, name) for name in (*wrong, *right)}
    common = set[str].intersection(*(sources[name] for name in wrong)) if sources else set()
    cleared = set[str]().union(*(sources[name] for name in right))
    return tuple(line.name for line in working.lines if line.name in common - cleared)


def _sources(working: Working, name: str) -> set[str]:
    """A line and all lines that it comes from."""
    found = {name}
    for line in reversed(working.lines):
        if line.name in found:
            found.update(line.operands)
    return found & {line.name for line in working.lines}
