"""The pairs of tokens that attract each other most, a bounded list of each head that can be merged exactly.

A pair is a query's token and the token of the key that gets most of its weight, if that is neither one of the first
four nor the query itself. Its strength is the sum of these weights in one sequence; of several sequences the largest
counts. The largest of maxima can be merged exactly in bounded memory, the largest sums over a corpus cannot.
"""

from __future__ import annotations

import numpy as np

from clearhead.corpora.exact import Integers, Numbers, fixed
from clearhead.inspection.statistics import SINKS

PAIRS = 8
"""Pairs that are kept of each head."""


def pairs_of(found: Numbers, ids: Numbers) -> Integers:
    """The strongest pairs of a sequence, (layer, head, pair, [weight, query token, key token]).

    Args:
        found: the largest weight of each query and its key, (layer, head, query, [weight, key]).
        ids: the numbers of the tokens (query).
    """
    weight, key = fixed(found[..., 0]), found[..., 1].astype(np.int64)
    counted = (key >= SINKS) & (key != np.arange(len(ids)))
    rows = np.stack([np.where(counted, weight, 0), np.broadcast_to(ids, key.shape), ids[np.maximum(key, 0)]], axis=-1)
    return _kept(rows, PAIRS, np.add)


def strongest_pairs(rows: Integers, keep: int) -> Integers:
    """The strongest of pairs (..., pair, [weight, query token, key token]), each pair once, by its largest weight."""
    return _kept(rows, keep, np.maximum)


def _kept(rows: Integers, keep: int, join: np.ufunc) -> Integers:
    *lead, count, _ = rows.shape
    flat = rows.reshape(-1, 3)
    head = np.repeat(np.arange(len(flat) // count), count)
    order = np.lexsort((flat[:, 2], flat[:, 1], head))
    same = np.column_stack([head, flat[:, 1:]])[order]
    first = np.flatnonzero(np.any(np.diff(same, axis=0, prepend=same[:1] - 1), axis=1))
    weight, same = join.reduceat(flat[order, 0], first), same[first]
    best = np.lexsort((same[:, 2], same[:, 1], -weight, same[:, 0]))
    head = same[best, 0]
    begin = np.searchsorted(head, np.arange(len(flat) // count))
    rank = np.arange(len(head)) - begin[head]
    kept = np.zeros((len(flat) // count, keep, 3), np.int64)
    kept[..., 1:] = -1
    chosen = best[(rank < keep) & (weight[best] > 0)]
    places = (rank < keep) & (weight[best] > 0)
    kept[head[places], rank[places]] = np.column_stack([weight[chosen], same[chosen, 1:]])
    return kept.reshape(*lead, keep, 3)
