"""Rotary positions of which a step is rounded to a type of few bits: frequencies, angles, or cosines and sines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from msgspec import Struct

from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.precision import FLOATS
from clearhead.working import Working

Step = Callable[..., tuple[Array, ...]]
"""Lines of a working from those before them."""

STEPS = ("frequencies", "angles", "cosines and sines")
"""What may be rounded, in the order in which it is computed."""

ROUNDED = (STEPS[2:], STEPS[1:2], STEPS[1:], STEPS, STEPS[:2])
"""The steps that are rounded together. Frequencies alone are measured as such."""

TYPES = ("bfloat16", "float16")


class Kept(Struct, frozen=True):
    """Rotary positions with some steps rounded to a type."""

    type: str
    steps: tuple[str, ...]

    def __call__(self, position: Array, angle: Array, cos: Array, sin: Array) -> tuple[Array, Array]:
        """The cosines and sines (token, pair) at these positions, from the exact ones."""
        with np.errstate(all="ignore"):
            strength = np.hypot(cos, sin)
            speed = angle / position[:, None]
        if "frequencies" in self.steps:
            angle = np.where(position[:, None] == 0, angle, position[:, None] * self._rounded(speed))
        angle = self._rounded(angle) if "angles" in self.steps else angle
        waves = strength * np.cos(angle), strength * np.sin(angle)
        return (self._rounded(waves[0]), self._rounded(waves[1])) if STEPS[2] in self.steps else waves

    def _rounded(self, x: Array) -> Array:
        return rounded(x, FLOATS[self.type])


def rounded(x: Array, bits: int) -> Array:
    """Numbers with this many bits after the leading one, halves to even."""
    fraction, exponent = np.frexp(x)
    return np.asarray(np.ldexp(np.round(np.ldexp(fraction, bits + 1)), exponent - bits - 1))


def kept_table(working: Working, gives: Callable[[tuple[str, ...], tuple[str, ...], Step], bool]) -> Part | None:
    """The steps of rotary positions that are rounded, as a part; None where that does not give all numbers.

    Args:
        working: the working.
        gives: whether the working gives the function's numbers where a step makes some of its lines from others.
    """
    names = {line.name.partition("rotary.")[2]: line.name for line in working.lines if "rotary." in line.name}
    if not {"position", "angle", "cos", "sin"} <= names.keys():
        return None
    reads = tuple(names[each] for each in ("position", "angle", "cos", "sin"))
    kept = next((each for each in _tables() if gives(reads, reads[2:], each)), None)
    return Part("rotary tables", kept, "exact", differs=True, details={"kept": kept}) if kept else None


def _tables() -> Iterator[Kept]:
    for type in TYPES:
        for steps in ROUNDED:
            yield Kept(type, steps)
