"""What a rewritten working gives for claims, with all lines that it shares with the working taken from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.precision.propagation import part_of
from clearhead.check.search.stacked import run_stacked
from clearhead.claim import Claim, differing
from clearhead.deviations import Applied
from clearhead.errors import ClearheadError
from clearhead.line import find, split_head
from clearhead.ops import Array
from clearhead.working import Working

Numbers = np.ndarray[Any, Any]

MAX_WORK = 20_000_000
"""How many numbers may be computed for one diagnosis: on small problems far more than it takes."""


class Evaluation(Struct, frozen=True, dict=True):
    """Claims, the working and its numbers, against which rewrites are held.

    Attributes:
        claims: what is claimed.
        working: the working as it is.
        values: the given arrays and every line of the working, without an axis of copies.
        spent: how many numbers were computed so far. Beyond `MAX_WORK` nothing is computed any more.
    """

    claims: tuple[Claim, ...]
    working: Working
    values: Mapping[str, Array]
    spent: list[int] = []

    def lines(self, working: Working) -> dict[str, Array] | None:
        """The values of a rewritten working; None if its lines do not fit these arrays."""
        if sum(self.spent) > MAX_WORK:
            return None
        self.spent[:] = [sum(self.spent)]
        own, fresh = set(self.working.lines), set[str]()
        values = dict(self.values)
        for line in working.lines:
            if line in own and not fresh.intersection(line.operands):
                continue
            try:
                values[line.name] = run_stacked(line, [np.asarray(values[name])[None] for name in line.operands])[0]
            except (ClearheadError, ValueError, IndexError, KeyError):
                return None
            fresh.add(line.name)
            self.spent.append(int(np.size(values[line.name])))
        return values

    def of(self, applied: Applied, working: Working | None = None) -> list[Numbers] | None:
        """What each claim should be with a deviation; None where it does not apply, or gives other shapes."""
        try:
            rewritten = applied.rewrite(working or self.working)
        except ClearheadError:
            return None
        values = self.lines(rewritten)
        return None if values is None else self.parts(rewritten, values)

    def parts(self, working: Working, values: Mapping[str, Array]) -> list[Numbers] | None:
        """The part of each claim's line that it is about; None if a line is not there, or has another shape."""
        found = []
        for claim in self.claims:
            name = find(split_head(claim.line)[0], self.working.names)
            if name not in working.names:
                return None
            try:
                part = np.asarray(part_of(claim, working, name, np.asarray(values[name])), dtype=np.float64)
            except (IndexError, ValueError):
                return None
            if part.shape != claim.values.shape:
                return None
            found.append(part)
        return found

    def agrees(self, parts: Sequence[Numbers] | None) -> bool:
        """Whether all claims agree with these numbers."""
        return parts is not None and not any(
            differing(claim, part).any() for claim, part in zip(self.claims, parts, strict=True)
        )
