"""Lines of text in a terminal: measured in cells, wrapped, with or without colours.

Text from outside must have passed `visible` or `one_line`, which escape control characters, so that no token
or title can send commands to a terminal. Styles are Rich's; Rich's markup is not interpreted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """A piece of a line in one style."""

    text: str
    style: str = ""


Row = list[Span]

_ONE_CELL = frozenset("⎡⎢⎣⎤⎥⎦…√·")
"""Characters of clearhead's own text, all one cell wide. They need no table of widths, which loads slowly."""


def measure(text: str) -> int:
    """How many cells a text fills in a terminal: 2 for a wide character, 0 for an accent."""
    if text.isascii() or all(character.isascii() or character in _ONE_CELL for character in text):
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def clip(text: str, width: int) -> str:
    """The text, cut short with … where it is wider."""
    if measure(text) <= width:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1).rstrip() + "…"


def pad(text: str, width: int) -> str:
    """The text padded with spaces on the right."""
    return text + " " * (width - measure(text))


def pad_before(text: str, width: int) -> str:
    """The text padded with spaces on the left."""
    return " " * (width - measure(text)) + text


def wrap(text: str, width: int, *, first: str = "", rest: str = "") -> list[str]:
    """A text in lines no wider than this, broken at spaces, or inside a word that fills a line by itself.

    ``first`` stands before the first line and ``rest`` before the others.
    """
    lines, line, empty = [], first, True
    for word in _pieces(text, width - max(measure(first), measure(rest))):
        if not empty and measure(line) + 1 + measure(word) > width:
            lines.append(line)
            line, empty = rest, True
        line += word if empty else f" {word}"
        empty = False
    return [*lines, line]


def _pieces(text: str, width: int) -> Iterator[str]:
    """The words of a text, cut where one is wider than a line."""
    for word in text.split():
        if measure(word) <= width:
            yield word
        else:
            from rich.cells import chop_cells

            yield from chop_cells(word, width)


Paint = Callable[[Row], str]


def plain(row: Row) -> str:
    """A line without its styles."""
    return "".join(text for text, _ in row).rstrip()


def coloured(row: Row) -> str:
    """A line with its styles, in the 256 colours that all current terminals have."""
    from rich.color import ColorSystem
    from rich.style import Style

    return "".join(
        Style.parse(style).render(text, color_system=ColorSystem.EIGHT_BIT) if style else text for text, style in row
    ).rstrip()
