"""A large trace as a picture in small multiples: each line a small heat map with its name and shape, many in a row."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np

from clearhead.extras import need
from clearhead.ops import Array
from clearhead.show.blank import blanks
from clearhead.show.cells import digits
from clearhead.show.colours import MASKED
from clearhead.show.plot.picture import DATES, colours_of, figure_of, heatmap
from clearhead.show.plot.tiles import APART, HEIGHT, MARGIN, MAX_TALL, NAME, WIDTH, Placed, Tile, placed, size_of
from clearhead.show.trace_document import MAX_PANELS
from clearhead.show.view import View, is_shares
from clearhead.trace import Trace

DPI = 150
TIMES = "\N{MULTIPLICATION SIGN}"

MOST, MANY, FAR = 0.99, 1000, 3.0
"""Of many numbers this part sets the colours, where the largest is this often as large: the rest would be pale."""


def picture(trace: Trace, view: View, form: str) -> bytes:
    """All lines of a trace, or the one that ``view`` names, as PNG, SVG, or the pages of a PDF.

    Raises:
        UnknownName: no such line or head.
        MissingPackage: matplotlib is not installed.
    """
    made = BytesIO()
    with need("matplotlib", "plot").rc_context({"svg.hashsalt": "clearhead"}):
        figures = _figures(trace, view, form) if view.address is None else [heatmap(trace, view.address)]
        if form == "pdf":
            with need("matplotlib.backends.backend_pdf", "plot").PdfPages(made, metadata=DATES[".pdf"]) as pages:
                for figure in figures:
                    pages.savefig(figure)
        else:
            figures[0].savefig(made, format=form, dpi=DPI, metadata=DATES[f".{form}"])
    return made.getvalue()


def _figures(trace: Trace, view: View, form: str) -> list[Any]:
    """The figures: one of the height that is needed, or pages for a PDF."""
    order = {name: at for at, name in enumerate(trace.working.names)}
    names = sorted(trace, key=lambda name: order.get(name, -1))
    blank = blanks(trace, view)
    tiles = placed([_tile(trace, name, hidden=name in blank) for name in names], HEIGHT if form == "pdf" else MAX_TALL)
    tall = HEIGHT if form == "pdf" else max((at.top + at.tile.height for at in tiles), default=1.0) + MARGIN
    figures, panels = [], []
    for _ in range(1 + max((at.page for at in tiles), default=0)):
        figures.append(figure_of(WIDTH, tall, layout="none"))
        panels.append(_empty(figures[-1], tall))
    _write_title(panels[0], view.title, len(tiles), names)
    for at in tiles:
        _draw(panels[at.page], trace, at, hidden=at.tile.name in blank)
    return figures


def _empty(figure: Any, tall: float) -> Any:
    """A panel that fills the figure, measured in inches from the top left."""
    panel = figure.add_axes((0, 0, 1, 1))
    panel.set_axis_off()
    panel.set(xlim=(0, WIDTH), ylim=(0, tall), autoscale_on=False)
    return panel, tall


def _tile(trace: Trace, name: str, *, hidden: bool) -> Tile:
    shape = tuple(trace[name].shape)
    sizes = (
        f" {TIMES} ".join(f"{word} {size}" for word, size in zip(trace.axes(name), shape, strict=True)) or "a number"
    )
    count = int(np.prod(shape[:-2]))
    if count > MAX_PANELS:
        sizes += f", the first {MAX_PANELS}"
    if not hidden and not is_shares(trace.working.line(name)):
        sizes += _range(trace.numpy(name))
    rows, columns = (1, 1, *shape)[-2:]
    return Tile(name, sizes, size_of(rows, columns), min(count, MAX_PANELS))


def _range(array: Array) -> str:
    """The number of the darkest colour, and the largest where that is another; of a single number the number."""
    if array.dtype.kind not in "fiu" or not np.isfinite(array).any():
        return ""
    if array.ndim == 0:
        return f": {digits(array.reshape(1), 2)(float(array))}"
    darkest, largest = _darkest(array), float(np.abs(array[np.isfinite(array)]).max())
    return f", ±{_short(darkest)}" + (f" (largest {_short(largest)})" if largest > darkest else "")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _darkest(array: Array) -> float:
    """The size of the numbers in the darkest colour: the largest, unless a few are far larger than all others."""
    sizes = np.abs(array[np.isfinite(array)].astype(np.float64))
    largest = float(sizes.max(initial=0.0))
    most = float(np.quantile(sizes, MOST)) if sizes.size > MANY else largest
    return most if 0 < most * FAR < largest else largest


def _write_title(panel: tuple[Any, float], title: str, drawn: int, names: Sequence[str]) -> None:
    axes, tall = panel
    some = f"The first {drawn} of {len(names)} arrays. " if drawn < len(names) else ""
    legend = (
        f"{some}Orange below zero, blue above, darkest from the number at ± on; weights from white (0) to blue (1); "
        "grey: no number. Heads from left to right. The numbers are in the .html of the same trace."
    )
    for below, text, size, colour in ((0.28, title, 12, "black"), (0.52, legend, 7.5, "0.35")):
        _write(axes, MARGIN, tall - below, text, size=size, colour=colour)


def _write(axes: Any, left: float, bottom: float, text: str, *, size: float, colour: str) -> None:
    axes.text(left, bottom, text, va="center", parse_math=False, fontsize=size, color=colour)


def _draw(panel: tuple[Any, float], trace: Trace, at: Placed, *, hidden: bool) -> None:
    """Draws one line: its name, its sizes, and its matrices side by side."""
    axes, tall = panel
    _write(axes, at.left, tall - at.top - 0.07, at.tile.name, size=7, colour="black")
    _write(axes, at.left, tall - at.top - 0.19, at.tile.shape, size=6, colour="0.35")
    array = trace.numpy(at.tile.name)
    matrices = array.reshape(-1, *(1, 1, *array.shape)[-2:])[: at.tile.count].astype(np.float64)
    colours = colours_of(matrices, shares=is_shares(trace.working.line(at.tile.name)))
    if colours["vmin"] < 0:
        colours |= {"vmin": -(darkest := _darkest(array) or 1.0), "vmax": darkest}
    width, height = at.tile.matrix
    rectangle = need("matplotlib.patches", "plot").Rectangle
    top = tall - at.top - NAME
    for number, matrix in enumerate(matrices):
        left = at.left + number * (width + APART)
        frame = {"facecolor": "white" if hidden else MASKED, "edgecolor": "0.6", "linewidth": 0.4, "zorder": 0}
        axes.add_patch(rectangle((left, top - height), width, height, **frame))
        if not hidden:
            extent = (left, left + width, top - height, top)
            axes.imshow(np.ma.masked_invalid(matrix), extent=extent, aspect="auto", zorder=1, **colours)
