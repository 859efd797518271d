"""What specs write their lines to."""

from __future__ import annotations

from collections.abc import Mapping

from clearhead.axes import axes as words
from clearhead.line import Given, Holds, Line, line
from clearhead.ops import Operation
from clearhead.working import Working


class Draft:
    """Lines and given arrays as specs write them; names get the path of the part that writes."""

    def __init__(self, path: str = "", sheet: tuple[list[Given], list[Line]] | None = None) -> None:
        self._path = path
        self._givens, self._lines = sheet or ([], [])

    def inside(self, part: str) -> Draft:
        """The same draft, for ``part``, a path in front of names; '' for none."""
        return Draft(f"{self._path}{part}." if part else self._path, (self._givens, self._lines))

    def give(
        self,
        name: str,
        axes: str,
        holds: Holds = "numbers",
        sizes: Mapping[str, int] | None = None,
    ) -> str:
        """Adds a given array, unless it is there already.

        Args:
            name: its name, without the path.
            axes: its axis words.
            holds: numbers, booleans or integers.
            sizes: known sizes by axis word.

        Returns:
            Its full name.
        """
        full = self._path + name
        known = tuple((word, size) for word, size in (sizes or {}).items() if word in axes.split())
        self._givens.append(Given(full, words(axes), known, holds))
        return full

    def of_layer(self, number: int, name: str) -> str:
        """The full name of the line ``name`` at the same place in the layer ``number`` of the same stack."""
        stack, _, own = self._path.rpartition("layers.")
        return f"{stack}layers.{number}.{own.partition('.')[2]}{name}"

    def outside(self, name: str) -> str | None:
        """The full name of the line ``name`` of the same stack, outside of layers; None where there is no stack."""
        stack, there, _ = self._path.rpartition("layers.")
        return f"{stack}{name}" if there else None

    def write(self, name: str, operation: Operation, operands: str, axes: str, **parameters: object) -> str:
        """Adds a line.

        Args:
            name: its name, without the path.
            operation: the operation.
            operands: the full names of its operands, in a string.
            axes: the axis words of the result.
            **parameters: the parameters of the operation.

        Returns:
            Its full name.
        """
        full = self._path + name
        self._lines.append(line(full, operation, operands, axes, **parameters))
        return full

    def working(self, label_base: int = 1) -> Working:
        """All lines and given arrays, as a working whose labels count from ``label_base``."""
        return Working(tuple(self._givens), tuple(self._lines), label_base)
