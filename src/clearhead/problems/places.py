"""Whole numbers that select rows of a table: each must be one of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from clearhead.axes import Shape
from clearhead.errors import ProblemError
from clearhead.expr import Ref, walk
from clearhead.line import Line
from clearhead.working import Working


def check_places(working: Working, arrays: Mapping[str, Any], shapes: Mapping[str, Shape]) -> None:
    """Checks that the integers of a working select rows that exist.

    Raises:
        ProblemError: one does not; the message begins with its place.
    """
    integers = {given.name for given in working.givens if given.holds == "integers"}
    for line in working.lines:
        for name, table, size in _named(line, shapes):
            if name in integers:
                _check(name, arrays[name], table, size, dict(line.parameters).get("ignored"))


def _named(line: Line, shapes: Mapping[str, Shape]) -> Iterator[tuple[str, str, int]]:
    """The operands whose numbers are places of another, that other one, and how many places it has."""
    formula = line.formula
    operands = dict(zip(formula.roles, line.operands, strict=True))
    for node in walk(formula.body):
        if isinstance(node, Ref):
            for axis, index in enumerate(node.indices):
                if isinstance(index, Ref):
                    table = operands[node.operand]
                    yield operands[index.operand], table, shapes[table][axis - len(node.indices)]


def _check(name: str, array: Any, table: str, size: int, ignored: int | None) -> None:
    wrong = (array < 0) | (array >= size)
    if ignored is not None:
        wrong &= array != ignored
    if wrong.any():
        cell = tuple(np.argwhere(wrong)[0])
        place = f"arrays.{name}" + "".join(f"[{index}]" for index in cell)
        raise ProblemError(
            f"{place} expects the number of one of the {size} places of {table}, 0 to {size - 1}, got {array[cell]}. "
            f"Count from 0."
        )
