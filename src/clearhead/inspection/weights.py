"""Single weights of attention whose weights were never stored: computed again from their queries and keys."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from clearhead.errors import SpecError
from clearhead.inspection.core import Core
from clearhead.inspection.rows import compute
from clearhead.ops.numpy import numpy_namespace as xp

Numbers = np.ndarray[Any, Any]

PAIRS = 2048
"""Pairs that are computed at once."""


def weights_at(core: Core, arrays: Mapping[str, Numbers], logsumexp: Numbers, query: Numbers, key: Numbers) -> Numbers:
    """The weights of some pairs of a query and a key: exp(score - logsumexp), float32, (head, pair).

    Args:
        core: the lines from scores to heads.
        arrays: by name the queries (head, query, depth), the keys (group, key, depth), and what the lines read besides.
        logsumexp: of each query, as `clearhead.inspect` gives it (head, query).
        query: the number of each pair's query, int64 (pair).
        key: the number of each pair's key, int64 (pair).

    Raises:
        SpecError: a line reads other numbers for each query, such as a given mask.
    """
    if masked := [each.name for each in core.others if "query" in each.axes]:
        raise SpecError(f"single weights are computed without given masks, and the lines read {', '.join(masked)}.")
    values = dict(arrays)
    read = {name for line in core.path[1:-1] for name in line.operands[1:]}
    for line in core.working.lines:
        if line.name in read and line.name not in values:
            values[line.name] = compute(xp, line, values)
    found = np.empty((len(logsumexp), len(query)), np.float32)
    for start in range(0, len(query), PAIRS):
        some = slice(start, start + PAIRS)
        found[:, some] = _some(core, values, logsumexp, query[some], key[some])
    return found


def _some(core: Core, values: dict[str, Numbers], logsumexp: Numbers, query: Numbers, key: Numbers) -> Numbers:
    score = _products(values[core.query], values[core.key], query, key)[:, None]
    known = {**values, core.product.name: score}
    for line in core.path[1:-1]:
        known[line.name] = compute(xp, line, known, position=query[None], key=key[None])
    masked, total = known[core.path[-1].operands[0]][:, 0], logsumexp[:, query]
    with np.errstate(invalid="ignore"):
        return np.where(masked == -np.inf, np.float32(0), np.exp(masked - total))


def _products(queries: Numbers, keys: Numbers, query: Numbers, key: Numbers) -> Numbers:
    """The products of some queries and keys (head, pair): by compiled code where there is some."""
    if find_spec("numba") and queries.dtype == np.float32:
        from clearhead.compiled.pairs import products

        found = np.empty((len(queries), len(query)), np.float32)
        products(_by_token(queries), _by_token(keys), query, key, found)
        return found
    heads, groups = len(queries), len(keys)
    left = np.take(queries, query, axis=1).reshape(groups, heads // groups, len(query), queries.shape[-1])
    return np.asarray(np.einsum("ghpd,gpd->ghp", left, np.take(keys, key, axis=1)).reshape(heads, len(query)))


def _by_token(array: Numbers) -> Numbers:
    """The heads of a token side by side, as they are mostly stored: (token, head, depth)."""
    return np.ascontiguousarray(array.transpose(1, 0, 2))
