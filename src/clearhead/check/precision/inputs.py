"""Given arrays that somebody rounded before computing with them: to few decimals, all of them or some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec.structs import replace

from clearhead.check.compare.comparison import compare
from clearhead.check.precision.arithmetic import Array, Arrays, Precision, measured
from clearhead.claim import Claim
from clearhead.errors import ClearheadError
from clearhead.trace import Trace

MAX_DECIMALS = 4
"""The most decimals to which given arrays are rounded."""

MIN_CELLS = 4
"""Fewer differing cells than this may come out by chance."""

MAX_ALONE = 16
"""With more given arrays than this, only all of them are rounded together."""


def of_rounded_inputs(claims: Sequence[Claim], trace: Trace, arrays: Arrays) -> Precision | None:
    """The rounding of given arrays with which all claims agree; None if there is none.

    Args:
        claims: the claims, some of which differ.
        trace: the working with the arrays as they are given.
        arrays: the given arrays.
    """
    if sum(len(line.wrong) for line in compare(claims, trace).differing) < MIN_CELLS:
        return None
    for names, decimals in _tries(arrays):
        rounded = {name: _rounded(array, decimals) if name in names else array for name, array in arrays.items()}
        if all(np.array_equal(rounded[name], arrays[name], equal_nan=True) for name in names):
            continue
        try:
            other = trace.working.run(rounded, tokens=trace.tokens, key_tokens=trace.key_tokens)
        except ClearheadError:
            continue
        if compare(claims, other).agrees:
            found = measured(claims, other, {}, "inputs")
            return replace(found, rounded=(decimals, *(() if len(names) == len(_numbers(arrays)) else names)))
    return None


def _tries(arrays: Arrays) -> Iterator[tuple[tuple[str, ...], int]]:
    """The arrays that are rounded together, and to how many decimals: all of them first."""
    numbers = _numbers(arrays)
    alone = [(name,) for name in numbers] if 1 < len(numbers) <= MAX_ALONE else []
    for decimals in range(MAX_DECIMALS, -1, -1):
        yield from ((names, decimals) for names in (numbers, *alone))


def _numbers(arrays: Arrays) -> tuple[str, ...]:
    return tuple(name for name, array in arrays.items() if array.dtype.kind == "f")


def _rounded(array: Array, decimals: int) -> Array:
    """Halves away from zero, as by hand."""
    unit = 10.0**decimals
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.where(np.isfinite(array), np.sign(array) * np.floor(np.abs(array) * unit + 0.5) / unit, array)
        )
