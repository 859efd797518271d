"""What outputs depend on: which arrays, with halves switched off or not, which tokens, which examples."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from clearhead.check.calls.task import Arrays
from clearhead.check.measure.blocks.access import Run
from clearhead.check.measure.blocks.outline import Half, halves, numbers_taken, tokens_taken
from clearhead.check.measure.parts import Array

Found = dict[str, Any]

MOVED = 1e-3
"""The relative change of an array to see whether outputs depend on it."""

CALM = 0.4
"""What weights are multiplied by so that no score is so large that others get no weight."""


def follows(f: Run, arrays: Arrays, near: float) -> Found:
    """All that is measured so, by the name of the part; each with the same keys of a function and of its working."""
    task = f.task
    found: Found = {"arrays": _arrays(f, arrays, near)}
    parts = halves(task)
    for count in range(1, len(parts) + 1):
        for chosen in combinations(parts, count):
            off = {name: 0 * arrays[name] for half in chosen for name in half.off}
            without = [name for half in chosen for name in half.off]
            found[_without(chosen)] = _arrays(f, {**arrays, **off}, near, without)
    if any(arrays[name].ndim > len(task.axes(name)) for name in tokens_taken(task)):
        found["examples"] = _examples(f, arrays, near)
    words = task.axes(task.returns[-1])
    if words[-2:-1] == ("token",):
        for name in tokens_taken(task):
            found[f"tokens of {name}"] = _tokens(f, arrays, name, near)
    return found


def _without(chosen: tuple[Half, ...]) -> str:
    return f"arrays without {' and '.join(half.name for half in chosen)}"


def _arrays(f: Run, arrays: Arrays, near: float, apart: list[str] | None = None) -> tuple[str, ...]:
    """The arrays that the output follows."""
    y = f.last(arrays)
    rng = np.random.default_rng(1)
    found = []
    for name in numbers_taken(f.task):
        if name in (apart or ()):
            continue
        moved = arrays[name] + rng.normal(size=arrays[name].shape)
        if _changed(f.last({**arrays, name: moved}), y, near):
            found.append(name)
    return tuple(found)


def _tokens(f: Run, arrays: Arrays, name: str, near: float) -> Array:
    """Which rows of the output (rows) follow which rows of what is taken (columns)."""
    weights = {each: CALM * arrays[each] for each in numbers_taken(f.task) if each not in tokens_taken(f.task)}
    arrays = {**arrays, **weights}
    y, rng = f.last(arrays), np.random.default_rng(2)
    columns = []
    for row in range(arrays[name].shape[-2]):
        moved = arrays[name].copy()
        moved[..., row, :] += rng.normal(size=moved[..., row, :].shape)
        off = np.abs(f.last({**arrays, name: moved}) - y)
        columns.append(np.nan_to_num(np.moveaxis(off, -2, 0).reshape(off.shape[-2], -1).max(-1)) > _bound(y, near))
    return np.stack(columns, -1)


def _examples(f: Run, arrays: Arrays, near: float) -> bool:
    """Whether an example of a batch follows the others."""
    y, rng = f.last(arrays), np.random.default_rng(3)
    moved = dict(arrays)
    for name in tokens_taken(f.task):
        if f.task.takes_batch(name):
            moved[name] = arrays[name].copy()
            moved[name][1:] += rng.normal(size=moved[name][1:].shape)
    return _changed(f.last(moved)[:1], y[:1], near)


def _changed(y: Array, before: Array, near: float) -> bool:
    return y.shape != before.shape or bool(np.abs(np.nan_to_num(y - before)).max() > _bound(before, near))


def _bound(y: Array, near: float) -> float:
    return near * max(float(np.abs(np.nan_to_num(y)).max()), 1e-30)
