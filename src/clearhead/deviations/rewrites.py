"""What rewrites are made of. They know a line by its operation and by the end of its name, not by its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from clearhead.deviations.deviation import Rewrite
from clearhead.errors import SpecError
from clearhead.line import Line, free_name, steps_of
from clearhead.ops import Operation, as_parameters
from clearhead.ops.variants.heads import unchanged
from clearhead.working import Working

Match = Callable[[Line], bool]
Change = Callable[[Line], Iterable[Line]]

ALL = "all"
"""What a parameter says that means every line or array of its kind."""

_MAX_NAMED = 3


class Nothing(SpecError):
    """There is nothing to rewrite; the message says what was looked for, and `Applied` says for what."""


def change_lines(working: Working, matches: Match, change: Change, what: str) -> Working:
    """The working with each line that matches replaced by what ``change`` makes of it.

    Raises:
        Nothing: no line matches; ``what`` names what was looked for.
    """
    if not any(map(matches, working.lines)):
        raise Nothing(f"no line of this working is {what}.")
    return working.rewrite(lambda line: change(line) if matches(line) else [line])


def swap(table: Mapping[Operation, Operation], where: Match | None = None, **parameters: Any) -> Rewrite:
    """A rewrite that puts other operations in the place of some.

    The new one takes as many of the old operands as it needs, and those of the old parameters, of ``parameters`` and of
    the deviation's own that it knows.
    """

    def rewrite(working: Working, **chosen: Any) -> Working:
        working = apart(working, table)

        def matches(line: Line) -> bool:
            return line.operation in table and (where is None or where(line))

        def change(line: Line) -> list[Line]:
            return [with_operation(line, table[line.operation], **parameters, **chosen)]

        return change_lines(working, matches, change, named(table))

    return rewrite


def apart(working: Working, operations: Collection[Operation]) -> Working:
    """The working in which lines whose operation has one of these among its steps are written as these steps."""

    def change(line: Line) -> list[Line]:
        inside = any(step.operation in operations for step in line.operation.steps)
        return steps_of(line, working.names) if inside and line.operation not in operations else [line]

    return working.rewrite(change) if any(line.operation.steps for line in working.lines) else working


def leave_out(*operations: Operation) -> Rewrite:
    """A rewrite that keeps the lines of these operations by name and leaves out what they do."""
    return swap(dict.fromkeys(operations, unchanged))


def adjust(*operations: Operation) -> Rewrite:
    """A rewrite that sets the deviation's own parameters in the lines of these operations."""
    return swap({operation: operation for operation in operations})


def with_operation(line: Line, operation: Operation, **parameters: Any) -> Line:
    """The line with another operation on the first of its operands."""
    known = {**dict(line.parameters), **parameters}
    chosen = as_parameters({name: known[name] for name in operation.parameters})
    operands = line.operands[: len(operation.formula(chosen).operands)]
    return replace(line, operation=operation, operands=operands, parameters=chosen)


def follow(working: Working, line: Line, step: str, operation: Operation, *more: str, **parameters: Any) -> list[Line]:
    """The line under the name of a step on the way, and behind it, under its own name, an operation on it."""
    inner = free_name(f"{line.name}.{step}", working.names)
    last = Line(line.name, operation, (inner, *more), line.axes, as_parameters(parameters))
    return [replace(line, name=inner), last]


def move(working: Working, moved: Match, before: Match, what: str) -> Working:
    """Takes lines out, so that their readers read what they read, and puts each back as what ``before`` reads.

    Raises:
        Nothing: there is no such line, or nothing to put it before.
    """
    renamed: dict[str, str] = {}
    waiting: list[Line] = []

    def change(line: Line) -> list[Line]:
        line = reread(line, renamed)
        if moved(line):
            renamed[line.name] = line.operands[0]
            waiting.append(line)
            return []
        if before(line) and waiting:
            late = waiting.pop()
            del renamed[late.name]
            back = replace(late, operands=(line.operands[0], *late.operands[1:]))
            return [back, replace(line, operands=(late.name, *line.operands[1:]))]
        return [line]

    rewritten = change_lines(working, lambda line: True, change, what)
    if waiting or rewritten.lines == working.lines:
        raise Nothing(f"no line of this working is {what}.")
    return rewritten


def reread(line: Line, renamed: Mapping[str, str]) -> Line:
    """The line with operands of other names."""
    return replace(line, operands=tuple(renamed.get(name, name) for name in line.operands))


def with_lines(working: Working, lines: Iterable[Line]) -> Working:
    """The working with these lines in the place of its own."""
    return replace(working, lines=tuple(lines))


def named(operations: Iterable[Operation]) -> str:
    """Operations as an error names them."""
    names = [operation.name for operation in operations]
    return f"a {' or '.join(names[:_MAX_NAMED])}" + (" or the like" if len(names) > _MAX_NAMED else "")


def is_called(line: Line, name: str) -> bool:
    """Whether a line bears this name, perhaps with a path in front."""
    return line.name == name or line.name.endswith(f".{name}")


def belongs_to(line: Line, name: str) -> bool:
    """Whether a line bears this name or is a step on the way to it or behind it: ``query.product`` of ``query``."""
    return name in line.name.split(".")


def line_of(working: Working, operations: Collection[Operation], name: str) -> Line:
    """The first line of these operations that belongs to a name.

    Raises:
        Nothing: there is none.
    """
    for line in working.lines:
        if line.operation in operations and belongs_to(line, name):
            return line
    raise Nothing(f"no line of this working is {named(operations)} of the {name}.")


def lines_called(working: Working, name: str) -> list[Line]:
    """The lines of this name, perhaps with paths in front."""
    return [line for line in working.lines if is_called(line, name)]
