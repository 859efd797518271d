"""The sizes at which a function is measured: depths that distinguish laws, one token, more than any window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clearhead.check.calls.drawing import Sizes, known_sizes, turned_width
from clearhead.check.calls.task import Task
from clearhead.check.measure.access import Roles, Size
from clearhead.ops.textbook import scores

Shape = tuple[int, int, int]
"""New tokens, keys beyond them (cached or of another sequence), depth."""

MEASURED: tuple[Shape, ...] = ((4, 0, 4), (6, 0, 8), (5, 0, 6), (9, 0, 4), (4, 0, 16), (5, 0, 5))
CROSS: tuple[Shape, ...] = ((4, 2, 4), (3, 4, 8), (5, -2, 6), (5, 4, 16))
CACHED: tuple[Shape, ...] = ((3, 4, 4), (3, 5, 8), (2, 6, 6), (4, 9, 4), (2, 3, 16))

SWEPT: tuple[Shape, ...] = (
    *((n, 0, 4) for n in (*range(1, 13), 15, 17, 20, 40)), *((n, 0, d) for d in (2, 3, 5, 6, 8, 16) for n in (2, 5)),
    (70, 0, 4), (300, 0, 2),
)  # fmt: skip
SWEPT_CROSS: tuple[Shape, ...] = ((1, 3, 4), (3, 2, 6), (2, 9, 4), (4, -3, 4), (6, 8, 5))
SWEPT_CACHED: tuple[Shape, ...] = (
    (1, 1, 4), (1, 3, 4), (1, 7, 8), (2, 2, 3), (2, 5, 4), (3, 4, 5), (3, 1, 6), (4, 9, 4), (5, 2, 8), (8, 12, 4),
    (20, 20, 4), (1, 40, 4), (7, 5, 16),
)  # fmt: skip

BRIEF: tuple[Shape, ...] = ((4, 0, 4), (6, 0, 8), (1, 0, 4), (13, 0, 5))
"""The sizes for functions that are slow on arrays of a new size, such as those compiled for each.

The first are those at which parts are measured.
"""

MAX_SCORES = 8_000_000
"""Sizes with more scores than this, over all heads, are not tried."""


class Plan:
    """The sizes of a task, in order."""

    def __init__(self, task: Task, roles: Roles, sizes: Sizes, tied: tuple[str, ...]) -> None:
        self.few = False
        self.cached = roles.past is not None
        self.apart = not self.cached and not task.follows_order and not tied
        self.known = known_sizes(task)
        self.heads = sizes["head"]
        self.groups = sizes["group"] if "group" in task.axes(roles.key) else self.heads
        self.tied = tied
        self.paired = any("pair" in line.axes for line in task.working.lines)
        self.narrowest = turned_width(task)
        self.widest = max(
            (
                int(dict(line.parameters)["width"])
                for line in task.working.lines
                if line.operation is scores.mask_window
            ),
            default=0,
        )

    def brief(self) -> Plan:
        """The plan with few sizes."""
        self.few = True
        return self

    def measured(self) -> tuple[Size, ...]:
        """The sizes at which parts are measured; those with windows get more tokens than these hide."""
        shapes = CACHED if self.cached else MEASURED + (CROSS if self.apart else ())
        near = self.widest if 2 < self.widest < 12 else 0
        more = ((near + 3, 4 if self.cached else 0, 4),) if near else ()
        return tuple(self._sized((*more, *shapes)))[: 2 if self.few else None]

    def swept(self) -> tuple[Size, ...]:
        """The sizes at which numbers are compared."""
        shapes = SWEPT_CACHED if self.cached else SWEPT + (SWEPT_CROSS if self.apart else ())
        shapes = (SWEPT_CACHED[:6] if self.cached else BRIEF) if self.few else shapes
        wide = ((self.widest + 3, 1 if self.cached else 0, 2),) if self.widest else ()
        return tuple(self._sized((*shapes, *wide)))

    def _sized(self, shapes: Iterable[Shape]) -> Iterator[Size]:
        seen = set()
        for tokens, beyond, depth in shapes:
            size = self._fixed(tokens, beyond, depth)
            scores_in_all = size.tokens * size.keys * max(size.heads, 1)
            if self.paired and size.depth % 2:
                continue
            if size not in seen and size.keys > 0 and scores_in_all <= MAX_SCORES:
                seen.add(size)
                yield size

    def _fixed(self, tokens: int, beyond: int, depth: int) -> Size:
        """A size with the known numbers, and with equal numbers where they must be equal."""
        known = self.known
        depth = known.get("depth", max(depth, self.narrowest))
        if self.tied == ("token", "depth"):
            tokens = depth
        if self.tied == ("token", "head"):
            tokens = self.heads
        tokens = known.get("token", known.get("query", tokens))
        past = known.get("past", beyond) if self.cached else 0
        keys = known.get("key", tokens + (past if self.cached else beyond))
        past = keys - tokens if self.cached else 0
        return Size(tokens, max(past, 0), keys, depth, self.heads, self.groups)
