"""Which weights compiled code multiplies faster where they lie in panels."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

import numpy as np

from clearhead.compiled.program import choice
from clearhead.compiled.program.emit import BY_PANELS
from clearhead.compiled.program.program import Product
from clearhead.compiled.simd import WIDTH
from clearhead.line import Line
from clearhead.ops.panels import Panels


def pack(lines: Iterable[Line], weights: MutableMapping[str, Any]) -> list[str]:
    """Puts weights into panels, in the place of their matrices, and returns their names.

    They are those that nothing reads but products, as the second operand. There are none where the BLAS of this machine
    is faster.
    """
    if Product.PACKED not in choice.own():
        return []
    factors, others = set[str](), set[str]()
    for line in lines:
        by_panels = line.operation in BY_PANELS
        factors.update(line.operands[1:] if by_panels else ())
        others.update(line.operands[:1] if by_panels else line.operands)
    names = [name for name in weights if name in factors - others and _is_matrix(weights[name])]
    for name in names:
        weights[name] = Panels(weights[name], WIDTH)
    return names


def _is_matrix(weight: Any) -> bool:
    """Whether an array is a matrix, or one for each head, of float32 numbers."""
    return isinstance(weight, np.ndarray) and weight.dtype == np.float32 and weight.ndim in (2, 3)
