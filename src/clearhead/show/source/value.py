"""Pieces of array code, each with the axes of its result, and their alignment to a common order of axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from clearhead.axes import Shape
from clearhead.expr.formula import broadcast

LOOSE, COMPARED, ADDED, MULTIPLIED, NEGATED, RAISED, ATOM = range(7)
"""How tightly the outermost operation of a piece of Python binds."""

SYMBOLS = {
    "+": ("+", ADDED, ADDED, ADDED), "-": ("-", ADDED, ADDED, MULTIPLIED),
    "*": ("*", MULTIPLIED, MULTIPLIED, NEGATED), "/": ("/", MULTIPLIED, MULTIPLIED, NEGATED),
    "//": ("//", MULTIPLIED, MULTIPLIED, NEGATED), "%": ("%", MULTIPLIED, MULTIPLIED, NEGATED),
    "^": ("**", RAISED, ATOM, NEGATED),
    "<": ("<", COMPARED, ADDED, ADDED), "<=": ("<=", COMPARED, ADDED, ADDED), "==": ("==", COMPARED, ADDED, ADDED),
}  # fmt: skip
"""For each symbol: Python's, how tightly it binds, and how tightly its left and right side must."""

Letters = tuple[str | None, ...]
"""The index that each axis runs over; None for an axis of one entry."""


class Value(Struct, frozen=True):
    """A piece of code for an array, or for a number.

    Attributes:
        code: an expression in Python.
        strength: how tightly its outermost operation binds.
        axes: the indices that its last axes run over.
        lead: the sizes of the axes in front of these, which broadcast.
        kept: the same numbers with the axes that a reduction removed, with one entry each.
        array: False for a plain number.
    """

    code: str
    strength: int = ATOM
    axes: Letters = ()
    lead: Shape = ()
    kept: Value | None = None
    array: bool = True

    @property
    def letters(self) -> tuple[str, ...]:
        """The indices that its axes run over."""
        return tuple(letter for letter in self.axes if letter is not None)

    def inside(self, strength: int) -> str:
        """The code, in parentheses if what surrounds it binds more tightly."""
        return self.code if self.strength >= strength else f"({self.code})"


Permute = Callable[[str, Sequence[int]], str]


def common_order(values: Sequence[Value], canonical: Sequence[str]) -> Letters:
    """The order of axes in which values can be combined with the fewest transpositions."""
    arrays = [value for value in values if value.array]
    together = _overlaid(arrays)
    if together is not None:
        return together
    longest = max((value.letters for value in arrays), key=len, default=())
    if all(_within(value.letters, longest) for value in arrays):
        return longest
    union = {letter for value in arrays for letter in value.letters}
    places = [at for at, letter in enumerate(canonical) if letter in union]
    return tuple(letter if letter in union else None for letter in canonical[places[0] : places[-1] + 1])


def _overlaid(arrays: Sequence[Value]) -> Letters | None:
    """The axes of arrays that broadcast against each other as they are; None if they do not."""
    rank = max((len(value.axes) for value in arrays), default=0)
    if any(value.lead and len(value.axes) < rank for value in arrays):
        return None
    columns = zip(*((None,) * (rank - len(value.axes)) + value.axes for value in arrays), strict=True)
    agree = all(len({letter for letter in column if letter is not None}) <= 1 for column in columns)
    axes = broadcast_axes(arrays)
    letters = [letter for letter in axes if letter is not None]
    return axes if agree and len(set(letters)) == len(letters) else None


def _within(letters: Sequence[str], order: Sequence[str | None]) -> bool:
    """Whether the letters follow each other in this order."""
    rest = iter(order)
    return all(letter in rest for letter in letters)


def aligned(value: Value, order: Letters, permute: Permute) -> Value:
    """The value with axes that broadcast against those of this order: transposed, and with axes of one entry added."""
    if not value.array:
        return value
    for form in (value, value.kept):
        if form is not None and _fits(form, order):
            return form
    if any(axis is None for axis in value.axes):
        value = _without_single_axes(value)
    wanted: Letters = tuple(letter if letter in value.letters else None for letter in order)
    value = _turned(value, tuple(letter for letter in wanted if letter is not None), permute)
    if not value.lead:
        wanted = _stripped(wanted)
    return (
        value
        if wanted == value.axes
        else Value(f"{value.inside(ATOM)}[{_subscript(wanted, value)}]", ATOM, wanted, value.lead)
    )


def _subscript(wanted: Letters, value: Value) -> str:
    written = ["..."] if value.lead else []
    written += ["None" if letter is None else ":" for letter in wanted]
    while written[-1] == ":" and not value.lead:
        written.pop()
    return ", ".join(written)


def _fits(value: Value, order: Letters) -> bool:
    wanted: Letters = tuple(letter if letter in value.letters else None for letter in order)
    if value.lead:
        return value.axes == wanted
    return len(value.axes) <= len(order) and _stripped(value.axes) == _stripped(wanted)


def _stripped(axes: Letters) -> Letters:
    """Axes without those of one entry in front."""
    start = next((at for at, letter in enumerate(axes) if letter is not None), len(axes))
    return axes[start:]


def _without_single_axes(value: Value) -> Value:
    subscript = ", ".join((["..."] if value.lead else []) + ["0" if axis is None else ":" for axis in value.axes])
    return Value(f"{value.inside(ATOM)}[{subscript}]", ATOM, value.letters, value.lead)


def _turned(value: Value, letters: tuple[str, ...], permute: Permute) -> Value:
    """The value with its axes in another order."""
    if value.axes == letters:
        return value
    count = len(letters)
    moved = [at for at in range(count) if value.axes[at] != letters[at]]
    if len(moved) == 2:
        # A transposition is written (-1, -2); for heads and tokens the axes keep their order.
        first, second = (at - count for at in (moved if moved[-1] < count - 1 else moved[::-1]))
        code = f"{value.inside(ATOM)}.swapaxes({first}, {second})"
    else:
        places = [value.axes.index(letter) for letter in letters]
        lead = len(value.lead)
        code = permute(value.inside(ATOM), [*range(lead), *(lead + place for place in places)])
    return Value(code, ATOM, letters, value.lead)


def broadcast_axes(values: Sequence[Value]) -> Letters:
    """The axes that aligned values have together."""
    rank = max(len(value.axes) for value in values)
    columns = zip(*((None,) * (rank - len(value.axes)) + value.axes for value in values), strict=True)
    return tuple(next((letter for letter in column if letter is not None), None) for column in columns)


def common_lead(values: Sequence[Value]) -> Shape:
    """The leading axes that values have together."""
    return broadcast([value.lead for value in values if value.array])
