"""Lines replaced by other numbers: to ablate a head, or to patch in the activations of another text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Union

import numpy as np

from clearhead.axes import head_axis
from clearhead.compiled.program import Engine
from clearhead.errors import ShapeError, UnknownName
from clearhead.line import Given, Line, find, head_position, split_head
from clearhead.ops import as_parameters
from clearhead.ops.textbook import tables
from clearhead.trace import Trace
from clearhead.working import Working

Arrays = dict[str, np.ndarray[Any, Any]]
Replacement = Union[float, np.ndarray[Any, Any], Trace, Callable[[np.ndarray[Any, Any]], Any]]
"""A number, an array, another trace, whose line of the same name is used, or a function of the line's numbers."""


def replaced(
    working: Working, arrays: Arrays, changes: Mapping[str, Replacement], *, engine: Engine
) -> tuple[Working, Arrays]:
    """A working in which lines, or heads of them (``"head@5"``), have other numbers, and the arrays for it.

    The original line is kept under its name followed by ``.own``; the new numbers are given as ``.new``.

    Raises:
        UnknownName: no such line or head, or the other trace did not keep it.
        ShapeError: numbers that do not fit.
    """
    for address, change in changes.items():
        name, head = _located(working, address)
        if callable(change) and not isinstance(change, Trace):
            own = working.run(arrays, keep=(name,), engine=engine)
            change = np.asarray(change(own[address]))
        value = change[address] if isinstance(change, Trace) else change
        working, new = _with(working, name, head)
        shape = _shape(working, arrays, f"{name}.own", head)
        arrays = {**arrays, new: _fitted(value, shape, address)}
    return working, arrays


def _located(working: Working, address: str) -> tuple[str, int | None]:
    short, label = split_head(address)
    name = find(short, working.names)
    line = working.line(name)
    if isinstance(line, Given) or len(line.axes) < 2:
        raise UnknownName(f"{name} cannot be replaced: it is no line with two axes or more. Replace one that is.")
    if label is None:
        return name, None
    axis = head_axis(line.axes)
    heads = None if axis is None else working.sizes.get(line.axes[axis])
    return name, head_position(name, label, line.axes, heads, working.label_base)


def _with(working: Working, name: str, head: int | None) -> tuple[Working, str]:
    """The working with a line's numbers replaced, and the name of the array that must be given."""
    own, new = f"{name}.own", f"{name}.new"
    operation = tables.instead if head is None else tables.instead_of_head
    parameters = {} if head is None else {"head": head}

    def change(line: Line) -> list[Line]:
        if line.name != name:
            return [line]
        return [
            Line(own, line.operation, line.operands, line.axes, line.parameters),
            Line(name, operation, (own, new), line.axes, as_parameters(parameters)),
        ]

    lines = tuple(new for line in working.lines for new in change(line))
    axes = working.axes[name]
    given = Given(new, axes if head is None else axes[1:])
    return Working((*working.givens, given), lines, working.label_base), new


def _shape(working: Working, arrays: Arrays, own: str, head: int | None) -> tuple[int, ...]:
    """The shape that the given numbers must have."""
    without = Working(working.givens[:-1], working.lines[: _index(working, own) + 1], working.label_base)
    shape = without.shapes({name: arrays[name].shape for name in without.names if name in arrays})[own]
    axis = len(shape) - len(working.axes[own])
    return shape if head is None else shape[:axis] + shape[axis + 1 :]


def _index(working: Working, name: str) -> int:
    return next(index for index, line in enumerate(working.lines) if line.name == name)


def _fitted(value: Any, shape: tuple[int, ...], address: str) -> np.ndarray[Any, Any]:
    numbers = np.asarray(value, np.float32)
    try:
        return np.broadcast_to(numbers, shape)
    except ValueError:
        raise ShapeError(
            f"replace {address}: expects shape {shape}, or one that broadcasts, got {numbers.shape}."
        ) from None
