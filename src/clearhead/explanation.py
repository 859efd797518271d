"""What a trace says about its numbers: the arithmetic of a cell, and notes on rows."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

import clearhead.doors as doors
from clearhead.axes import Cell
from clearhead.expr import Expr, Ref, number, text


class Note(Struct, frozen=True):
    """A note on rows of a line.

    Attributes:
        line: the line.
        rows: the rows, counted from 0.
        where: the rows as text.
        says: what they are.
        reason: why.
        remedy: what to do.
    """

    line: str
    rows: tuple[Cell, ...]
    where: str
    says: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.line}, {self.where}: {self.says}, because {self.reason}. {self.remedy}"


class Intermediate(Struct, frozen=True):
    """A value named in a formula, such as the mean inside a norm: its ``name``, ``filled`` with numbers, ``value``."""

    name: str
    filled: Expr
    value: float


class Explanation(Struct, frozen=True):
    """The arithmetic of one cell. ``print`` it, or use its parts.

    Attributes:
        target: the left side of the formula: the cell.
        stated: both sides of the line's textbook formula.
        steps: its named values.
        filled: the right side with its numbers.
        value: the number in the cell.
        reads: the cells that it reads, as (name, cell) counted from 0.
        first: the label of the first cell.
        decimals: how many are shown; None for all digits.
    """

    target: Ref
    stated: tuple[Ref, Expr]
    steps: tuple[Intermediate, ...]
    filled: Expr
    value: float
    reads: tuple[tuple[str, Cell], ...]
    first: int = 1
    decimals: int | None = 3

    @property
    def name(self) -> str:
        """The cell's own name, counted as the trace counts: ``head@2[1,1]``."""
        return text(self.target, first=self.first)

    @property
    def formula(self) -> str:
        """The textbook formula of the line."""
        return f"{text(self.stated[0])} = {text(self.stated[1], first=self.first)}"

    @property
    def numbers(self) -> str:
        """The right side with the numbers in it."""
        return self._text(self.filled)

    def _text(self, expr: Expr) -> str:
        return text(expr, decimals=self.decimals, first=self.first)

    def _equal(self, name: str, filled: Expr, value: float) -> str:
        parts = [name, self._text(filled), number(value, self.decimals)]
        return " = ".join(parts[:1] + parts[2:] if parts[1] == parts[2] else parts)

    def __str__(self) -> str:
        lines = [self._equal(step.name, step.filled, step.value) for step in self.steps]
        return "\n".join([*lines, self._equal(self.name, self.filled, self.value)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows: the formula, and the same with the numbers filled in."""
        return doors.explanation_bundle(self)
