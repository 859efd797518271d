"""The measures of every head, one row each: the columns of results, and the parts of the report.

A measure is a number for each head and token of a sequence; sums of it over tokens are all that is kept. A new measure
is a row here, and a line in `values`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.corpora.options import CLASSES, Options
from clearhead.inspection.weights import weights_at
from clearhead.models.surveying import doubling
from clearhead.models.walking import Attended

Numbers = np.ndarray[Any, Any]

CHUNK = 1 << 16
"""Pairs of equal tokens that are processed together."""


class Measure(Struct, frozen=True):
    """A number for each head and token.

    Attributes:
        name: its name in tables.
        sentence: what it is.
        unit: what it is measured in.
        source: where the definition comes from.
        quantiles: whether its distribution over tokens is kept, in bins.
        typical: whether the documents with the largest mean are remembered for each head.
        by: whether a number belongs to a query or to a key: to which of them its position refers.
    """

    name: str
    sentence: str
    unit: str = "weight"
    source: str = ""
    quantiles: bool = False
    typical: bool = False
    by: str = "query"


DETECT = "TransformerLens, detect_head with error_measure='mul'"

MEASURES = (
    Measure("entropy", "The entropy of a query's weights.", "nats", "Clark et al. 2019, section 3", quantiles=True),
    Measure("sink", "The weight on the first four tokens.", source="Xiao et al. 2024", quantiles=True, typical=True),
    Measure("largest", "A query's largest weight.", typical=True),
    Measure("self", "The weight of the token itself."),
    Measure("previous", "The weight of the token before.", source=DETECT, typical=True),
    Measure("duplicate", "The weight of earlier tokens that are the same.", source=DETECT, typical=True),
    Measure(
        "induction", "The weight of tokens that come directly after an earlier one that is the same.", typical=True,
        source=f"Olsson et al. 2022; {DETECT}",
    ),
    Measure("received", "The sum of the weights that a token receives from all queries.", quantiles=True, by="key"),
)  # fmt: skip
"""The measures of every corpus."""


def rows_of(options: Options) -> tuple[Measure, ...]:
    """The measures of a corpus: those of every corpus, the weight by distance, and by class of token."""
    return (*MEASURES, *_distances(options), *_classes(options))


def edges_of(options: Options) -> tuple[int, ...]:
    """The edges of bands of distance."""
    return doubling(options.length)


def _distances(options: Options) -> Iterator[Measure]:
    edges = edges_of(options)
    for low, high in pairwise((0, *edges)):
        name = f"{low}" if high == low + 1 else f"{low}_{high - 1}"
        words = f"{name} token" if name == "1" else f"{name.replace('_', ' to ')} tokens"
        yield Measure(f"distance_{name}", f"The weight at a distance of {words}.")
    yield Measure(f"distance_{edges[-1]}_on", f"The weight at a distance of {edges[-1]} tokens and more.")


def _classes(options: Options) -> Iterator[Measure]:
    for name, words in {
        **CLASSES,
        **{name: f"tokens in which {p!r} is found" for name, p in options.classes.items()},
    }.items():
        source = "Clark et al. 2019, section 3.2" if name in CLASSES else ""
        yield Measure(f"to_{name}", f"The weight on {words}.", source=source, by="key")


class Read(Struct, frozen=True, eq=False):
    """What is known of the tokens of one or several texts, which is the same for all layers.

    Attributes:
        tokens: how many there are.
        classes: which of them are of each class (class, token).
        later: those that have one before them in their text.
        same: pairs of them of the same number, as `same_tokens` gives them, both of one text.
    """

    tokens: int
    classes: Numbers
    later: Numbers
    same: tuple[tuple[Numbers, Numbers], ...]


def read(ids: Numbers, begins: Numbers, classes: Numbers) -> Read:
    """What is known of tokens.

    Args:
        ids: the numbers of the tokens (token).
        begins: where texts begin.
        classes: which tokens of the vocabulary are of each class (class, token).
    """
    places = np.arange(len(ids))
    text = np.searchsorted(begins, places, side="right")
    same = same_tokens(text * (ids.max() + 1) + ids)
    return Read(len(ids), classes[:, ids], np.delete(places, begins), tuple(same))


def values(attended: Attended, known: Read) -> Numbers:
    """The measures of a layer, float32 (measure, head, token), in the order of `rows_of`.

    Args:
        attended: the layer, inspected with the edges of `edges_of` and what is received.
        known: the tokens.
    """
    found = {name: array[:, : known.tokens] for name, array in attended.found.numbers.items()}
    received = found["received_total"]
    rows = (
        found["entropy"], found["sink"].sum(-1), found["top_weights"][..., 0], found["self_weight"],
        *_of_pairs(attended, known), received,
    )  # fmt: skip
    bands = np.moveaxis(found["bands"], -1, 0)
    return np.concatenate([np.stack(rows), bands, received * known.classes[:, None]]).astype(np.float32, copy=False)


def _of_pairs(attended: Attended, known: Read) -> tuple[Numbers, Numbers, Numbers]:
    """The weight of the previous token, of duplicates, and of the tokens after these, each (head, query)."""
    lse = attended.found.numbers["logsumexp"]

    def weights(query: Numbers, key: Numbers) -> Numbers:
        return weights_at(attended.core, attended.arrays, lse, query, key)

    previous, duplicate, induction = (np.zeros((len(lse), known.tokens), np.float32) for _ in range(3))
    previous[:, known.later] = weights(known.later, known.later - 1)
    for query, key in known.same:
        found = weights(np.concatenate([query, query]), np.concatenate([key, key + 1]))
        starts = np.flatnonzero(np.concatenate([[True], query[1:] != query[:-1]]))
        for into, some in ((duplicate, found[:, : len(query)]), (induction, found[:, len(query) :])):
            into[:, query[starts]] = np.add.reduceat(some, starts, axis=-1, dtype=np.float64)
    return previous, duplicate, induction


def same_tokens(ids: Numbers, chunk: int = CHUNK) -> Iterator[tuple[Numbers, Numbers]]:
    """Each token with each earlier one of the same number, in chunks; a chunk has all earlier ones of its queries."""
    order = np.argsort(ids, kind="stable")
    first = np.flatnonzero(np.diff(ids[order], prepend=ids[order[:1]] - 1))
    begin = np.repeat(first, np.diff(first, append=len(ids)))
    rank = np.arange(len(ids)) - begin
    ends = np.cumsum(rank)
    start = 0
    while start < len(ids):
        stop = max(start + 1, int(np.searchsorted(ends, (ends[start - 1] if start else 0) + chunk, side="right")))
        some = np.arange(start, stop)
        repeats = rank[some]
        if repeats.any():
            offset = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
            yield np.repeat(order[some], repeats), order[np.repeat(begin[some], repeats) + offset]
        start = stop


def names_of(rows: Sequence[Measure]) -> list[str]:
    """The names of measures."""
    return [row.name for row in rows]
