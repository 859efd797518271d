"""The results of an inspection of a whole model: exact statistics of weights that were never stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from msgspec import Struct

import clearhead.doors as doors
from clearhead.errors import UnknownName
from clearhead.files import FilePath
from clearhead.inspection.result import Inspection
from clearhead.inspection.statistics import STATISTICS, SUMMARIES, Head, Statistic, Table, documented

Numbers = np.ndarray[Any, Any]


KEPT: Mapping[str, Statistic] = {name: row for name, row in STATISTICS.items() if row.kept}
"""The statistics of each layer that an inspection of a model keeps."""


class LayerStatistics(Table, frozen=True, eq=False):
    """Statistics of one layer's weights, float32, exact to rounding. A query that may attend to nothing has zeros.

    Each is an attribute, (head) and then as below; ``bands`` is the mean over queries (head, band), see `Survey.edges`,
    ``top_keys`` int32.
    """


LayerStatistics.__doc__ = f"{LayerStatistics.__doc__}{documented(KEPT)}"


def kept(found: Inspection) -> LayerStatistics:
    """The kept statistics: less than 60 bytes for each token of each head, in float32."""
    numbers: dict[str, Numbers] = {}
    for name, row in KEPT.items():
        if name in found.numbers:
            array = np.asarray(found.numbers[name], np.int32 if row.integer else None)
            numbers[name] = np.asarray(array.mean(-2, dtype=np.float64)) if row.kept == "mean" else array
    return LayerStatistics(numbers)


class Summary(Table, frozen=True, eq=False):
    """One number for each head of each layer (layer, head), in the order of `Survey.layers`: see `SUMMARIES`."""


class Survey(Struct, frozen=True, eq=False):
    """A model's attention on one text: `Model.inspect` makes it, `save` writes it.

    Attributes:
        model: what was inspected, in words.
        tokens: the text's tokens.
        layers: statistics by the layer's number, from 0.
        missing: requested layers that were not reached before an interruption.
        edges: the edges of the bands of distance, in tokens.
        causal: whether no token sees a later one.
        output: the hidden state after the last layer that was computed (token, model).
        notes: notes for the reader.
        kernel: which implementation computed the attention, and why.
        maps: by the layer's number, the mean weights of blocks of tokens (head, query block, key block), of texts that
            are short enough.
        cross: of a decoder, by the layer's number, statistics of its weights on the source: keys are the source's
            tokens. Numbers that compare the places of query and key are None.
        source: the source's tokens; none of a recording.
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
    maps: Mapping[int, Numbers] = {}
    cross: Mapping[int, LayerStatistics] = {}
    source: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Survey of {self.model}: {len(self.tokens)} tokens, {len(self.layers)} layers>"

    def __getitem__(self, layer: int) -> LayerStatistics:
        """The statistics of a layer, counted from 0.

        Raises:
            UnknownName: it was not inspected.
        """
        if layer not in self.layers:
            known = ", ".join(map(str, self.layers)) or "none"
            raise UnknownName(f"layer {layer} was not inspected. Inspected are {known}; ask with layers=.")
        return self.layers[layer]

    def summary(self) -> Summary:
        """One number for each layer and head, of each kind."""
        return Summary({row.name: _by_head(self._reduced(row)) for row in SUMMARIES.values()})

    def _reduced(self, row: Head) -> Iterator[Numbers]:
        for each in self.layers.values():
            yield row.reduce(each.numbers[row.source], self.edges, len(self.tokens))

    def save(self, path: FilePath, *, by: doors.TableRows = "head") -> None:
        """Writes a report (``.html``), or a table of the numbers (``.csv``, ``.parquet``).

        Args:
            path: the file; it is written completely or not at all.
            by: of a table: a row for each ``"head"``, or for each ``"token"`` of each head; ``"source"`` for each token
                of each head of a decoder, with its weights on the source.

        Raises:
            UnknownName: no kind of file has this ending, or no table these rows; or no decoder was inspected.
            FileError: the file cannot be written.
            MissingPackage: pyarrow, for parquet, is not installed.
        """
        doors.save_survey(self, path, by=by)


def _by_head(rows: Iterable[Numbers]) -> Numbers:
    found = [np.asarray(row, dtype=np.float32) for row in rows]
    return np.stack(found) if found else np.empty((0, 0), np.float32)
