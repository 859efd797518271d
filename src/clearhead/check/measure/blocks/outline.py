"""The outline of a working: which halves it has, what switches each off, and which of its arrays are what."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from clearhead.check.calls.task import ASKED, FEATURES, Task
from clearhead.line import Line

THROUGH = ("norm", "gain", "scale", "bias")
"""Only lines of these roles are between a half's last product and the sum."""


class Half(Struct, frozen=True):
    """A half of a block, such as attention or the MLP.

    Attributes:
        name: what it is called.
        weight: the array of its last product.
        off: the arrays that switch the half off when they are 0: this one, and all biases after it.
    """

    name: str
    weight: str
    off: tuple[str, ...]


def halves(task: Task) -> tuple[Half, ...]:
    """The halves that the arrays which a function takes can switch off."""
    lines = {line.name: line for line in task.working.lines}
    sums = [line for line in lines_of(task, "sum") if len(line.operands) == 2]
    return tuple(half for line in sums if (half := _half(line, lines, task.takes)))


def _half(total: Line, lines: dict[str, Line], takes: tuple[str, ...]) -> Half | None:
    """The result of a half: its last product, and the biases after that."""
    off: list[str] = []
    at = lines.get(total.operands[1])
    while at and at.operation.role in THROUGH:
        if at.operation.role == "bias":
            off.append(at.operands[-1])
        if at.operation.role == "gain":
            off += at.operands[2:]
        at = lines.get(at.operands[0])
    if not at or at.operation.role != "product" or at.operands[-1] not in takes or not set(off) <= set(takes):
        return None
    return Half(_called(at, total), at.operands[-1], (at.operands[-1], *off))


def _called(product: Line, total: Line) -> str:
    """The name of a half: its path, or attention where there is none."""
    path = total.name.rpartition(".")[0]
    return path or ("MLP" if "hidden" in product.operands[-1] else "attention")


def tokens_taken(task: Task) -> tuple[str, ...]:
    """What a function takes that holds tokens with their features."""
    return tuple(name for name in task.takes if ASKED & set(task.axes(name)) and
                 FEATURES & set(task.axes(name)))  # fmt: skip


def numbers_taken(task: Task) -> tuple[str, ...]:
    """What a function takes that holds numbers of features: tokens, weights and biases, and no flags or positions."""
    return tuple(name for name in task.takes if FEATURES & set(task.axes(name)))


def lines_of(task: Task, role: str) -> Iterator[Line]:
    """The lines of a role, in order."""
    return (line for line in task.working.lines if line.operation.role == role)


def roles(task: Task) -> set[str | None]:
    """The roles of all lines."""
    return {line.operation.role for line in task.working.lines}
