"""Which lines of a sheet are left blank, and the text on such a sheet, which does not reveal the blanks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from clearhead.expr import Call, Expr, Number, Ref, Where
from clearhead.line import Given
from clearhead.show.view import View, is_shares
from clearhead.trace import Trace, to_numpy
from clearhead.working import Working

MAX_CELLS = 600
"""With more blank numbers than this, no line computed from them is shown, whether or not it reveals them."""

STEP = 1e-4
"""How far each blank number is changed to see which lines change with it."""

RANK, READABLE = 1e-7, 1e-6
"""Singular values below this part of the largest count as 0."""

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def blanks(trace: Trace, view: View) -> frozenset[str]:
    """The lines that are left blank: those that the view names, and those from which blank numbers can be computed."""
    named = [line.name for line in trace.working.lines if view.leaves_blank(line.name)]
    if not named:
        return frozenset()
    later = list(_made_of(trace.working, named))
    left = [name for name in later if not view.leaves_blank(name)]
    needed = {*(given.name for given in trace.working.givens), *named, *left}
    if not needed <= set(trace) or sum(trace[name].size for name in named) > MAX_CELLS:
        return frozenset({*named, *left})
    return frozenset({*named, *_revealing(trace, named, left)})


def about_of(trace: Trace, view: View) -> list[str]:
    """The text of a document: with blanks only what to do, since a problem's own text may contain answers."""
    if not view.blank:
        return [paragraph for paragraph in view.about.split("\n\n") if paragraph.strip()]
    named = [line.name for line in trace.working.lines if view.leaves_blank(line.name)]
    precision = "" if view.decimals is None else f", to {view.decimals} decimals"
    task = [f"Compute the numbers that are left blank, line by line, from those that are given{precision}."]
    others = sorted(blanks(trace, view) - set(named), key=list(trace.working.names).index)
    because = [f"Also blank, since the answers follow from these: {', '.join(others)}."] if others else []
    return (task if named else []) + because


def _made_of(working: Working, names: Collection[str]) -> Iterator[str]:
    """The lines that read these, directly or not, in order."""
    found = set(names)
    for line in working.lines:
        read = {name for role, name in zip(line.formula.roles, line.operands, strict=True) if role in line.formula.read}
        if line.name not in found and found & read:
            found.add(line.name)
            yield line.name


def _revealing(trace: Trace, named: list[str], left: list[str]) -> Iterator[str]:
    """The lines that determine a blank number, together with those shown before them: by their derivatives.

    Blank lines that are made of others are no unknowns of their own: whoever knows the first can compute them.
    """
    derived = {made for name in named for made in _made_of(trace.working, [name])} & set(named)
    roots = [name for name in named if name not in derived]
    changes = _derivatives(trace, roots, [*left, *derived])
    known = _row_sums(trace, roots)
    blank = _directions([np.eye(known.shape[1]), *(changes[name] for name in sorted(derived))])
    open_ = blank[~_determined(known, blank)]
    hidden = set(named)
    for name in left:
        line = trace.working.line(name)
        repeated = _repeats(line.formula.body) and hidden & set(line.operands)  # type: ignore[union-attr]
        rows = np.concatenate([known, changes[name]])
        if repeated or _determined(rows, open_).any():
            hidden.add(name)
            yield name
        else:
            known = rows


def _entered(working: Working, named: list[str]) -> Working:
    """The working with some lines given; lines that only these read are kept, since they are shown."""
    given = [Given(line.name, line.axes) for line in working.lines if line.name in named]
    lines = tuple(line for line in working.lines if line.name not in named)
    return Working((*working.givens, *given), lines, working.label_base)


def _derivatives(trace: Trace, named: list[str], left: list[str]) -> dict[str, Array]:
    """How each number of some lines changes with each blank number: (number, blank number)."""
    working = _entered(trace.working, named).ending_at(*left)
    blank = {name: to_numpy(trace[name]).astype(np.float64) for name in named}
    count = sum(array.size for array in blank.values())
    ends: list[dict[str, Array]] = []
    for step in (STEP, -STEP):
        moved, at = {}, 0
        for name, array in blank.items():
            batch = np.repeat(array.reshape(1, -1), count, axis=0)
            batch[np.arange(at, at + array.size), np.arange(array.size)] += step
            moved[name], at = batch.reshape(count, *array.shape), at + array.size
        arrays = {given.name: moved.get(given.name, trace[given.name]) for given in working.givens}
        with np.errstate(all="ignore"):
            ran = working.run(arrays, keep=left)
        ends.append({name: np.asarray(ran.numpy(name), dtype=np.float64) for name in left})
    up, down = ends
    found: dict[str, Array] = {}
    for name in left:
        with np.errstate(invalid="ignore"):
            change = np.broadcast_to((up[name] - down[name]) / (2 * STEP), (count, *trace[name].shape))
        found[name] = np.where(np.isfinite(change), change, 0.0).reshape(count, -1).T
    return found


def _row_sums(trace: Trace, named: list[str]) -> Array:
    """What is known of blank weights: each row sums to 1."""
    sizes = [trace.numpy(name).size for name in named]
    rows: list[Array] = []
    for at, name in enumerate(named):
        if is_shares(trace.working.line(name)):
            before, after = sum(sizes[:at]), sum(sizes[at + 1 :])
            keys = trace.numpy(name).shape[-1]
            sums = np.kron(np.eye(sizes[at] // keys), np.ones(keys))
            rows.append(np.pad(sums, ((0, 0), (before, after))))
    return np.concatenate([*rows, np.zeros((0, sum(sizes)))])


def _directions(changes: list[Array]) -> Array:
    """How blank numbers change with the unknowns, each of length 1; those that do not change are no blanks."""
    rows = np.concatenate(changes)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray((rows / np.where(lengths > 0, lengths, 1))[lengths[:, 0] > 0])


def _determined(rows: Array, blank: Array) -> Array:
    """Which blank numbers the rows determine: those whose direction is in their row space."""
    _, values, directions = np.linalg.svd(rows, full_matrices=False)
    if not values.size or values[0] == 0:
        return np.zeros(len(blank), dtype=bool)
    kept = directions[values > RANK * values[0]]
    return np.asarray(1 - ((blank @ kept.T) ** 2).sum(axis=1) < READABLE)


def _repeats(body: Expr) -> bool:
    """Whether a formula only moves or rounds numbers."""
    match body:
        case Ref() | Number() | Call("round" | "round_even" | "truncate"):
            return True
        case Where(_, then, otherwise):
            return _repeats(then) and _repeats(otherwise)
    return False
