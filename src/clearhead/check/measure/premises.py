"""Premises of measuring: conditions without which parts mean nothing. The first that fails ends the measurement."""

from __future__ import annotations

from collections.abc import Sequence
from time import process_time
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.calls.calling import Symptom
from clearhead.check.measure.access import Attend, Refused, Size
from clearhead.check.measure.observe import SEEN, Observed, drawn
from clearhead.check.measure.parts import Array, Premise
from clearhead.check.measure.weights import log, weights

SAME = 10
"""Outputs that differ by up to this many units of their precision count as equal."""


SINGLE = 2.0**-23
"""The relative precision of single precision."""

MIN_SCORES = 1024
"""A call with fewer scores takes no less time than one with these, since most of it is overhead."""

MAX_SECONDS = 0.5
"""Sizes at which a call would take longer than this, by those before it, are left out."""


class Swept(Struct, frozen=True, eq=False):
    """The result at one size: the largest difference relative to the outputs, whether all is finite, or the refusal.

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


SPOILT = 20
"""Rows without numbers are compared with masks where there are no more keys than this."""

Row = tuple[Observed, Observed]
"""What was observed at one size of the function, and of its working."""

MIXED = 2e-2
"""Items of a batch that change others change them by more than this part of the largest number."""


def same(eps: float) -> float:
    """The relative tolerance within which outputs count as equal."""
    return max(SAME * eps, 1e-9)


def sweep(f: Attend, reference: Attend, sizes: Sequence[Size]) -> tuple[Swept, ...]:
    """The function and its working on random inputs, at each size that the working takes."""
    found: list[Swept] = []
    pace = 0.0
    for size in sizes:
        if pace * size.tokens * size.keys > MAX_SECONDS:
            continue
        made = drawn(size, batch=size.batch)
        masks = drawn_masks(f, size, made.rng, batch=size.batch)
        try:
            expected = reference(made.q, made.k, made.v, size.past, masks)
        except Refused:
            continue
        clock = process_time()
        try:
            y = f(made.q, made.k, made.v, size.past, masks)
        except Refused as refused:
            found.append(Swept(size, refused=refused.symptom or Symptom("shape", str(refused))))
            continue
        pace = (process_time() - clock) / max(size.tokens * size.keys, MIN_SCORES)
        odd = ~np.isfinite(y) & np.isfinite(expected)
        scale = max(float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)), 1e-30)
        off = float(np.abs(np.where(odd, 0.0, np.nan_to_num(y - expected))).max(initial=0.0)) / scale
        found.append(Swept(size, off, not odd.any(), y=y))
    return tuple(found)


def drawn_masks(f: Attend, size: Size, rng: np.random.Generator, *, batch: int) -> dict[str, Array]:
    """Random masks that leave each query a key and mask one, for a function that takes masks."""
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


def finite(f: Attend, expected: Attend, swept: Sequence[Swept]) -> Premise | None:
    """Outputs are finite where the working's are, at every size."""
    least = 2 if f.roles.masks else 1  # with one key, a mask hides all or nothing
    ran = [each for each in swept if not each.refused and each.size.keys >= least]
    bad = [each for each in ran if not each.finite]
    if not bad:
        return None
    found = _not_finite(f, bad)
    infinite = bool(np.isinf(found.get("signs", ())).sum() == 2)
    found["rows"] = "" if infinite else _spoilt(f, expected, bad)
    fails, tried = tuple(each.size.words for each in bad), tuple(each.size.words for each in ran)
    return Premise("finite", found, fails, tried, explains=infinite or bool(found["rows"]))


def _spoilt(f: Attend, expected: Attend, bad: Sequence[Swept]) -> str:
    """Why rows have no numbers: their query has a hidden key, sees no key, or its own key is hidden; "" for others.

    The other rows are the expected ones; those of queries that see all keys are among them.
    """
    kinds, alone = set(), True
    for each, y in ((one, one.y) for one in bad if one.y is not None and one.size.keys <= SPOILT):
        made = drawn(each.size, batch=each.size.batch)
        masks = drawn_masks(f, each.size, made.rng, batch=each.size.batch)
        seen = weights(expected, 0 * made.q, 0 * made.k, each.size.past, masks) > SEEN
        odd = ~np.isfinite(y).all(-1)
        wanted = expected(made.q, made.k, made.v, each.size.past, masks)
        if not np.allclose(y[~odd], wanted[~odd], rtol=1e-3, atol=1e-6):
            return ""
        hidden = "infinite" if np.isinf(y).any() else "hidden"
        own = np.diagonal(seen, each.size.past, -2, -1)
        rows = {hidden: ~seen.all(-1), "blind": ~seen.any(-1), "own": ~own}
        kinds.add(next((kind for kind, which in rows.items() if np.array_equal(odd, which)), ""))
        alone = alone and bool(odd.all())
    kinds -= {"hidden"} if "infinite" in kinds else set()  # where two infinite weights meet there is no infinity
    return kinds.pop() if len(kinds) == 1 and not alone else ""


def _not_finite(f: Attend, bad: Sequence[Swept]) -> dict[str, Any]:
    """How many numbers are not finite; with masks, the outputs for values of 1 and of -1 where keys are masked."""
    shares = [float(np.mean(~np.isfinite(each.y))) for each in bad if each.y is not None]
    found: dict[str, Any] = {"shares": (min(shares, default=1.0), max(shares, default=1.0))}
    if f.roles.masks and not f.roles.weights:
        made = drawn(bad[0].size)
        if np.isfinite(f(made.q, made.k, made.v, bad[0].size.past)).all():
            masks = drawn_masks(f, bad[0].size, made.rng, batch=1)
            ones = np.ones_like(made.v)
            signs = [f(made.q, made.k, sign * ones, bad[0].size.past, masks) for sign in (1, -1)]
            found["signs"] = tuple(float(out[~np.isfinite(out)][0]) for out in signs if not np.isfinite(out).all())
    return found


def mask_sense(f: Attend, size: Size) -> Premise | None:
    """Boolean masks hide keys where they are False, and not where they are True.

    Read the other way round, a mask that lets all keys through leaves none: outputs are the same whatever queries and
    keys are, or no numbers; and not so of the inverted mask.
    """
    holds = {each.name: each.holds for each in f.task.working.givens}
    if f.inverts or not any(holds[name] == "booleans" for name in f.roles.masks):
        return None
    if _follows(f, size):
        return None
    f.inverts = True
    f.inverts = _follows(f, size)
    return Premise("mask sense", None, (size.words,), (size.words,), stops=False, explains=True) if f.inverts else None


def _follows(f: Attend, size: Size) -> bool:
    """Whether outputs are numbers, and change where queries and keys do."""
    made = drawn(size, batch=3)
    try:
        y = f(made.q, made.k, np.repeat(made.v[:1], 3, 0), size.past)
    except Refused:
        return False
    return bool(np.isfinite(y).all()) and bool(np.ptp(y, axis=0).max() > SEEN)


def repeatable(f: Attend, size: Size, eps: float) -> Premise | None:
    """Two calls with the same inputs give the same numbers."""
    made = drawn(size, batch=2)
    one, two = (f(made.q, made.k, made.v, size.past) for _ in range(2))
    off = float(np.abs(one - two).max())
    return Premise("repeatable", off, (size.words,), (size.words,)) if off > same(eps) * np.abs(one).max() else None


FRESH = (13, 14)
"""Numbers of new tokens with which nothing was called before."""


def keeps_state(f: Attend, expected: Attend, size: Size) -> Premise | None:
    """Calls do not follow calls before them: a second length of the cache is as right as the first.

    A table that is kept by the number of new tokens alone is right for the first length only.
    """
    if f.roles.past is None:
        return None
    right = []
    for tokens, pasts in zip(FRESH, ((3, 6), (6, 3)), strict=True):
        for past in pasts:
            at = replace(size, tokens=tokens, past=past, keys=tokens + past)
            (found,) = sweep(f, expected, [at]) or (None,)
            right.append(found is not None and found.agrees(SINGLE))
    return Premise("keeps state", None, stops=False, explains=True) if right == [True, False] * 2 else None


def follows_inputs(f: Attend, size: Size) -> Premise | None:
    """Outputs change where all inputs do."""
    made = drawn(size, batch=3)
    y = f(made.q, made.k, made.v, size.past)
    if np.ptp(y, axis=0).max() > SEEN * max(float(np.abs(y).max()), 1.0):
        return None
    constant = float(y.flat[0]) if np.ptp(y) == 0 else None
    return Premise("follows inputs", constant, (size.words,), (size.words,))


def finite_at_zero(f: Attend, expected: Attend, size: Size) -> Premise | None:
    """Outputs are finite where a row of an input is 0, as padding is: parts are measured with such inputs."""
    made = drawn(size)
    q, k, v = (np.concatenate([x] * len(INPUTS)) for x in (made.q, made.k, made.v))
    for item, x in enumerate((q, k, v)):
        x[item, :, -1] = 0
    y, due = (each(q, k, v, size.past) for each in (f, expected))
    spoilt = ~np.isfinite(y) & np.isfinite(due)
    bad = tuple(name for name, item in zip(INPUTS, spoilt, strict=True) if item.any())
    return Premise("finite at zero", bad, (size.words,), (size.words,)) if bad else None


INPUTS = ("queries", "keys", "values")
"""The inputs of attention, in their order."""


def without_values(f: Attend, size: Size) -> Premise | None:
    """Where all values are zero, outputs are."""
    if f.roles.weights:
        return None
    made = drawn(size)
    y = f(made.q, made.k, 0 * made.v, size.past)
    return Premise("linear in values", y, (size.words,), (size.words,)) if np.abs(y).max() > SEEN else None


def roles(f: Attend, size: Size) -> tuple[int, int, int] | None:
    """For queries, keys and values, which argument has this role; None if no argument is the values.

    Outputs are linear in the values, and at most one row of them depends on a row of the queries.
    """
    if size.groups != size.heads or size.keys != size.tokens or f.roles.weights:
        return _linear(f, size) or _values_as_keys(f, size)
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


def mixes_items(f: Attend, size: Size) -> Premise | None:
    """Items of a batch are computed apart: alone, each gives what it gives beside others."""
    made = drawn(size, batch=2)
    both = f(made.q, made.k, made.v, size.past)
    one, two = (slice(0, 1), slice(1, 2))
    alone = np.concatenate([f(made.q[at], made.k[at], made.v[at], size.past) for at in (one, two)])
    off = float(np.abs(both - alone).max() / max(np.abs(alone).max(), 1e-30))
    return Premise("items apart", off, (size.words,), (size.words,)) if off > MIXED else None


def _values_as_keys(f: Attend, size: Size) -> tuple[int, int, int] | None:
    """Keys and values exchanged, where outputs are linear in the keys; else None."""
    made = drawn(size)
    q, v = (np.concatenate([x, x]) for x in (made.q, made.v))
    y = f(q, np.concatenate([made.k, 2 * made.k]), v, size.past)
    return (0, 2, 1) if np.allclose(y[1], 2 * y[0], rtol=2e-2, atol=2e-2 * np.abs(y[0]).max()) else None


AXES = {
    "key": (-2, -1), "query": (1, 2), "head": (0, 2), "query and key": (1, 2, 3), "head and key": (0, 2, 3),
    "head, query and key": (0, 1, 2, 3),
}  # fmt: skip


BATCHED = {
    "batch": (0,), "batch and head": (0, 1), "batch and query": (0, 2), "batch and key": (0, 3),
    "batch, head and query": (0, 1, 2), "batch, query and key": (0, 2, 3), "batch, head and key": (0, 1, 3),
    "batch, head, query and key": (0, 1, 2, 3),
}  # fmt: skip
"""Axes of which one is the batch."""


def _over_batch(f: Attend, reference: Attend, size: Size, near: float) -> Premise | None:
    """Weights sum to one over axes of which one is the batch: those expected, but for a factor of rows and columns."""
    made = drawn(size, batch=3)
    mine, due = (weights(each, made.q, made.k, size.past) for each in (f, reference))
    for word, axes in BATCHED.items():
        total = mine.sum(axes)
        if total.size and np.abs(total[total > SEEN] - 1).max(initial=0.0) < near:
            gap = log(mine) - log(due)
            across = gap - gap[..., :1, :] - gap[..., :1] + gap[..., :1, :1]
            explains = bool(np.isfinite(gap).all()) and bool(np.abs(across).max() < near * LOGS)
            return Premise("normalised axis", word, (size.words,), (size.words,), explains=explains)
    return None


LOGS = 1e3
"""How much larger than those of weights the errors of their logarithms may be."""


def normalised_axis(f: Attend, reference: Attend, rows: Row, size: Size) -> Premise | None:
    """Weights sum to one over the keys, and not over another axis in their place, or over several.

    That explains the numbers where the weights of a query are the expected ones, but for their sum.
    """
    seen, expected = rows
    near = max(seen.tolerance * 4, 1e-6)
    sums: dict[str, Any] = {}
    for word, axes in AXES.items():
        total = seen.random.sum(axes)
        sums[word] = total[total > SEEN]
    if not sums["key"].size or np.abs(sums["key"] - 1).max() < near or np.ptp(sums["key"]) < near:
        return None  # right, or one and the same factor on all
    found = next((word for word, total in sums.items() if total.size and np.abs(total - 1).max() < near), None)
    if not found:  # the sum may run over a batch, which is not in these weights
        mixes = mixes_items(f, size)
        return mixes and (_over_batch(f, reference, size, near) or mixes)
    shares = [
        each.random.sum(-2) / np.maximum(each.random.sum((-2, -1)), 1e-30)[..., None] for each in (seen, expected)
    ]
    alike = "key" in found and bool(np.abs(shares[0] - shares[1]).max() < near)
    return Premise("normalised axis", found, (size.words,), (size.words,), explains=alike)
