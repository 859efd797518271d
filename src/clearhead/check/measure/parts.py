"""What measuring finds, as data: parts with measured and expected values, premises that fail, and the sizes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from msgspec import Struct

from clearhead.axes import Axes
from clearhead.check.measure.laws import Law

Array = np.ndarray[Any, Any]
Sizes = dict[str, int]
"""How many entries each axis has, by its word: ``{"token": 5, "depth": 4}``."""


WHOLE = (
    "places",
    "position frequencies",
    "added positions",
    "norm axes",
    "step",
    "residual",
    "one half",
    "weights inside",
    "projections",
    "sum factors",
    "constants",
    "rotary tables",
)
"""Parts with which all numbers are right: others that differ follow from them."""


class Part(Struct, frozen=True, eq=False):
    """One part of a computation: what was measured, and what is expected.

    Attributes:
        name: what the part is, such as ``"scale"`` or ``"keys seen"``.
        measured: an array with the axes ``axes``, or a number or text; at the first of ``sizes``.
        expected: the same of the working, measured by the same code.
        differs: whether the two differ by more than the tolerance, at any of ``sizes``.
        axes: the axis words of ``measured`` and ``expected`` where they are arrays.
        where: which entries differ, by axis word: ``{"head": (1,)}``. An axis that is not named differs everywhere.
        law: how the measured value follows the sizes, such as 1/sqrt(depth); None if it is no number or has no law.
        expected_law: how the expected value follows them.
        sizes: the sizes on which it was measured, the first that shows the difference in front.
        tolerance: how much the two may differ, from the precision of the numbers.
        details: more about the part, for sentences and for the parameters of deviations.
    """

    name: str
    measured: Any
    expected: Any
    differs: bool
    axes: Axes = ()
    where: dict[str, tuple[int, ...]] = {}
    law: Law | None = None
    expected_law: Law | None = None
    sizes: tuple[Sizes, ...] = ()
    tolerance: float = 0.0
    details: dict[str, Any] = {}


class Premise(Struct, frozen=True):
    """A condition of measuring that does not hold.

    Attributes:
        name: one of the premises, such as ``"finite"`` or ``"repeatable"``.
        found: what was found instead, as data.
        fails: the sizes at which it fails.
        tried: all sizes at which it was tried.
        stops: whether nothing else could be measured.
        explains: whether it says why the numbers differ.
    """

    name: str
    found: Any
    fails: tuple[Sizes, ...] = ()
    tried: tuple[Sizes, ...] = ()
    stops: bool = True
    explains: bool = False


class Measurement(Struct, frozen=True, eq=False):
    """All that was measured of a function.

    Attributes:
        parts: the parts that differ from what is expected, the most basic first.
        right: the parts that were measured and found right.
        premise: the first premise that fails; nothing after it was measured.
        rest: the largest difference, relative to the size of the outputs, between the function on random inputs and
            the measured parts alone; None where outputs were not rebuilt.
        tolerance: up to this ``rest`` the parts explain everything measured.
        sizes: the sizes at which parts were measured.
        agrees: the sizes at which all numbers agree with the working.
        differs: the sizes at which some do not.
        refused: the sizes at which the function does not run.
        eps: the relative precision of its numbers.
        calls: how often the function was called.
        seconds: how long measuring took.
    """

    parts: tuple[Part, ...] = ()
    right: tuple[Part, ...] = ()
    premise: Premise | None = None
    rest: float | None = None
    tolerance: float = 0.0
    sizes: tuple[Sizes, ...] = ()
    agrees: tuple[Sizes, ...] = ()
    differs: tuple[Sizes, ...] = ()
    refused: tuple[Sizes, ...] = ()
    eps: float = 0.0
    calls: int = 0
    seconds: float = 0.0

    @property
    def verdict(self) -> Literal["agrees", "explained", "unexplained"]:
        """Whether nothing differs, or the parts that differ explain all that was measured, or something remains."""
        if self.premise and self.premise.explains and not self.parts:
            return "explained"
        if (self.premise and self.premise.stops) or (self.differs and not self.parts):
            return "unexplained"
        if not self.parts:
            return "agrees"
        return "unexplained" if self.rest is not None and self.rest > self.tolerance else "explained"

    def part(self, name: str) -> Part | None:
        """The part called ``name``, if it was measured."""
        return next((each for each in (*self.parts, *self.right) if each.name == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parts that differ."""
        return tuple(each.name for each in self.parts)
