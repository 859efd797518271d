"""Chains of lines that NumPy computes in one step, where the numbers between are not kept.

From queries and keys to weights a textbook has four lines or more, each a matrix as large as all pairs of tokens. Where
only the last is kept, it is computed a few rows at a time. The numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from clearhead.ops import large, threads
from clearhead.ops.operation import Array, Namespace, Operation
from clearhead.ops.textbook import linear, scores

Floats = np.ndarray[Any, Any]
Row = slice
Change = Callable[[Floats, Row], None]
"""Changes a block of rows of the scores in place; its second argument says which rows of all these are."""

ROWS = 1 << 16
"""Numbers in a block of rows, at most; a row at least."""

PADDING = scores.mask_padding
FIRST, LAST = linear.matmul_transposed, scores.softmax
BETWEEN = ((scores.scale, scores.scale_by_depth), (scores.softcap,), (scores.mask_causal, scores.mask_window, PADDING))
"""The operations that may stand between the first and the last of a chain, in this order: one of each kind, and any of
the masks. Of those that read an array of their own only the mask of padding does not end it."""

Between = tuple[tuple[Operation, tuple[tuple[str, Any], ...]], ...]
"""Operations and their parameters, in order."""


def may_follow(operation: Operation, before: Sequence[Operation]) -> bool:
    """Whether an operation may stand in a chain behind those between its first and it."""
    place = {each: at for at, kind in enumerate(BETWEEN) for each in kind}
    if operation not in place or operation in before:
        return False
    last = max((place[each] for each in before), default=-1)
    return place[operation] > last or place[operation] == last == len(BETWEEN) - 1


def weights(xp: Namespace, query: Array, key: Array, *real: Array, between: Between) -> Array:
    """Softmax of the scores of queries and keys, after what stands between; ``real``: the keys that are no padding."""
    out = np.matmul(query, key.mT)
    queries, keys = out.shape[-2:]
    changes = [
        _change(operation, dict(parameters), query.shape[-1], out)
        for operation, parameters in between
        if operation is not PADDING
    ]
    padding = [~np.broadcast_to(each[..., None, :], (*out.shape[:-2], keys)).reshape(-1, keys) for each in real]
    ends = _ends(between, queries, keys)
    flat = out.reshape(-1, queries, keys)
    step = max(1, ROWS // keys)
    places = [(one, slice(start, start + step)) for one in range(len(flat)) for start in range(0, queries, step)]

    def work(place: tuple[int, slice]) -> None:
        one, rows = place
        end = keys if ends is None else ends[min(rows.stop, queries) - 1]
        block = flat[one, rows, :end]
        for change in changes:
            change(block, rows)
        for masked in padding:
            np.copyto(block, scores.MASKED, where=masked[one, :end])
        large.softmax_rows(block)
        flat[one, rows, end:] = 0

    threads.share(work, places, out.size)
    return out


def _ends(between: Between, queries: int, keys: int) -> Sequence[int] | None:
    """For each query the number of keys up to the last that a causal mask allows; None without such a mask."""
    if any(operation is scores.mask_causal for operation, _ in between):
        # A query before the first key sees none; its row of minus infinities stays whole.
        return [max(1, n + 1 + keys - queries) for n in range(queries)]
    return None


def _change(operation: Operation, parameters: dict[str, Any], depth: int, out: Floats) -> Change:
    queries, keys = out.shape[-2:]
    if operation is scores.scale:
        return lambda block, _rows: _multiply(block, parameters["factor"])
    if operation is scores.scale_by_depth:
        return lambda block, _rows: _divide(block, depth**0.5)
    if operation is scores.softcap:
        return lambda block, _rows: _cap(block, parameters["cap"])
    masked = _masked(queries, keys, parameters.get("width"))
    return lambda block, rows: np.copyto(block, scores.MASKED, where=masked[rows, : block.shape[-1]])


def _multiply(block: Floats, factor: float) -> None:
    block *= factor


def _divide(block: Floats, by: float) -> None:
    block /= by


def _cap(block: Floats, cap: float) -> None:
    block /= cap
    np.tanh(block, out=block)
    block *= cap


@lru_cache(maxsize=4)
def _masked(queries: int, keys: int, width: int | None) -> np.ndarray[Any, Any]:
    """Whether a query may not attend to a key: causally, or, with a width, through a window."""
    position, key = np.arange(queries)[:, None] + (keys - queries), np.arange(keys)
    return key > position if width is None else np.abs(position - key) >= width
