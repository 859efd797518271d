"""A comparison as a document to read, and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clearhead.check.compare.comparison import Compared, Comparison
from clearhead.document import Arithmetic, Document, Heading, Matrix, Panels, Part, Prose, Remark
from clearhead.expr import number
from clearhead.trace import Cell

DECIMALS = 3
"""How precisely numbers are shown, unless claims are more precise."""

MAX_SHOWN = 3
"""Lines that differ beyond these are only named: what differs later mostly follows from what differs first."""


def document_of(comparison: Comparison, *, title: str, max_lines: int = MAX_SHOWN) -> Document:
    """What a comparison found: the verdict, the first ``max_lines`` differences with their arithmetic."""
    parts: list[Part] = [_verdict(comparison)]
    for each in comparison.differing[:max_lines]:
        parts += _difference(each)
    if more := comparison.differing[max_lines:]:
        parts.append(Prose("These differ too, perhaps only because earlier lines do: " + _listed(more)))
    if comparison.agreeing:
        parts.append(Prose("These agree: " + _listed(comparison.agreeing)))
    precise = max((each.claim.precision or 0 for each in comparison.differing[:max_lines]), default=0)
    return Document(title, parts, max(DECIMALS, precise))


def _verdict(comparison: Comparison) -> Part:
    total, wrong = len(comparison.lines), len(comparison.differing)
    if not total:
        return Remark("Nothing is claimed, so there is nothing to check.", "note")
    claims = "The claim agrees" if total == 1 else f"All {total} claims agree"
    if not wrong:
        return Remark(f"{claims} with the working, at the precision they were written in.", "good")
    name = comparison.differing[0].claim.line
    return Remark(f"{wrong} of {total} claims differ from the working. The first to differ is {name}.", "warning")


def _listed(lines: Sequence[Compared]) -> str:
    return ", ".join(f"{each.claim.line} ({precision_of(each)})" for each in lines) + "."


def precision_of(each: Compared) -> str:
    """The precision of a claim in words: ``to 3 decimals``."""
    decimals = each.claim.precision
    if decimals is None:
        return "exact"
    return "to the unit" if decimals == 0 else f"to {decimals} decimal{'s' if decimals > 1 else ''}"


def _difference(each: Compared) -> list[Part]:
    claimed, expected = _at(each, each.wrong[0])
    cells = int(each.claim.claimed.sum())
    said = f"{len(each.wrong)} of {cells} cells differ" if cells > 1 else "The cell differs"
    assert each.explanation is not None  # noqa: S101 - `compare` gives one wherever a cell is wrong
    parts: list[Part] = [
        Heading(each.claim.line, each.axes, each.expected.shape),
        Prose(
            f"{said}, compared {precision_of(each)}. {each.explanation.name} is claimed to be {claimed}; "
            f"the working gives {expected}:"
        ),
        Arithmetic(each.explanation),
    ]
    if each.expected.ndim == 2:
        parts.append(_side_by_side(each))
    return parts


def _at(each: Compared, cell: Cell) -> tuple[str, str]:
    claimed: Any = each.claim.written
    for index in cell:
        claimed = claimed[index]
    decimals = None if each.claim.precision is None else each.claim.precision + 2
    return claimed, number(float(each.expected[cell]), decimals)


def _side_by_side(each: Compared) -> Panels:
    rows, columns = each.labels
    marked = frozenset((cell[0], cell[1]) for cell in each.wrong)
    unknown = frozenset((int(row), int(column)) for row, column in np.argwhere(~each.claim.claimed))
    return Panels(
        (
            Matrix("claimed", rows, columns, each.claimed, marked=marked, unknown=unknown),
            Matrix("worked out", rows, columns, each.expected, marked=marked),
        )
    )


def data_of(comparison: Comparison, *, title: str, first: int = 1) -> dict[str, Any]:
    """A comparison as plain data for JSON. Cells are labelled as the problem labels them; NaN is None."""
    return {
        "title": title,
        "agree": comparison.agrees,
        "first_difference": None if comparison.agrees else comparison.differing[0].claim.line,
        "lines": [_line_data(each, first) for each in comparison.lines],
    }


def _line_data(each: Compared, first: int) -> dict[str, Any]:
    return {
        "line": each.claim.line,
        "agrees": each.agrees,
        "decimals": each.claim.precision,
        "cells": int(each.claim.claimed.sum()),
        "differing": [
            {
                "cell": list(each.claim.cell or (index + first for index in cell)),
                "claimed": _at(each, cell)[0],
                "expected": _plain(each.expected[cell]),
            }
            for cell in each.wrong
        ],
        "arithmetic": None if each.explanation is None else str(each.explanation),
    }


def _plain(value: Any) -> float | str | None:
    if np.isnan(value):
        return None
    return float(value) if np.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
