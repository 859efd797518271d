"""A large trace as one picture of small multiples: a row for each line, its heads side by side."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np

from clearhead.extras import need
from clearhead.ops import Array
from clearhead.show.plot.picture import DATES, colours_of, figure_of
from clearhead.show.view import View, is_shares
from clearhead.trace import Trace

MAX_LINES, MAX_HEADS = 64, 16
"""The most lines and heads that are drawn: the first ones; the picture says so."""

SIDE, NAMES, TOP = 0.62, 2.6, 0.7
"""Inches: the side of a square matrix, the room for names, and the room for the title."""


def picture(trace: Trace, view: View, form: str) -> bytes:
    """The weights of a trace, or all of its lines if there are none, as a PNG, SVG or PDF.

    Raises:
        MissingPackage: matplotlib is not installed.
    """
    names = [name for name in trace if trace[name].ndim >= 2]
    weights = [name for name in names if is_shares(trace.working.line(name))]
    made = BytesIO()
    with need("matplotlib", "plot").rc_context({"svg.hashsalt": "clearhead"}):
        figure = _draw(trace, view, weights or names)
        figure.savefig(made, format=form, dpi=150, metadata=DATES[f".{form}"])
    return made.getvalue()


def _draw(trace: Trace, view: View, names: list[str]) -> Any:
    shown = names[:MAX_LINES]
    rows = [_tiled(trace.numpy(name)) for name in shown]
    widest = max((row.shape[1] / row.shape[0] for row in rows), default=1.0)
    width, height = NAMES + SIDE * min(widest, MAX_HEADS * 1.1) + 0.2, TOP + SIDE * 1.15 * max(len(rows), 1)
    figure = figure_of(width, height, layout="none")
    figure.text(0.15 / width, 1 - 0.3 / height, view.title, fontsize=12, va="center", parse_math=False)
    more = f"the first {len(shown)} of {len(names)} lines; " if len(names) > len(shown) else ""
    figure.text(
        0.15 / width, 1 - 0.52 / height, f"{more}{_legend(trace, shown)}", fontsize=8, color="0.35", va="center"
    )
    for at, (name, row) in enumerate(zip(shown, rows, strict=True)):
        bottom = 1 - (TOP + SIDE * 1.15 * (at + 1)) / height
        shape = min(SIDE * row.shape[1] / row.shape[0], width - NAMES - 0.1) / width, SIDE / height
        panel = figure.add_axes((NAMES / width, bottom, *shape))
        panel.set_axis_off()
        colours = colours_of(row, shares=is_shares(trace.working.line(name)))
        panel.imshow(np.ma.masked_invalid(row), aspect="auto", interpolation="nearest", **colours)
        place = bottom + SIDE / 2 / height
        figure.text((NAMES - 0.1) / width, place, name, fontsize=8, ha="right", va="center", parse_math=False)
    return figure


def _tiled(array: Array) -> Array:
    """The matrices of an array side by side, with a blank gap between them."""
    matrices = array.reshape(-1, *array.shape[-2:])[:MAX_HEADS].astype(np.float64)
    gap = np.full((matrices.shape[1], max(matrices.shape[2] // 12, 1)), np.nan)
    parts = [part for matrix in matrices for part in (matrix, gap)][:-1]
    return np.concatenate(parts, axis=1)


def _legend(trace: Trace, names: list[str]) -> str:
    if all(is_shares(trace.working.line(name)) for name in names):
        return "heads from left to right; rows are queries, columns keys; white 0, blue 1"
    return "heads from left to right; orange below zero, blue above, each line to its own largest"
