"""Plans as stages: programs, and between them the steps that only array code can compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.axes import Shape
from clearhead.compiled.program import choice
from clearhead.compiled.program.emit import (
    BY_PANELS,
    EITHER,
    EMIT,
    ENDINGS,
    FLAGGED,
    SIDE_BY_SIDE,
    end,
    flag,
    is_side_by_side,
    weights,
)
from clearhead.compiled.program.interpreter import Kind
from clearhead.compiled.program.program import MEMORY, Instruction, Program, Unfit, View, Writer, view, view_of
from clearhead.compiled.program.sizes import Sizes
from clearhead.expr import Reduce, walk
from clearhead.ops import Operation
from clearhead.ops.panels import Panels
from clearhead.plan import Step, between


class Compiled(Struct, frozen=True):
    """A program, with the arrays that it fills and the temporary arrays that exist after it.

    ``flags`` has, for lines with remarks, the array of their flags; ``done`` are arrays that are no longer needed.
    """

    program: Program
    fills: Mapping[str, View]
    leaves: Mapping[str, View]
    flags: Mapping[str, str]
    done: tuple[str, ...]


class ByArrayCode(Struct, frozen=True):
    """A step that array code computes, and the shapes of operands of which it reads no numbers."""

    step: Step
    lent: Mapping[str, Shape]


class Plan(Struct, frozen=True):
    """Stages in order, the bytes of temporary memory that they need, and buffers released at the end.

    ``lead``: the sizes of batch axes, for each example of which the stages are computed; ``batched``: the arrays that
    have these axes. ``masks``: given arrays of booleans that are needed as numbers (`as_numbers`).
    ``steady``: each row gets the same numbers to the last bit, whatever rows stand beside it. So it is with products of
    ours and row by row, but not with those of a BLAS, and not sure for sums that array code computes.
    """

    stages: tuple[Compiled | ByArrayCode, ...]
    size: int
    done: tuple[str, ...]
    steady: bool
    lead: Shape
    batched: frozenset[str]
    masks: tuple[str, ...]


def as_numbers(name: str) -> str:
    """The name of an array of booleans as float32 numbers."""
    return f"{name} as numbers"


Given = Mapping[str, np.ndarray[Any, Any] | Panels]


def plan_of(steps: Sequence[Step], kept: Set[str], sizes: Sizes, given: Given) -> Plan:
    """The stages of steps for arrays of these sizes, of which one kind of batch at most."""
    (lead,) = sizes.batches or {()}
    first = {
        name: array[(0,) * len(lead)] if name in sizes.batched and isinstance(array, np.ndarray) else array
        for name, array in given.items()
    }
    planning = _Planning(kept, {name: sizes.example(name) for name in sizes.shapes}, first)
    for step in steps:
        planning.add(step)
    planning.close()
    masks = tuple(planning.masks)
    batched = sizes.batched.union(as_numbers(name) for name in masks if name in sizes.batched)
    return Plan(
        tuple(planning.stages), planning.writer.size, tuple(planning.done), planning.steady, lead, batched, masks
    )


class _Planning:
    """Stages in planning: a program is written as long as steps have instructions."""

    def __init__(self, kept: Set[str], shapes: Mapping[str, Shape], given: Given) -> None:
        self.stages: list[Compiled | ByArrayCode] = []
        self.steady = True
        self.writer = Writer(choice.own())
        self._kept = kept
        self._shapes = shapes
        self._views = {name: view_of(name, array) for name, array in given.items() if array.dtype == np.float32}
        self.masks = {
            name: view(as_numbers(name), array.shape)
            for name, array in given.items()
            if array.dtype == np.bool and array.ndim == 1
        }
        self._turned = {name for name, array in given.items() if isinstance(array, Panels) and array.turned}
        self._open()

    def _open(self) -> None:
        self.done: list[str] = []
        self._made: set[str] = set()
        self._fills: dict[str, View] = {}
        self._flags: dict[str, str] = {}
        self._last: tuple[str, Instruction] | None = None

    def close(self) -> None:
        """Ends the program that is being written, if there is one."""
        if self._made:
            there = {name: self._views[name] for name in self._made if name in self._views}
            leaves = {name: each for name, each in there.items() if each.buffer == MEMORY}
            program = self.writer.program()
            self.stages.append(Compiled(program, self._fills, leaves, self._flags, tuple(self.done)))
            self._open()

    def add(self, step: Step) -> None:
        """Plans one more step."""
        if not self._write(step):
            self._leave_to_array_code(step)
        for name in step.after.done if step.after else ():
            self.done.append(name)
            # An array between an instruction and its ending has no memory.
            if (room := self._views.pop(name, None)) is not None:
                self.writer.free(room)

    def _leave_to_array_code(self, step: Step) -> None:
        reads = set(step.operands)
        if len(step.lines) == 1:
            formula = step.lines[0].formula
            reads = {name for name, role in zip(step.operands, formula.roles, strict=True) if role in formula.read}
        reduces = (isinstance(part, Reduce) for line in step.lines for part in walk(line.formula.body))
        self.steady &= bool(step.lines) and not any(reduces)
        if reads & self._made:
            self.close()
        # Else it does not depend on the program that is being written, and comes before it.
        lent = {name: self._shapes[name] for name in step.operands if name not in reads}
        self.stages.append(ByArrayCode(step, lent))
        self._views[step.name] = view(step.name, self._shapes[step.name])

    def _write(self, step: Step) -> bool:
        """Writes instructions for a step; returns whether there are any."""
        if not step.lines:
            return False
        operation = step.lines[-1].operation
        remarked = step.after is not None and step.after.flag is not None
        masks = self.masks.keys() if len(step.lines) > 1 else ()
        known = [self.masks[name] if name in masks else self._views.get(name) for name in step.operands]
        operands = [each for each in known if each is not None]
        if len(operands) < len(known) or (remarked and operation not in FLAGGED):
            return False
        in_panels = [place for place, each in enumerate(operands) if each.in_panels]
        if in_panels and (in_panels != [1] or BY_PANELS.get(operation) is not (step.operands[1] in self._turned)):
            return False
        if self._end_last(step, operation):
            return True
        out = self._room(step, side_by_side=operation in SIDE_BY_SIDE)
        instruction = self._instruction(step, out, operands)
        if instruction is None:
            self.writer.free(out)
            return False
        self.steady &= instruction.own or instruction.kind not in (Kind.PRODUCT, Kind.WEIGHTS)
        if remarked:
            found = view(f"{step.name} flag", (*out.shape[:-1], 1))
            flag(self.writer, instruction, found)
            self._fills[found.buffer] = found
            self._flags[step.name] = found.buffer
        self._note(step.name, out)
        # Whether a query attends to nothing is found in its weights, which therefore have no ending.
        self._last = None if instruction.kind is Kind.WEIGHTS else (step.name, instruction)
        return True

    def _room(self, step: Step, *, side_by_side: bool) -> View:
        shape = self._shapes[step.name]
        if not side_by_side:
            return self._lay(step.name, shape)
        heads, tokens, depth = shape
        room = self._lay(step.name, (tokens, heads, depth))
        down, across, number = room.strides
        return room._replace(shape=shape, strides=(across, down, number))

    def _lay(self, name: str, shape: Shape) -> View:
        return view(name, shape) if name in self._kept else self.writer.room(shape)

    def _instruction(self, step: Step, out: View, operands: Sequence[View]) -> Instruction | None:
        """The instruction of a step; None if there is none, or none for this layout of arrays."""
        operation = step.lines[-1].operation
        try:
            if len(step.lines) > 1:
                return weights(self.writer, out, *operands, between=between(step.lines))
            if operation in EMIT:
                return EMIT[operation](self.writer, out, *operands, **dict(step.lines[-1].parameters))
            if operation not in ENDINGS:
                return None
            copy = self.writer.add(Kind.COPY, out, operands[0])
        except Unfit:
            return None
        if end(copy, operation, operands[1:]):
            return copy
        self.writer.drop()
        return None

    def _end_last(self, step: Step, operation: Operation) -> bool:
        """Makes a step the ending of the instruction before, if that one's result is not used otherwise."""
        if self._last is None or operation not in ENDINGS:
            return False
        name, instruction = self._last
        at = 1 if operation in EITHER and step.operands[1] == name else 0
        others = [each for index, each in enumerate(step.operands) if index != at]
        of_no_other_use = step.after is not None and name in step.after.done and name not in others
        if step.operands[at] != name or not of_no_other_use:
            return False
        if not end(instruction, operation, [self._views[each] for each in others]):
            return False
        out = self._views.pop(name)
        if step.name in self._kept:
            self.writer.free(out)
            out = self._room(step, side_by_side=len(out.shape) == 3 and is_side_by_side(out))
            instruction.out = instruction.out._replace(buffer=out.buffer, offset=out.offset)
        self._made.remove(name)
        self._note(step.name, out)
        self._last = step.name, instruction
        return True

    def _note(self, name: str, out: View) -> None:
        self._views[name] = out
        self._made.add(name)
        if out.buffer != MEMORY:
            self._fills[name] = out
