"""The strongest pairs of tokens, a bounded list for each head that can be merged exactly.

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
    weight, query, key = rows.reshape(-1, 3).T
    heads, base = len(weight) // count, max(query.max(initial=0), key.max(initial=0)) + 1
    there = np.flatnonzero(weight > 0)
    # One number for head and pair, so that one sort brings equal pairs together; 64 bits hold far more.
    pair = (there // count * base + query[there]) * base + key[there]
    order = np.argsort(pair)
    pair = pair[order]
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    weight, pair = join.reduceat(weight[there[order]], first), pair[first]
    best = np.lexsort((pair, -weight, pair // base**2))
    weight, pair = weight[best], pair[best]
    head = pair // base**2
    rank = np.arange(len(head)) - np.searchsorted(head, np.arange(heads))[head]
    kept = np.zeros((heads, keep, 3), np.int64)
    kept[..., 1:] = -1
    some = rank < keep
    kept[head[some], rank[some]] = np.column_stack([weight, pair // base % base, pair % base])[some]
    return kept.reshape(*lead, keep, 3)
