"""Whether gradients fit a forward pass: its own differences along random directions, against what they say of these."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from clearhead.backward import GRAD
from clearhead.brief import Brief
from clearhead.check.calls.calling import Caller
from clearhead.check.calls.drawing import Inputs
from clearhead.check.gradients.noise import roughness
from clearhead.check.gradients.task import GradientTask

Array = np.ndarray[Any, Any]

DIRECTIONS = 4
SMALL = 1e-9
"""Differences that are as precise as this always decide."""

SHRINK = 0.4
STEPS = 0.4 * SHRINK ** np.arange(8)
"""The steps of central differences, from which Ridders' extrapolation takes the most precise."""

SAFE = 10.0
"""How many times its estimated error a difference may be off."""

SIGMAS = 3.0
"""How many times its standard deviation what jumps may add up to."""

WRONG = 2.0
"""How many times what is allowed a gradient must be off, along half of the directions, to be called wrong."""

TINY = 1e-11
"""What sums of float64 numbers may be off."""

SHARP = 0.2
"""Differences that are less precise than this share of their size decide nothing."""


class Slope(Brief, frozen=True):
    """Whether the gradient of one argument fits the differences of the function's own forward pass.

    Attributes:
        line: the gradient, such as ``query.grad``.
        verdict: it fits, it differs, or the differences are not precise enough to tell.
        claimed: the change of the result per step along a random direction, from the gradient.
        measured: the same from differences of the forward pass.
        error: how far ``measured`` may be off.
    """

    line: str
    verdict: Literal["fits", "differs", "unknown"]
    claimed: float
    measured: float
    error: float

    @property
    def digits(self) -> int:
        """To how many digits the two could be compared."""
        size = max(abs(self.measured), abs(self.claimed))
        return max(0, int(np.floor(np.log10(size / self.error)))) if self.error > 0 and size > 0 else 15


def slopes(
    forward: Caller, task: GradientTask, inputs: Inputs, grads: tuple[Array, ...], rough: tuple[float, ...]
) -> tuple[Slope, ...]:
    """Each gradient against differences of the forward pass at these inputs.

    Args:
        forward: the forward pass.
        task: what is asked.
        inputs: the arguments and the gradient of the result.
        grads: the gradients of the function, for each item of a batch.
        rough: how rough they are.
    """
    at = _Line(forward, task, inputs)
    return tuple(_fit(at, name, grad, size) for name, grad, size in zip(task.wrt, grads, rough, strict=True))


class _Line:
    """The sum of the result, weighted by its gradient, as a function of one argument moved along a direction."""

    def __init__(self, forward: Caller, task: GradientTask, inputs: Inputs) -> None:
        self.forward, self.task, self.inputs = forward, task, inputs
        trace = task.forward.working.run(inputs.given(task.forward), keep=task.forward.returns)
        self.shape = trace.numpy(task.forward.returns[0]).shape
        self.weights = inputs.arrays[task.upstream] if task.upstream else np.ones(self.shape)
        own = {name: inputs.arrays[name] for name in task.forward.takes}
        rough = roughness(forward, Inputs(own, inputs.sizes), [self.shape])[0]
        self.noise = rough * float(np.sqrt(np.sum(np.broadcast_to(self.weights, self.shape) ** 2)))

    def at(self, name: str, direction: Array, step: float) -> float:
        moved = {**self.inputs.arrays, name: self.inputs.arrays[name] + step * direction}
        outputs = self.forward.numbers({each: moved[each] for each in self.task.forward.takes}, [self.shape])
        return float("nan") if outputs is None else float(np.sum(outputs[0].astype(np.float64) * self.weights))

    def slope(self, name: str, direction: Array) -> tuple[float, float]:
        """The derivative along a direction, and how far it may be off (Ridders 1982)."""
        best, error = float("nan"), float("inf")
        before: list[float] = []
        for step in STEPS:
            row = [(self.at(name, direction, step) - self.at(name, direction, -step)) / (2 * step)]
            for order, last in enumerate(before, 1):
                row.append(row[-1] + (row[-1] - last) / (SHRINK ** (-2 * order) - 1))
                jumps = SIGMAS * self.noise / step
                off = SAFE * max(abs(row[-1] - row[-2]) - jumps, abs(row[-1] - last) - jumps, 0.0) + jumps
                if off < error:
                    best, error = row[-1], off
            before = row
        return best, error


def _fit(line: _Line, name: str, grad: Array, rough: float) -> Slope:
    rng = np.random.default_rng(len(name))
    shape = line.inputs.arrays[name].shape
    grad = grad.astype(np.float64)
    whole = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    found = []
    for _ in range(DIRECTIONS):
        direction: Array = np.asarray(rng.normal(size=shape))
        measured, error = line.slope(name, direction)
        noise = rough * float(np.sqrt(np.sum(direction**2) * grad.size / whole.size))
        found.append((float(np.sum(whole * direction)), measured, error + SIGMAS * noise + TINY))
    gaps = np.array([abs(claimed - measured) / error for claimed, measured, error in found])
    size = np.sqrt(np.mean([measured**2 for _, measured, _ in found]))
    sharp = all(error <= SHARP * size or error < SMALL for _, _, error in found)
    if np.all(gaps <= 1) and sharp:
        verdict: Literal["fits", "differs", "unknown"] = "fits"
    else:
        verdict = "differs" if np.sum(gaps > WRONG) * 2 >= DIRECTIONS else "unknown"
    worst = found[int(np.argmax(np.where(np.isnan(gaps), -1, gaps)))]
    return Slope(name + GRAD, verdict, *worst)
