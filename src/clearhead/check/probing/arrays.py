"""The arrays of an input as text."""

from __future__ import annotations

from typing import Any

import numpy as np

from clearhead.axes import Axes

SHOWN_DECIMALS = 4
LARGEST_WHOLE = 1e9
"""Numbers are shown without a point up to this size."""

MAX_EQUAL = 6
"""Arrays of more zeros than this are not written out."""


def squeezed(array: np.ndarray[Any, Any], axes: Axes) -> tuple[np.ndarray[Any, Any], Axes]:
    """An array without a batch of one."""
    while axes[:1] == ("batch",) and array.shape[0] == 1:
        array, axes = array[0], axes[1:]
    return array, axes


def written_out(array: np.ndarray[Any, Any]) -> str:
    """An array as nested lists, whole numbers without a point."""
    if array.dtype.kind == "b":
        return str(array.tolist())
    if array.size > MAX_EQUAL and not array.any():
        return "all 0"
    whole = np.all(np.abs(array) < LARGEST_WHOLE) and np.all(array == np.round(array))
    return str(array.astype(int).tolist() if whole else np.round(array, SHOWN_DECIMALS).tolist())
