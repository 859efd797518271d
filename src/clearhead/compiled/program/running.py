"""Runs a plan: its programs and the steps between them, for the one text of the arrays or for each of a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import prod

import numpy as np

from clearhead.axes import Shape
from clearhead.compiled.program import blas
from clearhead.compiled.program.program import MEMORY, View
from clearhead.compiled.program.schedule import ByArrayCode, Compiled, Plan, as_numbers
from clearhead.ops import Array
from clearhead.ops.numpy import numpy_namespace as xp
from clearhead.ops.panels import plain
from clearhead.ops.textbook.tables import look_up

Arrays = dict[str, Array]
Flags = Iterator[tuple[str, Array]]
"""Lines, each with the flags of its remark."""


def run(plan: Plan, values: Arrays, flags: Arrays) -> None:
    """Runs all stages of a plan; adds their lines to the values, and flags of remarks to the flags.

    Of a batch each example goes through all stages by itself, and what is kept is written where it lies in the batch.
    So it has the numbers that it has alone, and memory for what is not kept is needed once.
    """
    made, found = Made(plan.lead, plan.batched), defaultdict[str, list[Array]](list)
    given = {**values, **{as_numbers(name): values[name].astype(np.float32) for name in plan.masks}}
    memory = np.empty(plan.size, np.uint8)
    with blas.single(), np.errstate(all="ignore"):
        for made.at in np.ndindex(*plan.lead):
            one = {n: each[(*made.at, ...)] if n in plan.batched else each for n, each in given.items()}
            for name, flag in _run_one(plan, {**one, MEMORY: memory}, made):
                found[name].append(flag)
    values.update(made.arrays)
    for name, each in found.items():
        flags[name] = np.reshape(each, (*plan.lead, *each[0].shape)) if name in plan.batched else each[0]


class Made:
    """The arrays that are kept, of a batch or of one text; ``at`` is the place of the example that is computed."""

    def __init__(self, lead: Shape, batched: frozenset[str]) -> None:
        self.arrays: Arrays = {}
        self.at: Shape = ()
        self._lead, self._batched = lead, batched
        self._rooms: Arrays = {}

    def room(self, name: str, view: View) -> Array:
        """Memory for the numbers of one example, in the order of a view."""
        lead = self._lead if name in self._batched else ()
        if name not in self._rooms:
            room = self._rooms[name] = np.empty((*lead, prod(view.shape)), np.float32)
            strides = (*room.strides[:-1], *view.strides)
            self.arrays[name] = np.ndarray((*lead, *view.shape), np.float32, room, 0, strides)
        found: Array = self._rooms[name][self.at if lead else ()]
        return found

    def keep(self, name: str, array: Array) -> None:
        """Keeps an array of one example."""
        if not self._lead or name not in self._batched:
            self.arrays[name] = array
            return
        if name not in self.arrays:
            self.arrays[name] = np.empty((*self._lead, *array.shape), np.float32)
        self.arrays[name][self.at] = array


def _run_one(plan: Plan, known: Arrays, made: Made) -> Flags:
    """Runs all stages for one example."""
    for stage in plan.stages:
        yield from _by_program(stage, known, made) if isinstance(stage, Compiled) else _by_array_code(stage, known)
    steps = {stage.step.name for stage in plan.stages if isinstance(stage, ByArrayCode)}
    for name in (steps & known.keys()).difference(plan.done):
        made.keep(name, known[name])


def _by_program(stage: Compiled, known: Arrays, made: Made) -> Flags:
    product = blas.sgemm()
    if product is None:
        raise RuntimeError("A program was planned without a BLAS.")
    flagged = set(stage.flags.values())
    filled = {
        name: np.empty(prod(view.shape), np.float32) if name in flagged else made.room(name, view)
        for name, view in stage.fills.items()
    }
    stage.program.run({**known, **filled}, product)
    for name, view in stage.fills.items():
        known[name] = np.ndarray(view.shape, np.float32, filled[name], 0, view.strides)
    for name, view in stage.leaves.items():
        known[name] = np.ndarray(view.shape, np.float32, known[MEMORY], view.offset, view.strides)
    for line, name in stage.flags.items():
        yield line, known.pop(name)[..., 0] != 0
    for name in stage.done:
        known.pop(name, None)


def _by_array_code(stage: ByArrayCode, known: Arrays) -> Flags:
    step, lent = stage.step, stage.lent
    by_rows = bool(step.lines) and step.lines[-1].operation is look_up  # of a table that may lie in panels
    found = {name: known[name] if by_rows else plain(known[name]) for name in step.operands if name not in lent}
    operands = [found[name] if name in found else np.broadcast_to(np.float32(0), lent[name]) for name in step.operands]
    result = step.code(xp, *operands)
    if isinstance(result, np.ndarray):
        result = np.ascontiguousarray(result, np.float32)
        # It may share memory with an operand, which is used again.
        shares = any(np.may_share_memory(result, each) for each in operands if isinstance(each, np.ndarray))
        result = result.copy() if shares else result
    known[step.name] = result
    if step.after and step.after.flag:
        yield step.name, step.after.flag(xp, result, *operands)
