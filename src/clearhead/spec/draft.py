"""The sheet on which specs write their lines."""

from __future__ import annotations

from collections.abc import Mapping

from clearhead.axes import axes as words
from clearhead.line import Given, Holds, Line, line
from clearhead.ops import Operation
from clearhead.working import Working


class Draft:
    """Lines and given arrays as they are written down; names are completed with the path of the part that writes."""

    def __init__(self, path: str = "", sheet: tuple[list[Given], list[Line]] | None = None) -> None:
        self._path = path
        self._givens, self._lines = sheet or ([], [])

    def inside(self, part: str) -> Draft:
        """The same sheet, for a part whose names get a path in front (none, if the part is '')."""
        return Draft(f"{self._path}{part}." if part else self._path, (self._givens, self._lines))

    def give(
        self,
        name: str,
        axes: str,
        holds: Holds = "numbers",
        sizes: Mapping[str, int] | None = None,
    ) -> str:
        """Asks for an array, of these sizes where they are known; returns its full name."""
        full = self._path + name
        known = tuple((word, size) for word, size in (sizes or {}).items() if word in axes.split())
        self._givens.append(Given(full, words(axes), known, holds))
        return full

    def write(self, name: str, operation: Operation, operands: str, axes: str, **parameters: object) -> str:
        """Writes a line on operands of these full names; returns its full name."""
        full = self._path + name
        self._lines.append(line(full, operation, operands, axes, **parameters))
        return full

    def working(self, label_base: int = 1) -> Working:
        """All that was written, as a working whose labels count from this number."""
        return Working(tuple(self._givens), tuple(self._lines), label_base)
