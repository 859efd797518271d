"""Documents: what is shown, independent of the medium, as a few kinds of part.

A trace, or a comparison of claims with one, becomes a `Document`; each medium (plain text, Markdown, LaTeX ...) has
one function that lowers these parts to it. A part holds data only: numbers, labels, expressions, never markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Union

import numpy as np
from msgspec import Struct

from clearhead.explanation import Explanation
from clearhead.expr import Expr, Ref


class Prose(Struct, frozen=True):
    """A paragraph."""

    text: str


class Remark(Struct, frozen=True):
    """A highlighted sentence: good news, a note, or a warning."""

    text: str
    tone: Literal["good", "note", "warning"] = "note"


class Heading(Struct, frozen=True):
    """A heading with the name of what follows, its axes where it is an array, and a word, such as ``given``.

    ``more``: up to the next heading there are details, which a medium may fold.
    """

    text: str
    axes: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    aside: str = ""
    more: bool = False


class Equation(Struct, frozen=True):
    """The formula of a line. ``first`` is what labels of cells count from."""

    left: Ref
    right: Expr
    first: int = 1


class Matrix(Struct, frozen=True):
    """A table of numbers with labelled rows and columns.

    ``shade`` asks media to show size by colour, from 0 to 1; ``marked`` are cells to point out; ``unknown`` are cells
    to show as ``?``, whatever their value. ``written`` are the texts of cells that somebody wrote, which are shown
    unchanged; an empty text is a blank for the reader to fill in.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray[Any, Any]
    shade: bool = False
    marked: frozenset[tuple[int, int]] = frozenset()
    unknown: frozenset[tuple[int, int]] = frozenset()
    written: tuple[tuple[str, ...], ...] | None = None


class Panels(Struct, frozen=True):
    """Matrices that belong side by side: the heads of a line."""

    matrices: tuple[Matrix, ...]


class Arithmetic(Struct, frozen=True):
    """A cell down to its arithmetic."""

    explanation: Explanation


class Document(Struct, frozen=True):
    """A ``title`` and ``parts`` in order; inside another document it is a section.

    ``decimals`` is how precisely numbers are shown; None for all digits.
    """

    title: str
    parts: Sequence[Part]
    decimals: int | None = 3


Part = Union[Prose, Remark, Heading, Equation, Panels, Arithmetic, Document]
