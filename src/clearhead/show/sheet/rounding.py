"""Where a spreadsheet, which computes in double precision, would show another digit than the certified number has.

Of 1234.56 - 1234.315 = 0.245 it keeps 0.24499999999989086, and to two decimals that is 0.24. Such a cell rounds what it
computes to as many decimals as are sure, so that it shows 0.25 as every other medium does.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import numpy as np

from clearhead.axes import Cell
from clearhead.dust import computed_lines
from clearhead.expr.text import fixed
from clearhead.trace import Trace

DIGITS = 15
"""The digits to which spreadsheets round a number before they show it with fewer."""

SAFE = 8
"""How many times as large as the error half a unit of a decimal is that is sure."""

_WIDE = Context(prec=60)


def roundings(trace: Trace, decimals: int) -> dict[str, dict[Cell, int]]:
    """The cells of each line that a spreadsheet would show otherwise, and the decimals to which they are rounded first.

    Args:
        trace: what is shown; one that is large, or of which not all was given, has no such cells.
        decimals: how many the sheet shows.
    """
    lines = {name: array for name, array in computed_lines(trace).items() if array.dtype == np.float64}
    if not lines:
        return {}
    plain = trace.working.run(trace.given, keep=tuple(lines))
    return {name: _of_line(np.asarray(plain[name]), array, decimals) for name, array in lines.items()}


def _of_line(plain: np.ndarray[Any, Any], right: np.ndarray[Any, Any], decimals: int) -> dict[Cell, int]:
    found = {}
    for cell in np.ndindex(right.shape):
        computed, number = float(plain[cell]), float(right[cell])
        if not (math.isfinite(computed) and math.isfinite(number)):
            continue
        places = _sure_places(computed, number)
        if places > decimals and _shown(computed, decimals) != Decimal(fixed(number, decimals)):
            found[cell] = places
    return found


def _shown(number: float, decimals: int) -> Decimal:
    """A number as a spreadsheet shows it."""
    return Decimal(f"{number:.{DIGITS}g}").quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, _WIDE)


def _sure_places(computed: float, number: float) -> int:
    error = max(abs(computed - number), 2 * math.ulp(max(abs(computed), abs(number))))
    return math.floor(-math.log10(2 * SAFE * error))
