"""Whole numbers that select rows of a table: each must be one of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clearhead.axes import Shape
from clearhead.errors import ProblemError
from clearhead.line import selections
from clearhead.working import Working


def check_places(working: Working, arrays: Mapping[str, Any], shapes: Mapping[str, Shape]) -> None:
    """Checks that the integers of a working select rows that exist.

    Raises:
        ProblemError: one does not; the message begins with its place.
    """
    integers = {given.name for given in working.givens if given.holds == "integers"}
    for line in working.lines:
        for name, table, axis in selections(line):
            if name in integers:
                _check(name, arrays[name], table, shapes[table][axis], dict(line.parameters).get("ignored"))


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
