"""Building blocks of rewrites. They find a line by its operation and the end of its name, not by its place."""

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
"""The value of a parameter that means every line or array of its kind."""

_MAX_NAMED = 3


class Nothing(SpecError):
    """There is nothing to rewrite; the message says what was searched, `Applied` adds by which deviation."""


def change_lines(working: Working, matches: Match, change: Change, what: str) -> Working:
    """The working with each matching line replaced by the result of ``change``.

    Raises:
        Nothing: no line matches; ``what`` says what was searched.
    """
    matching = {line.name for line in working.lines if matches(line)}
    if not matching:
        raise Nothing(f"no line of this working is {what}.")
    return working.rewrite(lambda line: change(line) if line.name in matching else [line])


def swap(table: Mapping[Operation, Operation], where: Match | None = None, **parameters: Any) -> Rewrite:
    """A rewrite that replaces some operations by others.

    A new operation gets the first of the old operands, as many as it needs. Of the old parameters, of ``parameters``
    and of the deviation's parameters it gets those that it has.
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
    """The working in which lines are written as their steps, if one of these operations is among the steps."""

    def change(line: Line) -> list[Line]:
        inside = any(step.operation in operations for step in line.operation.steps)
        return steps_of(line, working.names) if inside and line.operation not in operations else [line]

    return working.rewrite(change) if any(line.operation.steps for line in working.lines) else working


def leave_out(*operations: Operation) -> Rewrite:
    """A rewrite in which the lines of these operations keep their names and become copies of their operands."""
    return swap(dict.fromkeys(operations, unchanged))


def adjust(*operations: Operation) -> Rewrite:
    """A rewrite that sets the deviation's parameters in the lines of these operations."""
    return swap({operation: operation for operation in operations})


def with_operation(line: Line, operation: Operation, **parameters: Any) -> Line:
    """The line with another operation on the first of its operands."""
    known = {**dict(line.parameters), **parameters}
    chosen = as_parameters({name: known[name] for name in operation.parameters})
    operands = line.operands[: len(operation.formula(chosen).operands)]
    return replace(line, operation=operation, operands=operands, parameters=chosen)


def follow(working: Working, line: Line, step: str, operation: Operation, *more: str, **parameters: Any) -> list[Line]:
    """The line under the name of a step, followed by an operation on it under the line's name."""
    inner = free_name(f"{line.name}.{step}", working.names)
    last = Line(line.name, operation, (inner, *more), line.axes, as_parameters(parameters))
    return [replace(line, name=inner), last]


def move(working: Working, moved: Match, before: Match, what: str) -> Working:
    """Moves lines: their readers read the lines' operands, and ``before`` reads the moved lines.

    Raises:
        Nothing: there is no such line, or no line to put it before.
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
    """The working with these lines instead of its own."""
    return replace(working, lines=tuple(lines))


def named(operations: Iterable[Operation]) -> str:
    """Operations as an error names them."""
    names = [operation.name for operation in operations]
    return f"a {' or '.join(names[:_MAX_NAMED])}" + (" or the like" if len(names) > _MAX_NAMED else "")


def is_called(line: Line, name: str) -> bool:
    """Whether a line has this name, with or without a path in front."""
    return line.name == name or line.name.endswith(f".{name}")


def belongs_to(line: Line, name: str) -> bool:
    """Whether a line has this name or belongs to it as a step: ``query.product`` to ``query``."""
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
    """The lines of this name, with or without paths in front."""
    return [line for line in working.lines if is_called(line, name)]
