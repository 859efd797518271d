"""The plan of a run: the lines as calls, each with the lines that can be released after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from clearhead.line import Line
from clearhead.ops import Array, Namespace, Operation, fused, quiet


class After(Struct, frozen=True):
    """What follows a step: the flags of its remark are stored, and lines are released."""

    flag: Callable[..., Array] | None
    done: tuple[str, ...]


class Step(NamedTuple):
    """Lines that are computed together, mostly one: the code, the names of operands, and what follows.

    Without lines it makes what no line says, such as several arrays at once.
    """

    name: str
    code: Callable[..., Array]
    operands: tuple[str, ...]
    after: After | None
    lines: tuple[Line, ...]


def steps_of(lines: Sequence[Line], kept: Set[str], given: Set[str], *, fuse: bool) -> list[Step]:
    """The steps that compute lines, of which some are kept, and after each the lines that are no longer needed.

    The flags of an operation's remark are found at once where the trace will not keep what they need. With ``fuse``,
    chains of which only the end is kept are one step (see `clearhead.ops.fused`).
    """
    chains = _chains(lines, kept) if fuse else [(line,) for line in lines]
    calls = [Step(chain[-1].name, _code(chain), _operands(chain), None, chain) for chain in chains]
    return released(calls, kept, given)


def released(calls: Sequence[Step], kept: Set[str], given: Set[str]) -> list[Step]:
    """Steps in order, each with what follows it: flags, and the lines that are no longer needed."""
    last = {name: index for index, call in enumerate(calls) for name in (call.name, *call.operands)}
    made = {call.name for call in calls}
    leaving: dict[int, list[str]] = defaultdict(list)
    for name, index in last.items():
        if name in made and name not in kept:
            leaving[index].append(name)
    stays = {*kept, *given}
    steps: list[Step] = []
    for index, call in enumerate(calls):
        line = call.lines[-1] if call.lines else None
        remark, done = line.operation.remark if line else None, tuple(leaving[index])
        here = line is None or remark is None or stays.issuperset(remark.reads(line.name, line.operands))
        flag = remark.find if remark and not here else None
        if line is None and call.after is not None:
            flag = call.after.flag
        steps.append(call._replace(after=After(flag, done) if flag or done else None))
    return steps


def follow(
    xp: Namespace,
    steps: Iterable[Step],
    values: dict[str, Array],
    read: Callable[[str], Array],
    flags: dict[str, Array] | None = None,
) -> None:
    """Computes steps, adds what they make, and releases what is done.

    Args:
        xp: the namespace of the arrays.
        steps: the steps.
        values: what is known, by name; what is made is added.
        read: an array of these as code takes it.
        flags: gets those of remarks; None for none.
    """
    with quiet(xp):
        for name, code, operands, after, _ in steps:
            values[name] = code(xp, *map(read, operands))
            if after is not None:
                if flags is not None and after.flag is not None:
                    flags[name] = after.flag(xp, values[name], *map(read, operands))
                for past in after.done:
                    del values[past]


def _code(chain: Sequence[Line]) -> Callable[..., Array]:
    """The code of lines that are computed together."""
    line = chain[-1]
    if len(chain) > 1:
        return partial(fused.weights, between=between(chain))
    return partial(line.operation.code, **dict(line.parameters)) if line.parameters else line.operation.code


def _operands(chain: Sequence[Line]) -> tuple[str, ...]:
    """What lines read that are computed together: the operands of the first, and a mask of padding."""
    masks = (line.operands[1] for line in chain[1:-1] if line.operation is fused.PADDING)
    return (*chain[0].operands, *masks)


def between(chain: Sequence[Line]) -> fused.Between:
    """The operations between the first and the last of lines that are computed together."""
    return tuple((line.operation, line.parameters) for line in chain[1:-1])


def _chains(lines: Sequence[Line], kept: Set[str]) -> list[tuple[Line, ...]]:
    """The lines in order, grouped where one step computes several."""
    uses: dict[str, int] = defaultdict(int)
    for line in lines:
        for operand in line.operands:
            uses[operand] += 1

    def follows(line: Line, before: Line, first: Line) -> bool:
        """Whether a line is the only reader of the one before, and reads nothing else except operands of the first."""
        alone = line.operands[:1] == (before.name,) and uses[before.name] == 1 and before.name not in kept
        return alone and (line.operation is fused.PADDING or set(line.operands[1:]) <= set(first.operands))

    found: list[tuple[Line, ...]] = []
    at = 0
    while at < len(lines):
        end = at + 1
        if lines[at].operation is fused.FIRST:
            first, inside = lines[at], list[Operation]()
            while (
                end < len(lines)
                and fused.may_follow(lines[end].operation, inside)
                and follows(lines[end], lines[end - 1], first)
            ):
                inside.append(lines[end].operation)
                end += 1
            closed = (
                end < len(lines) and lines[end].operation is fused.LAST and follows(lines[end], lines[end - 1], first)
            )
            end = end + 1 if closed else at + 1
        found.append(tuple(lines[at:end]))
        at = end
    return found
