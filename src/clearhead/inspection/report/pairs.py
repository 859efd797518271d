"""The strongest pairs of tokens, by weight."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from clearhead.inspection.survey import LayerStatistics, Numbers

SINKS = 4


class Pairs(Struct, frozen=True, eq=False):
    """Pairs of each head, the strongest first (head, pair); of fewer pairs than fit the rest have weight 0.

    Attributes:
        query, key: the query's token, and the key's token.
        weight: the weight.
    """

    query: Numbers
    key: Numbers
    weight: Numbers


def strongest(found: LayerStatistics, most: int, *, beyond: bool = False) -> Pairs:
    """The strongest pairs of a layer, among each query's largest weights.

    Args:
        found: the layer.
        most: how many of each head.
        beyond: leave out the first four tokens, which are attention sinks, and weights of a
            token on itself.
    """
    heads, queries, top = found.top_weights.shape
    places = np.arange(queries, dtype=np.int32)[:, None]
    weights = found.top_weights
    if beyond:
        weights = np.where((found.top_keys >= SINKS) & (found.top_keys != places), weights, np.float32(0))
    flat, keys = weights.reshape(heads, -1), found.top_keys.reshape(heads, -1)
    count = min(most, queries * top)
    picked = np.argpartition(-flat, count - 1, axis=-1)[:, :count]
    weight = np.take_along_axis(flat, picked, -1)
    order = np.lexsort((picked, -weight), axis=-1)
    picked = np.take_along_axis(picked, order, -1)
    return Pairs(
        query=(picked // top).astype(np.int32),
        key=np.take_along_axis(keys, picked, -1),
        weight=np.take_along_axis(flat, picked, -1),
    )
