"""An online softmax (Milakov and Gimelshein 2018) that forgets to rescale: found from the weights at random scores.

It goes through the keys block by block, and takes exponentials relative to the largest score so far. When that grows,
the sums of earlier blocks must be multiplied by exp(old maximum - new maximum). Some leave them, some divide.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from msgspec import Struct

from clearhead.check.measure.access import Attend, Refused, Size
from clearhead.check.measure.observe import SEEN, drawn
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.weights import weights

SEEDS = (5, 6)
"""The inputs at each size."""

CLOSE, NOISE = 1e-6, 64
"""The least tolerance of a weight relative to the largest, and the same in units of the precision of numbers."""

STEEP = 3.0
"""How many times larger than usual queries are, so that the largest score so far grows often."""


class Running(Struct, frozen=True):
    """What an online softmax does not rescale as it should.

    Attributes:
        block: the keys that are taken at once.
        values: what is done with the sum of weighted values: 0 for multiplied, as it should be, 1 for left as it is,
            2 for divided.
        sums: the same for the sum of exponentials.
    """

    block: int
    values: int
    sums: int

    def weights(self, scores: Array) -> Array:
        """The weights (..., key) that come of it; scores are minus infinity where keys are hidden."""
        tops = [scores[..., : at + self.block].max(-1, keepdims=True) for at in range(0, scores.shape[-1], self.block)]
        so_far = np.repeat(np.concatenate(tops, -1), self.block, -1)[..., : scores.shape[-1]]
        seen = np.isfinite(scores)
        final = scores.max(-1, keepdims=True)
        with np.errstate(invalid="ignore", over="ignore"):
            sums, values = (
                np.where(seen, np.exp(scores - final + power * (final - so_far)), 0.0)
                for power in (self.sums, self.values)
            )
            return np.asarray(values / sums.sum(-1, keepdims=True))


def running(f: Attend, expected: Attend, sizes: Sequence[Size], eps: float) -> Part | None:
    """What an online softmax does not rescale, if that gives all weights of a function; None if it does not."""
    near = max(CLOSE, NOISE * eps)
    try:
        found = [_rows(f, expected, size, seed) for size in sizes for seed in SEEDS]
    except Refused:
        return None
    most = max(size.keys for size in sizes)

    def holds(made: Running) -> bool:
        return all(np.abs(made.weights(scores) - w).max() <= near * max(np.abs(w).max(), 1.0) for scores, w in found)

    if holds(Running(most, values=1, sums=1)):  # one block of all keys: the softmax as it should be
        return None
    kinds = [each for each in product((1, 0, 2), (0, 1, 2)) if any(each)]
    made = (Running(block, values, sums) for block, (values, sums) in product(range(1, most), kinds))
    forgets = next(filter(holds, made), None)
    words = tuple(size.words for size in sizes)
    return Part("running maximum", forgets, "rescaled", differs=True, sizes=words, tolerance=near) if forgets else None


def _rows(f: Attend, expected: Attend, size: Size, seed: int) -> tuple[Array, Array]:
    """The scores of the working, up to a constant of each query, and the weights of the function (head, query, key)."""
    made = drawn(size, seed)
    w, due = (weights(each, STEEP * made.q, made.k, size.past) for each in (f, expected))
    return np.where(due > SEEN**2, np.log(np.maximum(due, SEEN**2)), -np.inf), w
