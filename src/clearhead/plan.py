"""How a working is run: its lines as calls, each with what may be forgotten after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from functools import partial

from msgspec import Struct

from clearhead.line import Line
from clearhead.ops import Array, fused


class After(Struct, frozen=True):
    """What follows a step of which not all is kept: what its remark finds is noted, and lines are let go."""

    flag: Callable[..., Array] | None
    done: tuple[str, ...]


Step = tuple[str, Callable[..., Array], tuple[str, ...], After | None]
"""The name of a line, its code, the names of its operands, and what follows."""


def steps_of(lines: Sequence[Line], kept: Set[str], given: Set[str], *, fuse: bool) -> list[Step]:
    """The steps that work lines out, of which some are kept, and after each those that nothing needs any more.

    What an operation's remark finds is looked for at once where the trace will not hold all it takes. With ``fuse``,
    chains of which only the end is kept are one step (see `clearhead.ops.fused`).
    """
    calls = [_call(chain) for chain in (_chains(lines, kept) if fuse else ((line,) for line in lines))]
    last = {name: index for index, (line, _, operands) in enumerate(calls) for name in (line.name, *operands)}
    made = {line.name for line, _, _ in calls}
    leaving: dict[int, list[str]] = defaultdict(list)
    for name, index in last.items():
        if name in made and name not in kept:
            leaving[index].append(name)
    stays = {*kept, *given}
    steps: list[Step] = []
    for index, (line, code, operands) in enumerate(calls):
        remark, done = line.operation.remark, tuple(leaving[index])
        here = remark is None or stays.issuperset(remark.reads(line.name, line.operands))
        flag = remark.find if remark and not here else None
        steps.append((line.name, code, operands, After(flag, done) if flag or done else None))
    return steps


_Call = tuple[Line, Callable[..., Array], tuple[str, ...]]


def _call(chain: Sequence[Line]) -> _Call:
    """The line that a chain ends with, the code of all of it, and the names of what it starts from."""
    line = chain[-1]
    if len(chain) > 1:
        between = tuple((each.operation, each.parameters) for each in chain[1:-1])
        return line, partial(fused.weights, between=between), chain[0].operands
    code = partial(line.operation.code, **dict(line.parameters)) if line.parameters else line.operation.code
    return line, code, line.operands


def _chains(lines: Sequence[Line], kept: Set[str]) -> list[tuple[Line, ...]]:
    """The lines in order, those that can be worked out in one step together."""
    uses: dict[str, int] = defaultdict(int)
    for line in lines:
        for operand in line.operands:
            uses[operand] += 1

    def follows(line: Line, before: Line) -> bool:
        """Whether a line is all that is made of the one before."""
        return line.operands[:1] == (before.name,) and uses[before.name] == 1 and before.name not in kept

    found: list[tuple[Line, ...]] = []
    at = 0
    while at < len(lines):
        end = at + 1
        if lines[at].operation is fused.FIRST:
            while end < len(lines) and lines[end].operation in fused.BETWEEN and follows(lines[end], lines[end - 1]):
                end += 1
            closed = end < len(lines) and lines[end].operation is fused.LAST and follows(lines[end], lines[end - 1])
            end = end + 1 if closed else at + 1
        found.append(tuple(lines[at:end]))
        at = end
    return found
