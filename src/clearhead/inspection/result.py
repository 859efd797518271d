"""The results of an inspection: statistics of attention whose weights are never all stored."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from clearhead.inspection.statistics import STATISTICS, Table, documented

Array = Any


class Received(Struct, frozen=True, eq=False):
    """The weights that each key receives from all queries, in arrays of (*batch, head, key).

    Attributes:
        total: the sum of the weights.
        max: the largest weight.
    """

    total: Array
    max: Array


class Inspection(Table, frozen=True, eq=False):
    """Exact statistics of attention weights, computed without keeping the weights.

    Arrays are of the library and, except for keys, of the type of the query. A query that may attend to nothing has
    weights, output and entropy 0, and max and logsumexp minus infinity. Besides the statistics there are:

    Attributes:
        numbers: all statistics by name.
        edges: the edges of the bands of distance, in tokens.
        kernel: which implementation computed it: ``"numba"``, ``"triton"`` or ``"plain"``.
        reason: why this one.

    Each statistic is an attribute, (*batch, head) and then:
    """

    edges: tuple[int, ...] = ()
    kernel: str = ""
    reason: str = ""

    @property
    def received(self) -> Received | None:
        """The weights that each key receives; None if they were not requested."""
        if "received_total" not in self.numbers:
            return None
        return Received(self.numbers["received_total"], self.numbers["received_max"])


Inspection.__doc__ = f"{Inspection.__doc__}{documented(STATISTICS)}"
