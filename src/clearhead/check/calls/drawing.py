"""Inputs for a function: the size of each axis, and arrays of these sizes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from clearhead.axes import Axes, Shape
from clearhead.backward import GRAD
from clearhead.check.calls.task import Arrays, Task
from clearhead.errors import ClearheadError, ShapeError
from clearhead.line import selections
from clearhead.ops.textbook import scores, training

PREFERRED: dict[str, tuple[int, ...]] = {
    "batch": (3, 2, 7),
    "head": (2, 3),
    "group": (2, 3),
    "token": (5, 6, 7, 9, 11),
    "depth": (4, 6, 8, 10),
    "model": (7, 9, 10, 11, 13),
    "hidden": (11, 13, 14),
    "tap": (4, 3, 8),
    "past": (3, 2, 7),
    "key": (6, 7, 9),
    "pair": (3,),
}
"""The sizes to choose from, so that no two axes have the same size."""

MANY = 8
"""The least size of an axis that is not listed, such as a vocabulary."""

IGNORED = 0.3
"""The share of targets that do not count, where some do not."""

WIDEST = 12
"""Windows wider than this are not filled with tokens: they mask nothing in a probe."""

Sizes = dict[str, int]
Kind = Literal["real", "whole"]


class Inputs(Struct, frozen=True, eq=False):
    """What a function is called with, as NumPy arrays in the working's layout, and the size of each axis."""

    arrays: Arrays
    sizes: Sizes

    def given(self, task: Task) -> Arrays:
        """All arrays that the working asks for."""
        return {
            each.name: (self.arrays if each.name in self.arrays else task.fixed)[each.name]
            for each in task.working.givens
        }


def known_sizes(task: Task) -> Sizes:
    """The sizes that the working or the fixed arrays determine."""
    known: Sizes = dict(task.working.sizes)
    for name, array in task.fixed.items():
        for word, size in _own(task.whole.axes[name], array.shape).items():
            if word == "depth" and "value" in name.split("."):  # values may be wider than queries and keys
                continue
            if known.setdefault(word, size) != size:
                raise ShapeError(f"given {name} has {word}={size}, where {word}={known[word]} is known already.")
    if "head*depth" in known and "head" in known:
        known.setdefault("depth", known["head*depth"] // known["head"])
    if "pair" in known and not turned_width(task):  # every feature turns
        known.setdefault("depth", 2 * known["pair"])
    return known


def _own(axes: Axes, shape: Shape) -> Sizes:
    return dict(zip(axes, shape[len(shape) - len(axes) :], strict=True))


def sizes_of(task: Task, chosen: Mapping[str, int] | None = None) -> Sizes:
    """A size for each axis word: those that are known, those that are chosen, and others, all different."""
    sizes = {**(chosen or {}), **known_sizes(task)}
    if "query" in sizes and not {"token", "query"} <= (chosen or {}).keys():
        sizes["token"] = sizes["query"]
    least = {"token": _widest_window(task) + 2, "depth": turned_width(task)}
    words = {"batch", "head", "depth", "token", *(word for axes in task.whole.axes.values() for word in axes)}
    for word, preferred in PREFERRED.items():
        if word == "model" and {"head", "depth"} <= sizes.keys():
            sizes["head*depth"] = sizes["head"] * sizes["depth"]
        if word in sizes or word not in words or (word == "key" and not _memory(task)):
            continue
        free = [size for size in preferred if size not in sizes.values() and size >= least.get(word, 1)]
        sizes[word] = free[0] if free else max((*sizes.values(), least.get(word, 1))) + 1
    sizes = _completed(task, sizes)
    for word in sorted(words - sizes.keys()):  # axes that only some arrays have, such as a vocabulary
        sizes[word] = next(size for size in count(MANY) if size not in sizes.values())
    return sizes


def _completed(task: Task, sizes: Sizes) -> Sizes:
    """The sizes that follow from others."""
    sizes.setdefault("query", sizes["token"])
    if not _memory(task) and "key" not in sizes:
        past = any("past" in task.axes(given.name) for given in task.working.givens)
        sizes["key"] = sizes["token"] + (sizes["past"] if past else 0)
    elif not _memory(task) and sizes["key"] != sizes["token"] and "past" not in sizes:
        sizes.setdefault("apart", sizes["key"])
    sizes["head*depth"] = sizes["head"] * sizes["depth"]
    return sizes


def _memory(task: Task) -> bool:
    """Whether keys are tokens of their own: those of a memory."""
    return any(task.axes(name) == ("key", "model") for name in task.takes)


def turned_width(task: Task) -> int:
    """The fewest features of a head that rotary positions need."""
    widths = [dict(line.parameters).get("width") for line in task.whole.lines if "pair" in line.axes]
    return max((int(width) for width in widths if width), default=0)


def _widest_window(task: Task) -> int:
    windows = [line for line in task.working.lines if line.operation is scores.mask_window]
    return max((min(int(dict(line.parameters)["width"]), WIDEST) for line in windows), default=0)


def shape_of(task: Task, name: str, sizes: Sizes, *, batch: bool) -> Shape:
    """The shape of what is taken, with a batch where the array has one."""
    apart = name in task.keys and name not in task.queries and "apart" in sizes
    words = [("apart" if apart and word == "token" else word) for word in task.axes(name)]
    if "wide" in sizes and name in task.of_values:
        sizes = {**sizes, "depth": sizes["wide"], "head*depth": sizes["head"] * sizes["wide"]}
    lead = (sizes["batch"],) if batch and task.takes_batch(name) else ()
    return (*lead, *(sizes[word] for word in words))


def draw(task: Task, sizes: Sizes, seed: int, *, batch: bool, kind: Kind = "real") -> Inputs:
    """Inputs of these sizes. Masks leave each query a visible key.

    ``"real"`` numbers are drawn from a normal distribution, ``"whole"`` ones are small integers, to be read.
    """
    rng = np.random.default_rng((seed, len(sizes)))
    holds = {each.name: each.holds for each in task.working.givens}
    additive = {line.operands[1] for line in task.working.lines if line.operation is scores.mask_additive}
    inputs = Inputs({}, sizes)
    for open_share in (0.7, 0.85, 1.0):
        arrays: Arrays = {}
        for name in task.takes:
            shape = shape_of(task, name, sizes, batch=batch)
            if holds[name] == "booleans":
                arrays[name] = _mask(rng, shape, open_share)
            elif holds[name] == "integers":
                arrays[name] = _rows(rng, task, name, shape, sizes)
            else:
                arrays[name] = _numbers(rng, task, name, shape, kind)
            if name in additive:
                arrays[name] = np.where(_mask(rng, shape, open_share), arrays[name], -np.inf)
        inputs = Inputs(arrays, sizes)
        if open_share == 1.0 or _all_see(task, inputs):
            break
    return inputs


def _mask(rng: np.random.Generator, shape: Shape, open_share: float) -> np.ndarray[Any, Any]:
    mask = rng.random(shape) < open_share
    mask[..., 0] = True
    if len(shape) > 1:
        mask |= np.eye(shape[-2], shape[-1]) > 0
    return mask


def _rows(rng: np.random.Generator, task: Task, name: str, shape: Shape, sizes: Sizes) -> np.ndarray[Any, Any]:
    """Numbers of rows: tokens of a vocabulary, targets, of which some do not count where the working ignores some."""
    line = next(line for line in task.working.lines if name in line.operands)
    counts = [sizes[task.axes(table)[axis]] for each, table, axis in selections(line) if each == name]
    rows = rng.integers(0, min(counts, default=MANY), shape)
    ignored = dict(line.parameters).get("ignored")
    if ignored is not None:
        rows = np.where(rng.random(shape) < IGNORED, int(ignored), rows)
        rows[..., -1] = ignored
        rows[..., 0] = np.where(rows[..., 0] == ignored, 1 if ignored == 0 else 0, rows[..., 0])
    return np.asarray(rows)


def _numbers(rng: np.random.Generator, task: Task, name: str, shape: Shape, kind: Kind) -> np.ndarray[Any, Any]:
    if task.axes(name) == ("token",) and not name.endswith(GRAD):
        return np.cumsum(rng.integers(1, 4, shape), axis=-1).astype(np.float64)
    drawn = rng.integers(-2, 3, shape).astype(np.float64) if kind == "whole" else rng.normal(size=shape)
    return np.abs(drawn) if name in _squares(task) else drawn


def _squares(task: Task) -> set[str]:
    """What an optimizer remembers of squares of gradients, which is never below 0."""
    kinds = (training.second_moment, training.add_square)
    return {line.operands[0] for line in task.working.lines if line.operation in kinds}


def _all_see(task: Task, inputs: Inputs) -> bool:
    """Whether each query sees a key, as far as the working shows."""
    softmax = [line for line in task.working.lines if line.operation.role == "softmax"]
    if not softmax:
        return True
    try:
        trace = task.working.run(inputs.given(task), keep=[line.operands[0] for line in softmax])
    except ClearheadError:
        return True
    return all(bool(np.all(np.max(trace.numpy(line.operands[0]), axis=-1) > -np.inf)) for line in softmax)


def fits(task: Task, inputs: Inputs) -> bool:
    """Whether the working takes inputs of these sizes."""
    try:
        task.working.shapes({name: array.shape for name, array in inputs.given(task).items()})
    except ClearheadError:
        return False
    return True
