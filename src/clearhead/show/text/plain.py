"""A document as plain text, as on a blackboard."""

from __future__ import annotations

from collections.abc import Iterator

from clearhead.axes import describe
from clearhead.document import Arithmetic, Document, Equation, Heading, Panels, Part, Prose, Remark
from clearhead.expr import text
from clearhead.expr.text import unlet
from clearhead.show.cells import one_line
from clearhead.show.text.matrix import beside, block
from clearhead.show.text.terminal import Row, Span, coloured, measure, plain, wrap

NARROWEST = 40
"""The narrowest line."""

TITLE, NAME, AXES, FORMULA = "bold underline", "bold", "dim", "cyan"
TONES = {"good": ("✓ ", "green"), "note": ("• ", ""), "warning": ("! ", "yellow")}
INDENT = "  "


def to_text(document: Document, *, width: int, colour: bool) -> str:
    """A document as text, in lines no wider than ``width`` cells (at least 40).

    With ``colour``, ANSI codes shade weights and mark names and remarks; without, the text has no codes.
    """
    width = max(width, NARROWEST)
    rows = [[Span(line, TITLE)] for line in wrap(one_line(document.title), width)]
    rows += _parts(document, width)
    paint = coloured if colour else plain
    return "\n".join(map(paint, rows))


def _parts(document: Document, width: int) -> Iterator[Row]:
    previous: Part | None = None
    for part in document.parts:
        if not _goes_with(part, previous):
            yield []
        yield from _lower(part, document, width)
        previous = part


def _section(document: Document, width: int) -> Iterator[Row]:
    """A document inside another: its title is underlined, also without styles."""
    lines = wrap(one_line(document.title), width)
    yield from ([Span(line, NAME)] for line in lines)
    yield [Span("─" * max(map(measure, lines)), AXES)]
    yield from _parts(document, width)


def _goes_with(part: Part, previous: Part | None) -> bool:
    """Whether a part follows the one before it without an empty line."""
    return isinstance(previous, Heading) or (isinstance(previous, Equation) and isinstance(part, Panels))


def _lower(part: Part, document: Document, width: int) -> Iterator[Row]:
    match part:
        case Document():
            yield from _section(part, width)
        case Prose(words):
            yield from ([Span(line)] for line in wrap(one_line(words), width))
        case Remark(words, tone):
            mark, style = TONES[tone]
            yield from ([Span(line, style)] for line in wrap(one_line(words), width, first=mark, rest=INDENT))
        case Heading():
            yield from _heading(part, width)
        case Equation():
            yield from ([Span(line, FORMULA)] for line in _equation(part, document.decimals, width))
        case Panels(matrices):
            room = width - len(INDENT)
            blocks = [block(matrix, document.decimals, room) for matrix in matrices]
            yield from ([Span(INDENT), *row] if row else row for row in beside(blocks, room))
        case Arithmetic(explanation):
            for line in str(explanation).splitlines():
                yield from ([Span(piece)] for piece in wrap(one_line(line), width, first=INDENT, rest=INDENT * 3))


def _heading(part: Heading, width: int) -> Iterator[Row]:
    name, aside = one_line(part.text), f" {part.aside}" if part.aside else ""
    axes = (f" {describe(part.axes, part.shape)}" if part.axes else "") + aside
    if measure(name + axes) <= width:
        yield [Span(name, NAME), Span(axes, AXES)]
    else:
        yield from ([Span(line, NAME)] for line in wrap(name, width))
        yield from ([Span(line, AXES)] for line in wrap(axes, width, first=INDENT, rest=INDENT))


def _equation(part: Equation, decimals: int | None, width: int) -> Iterator[str]:
    """The formula, and below it its named values."""
    named, body = unlet(part.right)
    written = [("", text(part.left, first=part.first), body)]
    written += [("where " if not at else " " * 6, name, value) for at, (name, value) in enumerate(named)]
    for lead, name, value in written:
        line = f"{name} = {text(value, decimals=decimals, first=part.first)}"
        yield from wrap(one_line(line), width, first=INDENT + lead, rest=INDENT * 3)
