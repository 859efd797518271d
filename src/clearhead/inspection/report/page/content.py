"""The content of a report: words as plain data, numbers packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clearhead.errors import visible
from clearhead.inspection.maps import edges_of
from clearhead.inspection.report.pairs import Pairs, strongest
from clearhead.inspection.report.summary import named
from clearhead.inspection.statistics import STATISTICS, SUMMARIES, Head, Statistic
from clearhead.inspection.survey import LayerStatistics, Numbers, Survey
from clearhead.show.page.arrays import Packed, pack

Data = dict[str, Any]

MAX_PAIRS = 40
"""The most pairs of a head that are listed."""

KEPT_BITS = 10
"""The bits kept of a number's 23, along the text: three digits, and half of the file size."""


def content_of(survey: Survey) -> tuple[Data, dict[str, Packed]]:
    """All that a report shows, and its packed numbers by name."""
    first = next(iter(survey.layers.values()), None)
    name, _, kind = visible(survey.model).partition(": ")
    content = {
        "title": name,
        "about": f"{kind}, on {len(survey.tokens):,} tokens. Every weight was computed, and none was stored.",
        "notes": [*map(visible, survey.notes), *_missing(survey)],
        "tokens": [visible(piece) for piece in pieces(survey.tokens)],
        "layers": list(survey.layers),
        "heads": 0 if first is None else first.entropy.shape[0],
        "edges": list(survey.edges),
        "causal": survey.causal,
        "statistics": [_shown(row, row.label) for row in SUMMARIES.values()],
        "along": [] if first is None else [_shown(row, row.title) for row in along(first)],
        "pairs": MAX_PAIRS,
        "blocks": [int(edge) for edge in edges_of(len(survey.tokens))] if survey.maps else [],
        "mapped": [layer in survey.maps for layer in survey.layers],
    }
    return content, _numbers(survey)


def along(found: LayerStatistics) -> list[Statistic]:
    """The statistics of a layer that are one number for each token; received weights come first."""
    rows = [row for name, row in STATISTICS.items() if row.column and name in found.numbers]
    return sorted(rows, key=lambda row: "key" not in row.axes)


def _shown(row: Statistic | Head, title: str) -> Data:
    return {"name": row.name, "title": title, "says": row.sentence, "log": row.powers}


def _missing(survey: Survey) -> list[str]:
    if not survey.missing:
        return []
    return [f"Interrupted: {named(survey.missing)} of the model {'is' if len(survey.missing) == 1 else 'are'} missing."]


def pieces(tokens: Sequence[str]) -> list[str]:
    """Tokens that give the text when joined: WordPiece's have no spaces, and mark tokens that continue a word.

    >>> pieces(["[CLS]", "in", "##spect"]), pieces(["In", "spect", " it"])
    (['[CLS]', ' in', 'spect'], ['In', 'spect', ' it'])
    """
    if any(token.startswith(" ") for token in tokens):
        return list(tokens)
    return [
        token.removeprefix("##") if n == 0 or token.startswith("##") else f" {token}" for n, token in enumerate(tokens)
    ]


def _numbers(survey: Survey) -> dict[str, Packed]:
    summary = survey.summary()
    numbers = {f"summary.{name}": pack(each) for name, each in summary.numbers.items()}
    for layer, found in survey.layers.items():
        numbers |= {f"{layer}.{name}": packed for name, packed in _of_layer(found).items()}
        if layer in survey.maps:
            numbers[f"{layer}.map"] = pack(shortened(survey.maps[layer]))
    return numbers


def _of_layer(found: LayerStatistics) -> dict[str, Packed]:
    numbers = {"bands": pack(found.bands.astype(np.float32))}
    numbers |= {row.name: pack(shortened(row.by_token(found[row.name]))) for row in along(found)}
    for name, beyond in (("all", False), ("beyond", True)):
        numbers |= _of_pairs(f"pairs.{name}", strongest(found, MAX_PAIRS, beyond=beyond))
    return numbers


def _of_pairs(name: str, pairs: Pairs) -> dict[str, Packed]:
    return {f"{name}.{part}": pack(getattr(pairs, part).astype(np.float32)) for part in ("query", "key", "weight")}


def shortened(numbers: Numbers) -> Numbers:
    """The numbers rounded to the bits that a reader sees; the other bits are zero, so that they take no space."""
    drop = 23 - KEPT_BITS
    bits = np.ascontiguousarray(numbers, dtype=np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + (1 << (drop - 1))) >> drop << drop
    short: Numbers = rounded.astype(np.uint32).view(np.float32)
    return short
