"""A norm along other axes than the features of each token: over tokens, or over all, with a factor of the sizes."""

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

POWERS = (0.0, -0.5, 0.5, -1.0, 1.0)
"""The powers of the numbers of tokens and of features that a factor may have, the likeliest first."""


class NormAxes(Struct, frozen=True):
    """How a norm is computed: ``tokens**a * features**b * (x - mean) / root of mean square``, along some axes.

    Attributes:
        of: what one mean square is of, one of `AXES`.
        centred: whether the mean along these axes is subtracted.
        tokens: the power of the number of tokens in the factor.
        features: the power of the number of features.
        eps: what is added to the mean square.
    """

    of: str
    centred: bool
    tokens: float
    features: float
    eps: float

    def __call__(self, names: NormArrays, arrays: Arrays) -> Array:
        """The norm of tokens, with its gain and bias."""
        x, axes = arrays[names.tokens], AXES[self.of]
        c = x - x.mean(axes, keepdims=True) if self.centred else x
        y = c / np.sqrt((c * c).mean(axes, keepdims=True) + self.eps)
        y = y * float(x.shape[-2]) ** self.tokens * float(x.shape[-1]) ** self.features
        y = y * arrays[names.gain] if names.gain else y
        return np.asarray(y + arrays[names.bias] if names.bias else y)


def norm_axes(task: Task, ran: Sequence[Trial]) -> NormAxes | None:
    """The axes of the one norm in a task, and its factor, that give all results of a function; None if none do."""
    names = norm_arrays(task)
    known = sorted((each for each in ran if each.y is not None), key=lambda each: each.expected[-1].size)
    small = next((each for each in known if names and each.of == (names.tokens,) and each.kind == "small"), None)
    if names is None or not known or known[0].arrays[names.tokens].ndim < 2:
        return None
    eps = next(float(dict(line.parameters)["eps"]) for line in lines_of(task, "norm"))
    with np.errstate(all="ignore"):
        for norm in _tries(known[0].arrays[names.tokens].ndim):
            fitted = [_eps(norm, names, small)] if small else []
            for each in dict.fromkeys((eps, NO_EPS, *fitted)):
                made = replace(norm, eps=each)
                if all(trial.holds((made(names, trial.arrays),)) for trial in known):
                    return made
    return None


def _eps(norm: NormAxes, names: NormArrays, small: Trial) -> float:
    """What is added to the mean square, from the results for tokens near 0."""
    assert small.y is not None  # noqa: S101 - only trials with results are taken
    bare = replace(norm, eps=0.0)
    bias = small.arrays[names.bias] if names.bias else 0.0
    ratio = np.median(((bare(names, small.arrays) - bias) / (small.y[-1] - bias)) ** 2)
    x, axes = small.arrays[names.tokens], AXES[norm.of]
    c = x - x.mean(axes, keepdims=True) if norm.centred else x
    found = float(np.median((c * c).mean(axes)) * (ratio - 1))
    return found if np.isfinite(found) and found > 0 else NO_EPS


NO_EPS = 1e-30
"""So little that only 0/0 is kept from being NaN."""


def _tries(axes: int) -> Iterator[NormAxes]:
    for of, (tokens, features), centred in product(AXES, product(POWERS, POWERS), (False, True)):
        if 0 not in AXES[of] or axes > 2:
            yield NormAxes(of, centred, tokens, features, NO_EPS)
