"""Names of tokens beside a picture: in fonts that have their letters, rotated or thinned so that none overlap."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from clearhead.errors import JOINERS, visible
from clearhead.extras import need

FONT = "DejaVu Sans"
"""matplotlib's own font, so that a figure looks the same on every machine."""

MAX_NAME = 24
SIZES = (8.0, 7.0, 6.0)
"""Sizes of labels in points: they are made smaller first, and thinned where that is not enough."""


@lru_cache(maxsize=64)
def fonts_for(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The fonts that have these letters, matplotlib's own first, and the letters that none has."""
    manager, ft2font = need("matplotlib.font_manager", "plot"), need("matplotlib.ft2font", "plot")
    chosen, missing = [FONT], _missing(ft2font.FT2Font(manager.findfont(FONT)), letters)
    others = {each.name: each.fname for each in manager.fontManager.ttflist if "Last Resort" not in each.name}
    for name in sorted(others) if missing else ():
        font = ft2font.FT2Font(others[name])
        left = _missing(font, missing) if font.scalable else missing
        if left != missing:
            chosen.append(name)
            missing = left
    return tuple(chosen), missing


def _missing(font: Any, letters: Iterable[str]) -> frozenset[str]:
    return frozenset(letter for letter in letters if not font.get_char_index(ord(letter)))


class Labels:
    """The labels of rows and columns, in the fonts they need; a letter that no font has is shown by its number."""

    def __init__(self, rows: Sequence[str], columns: Sequence[str]) -> None:
        names = [visible(name[: MAX_NAME * 2]) for name in (*rows, *columns)]
        fonts, missing = fonts_for(frozenset("".join(names)) - {" "})
        self.font = need("matplotlib.font_manager", "plot").FontProperties(family=list(fonts), size=SIZES[0])
        spelled = {ord(letter): "" if letter in JOINERS else f"[U+{ord(letter):04X}]" for letter in missing}
        self.names = [_clipped(name.translate(spelled)) for name in names]
        self.rows, self.columns = self.names[: len(rows)], self.names[len(rows) :]

    def text(self, panel: Any, x: float, y: float, words: str, *, colour: str) -> None:
        """Writes a number into a cell."""
        panel.text(x, y, words, ha="center", va="center", color=colour, fontproperties=self.font, parse_math=False)

    def put(self, figure: Any, panels: Sequence[Any], across: int) -> None:
        """Labels the rows of the panels at the left and the columns of those at the bottom, as many as have room."""
        outer = panels[::across], panels[max(len(panels) - across, 0) :]
        shares = [(panel.yaxis, self.rows) for panel in outer[0]]
        shares += [(panel.xaxis, self.columns) for panel in outer[1]] if self.columns else []
        for axis, names in shares:
            widest = max(names, key=lambda name: self._extent(figure, (name,), SIZES[0])[0])
            _tick(axis, (widest,), 1, self._sized(SIZES[0]), turned=True)
        figure.draw_without_rendering()  # to measure how much room the labels leave for the panels
        for axis, names in shares:
            self._fit(figure, axis, names)

    def _fit(self, figure: Any, axis: Any, names: Sequence[str]) -> None:
        box = axis.axes.get_window_extent()
        sideways = axis.axis_name == "x"
        room = (box.width if sideways else box.height) / len(names)
        if sideways and self._extent(figure, names, SIZES[0])[0] * 1.1 <= room:
            _tick(axis, names, 1, self._sized(SIZES[0]), turned=False)
            return
        heights = {size: self._extent(figure, names, size)[1] + 1 for size in SIZES}
        size = next((size for size in SIZES if heights[size] <= room), SIZES[-1])
        _tick(axis, names, math.ceil(heights[size] / room), self._sized(size), turned=sideways)

    def _extent(self, figure: Any, names: Sequence[str], size: float) -> tuple[float, float]:
        """The largest width and height of these names in pixels, as matplotlib draws them."""
        measure, font = figure.canvas.get_renderer().get_text_width_height_descent, self._sized(size)
        extents = [measure(name, font, ismath=False) for name in {*names, "lp"} - {""}]
        return max(width for width, _, _ in extents), max(height for _, height, _ in extents)

    def _sized(self, size: float) -> Any:
        font = self.font.copy()
        font.set_size(size)
        return font


def _tick(axis: Any, names: Sequence[str], step: int, font: Any, *, turned: bool) -> None:
    axis.set_ticks(range(0, len(names), step), names[::step])
    for label in axis.get_ticklabels():
        label.set(fontproperties=font, parse_math=False)
        if axis.axis_name == "x":
            label.set(rotation=90 if turned else 0)


def _clipped(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"
