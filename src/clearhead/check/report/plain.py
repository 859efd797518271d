"""Parts of a document as bare lines, for messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from clearhead.document import Arithmetic, Equation, Heading, Panels, Part, Prose, Remark
from clearhead.expr import number, text

MAX_INLINE = 24
"""For a matrix of more numbers only their count is written."""


def lines_of(part: Part, decimals: int | None) -> Iterator[str]:
    """A part as plain lines; for large matrices only their size."""
    match part:
        case Prose(words) | Remark(words):
            yield words
        case Heading():
            yield f"{part.text} {part.aside}".rstrip()
        case Equation():
            yield f"  {text(part.left)} = {text(part.right, decimals=decimals, first=part.first)}"
        case Arithmetic(explanation):
            yield f"  {explanation}"
        case Panels(matrices):
            yield from (f"  {matrix.title}: {_inline(matrix.values, decimals)}" for matrix in matrices)


def _inline(values: np.ndarray[Any, Any], decimals: int | None) -> str:
    """A matrix on one line, or how many numbers it has."""
    if values.size > MAX_INLINE:
        return f"{values.size} numbers"
    rows = (", ".join(number(float(value), decimals) for value in row) for row in np.atleast_2d(values))
    return f"[{'; '.join(rows)}]"
