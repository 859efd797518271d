"""What each residual adds, where it is not what it should be: any two of the lines before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, combinations_with_replacement, product

from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.calls.task import Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Computed
from clearhead.check.measure.blocks.outline import lines_of
from clearhead.check.measure.blocks.trials import Trial
from clearhead.errors import ClearheadError
from clearhead.line import Line
from clearhead.working import Working


class Mixed(Struct, frozen=True):
    """A residual, the two lines that it adds, and those that it should."""

    line: str
    adds: tuple[str, str]
    expected: tuple[str, str]


MAX_SUMS = 2
"""How many residuals may add other lines at once."""


def mixed(task: Task, ran: Sequence[Trial]) -> tuple[Mixed, ...]:
    """The residuals that add other lines, if with these all trials come out as the function has them; none if not."""
    sums = [line for line in lines_of(task, "sum") if len(line.operands) == 2]
    for count in range(1, min(len(sums), MAX_SUMS) + 1):
        for lines in combinations(sums, count):
            for pairs in product(*(_pairs(task.working, line) for line in lines)):
                if gives(task, _adding(task.working, dict(zip(lines, pairs, strict=True))), ran):
                    return tuple(
                        Mixed(line.name, pair, (line.operands[0], line.operands[1]))
                        for line, pair in zip(lines, pairs, strict=True)
                    )
    return ()


def _pairs(working: Working, line: Line) -> Iterator[tuple[str, str]]:
    """Two of what stands before a line with the same axes, one of them twice too."""
    before = [each.name for each in working.givens if each.axes == line.axes]
    for each in working.lines:
        if each.name == line.name:
            break
        before += [each.name] if each.axes == line.axes else []
    yield from (pair for pair in combinations_with_replacement(before, 2) if pair != line.operands)


def _adding(working: Working, pairs: dict[Line, tuple[str, str]]) -> Working | None:
    lines = tuple(replace(each, operands=pairs[each]) if each in pairs else each for each in working.lines)
    try:
        return replace(working, lines=lines)
    except ClearheadError:
        return None


def gives(task: Task, working: Working | None, ran: Sequence[Trial]) -> bool:
    """Whether a working gives what the function gave, the smallest trials first."""
    if working is None:
        return False
    run = Computed(task, working)
    known = sorted((each for each in ran if each.y is not None), key=lambda each: each.expected[-1].size)
    try:
        return all(each.holds(run(each.arrays)) for each in known)
    except Refused:
        return False
