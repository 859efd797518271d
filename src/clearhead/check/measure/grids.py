"""Names for which keys queries see: rules that give the grid at every size that was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct

from clearhead.check.measure.observe import Observed
from clearhead.check.measure.parts import Array


class Grid(Struct, frozen=True, eq=False):
    """The places of a grid of queries and keys: numbers of queries i (n, 1) and of keys j (1, m), and the most seen.

    ``past`` is the number of keys in the cache, and ``due`` the most that a query should see.
    """

    i: Array
    j: Array
    past: int
    widest: int
    due: int

    def window(self, first: Array | int) -> Array:
        """The keys up to a query's own place: of the new ones a window, of the cache those from ``first`` on."""
        at = self.i + self.ahead
        return np.asarray((self.j <= at) & np.where(self.j < self.past, self.j >= first, self.j > at - self.due))

    @property
    def ahead(self) -> int:
        """How many more keys than queries there are."""
        return len(self.j[0]) - len(self.i)


RULES: dict[str, Callable[[Grid], Array]] = {
    "all keys": lambda g: (g.i >= 0) & (g.j >= 0),
    "the keys up to their own number, j <= i: a causal mask that is aligned at the top left": lambda g: g.j <= g.i,
    "the keys up to their own place, j <= i + m - n: a causal mask that is aligned at the bottom right":
        lambda g: g.j <= g.i + g.ahead,
    "the keys before their own number, j < i, aligned at the top left": lambda g: g.j < g.i,
    "the keys before their own place, j < i + m - n, aligned at the bottom right": lambda g: g.j < g.i + g.ahead,
    "the keys from their own number on, j >= i: a causal mask the wrong way round": lambda g: g.j >= g.i,
    "the keys from their own place on, j >= i + m - n: a causal mask the wrong way round":
        lambda g: g.j >= g.i + g.ahead,
    "a window of {w} keys that is aligned at the top left, i - {w} < j <= i":
        lambda g: (g.j <= g.i) & (g.j > g.i - g.widest),
    "a window of {w} keys that is aligned at the bottom right, i + m - n - {w} < j <= i + m - n":
        lambda g: (g.j <= g.i + g.ahead) & (g.j > g.i + g.ahead - g.widest),
    "the keys of the cache, and none of the new ones": lambda g: (g.i >= 0) & (g.j < g.past),
    "the new keys, and none of the cache": lambda g: (g.i >= 0) & (g.j >= g.past),
    "of the cache the keys that the first new query should see, all of them, and of the new keys a window of {d}":
        lambda g: g.window(g.past + 1 - g.due),
    "all keys of the cache, and of the new keys a window of {d}": lambda g: g.window(0),
    "all keys but the first": lambda g: (g.i >= 0) & (g.j > 0),
    "all keys but the last": lambda g: (g.i >= 0) & (g.j < len(g.j[0]) - 1),
}  # fmt: skip
"""Which keys are seen.

m is the number of keys, n that of queries; w that of the keys that a query sees at most, d of those that it should.
"""


def rule_of(rows: Sequence[tuple[Observed, Observed]]) -> str:
    """What queries of all heads see, of what they should see or of all keys; "" where no rule is known, or several."""
    known = [(a.visible, b.visible, _grid(a, b)) for a, b in rows]
    if any((a != a[0]).any() for a, _, _ in known) or all(grid.ahead == 0 for _, _, grid in known):
        return ""  # heads that differ; or sizes at which top left and bottom right are the same
    for words, within in (("", False), (", of those that they should see", True)):
        for says, rule in RULES.items():
            if all((a[0] == (rule(grid) & b[0] if within else rule(grid))).all() for a, b, grid in known):
                return says.replace("{w}", str(known[0][2].widest)).replace("{d}", str(known[0][2].due)) + words
    return ""


def _grid(seen: Observed, expected: Observed) -> Grid:
    n, m = seen.visible.shape[1:]
    most, due = (int(each.visible.sum(-1).max()) for each in (seen, expected))
    return Grid(np.arange(n)[:, None], np.arange(m)[None], seen.size.past, most, due)
