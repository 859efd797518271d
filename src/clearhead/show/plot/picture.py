"""Pictures of a line by matplotlib: heat maps of its heads, and the entropy of each head's weights.

Figures are made without pyplot, so none is kept open, no window appears, and no global setting is read or changed
beyond what the user has set for all of matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np

from clearhead.axes import Shape
from clearhead.errors import ClearheadError, UnknownName, suggest
from clearhead.extras import need
from clearhead.files import FilePath, replacing
from clearhead.ops import Array
from clearhead.show.cells import digits
from clearhead.show.colours import ABOVE, BELOW, MASKED, ZERO
from clearhead.show.formula.typst import number_for_paper
from clearhead.show.plot.labels import Labels
from clearhead.show.trace_document import MAX_PANELS, title_of
from clearhead.show.view import is_shares
from clearhead.trace import Trace

PlotKind = Literal["heatmap", "entropy"]

Figure = Any
"""A ``matplotlib.figure.Figure``."""

MAX_WRITTEN = 144
"""A panel of more cells than this has no numbers in them."""

ONE, SEVERAL = 7.6, 3.2
"""How wide and high a panel may be, in inches: one by itself, and each of several."""
SMALLEST, CELL = 1.6, 0.55


def plot(trace: Trace, address: str, kind: PlotKind = "heatmap") -> Figure:
    """A figure of a line, or of one head of it.

    Args:
        trace: where the numbers are from.
        address: the line, such as ``"weights"``, or a head of it, ``"weights@2"``.
        kind: ``"heatmap"``, a panel for each head; or ``"entropy"``: in nats, for each head and query.

    Raises:
        UnknownName: no such line, head or kind.
        ClearheadError: entropy of a line whose rows are no weights.
        MissingPackage: matplotlib is not installed.
    """
    if kind not in KINDS:
        raise UnknownName(f"A plot has no kind {kind!r}. {suggest(kind, KINDS)}")
    return KINDS[kind](trace, address)


def figure_of(width: float, height: float, layout: str = "constrained") -> Figure:
    """An empty figure of this size in inches."""
    figure = need("matplotlib.figure", "plot").Figure((width, height), layout=layout)
    need("matplotlib.backends.backend_agg", "plot").FigureCanvasAgg(figure)
    return figure


def heatmap(trace: Trace, address: str) -> Figure:
    """The last two axes as colours, a panel for each index of those in front; small panels have their numbers."""
    array, axes, labels = trace.numpy(address), trace.left_axes(address), trace.labels(address)
    if array.ndim < 2:
        array, axes, labels = array.reshape(1, -1), ("", *(axes or ("",))), (("",), *(labels or (("",),)))
    leads = list(np.ndindex(array.shape[:-2]))
    shown = leads[:MAX_PANELS]
    across = min(len(shown), 4 if len(shown) > 6 else 3)
    figure, panels = _grid(array.shape, len(shown), across)
    colours = colours_of(array.astype(np.float64), shares=is_shares(trace.working.line(trace.locate(address)[0])))
    names = Labels(labels[-2], labels[-1])
    for number, (panel, lead) in enumerate(zip(panels, shown, strict=True)):
        image = panel.imshow(np.ma.masked_invalid(array[lead].astype(np.float64)), aspect="auto", **colours)
        panel.set_facecolor(MASKED)
        panel.set_title(title_of(axes, labels, lead), fontsize=9, parse_math=False)
        panel.tick_params(length=0)
        panel.set_ylabel(axes[-2] if number % across == 0 else "", fontsize=9)
        panel.set_xlabel(axes[-1] if number + across >= len(shown) else "", fontsize=9)
        if array[lead].size <= MAX_WRITTEN:
            _write_numbers(panel, image, array[lead], names)
    figure.colorbar(image, ax=panels, shrink=0.8, pad=0.02).ax.tick_params(labelsize=8)
    more = f", the first {len(shown)} of {len(leads)}" if len(leads) > len(shown) else ""
    figure.suptitle(f"{address}{more}", fontsize=12, parse_math=False)
    names.put(figure, panels, across)
    return figure


def _grid(shape: Shape, count: int, across: int) -> tuple[Figure, list[Any]]:
    """A figure with panels, each as large as its cells need."""
    down = -(-count // across)
    width, height = (_inches(size, ONE if count == 1 else SEVERAL) for size in shape[:-3:-1])
    figure = figure_of(across * width + 1.6, down * height + 1.0)
    panels = list(figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).flat)
    for panel in panels[count:]:
        panel.set_axis_off()
    return figure, panels[:count]


def _inches(cells: int, most: float) -> float:
    return float(min(max(cells * CELL, SMALLEST), most))


def colours_of(values: Array, *, shares: bool) -> dict[str, Any]:
    """The range of colours: 0 to 1 for weights, else symmetric about 0."""
    colour_map = need("matplotlib.colors", "plot").LinearSegmentedColormap.from_list
    if shares:
        return {"cmap": colour_map("weights", [ZERO, ABOVE]), "vmin": 0.0, "vmax": 1.0}
    finite = values[np.isfinite(values)]
    largest = float(np.max(np.abs(finite), initial=0.0)) or 1.0
    return {"cmap": colour_map("signed", [BELOW, ZERO, ABOVE], N=257), "vmin": -largest, "vmax": largest}


def _write_numbers(panel: Any, image: Any, values: Array, names: Labels) -> None:
    write = digits(values, 2)
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = image.cmap(image.norm(value)) if np.isfinite(value) else (1.0, 1.0, 1.0, 1.0)
        dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.45
        names.text(panel, column, row, number_for_paper(write(value)), colour="white" if dark else "black")


def entropy(trace: Trace, address: str) -> Figure:
    """The entropy of each query's weights: a dot for each query, a line for each head's mean.

    In nats: at 0 all weight is on one key; at the dashed line all keys have equal weights.
    """
    if not is_shares(trace.working.line(trace.locate(address)[0])):
        raise ClearheadError(f"{address} has no entropy: its rows do not sum to 1. Ask for weights.")
    weights, axes, labels = trace.numpy(address).astype(np.float64), trace.left_axes(address), trace.labels(address)
    nats = _entropy(weights)
    leads = list(np.ndindex(nats.shape[:-1]))
    figure = figure_of(6.4, 1.3 + 0.28 * max(len(leads), 3))
    panel = figure.subplots()
    for place, lead in enumerate(leads):
        _draw_spread(panel, place, nats[lead][np.isfinite(nats[lead])])
    even = float(np.log(weights.shape[-1]))
    panel.axvline(even, color="0.4", linestyle="--", linewidth=1)
    panel.set_xlim(-0.03 * max(even, 1), max(even, 1) * 1.03)
    panel.set_ylim(len(leads) - 0.5, -0.5)
    said = f"entropy in nats; a dot for each {axes[-2]}, dashed: {weights.shape[-1]} {axes[-1]}s alike"
    panel.set_xlabel(said, fontsize=9)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Entropy of {address}", fontsize=12, parse_math=False)
    Labels([title_of(axes, labels, lead) or address for lead in leads], ()).put(figure, [panel], 1)
    return figure


def _entropy(weights: Array) -> Array:
    """The entropy of each row; NaN for a row of zeros."""
    with np.errstate(divide="ignore", invalid="ignore"):
        nats = -np.where(weights > 0, weights * np.log(weights), 0.0).sum(axis=-1)
    return np.where(weights.sum(axis=-1) > 0, nats, np.nan)


def _draw_spread(panel: Any, place: int, nats: Array) -> None:
    """The entropies of a head as dots beside each other, and their mean."""
    if nats.size:
        spread = np.linspace(-0.22, 0.22, nats.size) if nats.size > 1 else np.zeros(1)
        panel.scatter(nats, place + spread, s=14, color=ABOVE, alpha=0.6, linewidths=0)
        panel.vlines(nats.mean(), place - 0.36, place + 0.36, color=BELOW, linewidth=2)


def save_plot(trace: Trace, address: str, path: FilePath, kind: PlotKind = "heatmap") -> None:
    """Writes a figure to a PNG, SVG or PDF, as the ending says; the same trace gives the same bytes.

    Raises:
        UnknownName: as `plot`, or no picture has this ending.
        ClearheadError: as `plot`.
        FileError: the file cannot be written.
    """
    ending = Path(path).suffix.lower()
    if ending not in DATES:
        raise UnknownName(f"{path}: no plot has the ending {ending!r}. {suggest(ending, DATES)}")
    made = BytesIO()
    # Identifiers inside an SVG are random unless a salt is set, and this is the only way to set it.
    with need("matplotlib", "plot").rc_context({"svg.hashsalt": "clearhead"}):
        plot(trace, address, kind).savefig(made, format=ending[1:], dpi=200, metadata=DATES[ending])
    with replacing(path) as file:
        file.write(made.getvalue())


DATES: dict[str, dict[str, None]] = {".pdf": {"CreationDate": None}, ".png": {}, ".svg": {"Date": None}}
"""The endings of pictures, and the metadata with a date, which each leaves out."""

KINDS: dict[PlotKind, Callable[[Trace, str], Figure]] = {"heatmap": heatmap, "entropy": entropy}
"""The kinds of pictures of a line."""
