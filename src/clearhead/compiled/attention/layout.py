"""The arguments of compiled code: sizes, the addresses of each head's arrays and results, and working space.

Named tuples of plain numbers, which Numba passes at no cost. Arrays come as addresses, with strides in numbers, not
bytes, so that any layout with contiguous features is read in place.
"""

from __future__ import annotations

from typing import NamedTuple


class Plan(NamedTuple):
    """The arguments that all heads share. A count, width or cap of 0 means: none.

    ``edges`` is the address of int32 numbers; ``block`` is how many queries, or keys, are processed at once.
    """

    queries: int
    keys: int
    depth: int
    features: int
    query_row: int
    key_row: int
    value_row: int
    mask_kind: int
    mask_bytes: int
    mask_query: int
    mask_key: int
    padded: int
    padding_key: int
    causal: int
    window: int
    cap: float
    scale: float
    top: int
    bands: int
    edges: int
    block: int


class Head(NamedTuple):
    """The addresses of the arrays of one head, and its slope of scores over distance (ALiBi)."""

    query: int
    key: int
    value: int
    mask: int
    padding: int
    slope: float


class Results(NamedTuple):
    """The addresses of the results of one head; 0 for those not requested.

    ``shift`` and ``inverse`` are kept from the first pass for the second: each query's largest score, 1 over its sum.
    """

    output: int
    logsumexp: int
    entropy: int
    max: int
    shift: int
    inverse: int
    top_weights: int
    top_keys: int
    sink: int
    self_weight: int
    bands: int
    received_total: int
    received_max: int


BETWEEN = ("shift", "inverse")
"""The results of the first pass for the second, which are no statistics."""


class Space(NamedTuple):
    """The addresses of a thread's working space. A *panel* is WIDTH queries (or keys), one in each lane."""

    panels: int
    rows: int
    value: int
    scores: int
    largest: int
    mask: int
    output: int
    peak: int
    total: int
    moment: int
    kept: int
    least: int
    best: int
    best_key: int
    band: int
    sink: int
    own: int
    columns: int
    ladder: int
    groups: int
    words: int
    word_at: int


class Part(NamedTuple):
    """One panel and one tile: their first query and key, which rows count, and how many lanes.

    ``rows`` and ``value`` are the addresses of the tile's rows, and of their values: one row after the other.
    """

    panel: int
    query: int
    key: int
    first: int
    last: int
    lanes: int
    rows: int
    value: int
