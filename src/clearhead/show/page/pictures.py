"""Small pictures of weights for which a page has no room: a byte for each point, the largest weight in its place."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import numpy as np

from clearhead.show.view import is_shares
from clearhead.trace import Trace

Data = dict[str, Any]

MAX_SIDE = 48
"""No picture has more rows or columns than this."""

MAX_BYTES = 360_000
"""The most bytes of all pictures of a page: pictures of many heads are smaller."""


def pictures(trace: Trace, names: Iterable[str]) -> dict[str, Data]:
    """The pictures of those of these lines that are weights: their rows and columns, and a byte for each point.

    A byte is 255 times the largest weight in its place, rounded. Where there are more heads than bytes, there are none.
    """
    arrays = {name: trace.numpy(name) for name in names if is_shares(trace.working.line(name))}
    matrices = sum(math.prod(array.shape[:-2]) for array in arrays.values())
    side = min(MAX_SIDE, math.isqrt(MAX_BYTES // max(matrices, 1)))
    if not side:
        return {}
    return {name: _picture(array, side) for name, array in arrays.items() if array.ndim > 1 and array.size}


def _picture(array: np.ndarray[Any, Any], side: int) -> Data:
    for axis in (-2, -1):
        size = array.shape[axis]
        starts = np.arange(min(side, size)) * size // min(side, size)
        array = np.maximum.reduceat(array, starts, axis=axis)
    points = np.rint(255 * np.clip(np.nan_to_num(array), 0, 1)).astype(np.uint8)
    rows, columns = points.shape[-2:]
    return {"rows": rows, "columns": columns, "data": b64encode(points.tobytes()).decode("ascii")}
