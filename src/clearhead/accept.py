"""The arrays that a caller gives: nested lists, or an array of any library, checked for the right kind of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import numpy as np

from clearhead.errors import ShapeError
from clearhead.line import Given
from clearhead.ops import Array, Namespace, namespace
from clearhead.ops.panels import Panels

_KIND = attrgetter("__class__", "shape", "dtype.char")


def as_array(given: Given, value: Any) -> Array:
    """The given value as an array: of NumPy, if it is of no array library.

    Raises:
        ShapeError: rows differ in length, or it holds the wrong kind of numbers.
    """
    if isinstance(value, Panels):
        return value
    if type(value) is not np.ndarray and (hasattr(value, "__array_namespace__") or hasattr(value, "detach")):
        return _check_kind(given, value, _kind_of(str(value.dtype)))
    array = _from_lists(given, value)
    kind = _check_kind(given, array, array.dtype.kind).dtype.kind
    return array.astype(np.float64) if kind in "iu" and given.holds == "numbers" else array


def kinds_of(arrays: Iterable[Any]) -> tuple[Any, ...] | None:
    """The class, shape and type of each NumPy array; None if one is another kind of array."""
    try:
        return tuple(map(_KIND, arrays))
    except AttributeError:
        return None


def _kind_of(dtype: str) -> str:
    """NumPy's letter for the kind of an array's type: b for booleans, i for integers, f for others."""
    return "b" if "bool" in dtype else "i" if "int" in dtype else "f"


def _check_kind(given: Given, array: Array, kind: str) -> Array:
    if (kind == "b") != (given.holds == "booleans") or (given.holds == "integers" and kind not in "iu"):
        raise ShapeError(f"{given.name} holds {given.holds}, got an array of {array.dtype}. {_REMEDIES[given.holds]}")
    return array


def _from_lists(given: Given, value: Any) -> np.ndarray[Any, Any]:
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(value, dtype=object)
    if array.dtype.kind not in "biuf":
        raise ShapeError(
            f"{given.name} expects an array, or nested lists of one length per axis, of {given.holds}, got "
            f"{type(value).__name__} that NumPy reads as {array.dtype}. Check that all rows are equally long."
        )
    return array


_REMEDIES = {
    "booleans": "Use True for keys that a query may attend to and False for others.",
    "numbers": "Convert it, for instance with array.astype(float).",
    "integers": "Give whole numbers, as an array of integers.",
}


def library(arrays: Mapping[str, Array]) -> Namespace:
    """The namespace of the one library that all arrays are of."""
    try:
        return namespace(*arrays.values())
    except TypeError:
        kinds = ", ".join(f"{name} is a {type(array).__module__} array" for name, array in arrays.items())
        raise ShapeError(f"The arrays are not all of one library: {kinds}. Convert them to one.") from None
