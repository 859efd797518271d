"""Maps of heads, tokens and columns, found by matching claimed with expected numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations, product

import numpy as np

from clearhead.check.fit.evaluation import Evaluation, Numbers
from clearhead.claim import Claim, differing
from clearhead.deviations import Applied
from clearhead.deviations.maps import MAX_ENTRIES, ROLES
from clearhead.line import find, split_head
from clearhead.ops import as_parameters
from clearhead.ops.textbook import linear

MAX_MAPS = 256
"""Maps of groups that no claimed line shows head by head are tried one by one, up to this number."""

MAX_ORDERS = 6
"""The most orders that are reported where equal entries can be exchanged."""

MAX_JOINED = 4
"""All orders of no more heads than these are tried."""


def matched(evaluation: Evaluation, *, brief: bool = False) -> Iterator[Applied]:
    """The maps with which all claims agree; ``brief``: of those that no claim shows, only the usual ones."""
    for applied in (*_reordered(evaluation), *_heads(evaluation), *_groups(evaluation, brief=brief)):
        if evaluation.gives(applied):
            yield applied


def _reordered(evaluation: Evaluation) -> Iterator[Applied]:
    """For the first claim that differs, each axis along which the expected numbers are in another order."""
    base = evaluation.parts(evaluation.working, evaluation.values)
    if base is None:
        return
    names = list(evaluation.working.names)
    wrong = [
        (names.index(find(split_head(claim.line)[0], names)), number)
        for number, (claim, part) in enumerate(zip(evaluation.claims, base, strict=True))
        if differing(claim, part).any()
    ]
    if not wrong:
        return
    claim, expected = evaluation.claims[min(wrong)[1]], base[min(wrong)[1]]
    if claim.cell is not None or split_head(claim.line)[1] is not None:
        return
    axes = evaluation.working.axes[names[min(wrong)[0]]]
    for place in range(max(-3, -len(axes)), 0):
        for order in _orders(claim, expected, place):
            written = "-".join(str(number + evaluation.working.label_base) for number in order)
            yield Applied(
                "line-reordered",
                as_parameters({"line": find(claim.line, names), "axis": axes[place], "order": written}),
            )


def _heads(evaluation: Evaluation) -> Iterator[Applied]:
    """Orders in which heads may be joined, where there are few."""
    for line in evaluation.working.lines:
        if line.operation.role != "concat":
            continue
        heads = np.shape(evaluation.values[line.operands[0]])[-3]
        base = evaluation.working.label_base
        for order in permutations(range(base, base + heads)) if 1 < heads <= MAX_JOINED else ():
            written = "-".join(map(str, order))
            yield Applied("line-reordered", as_parameters({"line": line.operands[0], "axis": "head", "order": written}))


def _orders(claim: Claim, expected: Numbers, axis: int) -> list[tuple[int, ...]]:
    """The orders of expected numbers along an axis that give the claims: several where entries are equal."""
    size = expected.shape[axis]
    if size > MAX_ENTRIES:
        return []
    moved = np.stack([np.take(expected, [other], axis=axis) for other in range(size)])
    fits = np.stack([~_slice_differs(claim, moved, place, axis) for place in range(size)])
    order: list[int] = []
    for place in range(size):
        fitting = [int(n) for n in np.flatnonzero(fits[place])]
        free = [n for n in fitting if n not in order]
        if not fitting:
            return []
        order.append(place if place in free else (free or fitting)[0])
    return [] if order == list(range(size)) else _as_good(tuple(order), fits)


def _as_good(order: tuple[int, ...], fits: Numbers) -> list[tuple[int, ...]]:
    """An order, and the others that also fit since they only exchange equal entries."""
    found = [order]
    for each in found:
        for one, other in combinations(range(len(each)), 2):
            if fits[one, each[other]] and fits[other, each[one]]:
                exchanged = list(each)
                exchanged[one], exchanged[other] = each[other], each[one]
                if tuple(exchanged) not in found:
                    found.append(tuple(exchanged))
                if len(found) == MAX_ORDERS:
                    return found
    return found


def _slice_differs(claim: Claim, others: Numbers, place: int, axis: int) -> Numbers:
    """Which of several slices differ from the claims at a place along an axis."""
    whole = np.repeat(others, claim.values.shape[axis], axis=axis)
    wrong = np.take(differing(claim, whole), place, axis=axis)
    return np.asarray(wrong.reshape(len(others), -1).any(axis=1))


def _groups(evaluation: Evaluation, *, brief: bool) -> Iterator[Applied]:
    """Maps of query heads to key/value heads, for both, for keys, and for values alone."""
    repeats = [line for line in evaluation.working.lines if line.operation is linear.repeat]
    if not repeats:
        return
    groups = np.shape(evaluation.values[repeats[0].operands[0]])[-3]
    heads = np.shape(evaluation.values[repeats[0].name])[-3]
    for role in ROLES:
        orders = _by_head(evaluation, role, groups, heads)
        for order in orders if orders is not None else _systematic(groups, heads, brief=brief):
            if list(order) != [head // (heads // groups) for head in range(heads)]:
                yield _mapped(evaluation, order, role)


def _mapped(evaluation: Evaluation, order: Sequence[int], role: str) -> Applied:
    written = "-".join(str(number + evaluation.working.label_base) for number in order)
    return Applied("groups-mapped", as_parameters({"order": written, "role": role}))


def _by_head(evaluation: Evaluation, role: str, groups: int, heads: int) -> list[list[int]] | None:
    """The map that claims with an axis of heads show; None if no claim has heads."""
    names = evaluation.working.names
    axes = [evaluation.working.axes[find(split_head(claim.line)[0], names)] for claim in evaluation.claims]
    shown = [
        number
        for number, (claim, words) in enumerate(zip(evaluation.claims, axes, strict=True))
        if len(words) > 2 and words[-3] == "head" and claim.cell is None and split_head(claim.line)[1] is None
    ]
    if not shown:
        return None
    possible = np.ones((heads, groups), dtype=bool)
    for group in range(groups):
        parts = evaluation.of(_mapped(evaluation, [group] * heads, role))
        if parts is None:
            return []
        for number in shown:
            wrong = np.moveaxis(differing(evaluation.claims[number], parts[number]), -3, 0).reshape(heads, -1)
            possible[:, group] &= ~wrong.any(axis=1)
    return [[int(np.argmax(row)) for row in possible]] if possible.any(axis=1).all() else []


def _systematic(groups: int, heads: int, *, brief: bool) -> Iterator[Sequence[int]]:
    """Maps that code has by mistake; unless ``brief`` all of them, where they are few."""
    yield [head % groups for head in range(heads)]
    yield [min(head // groups, groups - 1) for head in range(heads)]
    yield [groups - 1 - head // (heads // groups) for head in range(heads)]
    yield [0] * heads
    if not brief and groups**heads <= MAX_MAPS:
        yield from product(range(groups), repeat=heads)
