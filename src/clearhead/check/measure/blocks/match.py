"""How an array found inside a function follows from the given ones, as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from msgspec import Struct

from clearhead.axes import HEADS, Axes
from clearhead.check.calls.task import Arrays
from clearhead.check.measure.laws import reading, written
from clearhead.check.measure.parts import Array

CLOSE = 1e-3
"""How near, relative to its largest entry, an array must be to one that has a name."""

MAX_NAMED = 16
"""Longer orders are not written in full."""


class Pair(Struct, frozen=True, eq=False):
    """An array as it was given, and as it was found, with its axis words."""

    axes: Axes
    given: Array
    found: Array


def related(found: Array, given: Array, axes: Axes, others: Arrays) -> Iterator[tuple[Array, str]]:
    """The arrays near the one found that follow exactly from given ones, and how."""
    for array, says in _tries(Pair(axes, given, found), others):
        if array.shape == found.shape and _same(array, found) and not np.array_equal(array, given):
            yield array, says


def _same(one: Array, other: Array) -> bool:
    return bool(np.abs(one - other).max() <= CLOSE * max(float(np.abs(one).max()), 1e-30))


def _tries(found: Pair, others: Arrays) -> Iterator[tuple[Array, str]]:
    given = found.given
    for name, other in others.items():
        if other.dtype.kind == "f":
            yield other, f"is {name}"
    if given.ndim > 1 and given.shape[-1] == given.shape[-2]:
        yield np.swapaxes(given, -1, -2), "is transposed, x @ W.T where x @ W is meant"
    yield 0 * given, "is 0, or is not used"
    yield from _stored(found)
    yield from _reordered(found)
    yield from _scaled(found)


def _reordered(found: Pair) -> Iterator[tuple[Array, str]]:
    """The given array with the entries of one axis in another order."""
    for axis, word in enumerate(found.axes):
        mine, given = (np.moveaxis(each, axis, 0).reshape(each.shape[axis], -1) for each in (found.found, found.given))
        order = [int(np.abs(given - row).max(1).argmin()) for row in mine]
        known = "" if sorted(order) == list(range(len(order))) else ", some of them several times"
        yield np.take(found.given, order, axis), f"has {_entries(word)} in another order{known}: {_written(order)}"


def _entries(word: str) -> str:
    return "its heads" if word in HEADS else f"the entries of its axis {word}"


def _written(order: list[int]) -> str:
    return ", ".join(map(str, order[:MAX_NAMED])) + (" ..." if len(order) > MAX_NAMED else "")


def _stored(found: Pair) -> Iterator[tuple[Array, str]]:
    """The given array with the stored rows of projections in another order."""
    if found.axes[-1:] != ("depth",) or found.axes[0] not in HEADS:
        return
    heads, depth = found.given.shape[0], found.given.shape[-1]
    rows = np.moveaxis(found.given, -1, 1).reshape(heads * depth, -1)
    for order, says in _orders(heads, depth):
        again = rows[order].reshape(heads, depth, *found.given.shape[1:-1])
        yield np.moveaxis(again, 1, -1), says


def stored_orders(heads: int, depth: int) -> dict[str, Array]:
    """Orders of the stored rows (head*depth) of a projection, by what is said of them without counting heads."""
    halves, pairs = _apart(heads * depth, heads) if depth % 2 == 0 else (None, None)
    known = {
        "has its rows (head*depth) put from pairs to halves in each head": halves,
        "has its rows (head*depth) put from halves to pairs in each head": pairs,
        SPLIT: np.arange(heads * depth).reshape(depth, heads).T.reshape(-1),
        "is split into heads by rows, where heads vary fastest": np.arange(heads * depth)
        .reshape(heads, depth)
        .T.reshape(-1),
    }
    return {says: order for says, order in known.items() if order is not None}


SPLIT = "is split into heads with the heads varying fastest"


def _orders(heads: int, depth: int) -> Iterator[tuple[Array, str]]:
    """Orders of the stored rows (head*depth) of projections, with their cause."""
    rows = heads * depth
    known = {}
    for n in range(1, rows // 2 + 1):
        if rows % n == 0 and (rows // n) % 2 == 0:
            known[n] = _apart(rows, n)
    for n, (halves, pairs) in known.items():
        yield halves, f"has its rows (head*depth) put from pairs to halves, as of {_counted(n)}"
        yield pairs, f"has its rows (head*depth) put from halves to pairs, as of {_counted(n)}"
    for m, (stored_halves, stored_pairs) in sorted(known.items(), key=lambda item: item[0] != heads):
        for n, (halves, pairs) in known.items():
            if m != n:
                yield (
                    stored_pairs[halves],
                    f"has its rows (head*depth) put to pairs as of {_counted(m)} and back as of {_counted(n)}",
                )
                yield (
                    stored_halves[pairs],
                    f"has its rows (head*depth) put to halves as of {_counted(m)} and back as of {_counted(n)}",
                )
    yield np.arange(rows).reshape(depth, heads).T.reshape(-1), SPLIT


def _counted(heads: int) -> str:
    return f"{heads} head{'s' if heads > 1 else ''}"


def _apart(rows: int, heads: int) -> tuple[Array, Array]:
    """The order that puts the pairs of each head into halves, and the order that puts them back."""
    out = np.arange(rows).reshape(heads, rows // heads // 2, 2).swapaxes(1, 2).reshape(-1)
    return out, np.argsort(out)


def _scaled(found: Pair) -> Iterator[tuple[Array, str]]:
    """The given array times a number, rounded, or with some heads from another array."""
    weight = float((found.given * found.found).sum() / max((found.given**2).sum(), 1e-30))
    known = f" ({reading(weight)})" if reading(weight) else ""
    yield weight * found.given, f"is {written(weight)} times what was given{known}"
    casts: dict[str, Callable[[Array], Array]] = {"float16": lambda x: x.astype(np.float16).astype(np.float64)}
    for name, cast in casts.items():
        yield cast(found.given), f"is rounded to {name}"
    if found.axes[0] in HEADS:
        other = (
            np.abs(found.found - found.given).reshape(len(found.given), -1).max(1) > CLOSE * np.abs(found.given).max()
        )
        if 0 < other.sum() < len(other):
            heads = ", ".join(map(str, np.nonzero(other)[0]))
            yield found.found, f"has other numbers in head{'s' if other.sum() > 1 else ''} {heads} alone"
