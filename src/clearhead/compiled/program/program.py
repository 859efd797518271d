"""A program for the machine: written once for arrays of certain shapes, and run on any arrays of these."""

from __future__ import annotations

import ctypes
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from enum import Enum
from functools import cache, partial
from math import prod
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct

from clearhead.axes import Shape
from clearhead.compiled.program.blas import Sgemm
from clearhead.compiled.program.interpreter import COUNTERS, OPERANDS, Activation, Kind, interpreter
from clearhead.compiled.program.row_kernels import BYTES
from clearhead.ops import threads

Array = np.ndarray[Any, Any]
Reals = tuple[float, float]

MEMORY = ""
"""The name of the buffer for what is not kept."""

LINE = 64
"""Bytes in a line of the cache, at which each array in that buffer begins."""

BLOCK = 1 << 14
"""Numbers in a task that goes row by row, about."""

BAND = 64
"""Queries in a task of attention; columns of a product in a task, at least."""


class Unfit(Exception):
    """An array that no instruction can walk over; array code works the step out instead."""


class View(NamedTuple):
    """Float32 numbers somewhere in a buffer, as an array has them: an offset, a shape, and strides, in bytes."""

    buffer: str
    offset: int
    shape: Shape
    strides: tuple[int, ...]

    @property
    def turned(self) -> View:
        """The same with the last two axes exchanged."""
        *shape, rows, columns = self.shape
        *strides, down, across = self.strides
        return self._replace(shape=(*shape, columns, rows), strides=(*strides, across, down))

    def place(self) -> tuple[int, int, int]:
        """Where it begins, and the bytes from one matrix, and from one row, to the next.

        Raises:
            Unfit: numbers of a row do not lie side by side, or there are too many axes.
        """
        if (self.strides[-1] != BYTES and self.shape[-1] > 1) or len(self.strides) > 3:
            raise Unfit
        outer, row = (0, 0, *self.strides[:-1])[-2:]
        return self.offset, outer, row


def view(buffer: str, shape: Shape, offset: int = 0) -> View:
    """Numbers one after the other, the last axis fastest."""
    return View(buffer, offset, shape, tuple(prod(shape[axis + 1 :]) * BYTES for axis in range(len(shape))))


class Part(Enum):
    """What an ending is made of: an operand added, a function of single numbers, an operand multiplied with."""

    PLUS = "plus"
    ACTIVATION = "activation"
    TIMES = "times"


ORDER = (Part.PLUS, Part.ACTIVATION, Part.TIMES, Part.PLUS)
"""The parts of an ending in the order in which they are done."""


class Instruction:
    """An instruction while it may still get an ending; operands with fewer axes serve all rows or matrices."""

    def __init__(self, kind: Kind, out: View, operands: Sequence[View], numbers: tuple[int, ...], reals: Reals) -> None:
        self.kind = kind
        self.out = out
        self.operands: tuple[View | None, ...] = (*operands, None, None)[:3]
        self.reals = reals
        self._numbers = numbers
        self._ending: dict[int, View | Activation] = {}

    def end(self, parts: Sequence[tuple[Part, View | Activation]]) -> bool:
        """Adds parts to its ending; says whether that could be done, or else leaves it as it was."""
        ending = dict(self._ending)
        for part, operand in parts:
            behind = max(ending, default=-1)
            place = next((place for place in range(behind + 1, len(ORDER)) if ORDER[place] is part), None)
            if place is None:
                return False
            ending[place] = operand
        before, self._ending = self._ending, ending
        try:
            self.row()
        except Unfit:
            self._ending = before
            return False
        return True

    @property
    def views(self) -> tuple[View | None, ...]:
        """The result and all operands, in the machine's order."""
        plus, _, times, also = (self._ending.get(place) for place in range(len(ORDER)))
        ending = (each if isinstance(each, View) else None for each in (plus, times, also))
        return (self.out, *self.operands, *ending)

    def row(self) -> tuple[int, ...]:
        """The instruction as the machine reads it.

        Raises:
            Unfit: an array does not lie as instructions need it.
        """
        outer, rows, columns = (1, 1, *self.out.shape)[-3:]
        across, down = _task(self.kind, outer, rows, columns)
        tasks = outer * -(-rows // down) * -(-columns // across)
        activation = next((each for each in self._ending.values() if isinstance(each, Activation)), Activation.NONE)
        places = (number for each in self.views for number in (each.place() if each else (0, 0, 0)))
        return (self.kind, outer, rows, columns, *self._numbers, activation, down, across, tasks, *places)


def _task(kind: Kind, outer: int, rows: int, columns: int) -> tuple[int, int]:
    """How many columns and rows one task of an instruction has."""
    cores = threads.cores()
    if kind is Kind.WEIGHTS or (kind is Kind.PRODUCT and outer >= cores):
        return columns, min(rows, BAND)
    if kind is Kind.PRODUCT and rows >= 2 * columns:
        return columns, max(BAND, -(-rows // cores))
    if kind is Kind.PRODUCT:
        return max(BAND, -(-columns // cores // 16) * 16), rows
    return columns, max(1, min(-(-rows // cores), BLOCK // columns))


class Program(Struct, frozen=True):
    """Instructions, whose addresses are counted from where their buffers begin."""

    numbers: Array
    reals: Array
    buffers: tuple[str, ...]
    places: Array

    def run(self, arrays: Mapping[str, Array], blas: Sgemm) -> None:
        """Does it, on these buffers, with all cores.

        Ctrl-C ends it when each thread is done with the task that it is in.
        """
        numbers = self.numbers.copy()
        numbers[:, OPERANDS] += np.array([*(address(arrays[name]) for name in self.buffers), 0])[self.places]
        counters, stop = np.zeros((len(numbers), COUNTERS), np.int64), np.zeros(1, np.int64)
        work = partial(interpreter(), numbers, self.reals, address(counters), address(stop), blas, _give_way())
        running = [threads.pool().submit(work) for _ in range(threads.cores())]
        try:
            for thread in running:
                thread.result()
        finally:
            stop[0] = 1
            wait(running)


class Writer:
    """Writes programs, and says where in the memory for what is not kept each array is for a while."""

    def __init__(self) -> None:
        self.size = 0
        self._written: list[Instruction] = []
        self._free: dict[int, list[int]] = defaultdict(list)

    def room(self, shape: Shape) -> View:
        """Memory for an array: such as others no longer need, if there is."""
        size = _whole_lines(shape)
        if free := self._free[size]:
            return view(MEMORY, shape, free.pop())
        self.size += size
        return view(MEMORY, shape, self.size - size)

    def free(self, room: View) -> None:
        """Gives memory back: what is written from here on may use it."""
        if room.buffer == MEMORY:
            self._free[_whole_lines(room.shape)].append(room.offset)

    def add(
        self,
        kind: Kind,
        out: View,
        *operands: View,
        inner: int = 0,
        turned: bool = False,
        seen: tuple[int, int, int] = (0, 0, 0),
        shared: int = 1,
        reals: Reals = (0.0, 0.0),
    ) -> Instruction:
        """Writes an instruction; its numbers are those that `clearhead.compiled.program.interpreter` lists.

        Raises:
            Unfit: an array does not lie as instructions need it.
        """
        instruction = Instruction(kind, out, operands, (inner, int(turned), *seen, shared), reals)
        instruction.row()
        self._written.append(instruction)
        return instruction

    def drop(self) -> None:
        """Takes the last instruction back."""
        self._written.pop()

    def program(self) -> Program:
        """What was written since the last program."""
        written, self._written = self._written, []
        names = tuple(dict.fromkeys(each.buffer for one in written for each in one.views if each))
        index, nowhere = {name: at for at, name in enumerate(names)}, len(names)
        return Program(
            np.array([one.row() for one in written], np.int64),
            np.array([one.reals for one in written]),
            names,
            np.array([[index[each.buffer] if each else nowhere for each in one.views] for one in written], np.int64),
        )


def _whole_lines(shape: Shape) -> int:
    return -(-prod(shape) * BYTES // LINE) * LINE


def address(array: Array) -> int:
    """Where the numbers of an array begin."""
    begin: int = array.__array_interface__["data"][0]
    return begin


@cache
def _give_way() -> int:
    """The address of the function by which a thread lets others work; 0 where there is none."""
    if sys.platform == "win32":
        return 0
    return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0
