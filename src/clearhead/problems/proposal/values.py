"""What an expression of a notebook holds, as far as it is written out or its part in attention is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.errors import ProblemError
from clearhead.written import value_of

NumpyArray = np.ndarray[Any, Any]


class Value(Struct, frozen=True):
    """What is known of an expression.

    Attributes:
        array: its numbers, where they are written out; None where they would have to be computed.
        role: the line that it is, or the given array (``query.weight``); none where that is not known.
        head: the head that it is of, 0 for none.
        turned: whether it is transposed.
        parts: the values that it was made of, where an array is a product or a stack of others.
    """

    array: NumpyArray | None = None
    role: str = ""
    head: int = 0
    turned: bool = False
    parts: tuple[Value, ...] = ()

    @property
    def number(self) -> float | None:
        """The number that it is, if it is one."""
        return float(self.array) if self.array is not None and self.array.ndim == 0 else None

    @property
    def matrix(self) -> bool:
        """Whether its numbers are known, and are a matrix."""
        return self.array is not None and self.array.ndim == 2


NOTHING = Value()
MAX_CELLS = 10_000


def array_of(nested: Any) -> NumpyArray | None:
    """Nested lists of texts as an array; None where rows differ in length or it is too large."""
    try:
        array = np.array(_valued(nested), dtype=np.float64)
    except (ValueError, OverflowError, ProblemError):
        return None
    return array if array.size <= MAX_CELLS else None


def _valued(nested: Any) -> Any:
    """The same with the values of texts."""
    if isinstance(nested, list):
        return [_valued(each) for each in nested]
    return value_of(nested) if isinstance(nested, str) else nested


def transposed(value: Value) -> Value:
    """The transpose of a value."""
    return Value(None if value.array is None else value.array.T, value.role, value.head, not value.turned, value.parts)


def computed(operator: str, left: NumpyArray, right: NumpyArray) -> NumpyArray | None:
    """Sums, differences, products and quotients of what is written out."""
    functions = {"Add": np.add, "Sub": np.subtract, "Mult": np.multiply, "Div": np.divide, "Pow": np.power}
    try:
        cells = math.prod(np.broadcast_shapes(left.shape, right.shape))
    except ValueError:
        return None
    if operator not in functions or cells > MAX_CELLS:
        return None
    with np.errstate(all="ignore"):
        found = functions[operator](left, right)
    return found if np.isfinite(found).all() else None


def assembled(name: str, parts: list[NumpyArray], axis: int) -> NumpyArray | None:
    """Arrays set beside or below each other, as the functions of this name do."""
    if sum(each.size for each in parts) > MAX_CELLS:
        return None
    try:
        match name:
            case "vstack":
                return np.vstack(parts)
            case "hstack":
                return np.hstack(parts)
            case "column_stack":
                return np.column_stack(parts)
            case "stack" | "array":
                return np.stack(parts, axis=axis)
            case _:
                return np.concatenate(parts, axis=axis)
    except ValueError:
        return None
