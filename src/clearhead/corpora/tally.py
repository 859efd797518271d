"""Counts and sums over documents, as whole numbers that can be added in any order: parts of a corpus give the whole.

A tally has parts; each part has numbers under labels, such as the sums of one group of documents. `PARTS` says how two
tallies become one: everything is a sum, or the best few by a total order, so neither order nor grouping can matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from clearhead.corpora.exact import Integers, carried
from clearhead.corpora.strongest import PAIRS, strongest_pairs

TYPICAL = 3
"""Documents that are remembered for a measure of a head."""

NOWHERE = -1
"""The number for no document."""

Part = dict[str, Integers]


def _added(one: Integers, two: Integers) -> Integers:
    return one + two


def _summed(one: Integers, two: Integers) -> Integers:
    return carried(one + two)


def _best(one: Integers, two: Integers) -> Integers:
    """The largest of pairs (value, document) in the last two axes; of equal values the first document."""
    both = np.concatenate([one, two], axis=-2)
    order = np.lexsort((both[..., 1], -both[..., 0]), axis=-1)[..., :TYPICAL]
    return np.take_along_axis(both, order[..., None], axis=-2)


def _pairs(one: Integers, two: Integers) -> Integers:
    return strongest_pairs(np.concatenate([one, two], axis=-2), PAIRS)


def _listed(one: Integers, two: Integers) -> Integers:
    return np.union1d(one, two)


PARTS: Mapping[str, Callable[[Integers, Integers], Integers]] = {
    "counts": _added,
    "sums": _summed,
    "squares": _summed,
    "loss": _summed,
    "histogram": _added,
    "typical": _best,
    "pairs": _pairs,
    "failed": _listed,
    "unread": _added,
    "processor": _added,
}
"""How each part of two tallies becomes one.

Labels are such as ``fold:07``, ``position:03`` and ``group:"books"``.

counts: [documents, sequences, tokens] under each cut. sums: of each measure (half, layer, measure, head). squares: the
same, over all. loss: [half, (loss, tokens)]. histogram: (layer, measure, head, bin). typical: (layer, measure, head,
rank, [value, document]). pairs: (layer, head, rank, [weight, query token, key token]). failed: numbers of documents
under what went wrong. unread: [documents that were cut, tokens of them that were left out]. processor: documents under
the kind of processor.
"""

NUMBERED: Mapping[str, Any] = {"typical": (..., 1), "failed": ...}
"""Where the numbers of documents are."""


class Tally:
    """Numbers by part and label."""

    def __init__(self, parts: Mapping[str, Part] | None = None) -> None:
        self.parts: dict[str, Part] = {name: dict((parts or {}).get(name, {})) for name in PARTS}

    def __getitem__(self, part: str) -> Part:
        return self.parts[part]

    def add(self, part: str, label: str, numbers: Any) -> None:
        """Adds numbers under a label."""
        into, given = self.parts[part], np.asarray(numbers, np.int64)
        into[label] = PARTS[part](into[label], given) if label in into else given

    def add_all(self, other: Tally) -> None:
        """Adds another tally."""
        for name, part in other.parts.items():
            for label, numbers in part.items():
                self.add(name, label, numbers)

    def renumbered(self, start: int) -> Tally:
        """The same with documents counted from another start."""
        moved = Tally(self.parts)
        for name, place in NUMBERED.items():
            for label, numbers in moved.parts[name].items():
                new = numbers.copy()
                new[place] = np.where(new[place] == NOWHERE, NOWHERE, new[place] + start)
                moved.parts[name][label] = new
        return moved

    def whole(self, part: str, cut: str) -> Integers:
        """The sum over all labels of a cut, such as over all folds."""
        return reduce(PARTS[part], (numbers for _, numbers in self.labelled(part, cut)))

    def labelled(self, part: str, cut: str) -> list[tuple[str, Integers]]:
        """The labels of a cut in order, without its name, and their numbers."""
        head = f"{cut}:"
        return sorted((name[len(head) :], each) for name, each in self.parts[part].items() if name.startswith(head))


def total(tallies: Iterable[Tally]) -> Tally:
    """All tallies as one."""
    found = Tally()
    for each in tallies:
        found.add_all(each)
    return found
