"""Every set's numbers, computed once, for comparing the claims of many people.

A search for one person drops sets that the claims exclude. Where many compute the same, as in a class, the numbers of
all sets are kept instead: each person's claims are then looked up, line by line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from clearhead.check.compare.comparison import claims_by_line, wrong_cells
from clearhead.check.search.hypotheses import NONE, Chosen, Hypotheses
from clearhead.check.search.search import Walk, chosen_of, missed_by
from clearhead.check.search.stacked import Array, Column
from clearhead.claim import Claim
from clearhead.ops import Array as AnyArray


class Table:
    """The numbers that each set of at most ``size`` hypotheses gives for the lines in ``keep``.

    Raises:
        TooMany: it would take more memory than is reasonable.
    """

    def __init__(
        self, hypotheses: Hypotheses, arrays: Mapping[str, AnyArray], size: int, keep: Collection[str]
    ) -> None:
        self.hypotheses = hypotheses
        self._walk = Walk(hypotheses, arrays, {}, size, keep)
        self._walk.run()
        self._order = np.argsort((self._walk.devs != NONE).sum(axis=1), kind="stable")

    def fitting(self, claims: Iterable[Claim]) -> list[Chosen]:
        """The sets that fit all claims, the smallest first; of sets with the same numbers one of the smallest."""
        by_line = claims_by_line(claims, self.hypotheses.working)
        columns = {name: column for name, column in self._walk.columns.items() if name in by_line}
        rows = self._order
        for name in sorted(columns, key=lambda name: columns[name].count):
            if not len(rows):
                break
            rows = rows[self._fit(by_line[name], name, columns[name].pick(rows))]
        return [chosen_of(self._walk.devs[row]) for row in rows]

    def nearest(self, claims: Iterable[Claim], count: int) -> list[Chosen]:
        """The sets that miss the fewest cells; each further deviation must save two cells."""
        wrong = 2 * (self._walk.devs != NONE).sum(axis=1).astype(np.float64)
        for name, mine in claims_by_line(claims, self.hypotheses.working).items():
            column = self._walk.columns.get(name)
            wrong += np.inf if column is None else self._wrong(mine, name, column)
        rows = np.argsort(wrong, kind="stable")[:count]
        return [chosen_of(self._walk.devs[row]) for row in rows if np.isfinite(wrong[row])]

    def alike(self, chosen: Chosen) -> list[Chosen]:
        """All sets that give the same numbers as one of those that fit, and have no further invisible deviations."""
        return [each for each in self._walk.alike([chosen]) if len(each) == len(chosen)]

    def _fit(self, claims: Iterable[Claim], name: str, column: Column) -> Array:
        """Which states have values that agree with all claims on a line."""
        if column.count > len(column.numbers):
            column = column.compact()
        return ~missed_by(claims, self.hypotheses.working, name, column)

    def _wrong(self, claims: Iterable[Claim], name: str, column: Column) -> Array:
        """How many cells of the claims on a line each state misses; a state without the line may agree elsewhere."""
        wrong = np.zeros(column.count + 1)
        for claim in claims:
            counts = [wrong_cells(claim, self.hypotheses.working, name, block) for block in column.blocks]
            wrong[:-1] += np.concatenate(counts)
        return np.asarray(wrong[column.numbers])
