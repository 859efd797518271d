"""Small maps of weights that were never stored: which share of a block of queries goes to each block of keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from msgspec import Struct

from clearhead.axes import head_axis
from clearhead.errors import UnknownName
from clearhead.inspection.core import Core
from clearhead.inspection.known import Known, known_of
from clearhead.inspection.plain import weights_in_order
from clearhead.inspection.request import Request, Wanted, request_of

Numbers = np.ndarray[Any, Any]
Edges = Sequence[int] | Numbers

SIDE = 64
"""A map has no more blocks than this along queries and along keys."""

MAX_WEIGHTS = 20_000_000
"""Of a layer with more weights than this no map is made: it would take longer than all statistics."""


def edges_of(tokens: int) -> Numbers:
    """Where blocks of tokens begin, and where the last one ends: blocks of one size, give or take one."""
    blocks = min(tokens, SIDE)
    return np.arange(blocks + 1) * tokens // blocks


class Weights(Struct, frozen=True, eq=False):
    """One layer's queries and keys, from which any of its weights can be computed again.

    Attributes:
        core: the lines from scores to heads.
        arrays: by name the queries (head, query, depth), the keys and the values (group, key, depth), and what the
            lines read besides.
    """

    core: Core
    arrays: Mapping[str, Numbers]

    @property
    def heads(self) -> int:
        """How many heads there are."""
        return int(self.arrays[self.core.query].shape[-3])

    @property
    def tokens(self) -> int:
        """How many queries there are; there are as many keys."""
        return int(self.arrays[self.core.query].shape[-2])

    def shares(self, rows: Edges, columns: Edges) -> Numbers:
        """The mean over a block's queries of their weight on a block's keys (head, query block, key block).

        It is computed from every single weight, in float64. For all keys a row sums to 1, as weights do.

        Args:
            rows: where blocks of queries begin, and where the last one ends.
            columns: the same of keys.
        """
        return _shares(_request(self.core, self.arrays), np.asarray(rows), np.asarray(columns))

    def shares_of(self, head: int, rows: Edges, columns: Edges) -> Numbers:
        """The same of one head (query block, key block). Other heads are computed only where the lines mix them.

        Raises:
            UnknownName: there is no such head, or no such token.
        """
        if not 0 <= head < self.heads:
            raise UnknownName(f"head: there are heads 0 to {self.heads - 1}, not {head}.")
        for name, edges in (("rows", rows), ("columns", columns)):
            rises = all(0 <= one < next_ <= self.tokens for one, next_ in pairwise(edges))
            if len(edges) < 2 or not rises:
                raise UnknownName(f"{name}: expects rising numbers from 0 to {self.tokens}, got {list(edges)[:5]}.")
        if not _is_by_head(self.core):
            return np.asarray(self.shares(rows, columns)[head])
        request, seen = self._alone(head, int(rows[-1]))
        inside = [int(edge) for edge in columns if edge < seen]
        found = np.zeros((len(rows) - 1, len(columns) - 1))
        if inside:
            edges = np.asarray(columns if len(inside) == len(columns) else [*inside, seen])
            found[:, : len(edges) - 1] = _shares(request, np.asarray(rows), edges)[0]
        return found

    def _alone(self, head: int, queries: int) -> tuple[Request, int]:
        """The request for one head and the first queries, and how many keys these see."""
        core = self.core
        key, value = core.product.operands[1], core.head.operands[1]
        lines = core.working.starting_at(core.query, key, value).ending_at(core.head.name)
        core = Core(lines, core.query, key, value, core.product, core.softmax, core.head)
        known = known_of(core)
        seen = queries if isinstance(known, Known) and known.causal else self.tokens
        shared = self.arrays[self.core.key]
        group = head * shared.shape[-3] // self.heads
        query = self.arrays[core.query][None, head : head + 1, : queries if seen == queries else None]
        keys = shared[None, group : group + 1, :seen]
        none = np.zeros((1, 1, seen, 1), keys.dtype)  # values, on which weights do not depend
        return Request(array_namespace(query), query, keys, none, core, {}, known, (), Wanted()), seen


def map_of(core: Core, arrays: Mapping[str, Numbers]) -> Numbers | None:
    """The shares of all queries and keys, float32 (head, query block, key block); None where there are too many.

    Args:
        core: the lines from scores to heads.
        arrays: by name the queries, the keys, the values, and what the lines read besides.
    """
    weights = Weights(core, arrays)
    if weights.heads * weights.tokens * weights.tokens > MAX_WEIGHTS:
        return None
    edges = edges_of(weights.tokens)
    return np.asarray(weights.shares(edges, edges), np.float32)


def _request(core: Core, arrays: Mapping[str, Numbers]) -> Request:
    given = {each.name: arrays[each.name] for each in core.others}
    return request_of((arrays[core.query], arrays[core.key], arrays[core.value]), given, core, {}, Wanted())


def _is_by_head(core: Core) -> bool:
    """Whether a head can be computed without the others: only the repeat for groups has heads in its formula."""
    if core.others:
        return False
    axes = [(line, head_axis(line.axes)) for line in core.working.lines if line.operation.role != "repeat"]
    return all(axis is None or -axis > len(line.formula.result) for line, axis in axes)


def _shares(request: Request, rows: Numbers, columns: Numbers) -> Numbers:
    total = np.zeros((request.query.shape[1], len(rows) - 1, len(columns) - 1))
    first, last = int(columns[0]), int(columns[-1])
    at = int(rows[0])
    for part in weights_in_order(request, range(at, int(rows[-1]))):
        seen = np.asarray(part[0, ..., first:last])
        by_key = np.add.reduceat(seen, columns[:-1] - first, axis=-1, dtype=np.float64)
        block = np.searchsorted(rows, np.arange(at, at + seen.shape[-2]), "right") - 1
        begins = np.flatnonzero(np.diff(block, prepend=-1))
        total[:, block[begins]] += np.add.reduceat(by_key, begins, axis=-2)
        at += seen.shape[-2]
    shares: Numbers = total / np.diff(rows)[:, None]
    return shares
