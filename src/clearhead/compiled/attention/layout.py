"""The arguments of compiled code: sizes, the addresses of each head's arrays and results, and working space.

Named tuples of plain numbers, which Numba passes at no cost. Arrays come as addresses, with strides in numbers, not
bytes, so that any layout with contiguous features is read in place. What differs from head to head comes as rows of
tables, and is given its names in compiled code, so that Python has nothing to do between two heads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import njit
from numba.np.unsafe.ndarray import to_fixed_tuple

from clearhead.compiled.simd import INNER


class Plan(NamedTuple):
    """The sizes of a text, and the arguments that all texts share. A count, width or cap of 0 means: none.

    ``block`` is how many queries, or keys, are processed at once; ``edges`` is the address of int32 numbers.
    """

    queries: int
    keys: int
    block: int
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


SIZES = 3
"""The first fields of a plan, which differ from text to text: `queries`, `keys` and `block`."""


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


ADDRESSES = len(Results._fields)

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


class Heads(NamedTuple):
    """The heads of all texts, a row for each, and what they share.

    Attributes:
        plan: what all share; its sizes are not read.
        sizes: the first `SIZES` fields of each head's plan, int64 (head, SIZES).
        arrays: the addresses in `Head`, int64 (head, address).
        slopes: float64 (head).
        results: the addresses in `Results`, int64 (head, ADDRESSES).
    """

    plan: Plan
    sizes: Any
    arrays: Any
    slopes: Any
    results: Any


@njit(**INNER)
def plan_of(heads: Heads, head: int) -> Plan:
    """The plan of a head."""
    queries, keys, block = to_fixed_tuple(heads.sizes[head], SIZES)
    return Plan(queries, keys, block, *heads.plan[SIZES:])  # type: ignore[arg-type]  # each has its own type


@njit(**INNER)
def head_of(heads: Heads, head: int) -> Head:
    """The arrays of a head."""
    query, key, value, mask, padding = to_fixed_tuple(heads.arrays[head], 5)
    return Head(query, key, value, mask, padding, heads.slopes[head])


@njit(**INNER)
def results_of(heads: Heads, head: int) -> Results:
    """The results of a head."""
    return Results(*to_fixed_tuple(heads.results[head], ADDRESSES))
