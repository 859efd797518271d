"""Which single deviations give the claimed numbers of one line, where many people's numbers lead to it.

The search walks along a working for one set of claims. Here the ways to the line, one for each deviation, are
written down once as *nodes*: an operation with the nodes that it reads, each distinct one once. The nodes are then
computed for any numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from msgspec import Struct

from clearhead.check.compare.comparison import misses
from clearhead.check.search.hypotheses import Hypotheses
from clearhead.check.search.stacked import Array
from clearhead.claim import Claim
from clearhead.errors import ShapeError
from clearhead.line import Line
from clearhead.ops import Array as AnyArray
from clearhead.ops import namespace, quiet
from clearhead.working import Working


class Node(Struct, frozen=True):
    """A given array, by its name, or a line that is computed from earlier nodes."""

    name: str
    line: Line | None = None
    operands: tuple[int, ...] = ()


class Ways:
    """The ways to one line: as the working has it, and by each candidate alone.

    Attributes:
        own: the node of the line in the working as it is.
        ends: the node of the line by each candidate that changes it.
    """

    def __init__(self, hypotheses: Hypotheses, name: str) -> None:
        self.working = hypotheses.working
        self.name = name
        self.nodes: list[Node] = []
        self._numbers: dict[tuple[object, ...], int] = {}
        plans, before = hypotheses.plans, dict[str, int]()
        self.own = self._resolved(self.working, before)
        ends = {number: self._end(plans.working((number,))) for number in range(len(plans.deviations))}
        for rounded in before.keys() & hypotheses.roundings:
            for number, line in hypotheses.roundings[rounded]:
                ends[number] = self._resolved(self.working, {rounded: self._number(line, (before[rounded],))})
        for number, line in hypotheses.shown.get(name, ()):
            ends[number] = self._number(line, (self.own,))
        self.ends = {number: end for number, end in ends.items() if end is not None and end != self.own}

    def _end(self, working: Working | None) -> int | None:
        return None if working is None or self.name not in working.names else self._resolved(working, {})

    def _resolved(self, working: Working, known: dict[str, int], name: str = "") -> int:
        """The node of a line, the claimed one if none is named; the nodes on the way are written into ``known``."""
        name = name or self.name
        if name not in known:
            part = working.line(name) if name in working.names else None
            operands = part.operands if isinstance(part, Line) else ()
            numbers = tuple(self._resolved(working, known, operand) for operand in operands)
            known[name] = self._number(part if isinstance(part, Line) else name, numbers)
        return known[name]

    def _number(self, what: Line | str, operands: tuple[int, ...]) -> int:
        key = (what,) if isinstance(what, str) else (what.operation, what.parameters, operands)
        if key not in self._numbers:
            self._numbers[key] = len(self.nodes)
            self.nodes.append(Node(what) if isinstance(what, str) else Node(what.name, what, operands))
        return self._numbers[key]

    def fitting(self, arrays: Mapping[str, AnyArray], claims: Sequence[Claim]) -> list[int]:
        """The candidates that give the claims; without those that leave the line as it is."""
        values = self._computed(arrays)
        by_shape: dict[tuple[int, ...], dict[int, Array]] = {}
        for end in self.ends.values():
            if (value := values[end]) is not None:
                by_shape.setdefault(value.shape, {})[end] = value
        fits: set[int] = set()
        for found in by_shape.values():
            stack = np.stack([*found.values()])
            missed = [misses(claim, self.working, self.name, stack) for claim in claims]
            fits.update(end for end, each in zip(found, np.any(missed, axis=0), strict=True) if not each)
        return sorted(number for number, end in self.ends.items() if end in fits)

    def _computed(self, arrays: Mapping[str, AnyArray]) -> list[Array | None]:
        """The numbers of each node; None where sizes do not fit."""
        values: list[Array | None] = []
        xp = namespace(*arrays.values())
        with quiet(xp):
            for node in self.nodes:
                operands = [values[number] for number in node.operands]
                if node.line is None:
                    values.append(arrays.get(node.name))
                elif any(operand is None for operand in operands):
                    values.append(None)
                else:
                    try:
                        values.append(node.line.operation.code(xp, *operands, **dict(node.line.parameters)))
                    except (ShapeError, ValueError, IndexError):
                        values.append(None)
        return values


@lru_cache(maxsize=64)
def ways_to(hypotheses: Hypotheses, name: str) -> Ways:
    """The ways to a line by its full name; they are kept."""
    return Ways(hypotheses, name)
