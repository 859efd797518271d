"""A comparison as a document to read, and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clearhead.axes import Cell
from clearhead.check.compare.comparison import Compared, Comparison
from clearhead.claim import leaves, significant_of
from clearhead.document import Arithmetic, Document, Heading, Matrix, Panels, Part, Prose, Remark
from clearhead.expr import number

DECIMALS = 3
"""The decimals that are shown, unless claims are more precise."""

MAX_DECIMALS = 17
"""More decimals than these are noise for a number near 1 in double precision."""

MAX_SHOWN = 3
"""Further lines that differ are only named: later differences mostly follow from the first."""


def document_of(comparison: Comparison, *, title: str, max_lines: int = MAX_SHOWN) -> Document:
    """The result of a comparison: the verdict, the first ``max_lines`` differences with their arithmetic."""
    parts: list[Part] = [_verdict(comparison)]
    for each in comparison.differing[:max_lines]:
        parts += _difference(each)
    if more := comparison.differing[max_lines:]:
        parts.append(Prose("These differ too, perhaps only because earlier lines do: " + listed(more)))
    if comparison.agreeing:
        parts.append(Prose("These agree: " + listed(comparison.agreeing)))
    precise = max((each.claim.precision or 0 for each in comparison.differing[:max_lines]), default=0)
    return Document(title, parts, max(DECIMALS, precise))


def _verdict(comparison: Comparison) -> Part:
    total, wrong = len(comparison.lines), len(comparison.differing)
    if not total:
        return Remark("Nothing is claimed, so there is nothing to check.", "note")
    if not wrong:
        claims, written = ("The claim agrees", "it was") if total == 1 else (f"All {total} claims agree", "they were")
        return Remark(f"{claims} with the working, at the precision {written} written in.", "good")
    name = comparison.differing[0].claim.line
    return Remark(f"{wrong} of {total} claims differ from the working. The first to differ is {name}.", "warning")


def listed(lines: Sequence[Compared]) -> str:
    """Claims by name, each with its precision."""
    return ", ".join(f"{each.claim.line} ({precision_of(each)})" for each in lines) + "."


def precision_of(each: Compared) -> str:
    """The precision of a claim as text: ``to 3 decimals``."""
    decimals = each.claim.precision
    if decimals is None:
        return "exact"
    if each.claim.decimals is None and (digits := _printed_digits(each)):
        return f"to {digits} significant digits"
    return "to the unit" if decimals == 0 else f"to {decimals} decimal{'s' if decimals > 1 else ''}"


def _printed_digits(each: Compared) -> int:
    """The significant digits of numbers that were written with exponents; 0 for others."""
    written = list(leaves(each.claim.written))
    return max(map(significant_of, written)) if any("e" in number.lower() for number in written) else 0


def _difference(each: Compared) -> list[Part]:
    claimed, expected, largest = apart(each)
    cells = int(each.claim.claimed.sum())
    said = f"{len(each.wrong)} of {cells} cells differ" if cells > 1 else "The cell differs"
    assert each.explanation is not None  # noqa: S101 - `compare` gives one wherever a cell is wrong
    parts: list[Part] = [
        Heading(each.claim.line, each.axes, each.expected.shape),
        Prose(
            f"{said}, compared {precision_of(each)}, by {largest} at most. {each.explanation.name} is claimed to be "
            f"{claimed}; the working gives {expected}:"
        ),
        Arithmetic(each.explanation),
    ]
    if each.expected.ndim == 2:
        parts.append(_side_by_side(each))
    return parts


def apart(each: Compared) -> tuple[str, str, str]:
    """The first differing cell, claimed and expected, and the largest difference of the line."""
    cell = each.wrong[0]
    _, expected = until_they_differ(float(each.claimed[cell]), float(each.expected[cell]), each.claim.precision)
    with np.errstate(invalid="ignore"):
        gaps = np.abs(each.claimed - each.expected)[each.where_wrong]
    largest = f"{gaps.max():.3g}" if np.isfinite(gaps).all() else "inf or NaN"
    return _written(each, cell), expected, largest


def _written(each: Compared, cell: Cell) -> str:
    """A cell as it was claimed."""
    claimed: Any = each.claim.written
    for index in cell:
        claimed = claimed[index]
    return str(claimed)


def until_they_differ(one: float, other: float, decimals: int | None = None) -> tuple[str, str]:
    """Two numbers with enough decimals to show that they differ: at least two more than claimed."""
    for places in range(DECIMALS if decimals is None else decimals + 2, MAX_DECIMALS):
        first, second = number(one, places), number(other, places)
        if first != second:
            return first, second
    return number(one, None), number(other, None)


def _side_by_side(each: Compared) -> Panels:
    rows, columns = each.labels
    marked = frozenset((cell[0], cell[1]) for cell in each.wrong)
    unknown = frozenset((int(row), int(column)) for row, column in np.argwhere(~each.claim.claimed))
    return Panels(
        (
            Matrix("claimed", rows, columns, each.claimed, marked=marked, unknown=unknown),
            Matrix("the working", rows, columns, each.expected, marked=marked),
        )
    )


def data_of(comparison: Comparison, *, title: str, first: int = 1) -> dict[str, Any]:
    """A comparison as plain data for JSON. Cells have the problem's labels; NaN is None."""
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
                "claimed": _written(each, cell),
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
