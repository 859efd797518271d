"""The statistics of an inspection, one row each: result types, arrays, columns and reports are made from this table.

A new statistic is a row here, and the code in each kernel that computes it. One number of it for each head is a row of
`SUMMARIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from msgspec import Struct

Numbers = np.ndarray[Any, Any]

SINKS = 4
"""Keys counted as the first tokens."""


class Statistic(Struct, frozen=True):
    """A statistic of attention weights.

    Attributes:
        name: its name among the results.
        axes: after the batch and the heads: query, key, feature, top (of the largest weights), first (of the first
            tokens), band (of distance).
        sentence: what it is.
        unit: what it is measured in.
        integer: whether it holds whole numbers (int64), not numbers of the query's type.
        option: the option that requests it; none if it is always computed.
        kept: how much of it an inspection of a model keeps: nothing, all, or the mean over queries.
        column: how it becomes one number for each token: not at all, as it is, or summed over its last axis. These are
            columns of a table, and bars along the text in a report.
        title: its title in a report, where it is one number for each token.
        powers: whether a report shows it on a logarithmic scale.
    """

    name: str
    axes: tuple[str, ...]
    sentence: str
    unit: str = "weight"
    integer: bool = False
    option: Literal["", "bands", "received"] = ""
    kept: Literal["", "all", "mean"] = ""
    column: Literal["", "value", "sum"] = ""
    title: str = ""
    powers: bool = False

    def by_token(self, numbers: Numbers) -> Numbers:
        """One number for each token, as ``column`` says, of an array with the axes of the statistic at its end."""
        return np.asarray(numbers.sum(-1)) if self.column == "sum" else numbers


STATISTICS: Mapping[str, Statistic] = {
    row.name: row
    for row in (
        Statistic("output", ("query", "feature"), "The weighted sums of the values.", "value"),
        Statistic(
            "logsumexp", ("query",), "The logarithm of the denominator of a query's softmax, sinks included.",
            "score",
        ),
        Statistic(
            "entropy", ("query",), "The entropy of a query's weights.", "nats", kept="all", column="value",
            title="Entropy",
        ),
        Statistic("max", ("query",), "A query's largest score, scaled, capped and masked.", "score"),
        Statistic(
            "sink", ("query", "first"),
            f"The weights of the first {SINKS} keys: attention sinks (Xiao et al. 2024).", kept="all", column="sum",
            title="Sink",
        ),
        Statistic(
            "self_weight", ("query",), "The weight of the key at the query's own position.", kept="all",
            column="value", title="On itself",
        ),
        Statistic(
            "top_weights", ("query", "top"),
            "A query's largest weights, the largest first. Fewer allowed keys leave zeros at the end.", kept="all",
        ),
        Statistic(
            "top_keys", ("query", "top"),
            "The keys of the largest weights; of equal scores the first keys come first; -1 where there is none.",
            "key", integer=True, kept="all",
        ),
        Statistic(
            "bands", ("query", "band"),
            "The weight by distance from the query's own position: below the first edge, from each edge to the "
            "next, and from the last on.", option="bands", kept="mean",
        ),
        Statistic(
            "received_total", ("key",), "The sum of the weights that a key receives from all queries.",
            option="received", kept="all", column="value", title="Received", powers=True,
        ),
        Statistic(
            "received_max", ("key",), "The largest weight that a key receives from one query.", option="received",
            kept="all", column="value", title="Largest received",
        ),
    )
}  # fmt: skip
"""All statistics by name."""


class Head(Struct, frozen=True):
    """One number for each head, made of a statistic.

    Attributes:
        name: its name in summaries and tables.
        source: the statistic that it is computed from, as an inspection of a model keeps it.
        reduce: computes a number for each head from it, the edges of bands and the number of tokens.
        title: its title, with its unit.
        label: the same in a word or two.
        sentence: what it is.
        powers: whether a report shows it on a logarithmic scale.
        extremes: the text of a summary: the range, or where it is largest.
    """

    name: str
    source: str
    reduce: Callable[[Numbers, tuple[int, ...], int], Numbers]
    title: str
    label: str
    sentence: str
    extremes: str = "the most in {most}"
    powers: bool = False


def half_distance(bands: Numbers, edges: tuple[int, ...], tokens: int) -> Numbers:
    """The distance within which half of the weight lies (head), from the weight in bands (head, band)."""
    borders = np.array([0, *edges, max(tokens, edges[-1] + 1)], dtype=np.float64)
    share = np.cumsum(bands, axis=-1, dtype=np.float64)
    share /= np.maximum(share[:, -1:], np.finfo(np.float64).tiny)
    band = np.argmax(share >= 0.5, axis=-1)
    below = np.where(band > 0, np.take_along_axis(share, np.maximum(band - 1, 0)[:, None], -1)[:, 0], 0.0)
    inside = np.take_along_axis(share, band[:, None], -1)[:, 0] - below
    part = np.divide(0.5 - below, inside, out=np.zeros_like(inside), where=inside > 0)
    distance: Numbers = borders[band] + part * (borders[band + 1] - borders[band])
    return distance


def _mean(numbers: Numbers, *_: Any) -> Numbers:
    return np.asarray(numbers.mean(-1, dtype=np.float64))


SUMMARIES: Mapping[str, Head] = {
    row.name: row
    for row in (
        Head(
            "entropy", "entropy", _mean, "Entropy, in nats", "Entropy",
            "The entropy of a query's weights, in nats, mean over queries.", "from {least} to {most}",
        ),
        Head(
            "sink", "sink", lambda numbers, *_: _mean(numbers.sum(-1)), "On the first four tokens", "Sink",
            "The weight on the first four tokens, mean over queries.",
        ),
        Head(
            "distance", "bands", half_distance, "Distance, in tokens", "Distance",
            "The distance in tokens within which half of the weight lies.", "the farthest in {most}", powers=True,
        ),
        Head(
            "largest", "top_weights", lambda numbers, *_: _mean(numbers[..., 0]), "Largest weight", "Largest weight",
            "The largest weight of a query, mean over queries.",
        ),
        Head(
            "self_weight", "self_weight", _mean, "On the token itself", "On itself",
            "The weight on the token itself, mean over queries.",
        ),
    )
}  # fmt: skip
"""The numbers of each head in a summary, by name: means over queries, and the distance with half of the weight."""


class Table(Struct, frozen=True, eq=False):
    """Arrays by the names of statistics. Each is an attribute as well; None where it was not requested."""

    numbers: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.numbers[name]

    def __getattr__(self, name: str) -> Any:
        if name not in STATISTICS and name not in SUMMARIES:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")
        return self.numbers.get(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.numbers]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(self.numbers)}>"


def documented(rows: Mapping[str, Statistic]) -> str:
    """The rows as lines of a docstring."""
    lines = (f"{row.name}: ({', '.join(row.axes)}), in {row.unit}. {row.sentence}" for row in rows.values())
    return "".join(f"\n        {line}" for line in lines)
