"""How rough a function is: the part of its results that jumps when its inputs move a little.

Numbers of low precision, and steps that are rounded, make results jump. Sixth differences along a line take out
what is smooth and keep what jumps (as Hamming's difference tables do; Moré and Wild 2011).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt

import numpy as np
from msgspec.structs import replace

from clearhead.check.calls.calling import Caller
from clearhead.check.calls.drawing import Inputs
from clearhead.check.calls.observing import Array, Seen
from clearhead.check.precision.propagation import as_slack
from clearhead.claim import Claim

ORDER, POINTS = 6, 10
STEPS = (1e-2, 1e-5)
"""The distances of two points: a few units in the last place of bfloat16; of float32, where the first shows little."""

LITTLE = 1e-4
"""Less than this at the wide distance may be what is not quite smooth."""

SMOOTH = 1e-8
"""What is less rough than this is rough because of the last digits of float64 alone."""

SPREAD = 10.0
"""How many times its roughness a number may be off."""


def roughness(caller: Caller, inputs: Inputs, shapes: Sequence[tuple[int, ...]]) -> tuple[float, ...]:
    """The standard deviation of what jumps, for each result; infinite where the function gives nothing."""
    wide, narrow = STEPS
    found = _jumping(caller, inputs, shapes, wide)
    return _jumping(caller, inputs, shapes, narrow) if max(found) < LITTLE else found


def _jumping(caller: Caller, inputs: Inputs, shapes: Sequence[tuple[int, ...]], step: float) -> tuple[float, ...]:
    rng = np.random.default_rng(len(inputs.arrays))
    along = {name: rng.normal(size=array.shape) for name, array in inputs.arrays.items() if array.dtype.kind == "f"}
    rows: list[list[Array]] = [[] for _ in shapes]
    for point in range(POINTS):
        moved = {name: inputs.arrays[name] + step * point * toward for name, toward in along.items()}
        outputs = caller.numbers({**inputs.arrays, **moved}, shapes)
        if outputs is None:
            return (float("inf"),) * len(shapes)
        for row, out in zip(rows, outputs, strict=True):
            row.append(out.astype(np.float64))
    return tuple(map(_jumps, rows))


def _jumps(row: list[Array]) -> float:
    with np.errstate(invalid="ignore"):
        differences = np.diff(np.stack(row), n=ORDER, axis=0)
    finite = differences[np.isfinite(differences)]
    return float(np.sqrt(np.mean(finite**2)) / sqrt(comb(2 * ORDER, ORDER))) if finite.size else float("inf")


class Rough(Seen, frozen=True, eq=False):
    """Results that are no more precise than they are rough, as was measured: large ones jump more."""

    rough: dict[str, float] = {}  # noqa: RUF012 - msgspec copies it

    def claim(self, name: str, out: Array, *, single: bool = False) -> Claim:
        """An output as a claim, with the slack that its roughness leaves."""
        claim = super().claim(name, out, single=single)
        size = self.rough.get(name, 0.0)
        if not SMOOTH < size < float("inf"):
            return claim
        numbers = np.abs(out.astype(np.float64))
        typical = float(np.sqrt(np.mean(numbers**2))) or 1.0
        return replace(claim, slack=as_slack(SPREAD * size * np.maximum(1.0, numbers / typical)))


def as_rough(seen: Seen, rough: dict[str, float]) -> Rough:
    """The results with their roughness."""
    return Rough(seen.inputs, seen.dtype, seen.trace, seen.outputs, seen.symptoms, rough)
