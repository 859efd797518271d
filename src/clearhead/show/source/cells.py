"""Cells of an operand as array code: views and slices where the indices allow, and fancy indexing where not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.axes import Shape
from clearhead.expr import Expr
from clearhead.show.source.dialect import Dialect
from clearhead.show.source.indices import Ranges, grid, indices_in
from clearhead.show.source.value import ATOM, Value

WriteIndex = Callable[[Expr, tuple[str, ...]], str]
"""Writes an index as code, for a grid over these letters."""


class Variable(Struct, frozen=True):
    """An operand: its variable in the program, and its shape, of which the last axes are the formula's."""

    code: str
    shape: Shape
    core: int

    @property
    def lead(self) -> Shape:
        """The sizes of the axes in front."""
        return self.shape[: len(self.shape) - self.core]

    @property
    def sizes(self) -> Shape:
        """The sizes of the formula's axes."""
        return self.shape[len(self.shape) - self.core :]


class Cells(Struct, frozen=True):
    """The cells of an operand at some indices, for all values of the letters in them."""

    operand: Variable
    indices: tuple[Expr, ...]
    ranges: Ranges
    sizes: Mapping[str, int]
    dialect: Dialect

    def value(self, write: WriteIndex) -> Value:
        """Code for these cells: the first form that fits, from the simplest to the most general."""
        return self._sliced() or self._merged() or self._divided() or self._repeated() or self._gathered(write)

    def _values(self, at: int) -> np.ndarray[Any, Any]:
        index = self.indices[at]
        return grid(index, indices_in(index), self.ranges, self.sizes)

    def _single(self) -> list[str] | None:
        """The letter of each index, '' for a constant; None if one has several or two have the same."""
        found = [indices_in(index) for index in self.indices]
        letters = [letter for each in found for letter in each]
        if any(len(each) > 1 for each in found) or len(set(letters)) < len(letters):
            return None
        return [each[0] if each else "" for each in found]

    def _sliced(self) -> Value | None:
        """A view: each index runs evenly over a part of its axis."""
        letters = self._single()
        if letters is None:
            return None
        parts = [_part(self._values(at), size) for at, size in enumerate(self.operand.sizes)]
        if any(part is None for part in parts):
            return None
        code = self._subscripted([part or "" for part in parts])
        return Value(code, ATOM, tuple(letter for letter in letters if letter), self.operand.lead)

    def _merged(self) -> Value | None:
        """A reshape: one letter runs over two whole axes, after the slower is moved in front of the faster."""
        found = [indices_in(index) for index in self.indices]
        pairs = [(p, q) for p in range(len(found)) for q in range(len(found)) if p != q and found[p] == found[q]]
        if not pairs or any(len(each) != 1 for each in found) or len({each[0] for each in found}) != len(found) - 1:
            return None
        for slow, fast in pairs:
            count, inner = self.operand.sizes[slow], self.operand.sizes[fast]
            cells = np.arange(count * inner)
            rest = [at for at in range(len(found)) if at not in (slow, fast)]
            whole = all(_part(self._values(at), self.operand.sizes[at]) == ":" for at in rest)
            if whole and _same(self._values(slow), cells // inner) and _same(self._values(fast), cells % inner):
                return self._reshaped(slow, fast, [each[0] for each in found])
        return None

    def _reshaped(self, slow: int, fast: int, letters: list[str]) -> Value:
        order = [at for at in range(len(letters)) if at != slow]
        order.insert(order.index(fast), slow)
        code, lead, sizes = self.operand.code, self.operand.lead, self.operand.sizes
        moved = [at for at, place in enumerate(order) if at != place]
        if len(moved) == 2:
            code += f".swapaxes({moved[0] - len(order)}, {moved[1] - len(order)})"
        elif moved:
            code = self.dialect.permuted(code, [*range(len(lead)), *(len(lead) + place for place in order)])
        kept = [place for place in order if place != slow]
        shape = [*map(str, lead), *("-1" if place == fast else str(sizes[place]) for place in kept)]
        return Value(f"{code}.reshape({', '.join(shape)})", ATOM, tuple(letters[place] for place in kept), lead)

    def _divided(self) -> Value | None:
        """A reshape: two letters share one axis, each entry of the slower having all those of the faster."""
        found, sizes = [indices_in(index) for index in self.indices], self.operand.sizes
        shared = [at for at, letters in enumerate(found) if len(letters) == 2]
        if len(shared) != 1 or len({each for letters in found for each in letters}) != len(found) + 1:
            return None
        at = shared[0]
        if not all(_part(self._values(other), sizes[other]) == ":" for other in range(len(found)) if other != at):
            return None
        for letters in (found[at], found[at][::-1]):
            values = grid(self.indices[at], letters, self.ranges, self.sizes)
            if _same(values.reshape(-1), np.arange(sizes[at])):
                shape = (*self.operand.lead, *sizes[:at], *values.shape, *sizes[at + 1 :])
                axes = tuple(each for other in [*found[:at], letters, *found[at + 1 :]] for each in other)
                return Value(
                    f"{self.operand.code}.reshape({', '.join(map(str, shape))})", ATOM, axes, self.operand.lead
                )
        return None

    def _repeated(self) -> Value | None:
        """Each entry of one axis given several times in a row, all others as they are."""
        letters = self._single()
        if letters is None or not all(letters):
            return None
        parts = [_part(self._values(at), size) for at, size in enumerate(self.operand.sizes)]
        odd = [at for at, part in enumerate(parts) if part != ":"]
        if len(odd) != 1:
            return None
        values, size = self._values(odd[0]), self.operand.sizes[odd[0]]
        times, rest = divmod(len(values), size)
        if rest or not _same(values, np.arange(len(values)) // max(times, 1)):
            return None
        axis = odd[0] - len(letters)
        code = self.dialect.along("repeat", self.operand.code, str(times), axis=axis)
        return Value(code, ATOM, tuple(letters), self.operand.lead)

    def _gathered(self, write: WriteIndex) -> Value:
        """Fancy indexing, with the formula's own indices: along one axis if only one is irregular, or over a grid."""
        letters = self._single()
        if letters is not None:
            parts = [_part(self._values(at), size) for at, size in enumerate(self.operand.sizes)]
            odd = [at for at, part in enumerate(parts) if part is None]
            if len(odd) == 1 and all(letters):
                parts[odd[0]] = self._safe(odd[0], write, (letters[odd[0]],))
                return Value(self._subscripted([part or "" for part in parts]), ATOM, tuple(letters), self.operand.lead)
        used = tuple(dict.fromkeys(letter for index in self.indices for letter in indices_in(index)))
        over = tuple(letter for letter in self.ranges if letter in used)
        return Value(
            self._subscripted([self._safe(at, write, over) for at in range(len(self.indices))]),
            ATOM,
            over,
            self.operand.lead,
        )

    def _safe(self, at: int, write: WriteIndex, over: tuple[str, ...]) -> str:
        """An index limited to its axis: cells outside are read only where a condition then drops them."""
        code, values, size = write(self.indices[at], over), self._values(at), self.operand.sizes[at]
        outside = values.size and (values.min() < 0 or values.max() >= size)
        return f"({code}) % {size}" if outside else code

    def _subscripted(self, parts: list[str]) -> str:
        if all(part == ":" for part in parts):
            return self.operand.code
        first = next(at for at, part in enumerate(parts) if part != ":")
        if self.operand.lead or (first > 1 and parts[-1] != ":"):
            parts = ["...", *parts[first:]]
        else:
            while parts[-1] == ":":
                parts = parts[:-1]
        return f"{self.operand.code}[{', '.join(parts)}]"


def _same(values: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> bool:
    return values.shape == others.shape and bool((values == others).all())


def _part(values: np.ndarray[Any, Any], size: int) -> str | None:
    """The slice of an axis that has these entries, the number of the one entry, or None if no slice has them."""
    if values.ndim == 0:
        return str(int(values))
    if values.ndim > 1 or not values.size or values.min() < 0 or values.max() >= size:
        return None
    steps = {int(step) for step in np.diff(values)}
    if len(steps) > 1 or not all(step > 0 for step in steps):
        return None
    start, step, stop = int(values[0]), steps.pop() if steps else 1, int(values[-1]) + 1
    if (start, step, stop) == (0, 1, size):
        return ":"
    written = f"{start or ''}:{'' if stop - 1 + step >= size else stop}"
    return written if step == 1 else f"{start}{written[len(str(start or '')) :]}:{step}"
