"""What an inspection of a whole model tells: exact statistics of every head's weights, none of which were stored."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

import clearhead.doors as doors
from clearhead.errors import UnknownName
from clearhead.files import FilePath

Numbers = np.ndarray[Any, Any]


class LayerStatistics(Struct, frozen=True, eq=False):
    """Statistics of one layer's weights, float32, exact to rounding. A query that may attend to nothing has zeros.

    Attributes:
        entropy: of each query's weights, in nats (head, query).
        sink: the weight on each of the first four tokens (head, query, 4).
        top_weights: each query's largest weights, the largest first (head, query, top).
        top_keys: their keys (int32); -1 where there is none.
        bands: the mean over queries of the weight at each distance (head, band); see `Survey.edges`.
        received_total: the weight that each token gets from all queries (head, key); None if it was not asked for.
        received_max: the largest weight that it gets from one.
    """

    entropy: Numbers
    sink: Numbers
    top_weights: Numbers
    top_keys: Numbers
    bands: Numbers
    received_total: Numbers | None
    received_max: Numbers | None


class Summary(Struct, frozen=True, eq=False):
    """One number for each head of each layer (layer, head), in the order of `Survey.layers`.

    Attributes:
        entropy: mean over queries, in nats.
        sink: mean weight on the first four tokens.
        distance: half of the weight lies nearer than this many tokens; between the edges of a band by proportion.
        largest: mean over queries of the largest weight.
    """

    entropy: Numbers
    sink: Numbers
    distance: Numbers
    largest: Numbers


class Survey(Struct, frozen=True, eq=False):
    """A model's attention on one text: `Model.inspect` makes it, `save` writes it.

    Attributes:
        model: what was inspected, in words.
        tokens: the text's tokens.
        layers: statistics by the layer's number, from 0.
        missing: layers that were asked for and not reached before an interruption.
        edges: where the bands of distance part, in tokens.
        causal: whether no token sees a later one.
        output: the hidden state behind the last layer that was worked out (token, model).
        notes: what a reader should know of it.
        kernel: which implementation worked out the attention, and why.
    """

    model: str
    tokens: tuple[str, ...]
    layers: dict[int, LayerStatistics]
    missing: tuple[int, ...]
    edges: tuple[int, ...]
    causal: bool
    output: Numbers
    notes: tuple[str, ...]
    kernel: str

    def __repr__(self) -> str:
        return f"<Survey of {self.model}: {len(self.tokens)} tokens, {len(self.layers)} layers>"

    def __getitem__(self, layer: int) -> LayerStatistics:
        """The statistics of a layer, counted from 0.

        Raises:
            UnknownName: it was not inspected.
        """
        if layer not in self.layers:
            told = ", ".join(map(str, self.layers)) or "none"
            raise UnknownName(f"layer {layer} was not inspected. Inspected are {told}; ask with layers=.")
        return self.layers[layer]

    def summary(self) -> Summary:
        """One number for each layer and head, of each kind."""
        layers = self.layers.values()
        return Summary(
            entropy=_by_head(each.entropy.mean(-1, dtype=np.float64) for each in layers),
            sink=_by_head(each.sink.sum(-1).mean(-1, dtype=np.float64) for each in layers),
            distance=_by_head(half_distance(each.bands, self.edges, len(self.tokens)) for each in layers),
            largest=_by_head(each.top_weights[..., 0].mean(-1, dtype=np.float64) for each in layers),
        )

    def save(self, path: FilePath, *, by: doors.TableRows = "head") -> None:
        """Writes a report (``.html``), or a table of the numbers (``.csv``, ``.parquet``).

        Args:
            path: the file; it is there in whole or not at all.
            by: of a table: a row for each ``"head"``, or for each ``"token"`` of each head.

        Raises:
            UnknownName: no kind of file has this ending, or no table these rows.
            FileError: the file cannot be written.
            MissingPackage: pyarrow, for parquet, is not installed.
        """
        doors.save_survey(self, path, by=by)


def _by_head(rows: Any) -> Numbers:
    found = [np.asarray(row, dtype=np.float32) for row in rows]
    return np.stack(found) if found else np.empty((0, 0), np.float32)


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
