"""Which weights compiled code multiplies faster where they lie in panels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, MutableMapping
from typing import Any

import numpy as np

from clearhead.compiled.program import choice
from clearhead.compiled.program.emit import BY_PANELS
from clearhead.compiled.program.program import Product
from clearhead.compiled.simd import WIDTH
from clearhead.line import Line
from clearhead.ops import Operation
from clearhead.ops.panels import Panels
from clearhead.ops.textbook import tables

LOOKED_UP = {(tables.look_up, 0)}

READ = {
    turned: {(operation, 1) for operation, way in BY_PANELS.items() if way is turned} | (LOOKED_UP if turned else set())
    for turned in (False, True)
}
"""What may read a matrix in panels, and a turned one: operations, and which of their operands it is."""


def pack(lines: Iterable[Line], weights: MutableMapping[str, Any]) -> list[str]:
    """Puts weights into panels, in the place of their matrices, and returns their names.

    They are those that nothing reads but products, as the second operand, and tables of embeddings that logits are
    computed with, too. There are none where the BLAS of this machine is faster.
    """
    if Product.PACKED not in choice.own():
        return []
    uses: dict[str, set[tuple[Operation, int]]] = defaultdict(set)
    for line in lines:
        for place, name in enumerate(line.operands):
            uses[name].add((line.operation, place))
    packed = []
    for name, weight in weights.items():
        ways = {turned for turned, read in READ.items() if uses[name] and uses[name] <= read}
        if ways and uses[name] != LOOKED_UP and _is_matrix(weight):
            packed.append((name, True in ways))
    for name, turned in packed:
        weights[name] = Panels(weights[name], WIDTH, turned=turned)
    return [name for name, _ in packed]


def _is_matrix(weight: Any) -> bool:
    """Whether an array is a matrix, or one for each head, of float32 numbers."""
    return isinstance(weight, np.ndarray) and weight.dtype == np.float32 and weight.ndim in (2, 3)
