"""A program for the interpreter: written once for arrays of some shapes, and run on any arrays of these shapes."""

from __future__ import annotations

import ctypes
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import wait
from enum import Enum
from functools import cache, partial
from math import prod
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct

from clearhead.axes import Shape
from clearhead.compiled.decoding import decoder
from clearhead.compiled.matrices import IN_PANELS, IN_ROWS, ROOM, TURNED, routine
from clearhead.compiled.program.blas import Sgemm
from clearhead.compiled.program.interpreter import COUNTERS, OPERANDS, Activation, Kind, Products, interpreter
from clearhead.compiled.program.row_kernels import BYTES
from clearhead.compiled.simd import LANES, ROWS, WIDTH
from clearhead.ops import threads
from clearhead.ops.panels import FLOAT32, Coding, Panels

Array = np.ndarray[Any, Any]
Reals = tuple[float, float]

MEMORY = ""
"""The name of the buffer for arrays that are not kept."""

LINE = 64
"""Bytes in a line of the cache; each array in that buffer starts at one."""

BLOCK = 1 << 14
"""About how many numbers a task has that goes row by row."""

BAND = 64
"""Queries in a task of attention; the fewest columns in a task of a product."""


TALL = 512
"""Rows in a task of a product of ours, at most."""


class Unfit(Exception):
    """An array that no instruction can read; array code computes the step instead."""


class View(NamedTuple):
    """A view of float32 numbers in a buffer: an offset, a shape, and strides, in bytes; or a matrix in panels.

    Of a matrix in panels ``coding`` says how numbers are stored, and the one stride is from panel to panel.
    """

    buffer: str
    offset: int
    shape: Shape
    strides: tuple[int, ...]
    coding: Coding | None = None

    @property
    def in_panels(self) -> bool:
        """Whether it is a matrix in panels."""
        return self.coding is not None

    @property
    def turned(self) -> View:
        """The same with the last two axes exchanged."""
        *shape, rows, columns = self.shape
        *strides, down, across = self.strides
        return self._replace(shape=(*shape, columns, rows), strides=(*strides, across, down))

    def place(self) -> tuple[int, int, int]:
        """Where it starts, and the bytes from one matrix, and from one row, to the next.

        Raises:
            Unfit: numbers of a row are not contiguous, or there are too many axes.
        """
        if self.in_panels:
            return self.offset, 0, self.strides[0]
        if (self.strides[-1] != BYTES and self.shape[-1] > 1) or len(self.strides) > 3:
            raise Unfit
        outer, row = (0, 0, *self.strides[:-1])[-2:]
        return self.offset, outer, row


def view_of(name: str, array: Array | Panels) -> View:
    """An array of float32 numbers as a view; its name is that of its buffer."""
    if isinstance(array, Panels):
        return View(name, 0, array.shape, array.numbers.strides[:1], array.coding)
    return View(name, 0, array.shape, array.strides)


def view(buffer: str, shape: Shape, offset: int = 0) -> View:
    """Numbers one after the other, the last axis fastest."""
    return View(buffer, offset, shape, tuple(prod(shape[axis + 1 :]) * BYTES for axis in range(len(shape))))


class Part(Enum):
    """The parts of an ending: an operand to add, a function of single numbers, an operand to multiply with."""

    PLUS = "plus"
    ACTIVATION = "activation"
    TIMES = "times"


ORDER = (Part.PLUS, Part.ACTIVATION, Part.TIMES, Part.PLUS)
"""The parts of an ending in the order of their computation."""


class Product(Enum):
    """Products that one way of computing them may be better at than another."""

    PACKED = "weights that lie in panels"

    FEW = "weights with few rows"
    MANY = "weights with many rows"
    SCORES = "scores of a head"
    SUMS = "weighted sums of a head"


FEW = 64
"""Rows that are few."""


def _product(kind: Kind, outer: int, rows: int, *, turned: bool) -> Product:
    if kind is Kind.WEIGHTS or outer > 1:
        return Product.SCORES if turned else Product.SUMS
    return Product.FEW if rows < FEW else Product.MANY


class Instruction:
    """An instruction that may still get an ending; operands with fewer axes are shared by all rows or matrices."""

    def __init__(
        self, kind: Kind, out: View, operands: Sequence[View], numbers: tuple[int, ...], reals: Reals, *, own: bool
    ) -> None:
        self.kind = kind
        self.own = own
        self.out = out
        self.operands: tuple[View | None, ...] = (*operands, None, None)[:3]
        self.reals = reals
        self._numbers = numbers
        self._ending: dict[int, View | Activation] = {}

    def end(self, parts: Sequence[tuple[Part, View | Activation]]) -> bool:
        """Adds parts to its ending and returns True; or returns False and leaves it unchanged."""
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
        """The result and all operands, in the interpreter's order."""
        plus, _, times, also = (self._ending.get(place) for place in range(len(ORDER)))
        ending = (each if isinstance(each, View) else None for each in (plus, times, also))
        return (self.out, *self.operands, *ending)

    def row(self) -> tuple[int, ...]:
        """The instruction as the interpreter reads it.

        Raises:
            Unfit: an array does not have the layout that instructions need.
        """
        outer, rows, columns = (1, 1, *self.out.shape)[-3:]
        width, height = (_own_task if self.own else _task)(self.kind, outer, rows, columns)
        # A product of ours needs whole tiles, so its last tasks are the larger ones.
        down, across = (
            max(1, size // part if self.own else -(-size // part)) for size, part in ((rows, height), (columns, width))
        )
        activation = next((each for each in self._ending.values() if isinstance(each, Activation)), Activation.NONE)
        places = (number for each in self.views for number in (each.place() if each else (0, 0, 0)))
        shares = height, width, down, across, outer * down * across
        return (self.kind, outer, rows, columns, *self._numbers, int(self.own), activation, *shares, *places)


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


def _own_task(kind: Kind, outer: int, rows: int, columns: int) -> tuple[int, int]:
    """The same of a product of ours: of a head all columns, else one panel to four, so that all threads have work."""
    if outer > 1 or kind is Kind.WEIGHTS:
        return columns, min(rows, 2 * BAND)
    panels = columns // (WIDTH * 4 * threads.cores())
    return min(columns, WIDTH * max(1, min(4, panels))), min(rows, TALL)


class Work(NamedTuple):
    """A program that is running: what each thread calls, with the address of its room, and the numbers they share."""

    run: Callable[[int], None]
    counters: Array
    stop: Array


class Program(Struct, frozen=True):
    """Instructions, with addresses relative to their buffers."""

    numbers: Array
    reals: Array
    buffers: tuple[str, ...]
    places: Array

    def work(self, arrays: Mapping[str, Array], blas: Sgemm) -> Work:
        """What each thread does of it, on these buffers."""
        numbers = self.numbers.copy()
        numbers[:, OPERANDS] += np.array([*(address(arrays[name]) for name in self.buffers), 0])[self.places]
        counters, stop = np.zeros((len(numbers), COUNTERS), np.int64), np.zeros(1, np.int64)
        products = Products(blas, routine())
        run = partial(interpreter(), numbers, self.reals, address(counters), address(stop), products, _give_way())
        return Work(run, counters, stop)

    def run(self, arrays: Mapping[str, Array], blas: Sgemm) -> None:
        """Runs the program, on these buffers, with all cores.

        Ctrl-C ends it when each thread has finished its task.
        """
        work, rooms = self.work(arrays, blas), np.empty((threads.cores(), ROOM), np.float32)
        running = [threads.pool().submit(work.run, address(room)) for room in rooms]
        try:
            for thread in running:
                thread.result()
        finally:
            work.stop[0] = 1
            wait(running)


class Writer:
    """Writes programs, and assigns temporary memory to arrays that are not kept."""

    def __init__(self, own: Set[Product] = frozenset(Product)) -> None:
        """``own``: the products that are computed by code of ours, where their sizes allow it."""
        self.size = 0
        self._own = own
        self._written: list[Instruction] = []
        self._free: dict[int, list[int]] = defaultdict(list)

    def room(self, shape: Shape) -> View:
        """Memory for an array: released memory, if there is any."""
        size = _whole_lines(shape)
        if free := self._free[size]:
            return view(MEMORY, shape, free.pop())
        self.size += size
        return view(MEMORY, shape, self.size - size)

    def free(self, room: View) -> None:
        """Releases memory: later instructions may use it."""
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
            Unfit: an array does not have the layout that instructions need.
        """
        outer, rows, columns = (1, 1, *out.shape)[-3:]
        whole = rows >= ROWS and columns >= LANES and inner > 0 and kind in (Kind.PRODUCT, Kind.WEIGHTS)
        coding = next((each.coding for each in operands if each.coding is not None), None)
        in_panels = coding is not None
        own = in_panels or (whole and _product(kind, outer, rows, turned=turned) in self._own)
        order = IN_PANELS if in_panels else TURNED if turned else IN_ROWS
        numbers = inner, order, decoder(coding or FLOAT32), *seen, shared
        instruction = Instruction(kind, out, operands, numbers, reals, own=own)
        instruction.row()
        self._written.append(instruction)
        return instruction

    def drop(self) -> None:
        """Removes the last instruction."""
        self._written.pop()

    def program(self) -> Program:
        """The instructions since the last program."""
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


def address(array: Array | Panels) -> int:
    """The address of an array's numbers."""
    numbers = array.numbers if isinstance(array, Panels) else array
    begin: int = numbers.__array_interface__["data"][0]
    return begin


@cache
def _give_way() -> int:
    """The address of the function by which a thread yields the processor; 0 where there is none."""
    if sys.platform == "win32":
        return 0
    return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0
