"""The lines of a working, cell by cell, in exact numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from clearhead.errors import ProblemError
from clearhead.line import Given, Line
from clearhead.show.exact.arithmetic import arithmetic_of
from clearhead.show.exact.numbers import Exact, Numbers
from clearhead.trace import Trace

NumpyArray = np.ndarray[Any, Any]

MAX_CELLS = 1000
"""No working with more cells than this is computed exactly."""

MAX_SHOWN = 24
"""A cell whose expression has more operations than this goes on by its name."""


def exact_lines(trace: Trace) -> Iterator[tuple[str, NumpyArray]]:
    """Each line with its exact numbers, `Exact`, in the order of the working; what holds no numbers is left as it is.

    Raises:
        ProblemError: there are too many cells, a given number is no fraction, or a function has no exact value.
    """
    cells = sum(prod(trace[name].shape) for name in trace)
    if cells > MAX_CELLS:
        raise ProblemError(f"--exact is for small problems, of {MAX_CELLS} numbers at most; this has {cells}.")
    numbers = Numbers()
    known: dict[str, NumpyArray] = {}
    for name in trace:
        line = trace.working.line(name)
        if isinstance(line, Given):
            known[name] = _given(trace.numpy(name), name, numbers)
        else:
            known[name] = _computed(trace, line, known, numbers)
            yield name, known[name]
            known[name] = _named(trace, name, known[name], numbers, longer=MAX_SHOWN)


def _given(array: NumpyArray, name: str, numbers: Numbers) -> NumpyArray:
    if array.dtype.kind != "f":
        return array
    exact = np.empty(array.shape, dtype=object)
    for cell in np.ndindex(array.shape):
        try:
            exact[cell] = numbers.of(float(array[cell]))
        except ProblemError as error:
            raise ProblemError(f"{name}: {error}") from None
    return exact


def _computed(trace: Trace, line: Line, known: Mapping[str, NumpyArray], numbers: Numbers) -> NumpyArray:
    """The cells of a line; one whose expression gets long is stated by the names of the cells that it reads."""
    operands = [known[name] for name in line.operands]
    named: list[NumpyArray] = []
    result = np.empty(line.formula.shape([operand.shape for operand in operands]), dtype=object)
    for cell in line.formula.ordered(result.shape):
        number = _cell(line, operands, cell, numbers, result)
        if number.expr.count_ops() > MAX_SHOWN:
            named = named or [_named(trace, name, known[name], numbers, longer=0) for name in line.operands]
            by_name = _cell(line, named, cell, numbers, result)
            number = by_name if by_name.expr.count_ops() < number.expr.count_ops() else number
        result[cell] = number
    return result


def _cell(line: Line, operands: list[NumpyArray], cell: tuple[int, ...], numbers: Numbers, result: NumpyArray) -> Exact:
    """A cell of a line; ``result`` has those that it reads."""
    try:
        return numbers.tidy(numbers.of(line.formula.cell(operands, result, cell, arithmetic_of(numbers))))
    except KeyError as error:
        raise ProblemError(f"{line.name}: {error.args[0]} has no exact value. Show it without --exact.") from None
    except ProblemError as error:
        raise ProblemError(f"{line.name}: {error}") from None


def _named(trace: Trace, name: str, array: NumpyArray, numbers: Numbers, *, longer: int) -> NumpyArray:
    """The numbers of a line, those with more operations by the name of their cell."""
    if array.dtype != object:
        return array
    short = np.empty(array.shape, dtype=object)
    for cell in np.ndindex(array.shape):
        number: Exact = array[cell]  # type: ignore[assignment]
        long = not number.expr.is_Atom and number.expr.count_ops() > longer and not number.expr.is_Rational
        short[cell] = numbers.named(cell_name(trace, name, cell), number) if long else number
    return short


def cell_name(trace: Trace, name: str, cell: tuple[int, ...]) -> str:
    """A cell as explanations name it: ``weights@1[1,2]``."""
    first = trace.working.label_base
    axes = trace.axes(name)
    at = axes.index("head") if "head" in axes and len(axes) == len(cell) else None
    rest = [index + first for axis, index in enumerate(cell) if axis != at]
    address = name if at is None else f"{name}@{cell[at] + first}"
    return f"{address}[{','.join(map(str, rest))}]" if rest else address
