"""The factors with which residuals add their two lines, where these are not 1: fitted, and held on all trials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from time import process_time

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.calls.task import Task
from clearhead.check.measure.blocks.newton import fitted
from clearhead.check.measure.blocks.outline import lines_of
from clearhead.check.measure.blocks.residuals import gives
from clearhead.check.measure.blocks.trials import Trial
from clearhead.line import Line
from clearhead.ops.textbook import scores
from clearhead.working import Working

MAX_SECONDS = 1.5
"""Factors are tried for so long, by the clock of the processor."""

Place = tuple[str, int]
"""A residual, and which of its two lines."""

Groups = tuple[tuple[Place, ...], ...]
"""Places, those together that have the same factor."""


class Factored(Struct, frozen=True):
    """A residual, the lines that it adds, and their factors."""

    line: str
    adds: tuple[str, str]
    factors: tuple[float, float]


def factored(task: Task, ran: Sequence[Trial]) -> tuple[Factored, ...]:
    """The residuals with factors, the fewest with which all trials come out as the function has them."""
    sums = [line for line in lines_of(task, "sum") if len(line.operands) == 2]
    known = sorted((each for each in ran if each.y is not None and each.kind == "ordinary"),
                   key=lambda each: each.expected[-1].size)  # fmt: skip
    end = process_time() + MAX_SECONDS
    for groups in _groups([line.name for line in sums]):
        if process_time() > end:
            break
        factors = _fitted(task, groups, known[-2:])
        if factors and gives(task, _scaled(task.working, factors), ran):
            return tuple(Factored(line.name, (line.operands[0], line.operands[1]),
                                  (factors.get((line.name, 0), 1.0), factors.get((line.name, 1), 1.0)))
                         for line in sums if any(name == line.name for name, _ in factors))  # fmt: skip
    return ()


def _groups(sums: Sequence[str]) -> Iterator[Groups]:
    """Places whose factors are fitted: one, several with the same factor, two with their own."""
    places = [(name, at) for name in sums for at in (1, 0)]
    yield from (((each,),) for each in places)
    for at in (1, 0):
        yield (tuple((name, at) for name in sums),)
    yield from ((((name, 0), (name, 1)),) for name in sums)
    yield (tuple(places),)
    yield from (((one,), (two,)) for one, two in combinations(places, 2))


def _fitted(task: Task, groups: Groups, held: Sequence[Trial]) -> dict[Place, float] | None:
    """The factors that bring outputs nearest to the function's; None where no steps lead there."""
    found = fitted(task, lambda values: _scaled(task.working, _spread(groups, values)), np.ones(len(groups)), held)
    return _spread(groups, found) if found else None


def _spread(groups: Groups, values: Iterable[float]) -> dict[Place, float]:
    """The factor of each place, from those of groups."""
    return {place: float(value) for group, value in zip(groups, values, strict=True) for place in group}


def _scaled(working: Working, factors: dict[Place, float]) -> Working:
    """A working whose residuals add multiples of their lines."""
    lines: list[Line] = []
    for line in working.lines:
        operands = list(line.operands)
        for at, name in enumerate(line.operands):
            if (factor := factors.get((line.name, at))) is not None:
                operands[at] = f"{line.name}.{at}.scaled"
                lines.append(Line(operands[at], scores.scale, (name,), line.axes, (("factor", factor),)))
        lines.append(replace(line, operands=tuple(operands)))
    return replace(working, lines=tuple(lines))
