"""Which numbers suit an exercise: easy to compute by hand, and every common mistake changes the answer."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np

from clearhead.backward import GRAD
from clearhead.claim import Claim, differing
from clearhead.deviations import Applied, candidates
from clearhead.deviations.common import COMMON, COMMON_BACKWARD
from clearhead.errors import ClearheadError
from clearhead.exercises.draw import array, seeded, shape_of
from clearhead.exercises.recipe import Recipe
from clearhead.line import Given
from clearhead.trace import Trace
from clearhead.working import Working

Array = np.ndarray[Any, Any]

EXACT = 9
"""Numbers that agree to this many decimals count as equal."""

FURTHER = 6
"""How many times larger scores may be in a second block, and in cross-attention."""


def common_mistakes(working: Working, recipe: Recipe) -> tuple[Applied, ...]:
    """The common mistakes that could be made in a working and would show on numbers without pattern."""
    rng = seeded("any", "pattern")
    arrays = {given.name: _without_pattern(rng, given, recipe) for given in working.givens}
    shapes = {name: each.shape for name, each in arrays.items()}
    possible = candidates(working, shapes, COMMON | COMMON_BACKWARD if working.backward_of else COMMON)
    return tuple(each for each in possible if _fits(each.rewrite(working), shapes) and shows(each, working, arrays, 6))


def _fits(working: Working, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a working takes arrays of these shapes: of another result a given gradient may have the wrong one."""
    try:
        working.shapes(shapes)
    except ClearheadError:
        return False
    return True


def _without_pattern(rng: Random, given: Given, recipe: Recipe) -> Array:
    if given.holds != "numbers":
        return array(rng, given, recipe)
    shape = shape_of(given, recipe)
    return np.array([rng.random() * 2 - 1 for _ in range(int(np.prod(shape)))]).reshape(shape)


def shows(mistake: Applied, working: Working, arrays: Mapping[str, Array], decimals: int) -> bool:
    """Whether a mistake changes the answer written to this many decimals.

    The answer is the last line, and logits before a loss; of gradients it is those of all that is given.
    """
    if working.backward_of is not None:
        answers = [each.name + GRAD for each in working.givens if each.name + GRAD in working.names]
    else:
        answers = [line.name for line in working.lines if line.name == "logits"] + [working.lines[-1].name]
    right, wrong = (each.run(arrays, keep=answers) for each in (working, mistake.rewrite(working)))
    return any(_differs(right.numpy(answer), wrong.numpy(answer), answer, decimals) for answer in answers)


def _differs(right: Array, wrong: Array, answer: str, decimals: int) -> bool:
    if right.shape != wrong.shape:
        return True
    claim = Claim.of(answer, np.round(wrong, decimals), decimals=decimals)
    return bool(differing(claim, right).any())


def bearable(trace: Trace, recipe: Recipe) -> bool:
    """Whether scores are small, exponentials few, and every line has several finite values.

    Scores of further attentions are computed from results of the first, so they may be larger, and of any kind.
    """
    level = recipe.level
    first, *further = [name for name in trace if name.rpartition(".")[2] == "scores"]
    if np.abs(trace.numpy(first)).max() > level.largest:
        return False
    if any(np.abs(trace.numpy(name)).max() > FURTHER * level.largest for name in further):
        return False
    few = level.exponentials + 2 * max(recipe.tokens - 3, 0) + 2 * max(recipe.heads - 2, 0)
    # With these scores are no whole numbers, and each has its own exponential.
    turned = {"rotary", "sinusoidal"} & set(recipe.parts)
    if not turned and len(np.unique(np.round(trace.numpy(first.replace("scores", "scaled")), EXACT))) > few:
        return False
    weights = [trace.numpy(name) for name in trace if name.rpartition(".")[2] == "weights"]
    if any(len(np.unique(np.round(head, EXACT), axis=0)) == 1 for each in weights for head in each):
        return False
    if any(map(_alike, weights)):
        return False
    return all(np.isfinite(trace.numpy(name)).all() for name in trace if not name.endswith("masked"))


def _alike(heads: Array) -> bool:
    """Whether two heads have the same weights."""
    return len(heads) > len({np.round(head, EXACT).tobytes() for head in heads})
