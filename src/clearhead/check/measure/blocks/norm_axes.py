"""A norm along other axes than the features of each token: tokens, all, groups of features; with a factor of sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.calls.task import Arrays, Task
from clearhead.check.measure.blocks.norms import NormArrays, norm_arrays
from clearhead.check.measure.blocks.outline import lines_of
from clearhead.check.measure.blocks.trials import Trial
from clearhead.check.measure.parts import Array

AXES: dict[str, tuple[int, ...]] = {
    "each feature over the tokens": (-2,),
    "all tokens and features together": (-2, -1),
    "each feature over the tokens of all examples": (0, -2),
    "all examples, tokens and features together": (0, -2, -1),
    "each token over its features": (-1,),
}
"""What one mean square is of, by the axes that it runs along."""

GROUPS = "groups of features"
"""What one mean square is of where a token's features are cut into groups."""

POWERS = (0.0, -0.5, 0.5, -1.0, 1.0)
"""The powers of the numbers of tokens and of features that a factor may have, the likeliest first."""

DIVISORS = ((True, True, False), (True, False, True), (True, True, True), (False, False, True))
"""Other divisors: whether of what is centred, whether of a sample, and whether eps is outside the root."""


class NormAxes(Struct, frozen=True):
    """How a norm is computed: ``tokens**a * features**b * (x - mean) / root of mean square``, along some axes.

    Attributes:
        of: what one mean square is of, one of `AXES` or `GROUPS`.
        centred: whether the mean along these axes is subtracted.
        tokens: the power of the number of tokens in the factor.
        features: the power of the number of features.
        eps: what is added to the mean square.
        group: the neighbouring features of a group, where their number is the same at all sizes; 0 elsewhere.
        groups: the number of groups, where that is the same at all sizes; 0 elsewhere.
        sample: whether squares are divided by one less than their number.
        outside: whether eps is added to the root, and not inside of it.
    """

    of: str
    centred: bool
    tokens: float
    features: float
    eps: float
    group: int = 0
    groups: int = 0
    sample: bool = False
    outside: bool = False

    @property
    def says(self) -> str:
        """What one mean square is of, as text."""
        if self.of != GROUPS:
            return self.of
        return (
            f"each group of {self.group} neighbouring features"
            if self.group
            else f"each of {self.groups} groups of neighbouring features"
        )

    def __call__(self, names: NormArrays, arrays: Arrays) -> Array:
        """The norm of tokens, with its gain and bias; NaN where their features are no whole number of groups."""
        x = arrays[names.tokens]
        c, mean_square = self.parts(x)
        root = np.sqrt(mean_square) + self.eps if self.outside else np.sqrt(mean_square + self.eps)
        y = (c / root).reshape(x.shape)
        y = y * float(x.shape[-2]) ** self.tokens * float(x.shape[-1]) ** self.features
        y = y * arrays[names.gain] if names.gain else y
        return np.asarray(y + arrays[names.bias] if names.bias else y)

    def parts(self, x: Array) -> tuple[Array, Array]:
        """What is divided, and the mean squares that divide it; with an axis of groups where there are such."""
        axes: tuple[int, ...] = AXES.get(self.of, (-1,))
        if self.of == GROUPS:
            if x.shape[-1] % (self.group or self.groups):
                return np.full_like(x, np.nan), np.ones(())
            x = x.reshape(*x.shape[:-1], self.groups or -1, self.group or x.shape[-1] // self.groups)
        c = x - x.mean(axes, keepdims=True) if self.centred else x
        mean_square = (c * c).mean(axes, keepdims=True)
        count = c.size // mean_square.size
        return c, mean_square * count / max(count - 1, 0) if self.sample else mean_square


def norm_axes(task: Task, ran: Sequence[Trial]) -> NormAxes | None:
    """The axes of the one norm in a task, and its factor, that give all results of a function; None if none do."""
    names = norm_arrays(task)
    known = sorted((each for each in ran if each.y is not None), key=lambda each: each.expected[-1].size)
    small = next((each for each in known if names and each.of == (names.tokens,) and each.kind == "small"), None)
    if names is None or not known or known[0].arrays[names.tokens].ndim < 2:
        return None
    eps = declared_eps(task)
    with np.errstate(all="ignore"):
        for norm in _tries(known[0].arrays[names.tokens].shape):
            fitted = [_eps(norm, names, small)] if small else []
            for each in dict.fromkeys((eps, NO_EPS, *fitted)):
                made = replace(norm, eps=each)
                if all(trial.holds((made(names, trial.arrays),)) for trial in known):
                    return made
    return None


def declared_eps(task: Task) -> float:
    """The eps of the one norm in a task."""
    return next(float(dict(line.parameters)["eps"]) for line in lines_of(task, "norm"))


def _eps(norm: NormAxes, names: NormArrays, small: Trial) -> float:
    """What is added to the mean square, from the results for tokens near 0."""
    assert small.y is not None  # noqa: S101 - only trials with results are taken
    bare = replace(norm, eps=0.0)
    bias = small.arrays[names.bias] if names.bias else 0.0
    power = 1 if norm.outside else 2
    ratio = np.median(np.abs((bare(names, small.arrays) - bias) / (small.y[-1] - bias)) ** power)
    found = float(np.median(norm.parts(small.arrays[names.tokens])[1] ** (power / 2)) * (ratio - 1))
    return found if np.isfinite(found) and found > 0 else NO_EPS


NO_EPS = 1e-30
"""So little that only 0/0 is kept from being NaN."""


def _tries(shape: tuple[int, ...]) -> Iterator[NormAxes]:
    for of, (tokens, features), centred in product(AXES, product(POWERS, POWERS), (False, True)):
        if 0 not in AXES[of] or len(shape) > 2:
            yield NormAxes(of, centred, tokens, features, NO_EPS)
    for of, (centred, sample, outside) in product(AXES, DIVISORS):
        if 0 not in AXES[of] or len(shape) > 2:
            yield NormAxes(of, centred, 0.0, 0.0, NO_EPS, sample=sample, outside=outside)
    width = shape[-1]
    for group, centred in product((each for each in range(2, width) if not width % each), (False, True)):
        yield NormAxes(GROUPS, centred, 0.0, 0.0, NO_EPS, group=group)
        yield NormAxes(GROUPS, centred, 0.0, 0.0, NO_EPS, groups=width // group)
