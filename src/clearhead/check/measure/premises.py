"""Premises of measuring: what must hold before any part means anything. The first that fails ends the measuring."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.calls.calling import Symptom
from clearhead.check.measure.access import Attend, Refused, Size
from clearhead.check.measure.observe import SEEN, Observed, drawn
from clearhead.check.measure.parts import Array, Premise

SAME = 10
"""Outputs may differ by this many units of their precision and are the same."""


MIN_SCORES = 1024
"""A call with fewer scores takes no less than one with these: what it takes is not the work at them."""

MAX_SECONDS = 0.5
"""Sizes at which a call would take longer than this, by those before it, are left out."""


class Swept(Struct, frozen=True, eq=False):
    """What came of one size: the largest difference relative to the outputs, whether all is finite, or the refusal.

    ``y`` has the outputs.
    """

    size: Size
    off: float = 0.0
    finite: bool = True
    refused: Symptom | None = None
    y: Array | None = None

    def agrees(self, eps: float) -> bool:
        """Whether the outputs are the working's, with numbers of this relative precision."""
        return self.finite and not self.refused and self.off <= same(eps)


def same(eps: float) -> float:
    """How much outputs may differ, relative to the largest, and be the same."""
    return max(SAME * eps, 1e-9)


def sweep(f: Attend, due: Attend, sizes: Sequence[Size]) -> tuple[Swept, ...]:
    """The function and its working on random inputs, at each size that the working takes."""
    found: list[Swept] = []
    pace = 0.0
    for size in sizes:
        if pace * size.tokens * size.keys > MAX_SECONDS:
            continue
        made = drawn(size, batch=2)
        masks = drawn_masks(f, size, made.rng, batch=2)
        try:
            expected = due(made.q, made.k, made.v, size.past, masks)
        except Refused:
            continue
        clock = perf_counter()
        try:
            y = f(made.q, made.k, made.v, size.past, masks)
        except Refused as refused:
            found.append(Swept(size, refused=refused.symptom or Symptom("shape", str(refused))))
            continue
        pace = (perf_counter() - clock) / max(size.tokens * size.keys, MIN_SCORES)
        odd = ~np.isfinite(y) & np.isfinite(expected)
        scale = max(float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)), 1e-30)
        off = float(np.abs(np.where(odd, 0.0, np.nan_to_num(y - expected))).max(initial=0.0)) / scale
        found.append(Swept(size, off, not odd.any(), y=y))
    return tuple(found)


def drawn_masks(f: Attend, size: Size, rng: np.random.Generator, *, batch: int) -> dict[str, Array]:
    """Random masks that leave each query a key and hide one, for a function that takes some."""
    made = {}
    for name in f.roles.masks:
        words = f.task.axes(name)
        sizes = {"query": size.tokens, "key": size.keys}
        lead = (batch,) if f.task.takes_batch(name) else ()
        seen = rng.random((*lead, *(sizes[word] for word in words))) < 0.7
        at = np.arange(size.tokens) if words[0] == "query" else np.zeros(1, int)
        seen = seen.reshape(*lead, -1, size.keys)
        seen[..., at, (at + 1) % size.keys], seen[..., at, at % size.keys] = False, True
        seen = seen.reshape(*lead, *(sizes[word] for word in words))
        holds = next(each.holds for each in f.task.working.givens if each.name == name)
        made[name] = seen if holds == "booleans" else np.where(seen, rng.normal(size=seen.shape), -np.inf)
    return made


def finite(f: Attend, swept: Sequence[Swept]) -> Premise | None:
    """Outputs are finite where the working's are, at every size."""
    least = 2 if f.roles.masks else 1  # of one key, a mask hides all or nothing
    ran = [each for each in swept if not each.refused and each.size.keys >= least]
    bad = [each for each in ran if not each.finite]
    if not bad:
        return None
    found = _not_finite(f, bad)
    infinite = bool(np.isinf(found.get("signs", ())).sum() == 2)
    fails, tried = tuple(each.size.words for each in bad), tuple(each.size.words for each in ran)
    return Premise("finite", found, fails, tried, explains=infinite)


def _not_finite(f: Attend, bad: Sequence[Swept]) -> dict[str, Any]:
    """How many numbers are not finite; of masks, what values of one and of minus one then give where they hide keys."""
    y = bad[0].y
    found: dict[str, Any] = {"share": float(np.mean(~np.isfinite(y))) if y is not None else 1.0}
    if f.roles.masks and not f.roles.weights:
        made = drawn(bad[0].size)
        if np.isfinite(f(made.q, made.k, made.v, bad[0].size.past)).all():
            masks = drawn_masks(f, bad[0].size, made.rng, batch=1)
            ones = np.ones_like(made.v)
            signs = [f(made.q, made.k, sign * ones, bad[0].size.past, masks) for sign in (1, -1)]
            found["signs"] = tuple(float(out[~np.isfinite(out)][0]) for out in signs if not np.isfinite(out).all())
    return found


def repeatable(f: Attend, size: Size, eps: float) -> Premise | None:
    """Two calls with the same inputs give the same numbers."""
    made = drawn(size, batch=2)
    one, two = (f(made.q, made.k, made.v, size.past) for _ in range(2))
    off = float(np.abs(one - two).max())
    return Premise("repeatable", off, (size.words,), (size.words,)) if off > same(eps) * np.abs(one).max() else None


def follows_inputs(f: Attend, size: Size) -> Premise | None:
    """Outputs change where all inputs do."""
    made = drawn(size, batch=3)
    y = f(made.q, made.k, made.v, size.past)
    if np.ptp(y, axis=0).max() > SEEN * max(float(np.abs(y).max()), 1.0):
        return None
    constant = float(y.flat[0]) if np.ptp(y) == 0 else None
    return Premise("follows inputs", constant, (size.words,), (size.words,))


def without_values(f: Attend, size: Size) -> Premise | None:
    """Where all values are zero, outputs are."""
    if f.roles.weights:
        return None
    made = drawn(size)
    y = f(made.q, made.k, 0 * made.v, size.past)
    return Premise("linear in values", y, (size.words,), (size.words,)) if np.abs(y).max() > SEEN else None


def roles(f: Attend, size: Size) -> tuple[int, int, int] | None:
    """For queries, keys and values, which argument has this part; None if no argument is the values.

    Outputs are linear in the values, and one row of them at most follows a row of the queries.
    """
    if size.groups != size.heads or size.keys != size.tokens or f.roles.weights:
        return _linear(f, size)
    made = drawn(size)
    inputs = (made.q, made.k, made.v)
    longer = [[2 * x if at == place else x for at, x in enumerate(inputs)] for place in range(3)]
    moved = [[_moved(x, made.rng) if at == place else x for at, x in enumerate(inputs)] for place in range(3)]
    q, k, v = (np.concatenate(each) for each in zip(inputs, *longer, *moved, strict=True))
    y = f(q, k, v, size.past)
    linear = [np.allclose(y[1 + at], 2 * y[0], rtol=2e-2, atol=2e-2 * np.abs(y[0]).max()) for at in range(3)]
    few = [int((np.abs(y[4 + at] - y[0]).max((0, 2)) > 1e-6 * np.abs(y[0]).max()).sum()) <= 1 for at in range(3)]
    if (linear[2] and not few[2]) or (sum(linear) > 1 and linear[2]):
        value = 2
    elif True in linear:
        value = linear.index(True)
    else:
        return None
    rest = [at for at in range(3) if at != value]
    query = rest[1] if few[rest[1]] and not few[rest[0]] and size.tokens > 2 else rest[0]
    key = next(at for at in rest if at != query)
    return query, key, value


def _moved(x: Array, rng: np.random.Generator) -> Array:
    changed = x.copy()
    changed[:, :, 0] += rng.normal(size=x[:, :, 0].shape)
    return changed


def _linear(f: Attend, size: Size) -> tuple[int, int, int] | None:
    if f.roles.weights:
        return 0, 1, 2
    made = drawn(size)
    q, k = (np.concatenate([x, x]) for x in (made.q, made.k))
    y = f(q, k, np.concatenate([made.v, 2 * made.v]), size.past)
    linear = np.allclose(y[1], 2 * y[0], rtol=2e-2, atol=2e-2 * np.abs(y[0]).max())
    return (0, 1, 2) if linear else None


AXES = {"key": (-2, -1), "query": (1, 2), "head": (0, 2), "query and key": (1, 2, 3), "head and key": (0, 2, 3)}


def normalised_axis(seen: Observed, size: Size) -> Premise | None:
    """Weights sum to one over the keys, and not over another axis in their place."""
    near = max(seen.tolerance * 4, 1e-6)
    sums: dict[str, Any] = {}
    for word, axes in AXES.items():
        total = seen.random.sum(axes)
        sums[word] = total[total > SEEN]
    if not sums["key"].size or np.abs(sums["key"] - 1).max() < near or np.ptp(sums["key"]) < near:
        return None  # right, or one and the same factor on all
    found = next((word for word, total in sums.items() if total.size and np.abs(total - 1).max() < near), None)
    return Premise("normalised axis", found, (size.words,), (size.words,)) if found else None
