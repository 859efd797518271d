"""What every medium shows of a matrix: which rows and columns, the digits of its cells, and escaped labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from clearhead.document import Matrix
from clearhead.errors import visible
from clearhead.expr import number
from clearhead.expr.text import fixed, is_written_whole

LARGE = 1e7
"""Numbers from here on are written with an exponent, as `clearhead.expr.number` writes them."""

SPACE = "\u2423"
"""The sign for a space that would be invisible."""


def token_label(token: str) -> str:
    """A token as a label: spaces at its ends are made visible, since tokens differ by them.

    >>> print(token_label(" the"), token_label("the"))
    ␣the the
    """
    inner = token.strip(" ")
    if not inner:
        return SPACE * len(token)
    return visible(token.replace(inner, "\0", 1).replace(" ", SPACE).replace("\0", inner, 1))


def one_line(text: str) -> str:
    """A paragraph with each run of white space as one space, and other invisible characters escaped."""
    return visible(" ".join(text.split()))


def shown(count: int, most: int, keep: Iterable[int] = ()) -> list[int | None]:
    """The positions of ``count`` things in at most ``most`` places, with None where some are left out.

    All if they fit; otherwise those that must be kept, then the first and the last.

    >>> shown(9, 5), shown(9, 5, keep=[4])
    ([0, 1, None, 7, 8], [0, None, 4, None, 8])
    """
    if count <= most:
        return list(range(count))
    ends = chain.from_iterable((n, count - 1 - n) for n in range(most))
    chosen: set[int] = set()
    for position in chain(sorted(keep), ends):
        if len(_with_gaps(chosen | {position}, count)) <= most:
            chosen.add(position)
    return _with_gaps(chosen, count)


def _with_gaps(chosen: Iterable[int], count: int) -> list[int | None]:
    places: list[int | None] = []
    following = 0
    for position in sorted(chosen):
        places += [position] if position == following else [None, position]
        following = position + 1
    return places if following == count else [*places, None]


def positions(places: Iterable[int | None]) -> list[int]:
    """The places that are no gaps."""
    return [place for place in places if place is not None]


def gap(places: list[int | None], at: int, count: int) -> int:
    """How many things the gap at this place leaves out, of ``count``."""
    before, after = places[at - 1] if at else -1, places[at + 1] if at + 1 < len(places) else count
    return after - before - 1  # type: ignore[operator]  # no two gaps are neighbours


def digits(values: np.ndarray[Any, Any], decimals: int | None) -> Callable[[Any], str]:
    """How the numbers of a matrix are written: all with the same decimals, so that they are easy to compare.

    Fewer decimals than requested only where no number has more; whole numbers have none. A number that is not 0 but
    would look like 0 gets an exponent. Booleans are yes and no. With ``decimals`` None every digit is shown.
    """
    if values.dtype.kind == "b":
        return lambda value: "yes" if value else "no"
    if decimals is None:
        return lambda value: number(_exact(value), None)
    places = _places([_exact(value) for value in values.flat], decimals)
    return lambda value: _write(float(value), places, decimals)


def writer(
    matrix: Matrix, rows: Sequence[int], columns: Sequence[int], decimals: int | None
) -> Callable[[int, int], str]:
    """How each cell of these rows and columns is written: its number, ``?`` where it is unknown, nothing if blank."""
    if matrix.written is not None:
        given = matrix.written
        return lambda row, column: given[row][column]
    write = digits(matrix.values[np.ix_(rows, columns)], decimals)
    return lambda row, column: "?" if (row, column) in matrix.unknown else write(matrix.values[row, column])


def _exact(value: Any) -> float:
    """The number with the fewest digits that its own type distinguishes: 0.1, not float32's 0.10000000149."""
    return float(value) if isinstance(value, float) else float(str(value))


def _places(numbers: list[float], decimals: int) -> int:
    plain = [n for n in numbers if math.isfinite(n) and abs(n) < LARGE]
    return next((p for p in range(decimals) if all(is_written_whole(n, fixed(n, p)) for n in plain)), decimals)


def _write(value: float, places: int, decimals: int) -> str:
    if not abs(value) < LARGE:
        return number(value, decimals)
    written = fixed(abs(value) if value == 0 else value, places)
    return number(value, decimals) if value != 0 and float(written) == 0 else written
