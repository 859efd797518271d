"""What is told of attention whose weights are never all stored."""

from __future__ import annotations

from typing import Any

from clearhead.brief import Brief

Array = Any

SINKS = 4
"""Keys counted as the first tokens."""


class Received(Brief, frozen=True, eq=False):
    """What each key gets from all queries, in arrays of (*batch, head, key).

    Attributes:
        total: the sum of the weights.
        max: the largest weight.
    """

    total: Array
    max: Array


class Inspection(Brief, frozen=True, eq=False):
    """Exact statistics of attention weights, worked out without keeping the weights.

    Arrays are of the library and, but for keys, of the type of the query. A query that may attend to nothing has
    weights, output and entropy 0, and max and logsumexp minus infinity.

    Attributes:
        output: the weighted sums of the values (*batch, head, query, depth).
        logsumexp: the logarithm of the sum of the exponentials of a query's scores (*batch, head, query).
        entropy: of a query's weights, in nats (*batch, head, query).
        max: a query's largest score, scaled, capped and masked (*batch, head, query).
        top_weights: a query's largest weights, the largest first (*batch, head, query, top). Fewer allowed keys leave
            zeros at the end.
        top_keys: their keys; of equal scores the first keys come first; -1 where there is none.
        sink: the weights of the first four keys, on which heads lay down what they have no use for (Xiao et al. 2024)
            (*batch, head, query, 4).
        edges: where the bands of distance part, in tokens.
        bands: the weight by distance from the query's own position (*batch, head, query, band): nearer than the
            first edge, from each edge to the next, and from the last on; None if no edges were given.
        received: what each key gets; None if it was not asked for.
        kernel: which implementation worked it out: ``"numba"``, ``"triton"`` or ``"plain"``.
        reason: why this one.
    """

    output: Array
    logsumexp: Array
    entropy: Array
    max: Array
    top_weights: Array
    top_keys: Array
    sink: Array
    edges: tuple[int, ...]
    bands: Array | None
    received: Received | None
    kernel: str = ""
    reason: str = ""
