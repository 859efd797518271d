"""What makes numbers worth an exercise: a hand can work them, and every common mistake changes the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clearhead.claim import Claim, differing
from clearhead.deviations import Applied, candidates
from clearhead.exercises.draw import seeded, sizes
from clearhead.exercises.recipe import Recipe
from clearhead.trace import Trace
from clearhead.working import Working

Array = np.ndarray[Any, Any]

COMMON = frozenset({
    "softmax-over-queries", "softmax-over-matrix", "softmax-missing", "softmax-without-exp", "softmax-twice",
    "scale-missing", "scale-squared", "scale-by-model", "scale-by-keys", "scale-inverted", "scale-after-softmax",
    "query-key-exchanged", "keys-not-transposed", "weights-transposed", "projection-copied", "value-unprojected",
    "bias-missing", "positions-missing", "residual-from-embedding",
    "heads-split-by-reshape", "heads-merged-by-reshape", "heads-share-weights", "heads-averaged", "groups-tiled",
    "causal-missing", "causal-transposed", "causal-off-by-one", "mask-after-softmax", "mask-multiplied",
    "rotary-missing", "rotary-one-sided", "rotary-on-values", "rotary-other-layout",
    "norm-over-matrix", "norm-missing", "norm-of-other-kind", "activation-missing",
})  # fmt: skip
"""The mistakes that people make by hand, those with parameters in each of their ways."""

EXACT = 9
"""Decimals to which two numbers are taken for one."""


def common_mistakes(working: Working, recipe: Recipe) -> tuple[Applied, ...]:
    """The common mistakes that could be made in a working and would show on numbers without pattern."""
    along, rng = sizes(recipe), seeded("any", "pattern")
    shapes = {given.name: tuple(along[word] for word in given.axes) for given in working.givens}
    arrays = {
        name: np.array([rng.random() * 2 - 1 for _ in range(int(np.prod(shape)))]).reshape(shape)
        for name, shape in shapes.items()
    }
    possible = [each for each in candidates(working, shapes) if each.id in COMMON]
    return tuple(each for each in possible if shows(each, working, arrays, 6))


def shows(mistake: Applied, working: Working, arrays: Mapping[str, Array], decimals: int) -> bool:
    """Whether a mistake changes the answer, the last line of a working, written to this many decimals."""
    answer = working.lines[-1].name
    right, wrong = (each.run(arrays, keep=[answer]).numpy(answer) for each in (working, mistake.rewrite(working)))
    if right.shape != wrong.shape:
        return True
    claim = Claim.of(answer, np.round(wrong, decimals), decimals=decimals)
    return bool(differing(claim, right).any())


def bearable(trace: Trace, recipe: Recipe) -> bool:
    """Whether scores are small, exponentials few, and no line is dull or breaks off."""
    level = recipe.level
    scores, scaled, weights = (trace.numpy(name) for name in ("scores", "scaled", "weights"))
    if np.abs(scores).max() > level.largest:
        return False
    few = level.exponentials + 2 * max(recipe.tokens - 3, 0) + 2 * max(recipe.heads - 2, 0)
    turned = "rotary" in recipe.parts  # then scores are no whole numbers, and each has its own exponential
    if not turned and len(np.unique(np.round(scaled, EXACT))) > few:
        return False
    if any(len(np.unique(np.round(head, EXACT), axis=0)) == 1 for head in weights) or _alike(weights):
        return False
    return all(np.isfinite(trace.numpy(name)).all() for name in trace if not name.endswith("masked"))


def _alike(heads: Array) -> bool:
    """Whether two heads have the same weights."""
    return len(heads) > len({np.round(head, EXACT).tobytes() for head in heads})
