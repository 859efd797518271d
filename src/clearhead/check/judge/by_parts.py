"""Softmax computed from its exponentials and their sums, where somebody has written these down as lines."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from msgspec.structs import replace

from clearhead.line import Line
from clearhead.ops.textbook import scores
from clearhead.ops.variants import scores as variants_scores
from clearhead.working import Working


def by_parts(working: Working, claimed: Collection[str], name: str) -> Working | None:
    """The working in which a softmax reads its exponentials and sums, not the scores that it states they come of.

    Args:
        working: the lines; a textbook's softmax reads the scores, and its parts stand beside it.
        claimed: the lines that somebody has written down.
        name: the line that is looked at.

    Returns:
        The working; None where the line is no softmax, or none of its parts is claimed.
    """
    parts = _parts(working).get(name, ())
    return _read_from(working, name, parts) if set(parts) & set(claimed) else None


@lru_cache(maxsize=256)
def _parts(working: Working) -> dict[str, tuple[str, ...]]:
    """The exponentials and the sums of each softmax that has them beside it."""
    exponentials = {line.operands: line.name for line in working.lines if line.operation is scores.exponential}
    sums = {line.operands: line.name for line in working.lines if line.operation is scores.sum_of_row}
    softmaxes = {line.name: exponentials.get(line.operands) for line in working.lines
                 if line.operation is scores.softmax}  # fmt: skip
    return {name: (part, sums[part,]) for name, part in softmaxes.items() if part and (part,) in sums}


@lru_cache(maxsize=256)
def _read_from(working: Working, name: str, parts: tuple[str, ...]) -> Working:
    def change(line: Line) -> list[Line]:
        if line.name != name:
            return [line]
        return [replace(line, operation=variants_scores.parts_of_sums, operands=parts)]

    return working.rewrite(change)
