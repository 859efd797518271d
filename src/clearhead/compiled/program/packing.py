"""Which weights compiled code multiplies faster where they lie in panels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from clearhead.axes import Shape
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


class Stored(Protocol):
    """A weight that may not have been read."""

    @property
    def shape(self) -> Shape:
        """The shape of the matrix, or of those of all heads."""
        ...

    def array(self) -> np.ndarray[Any, Any]:
        """The numbers."""
        ...

    def panels(self, lanes: int, *, of_turned: bool) -> Panels | None:
        """The numbers in panels, in fewer bits than float32 has; None if they are not stored so."""
        ...


def packed(lines: Iterable[Line], weights: Mapping[str, Stored]) -> Iterator[tuple[str, Panels]]:
    """Weights in panels, by name, one after the other, so that no more than one is in memory twice.

    They are those that nothing reads but products, as the second operand, and tables of embeddings that logits are
    computed with, too. There are none where the BLAS of this machine is faster.
    """
    if Product.PACKED not in choice.own():
        return
    uses: dict[str, set[tuple[Operation, int]]] = defaultdict(set)
    for line in lines:
        for place, name in enumerate(line.operands):
            uses[name].add((line.operation, place))
    for name, weight in weights.items():
        ways = {turned for turned, read in READ.items() if uses[name] and uses[name] <= read}
        if not ways or uses[name] == LOOKED_UP or len(weight.shape) not in (2, 3):
            continue
        turned = True in ways
        if (panels := weight.panels(WIDTH, of_turned=turned)) is not None:
            yield name, panels
        elif (array := weight.array()).dtype == np.float32:
            yield name, Panels(array, WIDTH, turned=turned)
