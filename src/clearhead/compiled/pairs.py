"""Products of single queries and keys: where few of all scores are needed, and these for every head."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Numbers = np.ndarray[Any, Any]


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def products(queries: Numbers, keys: Numbers, query: Numbers, key: Numbers, found: Numbers) -> None:
    """Fills ``found`` (head, pair) with the sums over depth of a query times a key.

    Args:
        queries: float32 (query, head, depth), contiguous.
        keys: float32 (key, group, depth), contiguous.
        query: the number of each pair's query, int64 (pair).
        key: the number of each pair's key, int64 (pair).
        found: float32 (head, pair).
    """
    heads = queries.shape[1]
    shared = heads // keys.shape[1]
    for pair in range(len(query)):
        left, right = queries[query[pair]], keys[key[pair]]
        for head in range(heads):
            one, two = left[head], right[head // shared]
            total = np.float32(0)
            for number in range(len(one)):
                total += one[number] * two[number]
            found[head, pair] = total
