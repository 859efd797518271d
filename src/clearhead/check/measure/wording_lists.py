"""What sentences of parts share: entries and numbers in a list, and the heads that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from clearhead.check.measure.parts import Array, Part

MAX_NAMED = 6
"""The most entries that are named."""


def listed(entries: Sequence[int]) -> str:
    """Entries by number, the first of many."""
    more = f" and {len(entries) - MAX_NAMED} more" if len(entries) > MAX_NAMED else ""
    return ", ".join(map(str, entries[:MAX_NAMED])) + more


def of_heads(part: Part) -> str:
    """Which heads differ, as part of a sentence; "" where all do."""
    heads = part.where.get("head", ())
    every = part.sizes[0].get("head", 0) if part.sizes else 0
    return f" of {_named(heads)}" if 0 < len(heads) < every else ""


def by_heads(part: Part, says: Callable[[int], str]) -> Iterator[tuple[str, str]]:
    """What is said of each head that differs, with these heads as part of a sentence: together where it is the same."""
    together: dict[str, list[int]] = {}
    for head in part.where.get("head") or (0,):
        together.setdefault(says(head), []).append(head)
    for said, heads in together.items():
        yield of_heads(part) if len(together) == 1 else f" of {_named(heads)}", said


def _named(heads: Sequence[int]) -> str:
    return f"head{'s' if len(heads) > 1 else ''} {listed(heads)}"


def numbers(array: Array) -> str:
    """The first numbers with five digits."""
    return ", ".join(f"{each:.5g}" for each in np.ravel(array)[: 2 * MAX_NAMED])
