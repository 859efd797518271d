"""One size: what was measured of the function and of the working, and one part of both side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from clearhead.axes import Axes
from clearhead.check.measure.observe import Observed
from clearhead.check.measure.parts import Part


class Row(Struct, frozen=True, eq=False):
    """What was measured at one size of the function (a) and of the working (b)."""

    a: Observed
    b: Observed

    @property
    def tolerance(self) -> float:
        """The tolerance of a score of size one."""
        return max(self.a.tolerance, self.b.tolerance)


class Seen(Struct, frozen=True, eq=False):
    """A part at one size: what is measured, what is expected, whether the two differ, and where."""

    measured: Any
    expected: Any
    differs: bool
    axes: Axes = ()
    where: dict[str, tuple[int, ...]] = {}
    details: dict[str, Any] = {}


def part_of(name: str, known: Iterable[tuple[Row, Seen]], **more: Any) -> Part:
    """A part over all sizes, as it is at the first size at which it differs."""
    ordered = sorted(known, key=lambda pair: not pair[1].differs)
    row, first = ordered[0]
    sizes = tuple(each.a.size.words for each, _ in ordered)
    details = {**first.details, "differing": tuple(each.a.size.words for each, seen in ordered if seen.differs)}
    return Part(name, first.measured, first.expected, first.differs, first.axes, first.where if first.differs else {},
                sizes=sizes, tolerance=row.tolerance, details=details, **more)  # fmt: skip
