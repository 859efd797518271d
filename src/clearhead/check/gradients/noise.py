"""How rough a function is: the part of its results that jumps when its inputs move a little.

Numbers of low precision, and steps that are rounded, make results jump. Sixth differences along a line take out
what is smooth and keep what jumps (as Hamming's difference tables do; Moré and Wild 2011). Derivatives of activations
with corners jump too, as those of a ReLU, which is no rounding: so a line is taken on which the working does not jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import comb, sqrt

import numpy as np
from msgspec.structs import replace

from clearhead.check.calls.calling import Caller
from clearhead.check.calls.drawing import Inputs
from clearhead.check.calls.observing import Array, Seen
from clearhead.check.calls.task import Arrays, Task
from clearhead.check.precision.propagation import as_slack
from clearhead.claim import Claim

ORDER, POINTS = 6, 10
WIDE, NARROW = (1e-2, 3e-3, 1e-3, 3e-4), (1e-3, 1e-4, 1e-5)
"""The distances of two points: about a unit in the last place of bfloat16; where these show little, of float16 down
to float32, on which what is smooth shows nothing."""

LINES = 12
"""How many lines are tried for each distance."""

LITTLE = 1e-4
"""Less than this at the wide distance may be what is not quite smooth."""

SMOOTH = 1e-8
"""What is less rough than this is rough because of the last digits of float64 alone."""

SPREAD = 20.0
"""How many times its roughness a number may be off: rounding to a few bits has long tails, and not all of it jumps."""


def roughness(caller: Caller, inputs: Inputs, shapes: Sequence[tuple[int, ...]]) -> tuple[float, ...]:
    """The standard deviation of what jumps, for each result; infinite where the function gives nothing."""
    found = _jumping(caller, shapes, _without_corners(caller.task, inputs, WIDE, LITTLE))
    if max(found) >= LITTLE:
        return found
    return _jumping(caller, shapes, _without_corners(caller.task, inputs, NARROW, SMOOTH))


def is_lost(rough: float, out: Array) -> bool:
    """Whether a result jumps so much that other numbers could not be distinguished from it."""
    return SPREAD * rough > float(np.sqrt(np.mean(np.abs(out.astype(np.float64)) ** 2)))


def _without_corners(task: Task, inputs: Inputs, steps: Sequence[float], most: float) -> list[Arrays]:
    """Points on the widest line on which the results of the working jump less than ``most``; else on the shortest."""
    points: list[Arrays] = []
    for step, line in product(steps, range(LINES)):
        points = _points(inputs, step, line)
        traces = (task.working.run(replace(inputs, arrays=each).given(task), keep=task.returns) for each in points)
        results = [[np.asarray(trace.numpy(name), np.float64) for name in task.returns] for trace in traces]
        if max(_jumps(list(row)) for row in zip(*results, strict=True)) < most:
            break
    return points


def _points(inputs: Inputs, step: float, line: int = 0) -> list[Arrays]:
    """Points along a random line, this far apart."""
    rng = np.random.default_rng((len(inputs.arrays), line))
    along = {name: rng.normal(size=array.shape) for name, array in inputs.arrays.items() if array.dtype.kind == "f"}
    moves = ({name: inputs.arrays[name] + step * point * to for name, to in along.items()} for point in range(POINTS))
    return [{**inputs.arrays, **moved} for moved in moves]


def _jumping(caller: Caller, shapes: Sequence[tuple[int, ...]], points: Sequence[Arrays]) -> tuple[float, ...]:
    rows: list[list[Array]] = [[] for _ in shapes]
    for point in points:
        outputs = caller.numbers(point, shapes)
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
