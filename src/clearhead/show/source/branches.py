"""Branches of conditions on an index only: the values of the index for each, and lists of pieces of code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clearhead.expr import Expr, Index, Ref, Where, walk
from clearhead.show.formula.patterns import is_known
from clearhead.show.source.indices import grid, indices_in

LONG = 60
"""Longer lists have a line for each entry."""

NEW_LINE = "\n    "


def runs_of(expr: Expr, letter: str, places: range, sizes: Mapping[str, int]) -> list[tuple[Expr, range]]:
    """The branches of nested conditions, each with its range of an index's values."""
    if not isinstance(expr, Where) or indices_in(expr.condition) != (letter,) or not is_known(expr.condition):
        return [(expr, places)]
    truth = grid(expr.condition, (letter,), {letter: places}, sizes)
    count = int((truth == truth[0]).sum())
    first, second = (expr.then, expr.otherwise) if truth[0] else (expr.otherwise, expr.then)
    if not (truth[:count] == truth[0]).all():
        return [(expr, places)]
    after = runs_of(second, letter, places[count:], sizes) if count < len(places) else []
    return [*runs_of(first, letter, places[:count], sizes), *after]


def listed(pieces: Sequence[str]) -> str:
    """A list in Python, with a line for each entry where it is long."""
    line = f"[{', '.join(pieces)}]"
    return line if len(line) <= LONG else f"[\n    {f',{NEW_LINE}'.join(pieces)},\n]"


def moves_with(expr: Where, letter: str) -> bool:
    """Whether a branch reads cells at a place that is computed from this index."""
    refs = (node for branch in (expr.then, expr.otherwise) for node in walk(branch) if isinstance(node, Ref))
    return any(letter in indices_in(index) and index != Index(letter) for ref in refs for index in ref.indices)
