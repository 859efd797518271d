"""Each claimed line held against the lines claimed before it: an error that is carried forward counts once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.axes import head_axis
from clearhead.check.comparison import claims_by_line, compare
from clearhead.check.hypotheses import Hypotheses
from clearhead.check.plans import plans_for
from clearhead.check.roundings import roundings
from clearhead.check.search import TooMany, search
from clearhead.claim import Claim
from clearhead.errors import ClearheadError
from clearhead.line import split_head
from clearhead.trace import Trace
from clearhead.working import Working

Arrays = dict[str, np.ndarray[Any, Any]]

LARGEST = 2
"""The largest sets of deviations that are tried between one claimed line and the next."""

SHAKES = 8
"""How often claimed numbers are shaken within their precision, to see how far what follows is uncertain."""


class Judged(Struct, frozen=True):
    """A claimed line by itself: whether it follows from the lines claimed before it, and if not, by which deviations.

    ``precision`` is to how many decimals it could be judged, since what it follows from was rounded itself.
    """

    line: str
    follows: bool
    explained_by: tuple[tuple[str, ...], ...] = ()
    precision: int | None = None


def judge(claims: Sequence[Claim], working: Working, arrays: Arrays) -> tuple[Judged, ...]:
    """Holds each claimed line against the working entered at the lines that are claimed in full before it."""
    by_line = claims_by_line(claims, working)
    known = working.run(arrays)
    judged: list[Judged] = []
    complete: Arrays = {}
    slack: dict[str, float] = {}
    for line in working.lines:
        if line.name not in by_line:
            continue
        mine = by_line[line.name]
        entered = _entered(working, arrays, complete, line.name)
        # Where nothing else is claimed, what was tried for all claims was tried for this line.
        judged.append(_judge(line.name, mine, entered, slack, search=len(by_line) > 1))
        whole = _whole(known, line.name, mine)
        if whole is not None:
            complete[line.name] = whole
            slack[line.name] = max(claim.tolerance for claim in mine)
    return tuple(judged)


def _entered(working: Working, arrays: Arrays, complete: Arrays, name: str) -> tuple[Working, Arrays]:
    entered = working.given(*complete) if complete else working
    if name not in entered.names:
        entered = working
    values = {**arrays, **complete}
    return entered, {given.name: values[given.name] for given in entered.givens}


def _judge(
    name: str, claims: list[Claim], entered: tuple[Working, Arrays], slack: Mapping[str, float], *, search: bool
) -> Judged:
    working, arrays = entered
    trace = working.run(arrays)
    unsure = _unsure(working, arrays, trace, name, slack)
    loose = [_loosened(claim, unsure) for claim in claims]
    precision = min((claim.precision for claim in loose if claim.precision is not None), default=None)
    if compare(loose, trace).agrees:
        return Judged(name, follows=True, precision=precision)
    causes = _explained(loose, working, arrays, trace) if search else ()
    return Judged(name, follows=False, explained_by=causes, precision=precision)


def _explained(claims: list[Claim], working: Working, arrays: Arrays, trace: Trace) -> tuple[tuple[str, ...], ...]:
    shapes = {each: trace.numpy(each).shape for each in trace}
    tries = roundings(working, claims, shapes, brief=True)
    plans = plans_for(working, tuple((name, array.shape) for name, array in arrays.items()))
    hypotheses = Hypotheses(plans, tries)
    for size in range(1, LARGEST + 1):
        try:
            found = search(hypotheses, arrays, claims, size)
        except TooMany:
            break
        if found.sets:
            return tuple(map(hypotheses.texts, found.sets[:5]))
    return ()


def _unsure(working: Working, arrays: Arrays, trace: Trace, name: str, slack: Mapping[str, float]) -> float:
    """How far a line may be off because the lines that it follows from were written down rounded."""
    shaken = [each for each in arrays if each in slack]
    if not shaken:
        return 0.0
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(SHAKES):
        moved = {n: arrays[n] + slack[n] * rng.choice([-1.0, 1.0], arrays[n].shape) for n in shaken}
        try:
            away = working.run({**arrays, **moved}).numpy(name) - trace.numpy(name)
        except ClearheadError:
            continue
        worst = max(worst, float(np.max(np.abs(away[np.isfinite(away)]), initial=0.0)))
    return 2 * worst


def _loosened(claim: Claim, unsure: float) -> Claim:
    if not unsure:
        return claim
    sure = max(0, math.floor(-math.log10(2 * (claim.tolerance + unsure))))
    return replace(claim, decimals=sure if claim.precision is None else min(claim.precision, sure))


def _whole(trace: Trace, name: str, claims: Sequence[Claim]) -> np.ndarray[Any, Any] | None:
    """The array of a line, if every cell of it is claimed."""
    array = np.full(trace.numpy(name).shape, np.nan)
    filled = np.zeros(array.shape, dtype=bool)
    first = trace.working.first
    for claim in claims:
        _, label = split_head(claim.line)
        axis = head_axis(trace.working.axes[name])
        heads: Any = ... if label is None or axis is None else (..., label - first, *[slice(None)] * (-1 - axis))
        cell = () if claim.cell is None else tuple(each - first for each in claim.cell)
        part, told = array[heads], filled[heads]
        part[cell or ...] = np.where(claim.claimed, claim.values, part[cell or ...])
        told[cell or ...] |= claim.claimed
    return array if filled.all() else None
