"""The weights of a query where they are no softmax of all its scores: a choice of keys, or another function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from msgspec import Struct

from clearhead.check.calls.task import masks_of
from clearhead.check.measure.access import Attend, Refused, Size
from clearhead.check.measure.observe import SEEN, Drawn, drawn
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.weights import weights

SEEDS = (3, 4)
"""Inputs that a choice is found on, and those that it must hold on."""

CLOSE, NOISE, LOOSE = 1e-6, 64, 4e-3
"""The least tolerance of a weight, the same in units of the precision of numbers, and the largest."""

SCALED = 8
"""The tolerance of the logarithm of a weight, in those of a weight."""

RANK = 3
"""The axes of scores: head, query and key."""

ENOUGH = 4
"""The fewest queries with several keys that show the scale of scores."""

LEAST = 6
"""The fewest queries that lose a key, to say how keys are chosen."""

DIGITS = 5
"""A threshold is written with as few digits as tell keys that are kept from others, and with no more than these."""

SHARES = (1 / 2, 1 / 3, 1 / 4, 2 / 3, 3 / 4, 1 / 5, 1 / 10, 1 / 8)
"""The parts of all keys that may be kept."""


class Rows(Struct, frozen=True, eq=False):
    """The queries of all heads at one size: their scores, minus infinity for hidden keys, and their weights.

    Attributes:
        scores: the logarithm of the weights without a choice of keys (row, key).
        before: scores before masks, up to a constant of each query.
        slot: the part of the weight that goes to no key, as with a sink, without a choice of keys (row, 1).
        weights: those of the function (row, key).
        scale: how many times larger the function's scores are than they should be; those here are the function's.
    """

    scores: Array
    before: Array
    slot: Array
    weights: Array
    scale: float = 1.0

    @property
    def keys(self) -> int:
        """How many keys there are."""
        return int(self.scores.shape[-1])


class Choice(Struct, frozen=True):
    """How a query chooses among its keys.

    Attributes:
        by: ``"largest"`` for this number of the largest scores, ``"share"`` for a part of all keys, ``"weight"`` for
            softmax weights above a number, ``"relative"`` for weights above this part of the largest, ``"sum"`` for the
            largest weights until their sum reaches a number; ``"map"`` where weights are another function of scores.
        value: this number.
        map: the name of the function of scores; "" for a softmax of the keys that are kept.
        early: whether keys are chosen before masks hide some.
        whole: whether the weights that are kept sum to one again.
    """

    by: str
    value: float = 0.0
    map: str = ""
    early: bool = False
    whole: bool = True


def selection(f: Attend, expected: Attend, sizes: Sequence[Size], eps: float) -> Part | None:
    """How a function chooses keys by its scores, or computes weights of them; None where it does not."""
    near = max(CLOSE, min(NOISE * eps, LOOSE))
    try:
        found, held = ([_rows(f, expected, size, seed, near) for size in sizes] for seed in SEEDS)
    except Refused:
        return None
    choice = next((each for each in _choices(found) if _gives(each, [*found, *held], near)), None)
    if choice is None:
        return None
    words = tuple(size.words for size in sizes)
    details = {"empty": any(not np.isfinite(weights_of(choice, each)).all() for each in held),
               "scale": tuple((size.depth, each.scale) for size, each in zip(sizes, held, strict=True))}  # fmt: skip
    return Part("selection", choice, Choice("all"), differs=True, sizes=words, tolerance=near, details=details)


def weights_of(choice: Choice, rows: Rows) -> Array:
    """The weights that a choice gives (row, key); NaN in rows of which no key is kept."""
    if choice.by == "map":
        return MAPS[choice.map](rows.scores)
    kept = np.isfinite(rows.scores) & _kept(choice, rows.before if choice.early else rows.scores)
    e = np.where(kept, np.exp(rows.scores), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(e / (e.sum(-1, keepdims=True) + rows.slot)) if choice.whole else e


def _rows(f: Attend, expected: Attend, size: Size, seed: int, near: float) -> Rows:
    made = drawn(size, seed)
    w, shares = (weights(each, made.q, made.k, size.past).reshape(-1, size.keys) for each in (f, expected))
    scores = np.where(shares > SEEN, np.log(np.maximum(shares, SEEN)), -np.inf)
    slot = 1 - shares.sum(-1, keepdims=True)
    masks = [line for line in masks_of(f.task) if line.axes[-2:] == ("query", "key") and len(line.axes) == RANK]
    before = _scores(masks[0].operands[0], expected, made, size).reshape(w.shape) if masks else scores
    if slot.max() > near:
        return Rows(scores, before, slot, w)
    scale = _scale(scores, w, near)
    return Rows(_normalised(scale * scores), scale * before, 0 * slot, w, scale)


def _scale(scores: Array, w: Array, near: float) -> float:
    """How many times larger differences of scores are than they should be, where keys have weight; 1 if that varies."""
    kept = np.isfinite(scores) & (w > SEEN)
    mine = np.where(kept, np.log(np.maximum(w, SEEN)), 0.0)
    due = np.where(kept, scores, 0.0)
    count = np.maximum(kept.sum(-1, keepdims=True), 1)
    mine, due = (np.where(kept, x - x.sum(-1, keepdims=True) / count, 0.0) for x in (mine, due))
    if (count > 1).sum() < ENOUGH:
        return 1.0
    scale = float((mine * due).sum() / max(float((due * due).sum()), 1e-30))
    fits = scale > 0 and np.abs(mine - scale * due).max() <= SCALED * near
    return scale if fits and abs(scale - 1) > near else 1.0


def _normalised(scores: Array) -> Array:
    """Scores as logarithms of their softmax."""
    return np.asarray(np.where(np.isfinite(scores), np.log(np.maximum(_shares(scores), 1e-300)), -np.inf))


def _scores(name: str, expected: Attend, made: Drawn, size: Size) -> Array:
    """A line of scores of the working."""
    task = expected.task
    given = {**task.fixed, **expected.arrays(made.q, made.k, made.v, size.past)}
    trace = task.working.run({each.name: given[each.name] for each in task.working.givens}, keep=[name])
    return np.asarray(trace.numpy(name))


def _choices(found: Sequence[Rows]) -> Iterator[Choice]:
    """What the weights may be, the simplest first."""
    lost = [np.isfinite(each.scores) & (each.weights <= SEEN) for each in found]
    if sum(int(each.any(-1).sum()) for each in lost) < LEAST:
        return
    yield from (Choice("map", map=name) for name in MAPS)
    for early in (False, True):
        for by, value in _values(found, lost, early=early):
            yield from (Choice(by, value, early=early, whole=whole) for whole in (True, False))


def _values(found: Sequence[Rows], lost: Sequence[Array], *, early: bool) -> Iterator[tuple[str, float]]:
    """The numbers by which keys may be chosen."""
    most = [int((np.isfinite(each.scores) & ~gone).sum(-1).max()) for each, gone in zip(found, lost, strict=True)]
    if early:
        yield from (("largest", float(k)) for k in range(1, max(each.keys for each in found)))
    elif len({k for k, each in zip(most, found, strict=True) if k < each.keys}) == 1:
        yield "largest", float(max(most))
    yield from (("share", share) for share in SHARES)
    for by, measured in MEASURES.items():
        stats = [measured(each.before if early else each.scores) for each in found]
        seen = [np.isfinite(each.scores) for each in found]
        kept = np.concatenate([x[ok & ~gone] for x, ok, gone in zip(stats, seen, lost, strict=True)])
        gone = np.concatenate([x[out] for x, out in zip(stats, lost, strict=True)])
        low, high = (float(kept.max()), float(gone.min())) if by == "sum" else (float(gone.max()), float(kept.min()))
        if low < high:
            yield by, _short(low, high)


def _short(low: float, high: float) -> float:
    """The number with the fewest digits between two."""
    middle = (low + high) / 2
    tries = (float(f"{middle:.{digits}g}") for digits in range(1, DIGITS + 1))
    return next((each for each in tries if low < each < high), middle)


def _gives(choice: Choice, held: Iterable[Rows], near: float) -> bool:
    """Whether a choice gives all weights, but for rows in which it keeps no key."""
    for rows in held:
        mine = weights_of(choice, rows)
        known = np.isfinite(mine).all(-1)
        if not known.any() or (np.abs(mine - rows.weights)[known] > near).any():
            return False
    return True


# Which keys are kept


def _kept(choice: Choice, scores: Array) -> Array:
    rank = np.argsort(np.argsort(-scores, axis=-1, kind="stable"), axis=-1, kind="stable")
    if choice.by == "largest":
        return np.asarray(rank < choice.value)
    if choice.by == "share":
        return np.asarray(rank < max(1, int(choice.value * scores.shape[-1] + CLOSE)))
    stat = MEASURES[choice.by](scores)
    return np.asarray(stat < choice.value if choice.by == "sum" else stat > choice.value)


def _top(scores: Array) -> Array:
    return np.asarray(np.maximum(scores.max(-1, keepdims=True), np.finfo(float).min))


def _shares(scores: Array) -> Array:
    e = np.exp(scores - _top(scores))
    return np.asarray(e / np.maximum(e.sum(-1, keepdims=True), 1e-300))


def _before(scores: Array) -> Array:
    """The sum of all larger weights of each key."""
    w = _shares(scores)
    order = np.argsort(-w, axis=-1, kind="stable")
    ordered = np.take_along_axis(w, order, -1)
    out = np.empty_like(w)
    np.put_along_axis(out, order, np.cumsum(ordered, -1) - ordered, -1)
    return out


MEASURES: dict[str, Callable[[Array], Array]] = {
    "weight": _shares,
    "relative": lambda scores: np.asarray(np.exp(scores - _top(scores))),
    "sum": _before,
}
"""What distinguishes keys that are kept from others."""


# Other functions of scores


def _simplex(scores: Array, power: int) -> Array:
    """The weights max(s/power - tau, 0) ** power that sum to one: of sparsemax, and of 1.5-entmax."""
    s = np.where(np.isfinite(scores), scores - _top(scores), -np.inf) / power
    low, high = np.full((*s.shape[:-1], 1), -1.0), np.zeros((*s.shape[:-1], 1))
    for _ in range(60):
        tau = (low + high) / 2
        more = (np.maximum(s - tau, 0) ** power).sum(-1, keepdims=True) >= 1
        low, high = np.where(more, tau, low), np.where(more, high, tau)
    return np.asarray(np.maximum(s - low, 0) ** power)


def _hardest(scores: Array) -> Array:
    return np.asarray(np.eye(scores.shape[-1])[scores.argmax(-1)])


MAPS: dict[str, Callable[[Array], Array]] = {
    "argmax": _hardest,
    "sparsemax": lambda scores: _simplex(scores, 1),
    "1.5-entmax": lambda scores: _simplex(scores, 2),
}
"""Functions of scores that give no weight to some keys."""
