"""The numbers of a survey as a table: a row for each head, or for each token of each head; written layer by layer.

Rows for ``source`` are those of a decoder's tokens, with its weights on the source.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from itertools import pairwise
from typing import Any, BinaryIO, Literal

import numpy as np

from clearhead.errors import visible
from clearhead.extras import need
from clearhead.inspection.statistics import STATISTICS
from clearhead.inspection.survey import LayerStatistics, Numbers, Survey

TableRows = Literal["head", "token", "source"]

Columns = dict[str, Any]
"""Columns by name: arrays or lists of one length."""


def by_head(survey: Survey) -> Iterator[Columns]:
    """For each layer a row for each head: what `Survey.summary` has, and the weight by distance."""
    summary = survey.summary()
    for row, (layer, found) in enumerate(survey.layers.items()):
        heads = np.arange(found.entropy.shape[0])
        yield {
            "layer": np.full(len(heads), layer),
            "head": heads,
            **{name: numbers[row] for name, numbers in summary.numbers.items()},
            **{
                f"weight_{name}": found.bands[:, band].astype(np.float32)
                for band, name in enumerate(bands(survey.edges))
            },
        }


def by_token(survey: Survey) -> Iterator[Columns]:
    """A row for each token of each head: entropy and largest weights as a query, received weights as a key."""
    yield from _rows(survey.tokens, survey.layers)


def by_source(survey: Survey) -> Iterator[Columns]:
    """A row for each token of each head of a decoder: entropy and largest weights on the tokens of the source."""
    yield from _rows(survey.tokens, survey.cross, received=False)


def _rows(tokens: Sequence[str], layers: Mapping[int, LayerStatistics], *, received: bool = True) -> Iterator[Columns]:
    names = [visible(token) for token in tokens]
    for layer, found in layers.items():
        for head in range(found.entropy.shape[0]):
            yield {
                "layer": np.full(len(names), layer),
                "head": np.full(len(names), head),
                "token": np.arange(len(names)),
                "text": names,
                **_of_tokens(found, head, received=received),
            }


def _of_tokens(found: LayerStatistics, head: int, *, received: bool) -> dict[str, Numbers]:
    columns: dict[str, Numbers] = {}
    for name, numbers in found.numbers.items():
        if STATISTICS[name].column and (received or "key" not in STATISTICS[name].axes):
            columns[name] = STATISTICS[name].by_token(numbers[head])
    for rank in range(found.top_keys.shape[-1]):
        columns[f"top{rank + 1}_token"] = found.top_keys[head, :, rank]
        columns[f"top{rank + 1}_weight"] = found.top_weights[head, :, rank]
    return columns


ROWS: Mapping[TableRows, Callable[[Survey], Iterator[Columns]]] = {
    "head": by_head,
    "token": by_token,
    "source": by_source,
}


def bands(edges: tuple[int, ...]) -> list[str]:
    """The names of bands of distance: ``0``, ``1``, ``2_3``, ``4_7`` ... ``512_on``."""
    names = [f"{a}" if b == a + 1 else f"{a}_{b - 1}" for a, b in pairwise((0, *edges))]
    return [*names, f"{edges[-1]}_on"] if edges else ["all"]


def write_csv(survey: Survey, file: BinaryIO, by: TableRows) -> None:
    """Writes a table in UTF-8, with a heading. Texts that a spreadsheet would take for formulas begin with ``'``."""
    text = TextIOWrapper(file, "utf-8", errors="backslashreplace", newline="")
    writer = csv.writer(text, lineterminator="\n")
    heading: list[str] = []
    for columns in ROWS[by](survey):
        if not heading:
            heading = list(columns)
            writer.writerow(heading)
        writer.writerows(zip(*(map(_cell, column) for column in columns.values()), strict=True))
    text.detach()


def _cell(value: Any) -> str:
    """A number with the fewest digits that distinguish it from its neighbours; a text that is no formula."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(("=", "+", "-", "@")) else value
    return str(value)


def write_parquet(survey: Survey, file: BinaryIO, by: TableRows) -> None:
    """Writes a table as Apache Parquet.

    Raises:
        MissingPackage: pyarrow is not installed.
    """
    arrow, parquet = need("pyarrow", "survey"), need("pyarrow.parquet", "survey")
    writer: Any = None
    for columns in ROWS[by](survey):
        batch = arrow.table(columns)
        if writer is None:
            writer = parquet.ParquetWriter(file, batch.schema)
        writer.write_table(batch)
    if writer is not None:
        writer.close()
