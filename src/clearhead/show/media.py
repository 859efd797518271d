"""The media: one list, from which printing, files, the live page and the commands take what there is.

A new medium is a function and a row in `MEDIA`. One that can be printed as text also has its word in `FormOfTrace`, for
type checkers. Each function imports what it needs when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Literal

from msgspec import Struct

from clearhead.document import Document
from clearhead.show.view import View
from clearhead.trace import Trace

Form = Literal["text", "markdown", "latex"]
FormOfTrace = Literal["text", "markdown", "latex", "json"]

Printer = Callable[[Document, int, bool], str]
"""A document as text; the width of a line and whether it has colours are for terminals."""

Exporter = Callable[[Trace, View], bytes | memoryview]
"""A trace as the content of a file."""


class Medium(Struct, frozen=True):
    """A medium in which a trace can be shown.

    Attributes:
        ending: the ending of its files.
        form: its name where it can be printed; "" where it only makes files.
        printer: prints a document; None for a medium that is made from the trace itself.
        exporter: makes the content of a file; None for the worksheet, as ``printer`` prints it.
    """

    ending: str
    form: str = ""
    printer: Printer | None = None
    exporter: Exporter | None = None

    def content(self, trace: Trace, view: View) -> bytes | memoryview:
        """The content of a file of ``trace``, as ``view`` selects it."""
        if self.exporter is not None:
            return self.exporter(trace, view)
        from clearhead.show.paper.worksheet import worksheet_of

        printer = self.printer or _text
        in_colour = False
        return (printer(worksheet_of(trace, view), WIDTH, in_colour) + "\n").encode("utf-8", "replace")


WIDTH = 80
"""The cells of a line of text, unless a terminal is wider."""


def _text(document: Document, width: int, colour: bool) -> str:  # noqa: FBT001 - passed by position
    from clearhead.show.text.plain import to_text

    return to_text(document, width=width, colour=colour)


def _markdown(document: Document, *_: int) -> str:
    from clearhead.show.text.markdown import to_markdown

    return to_markdown(document)


def _latex(document: Document, *_: int) -> str:
    from clearhead.show.text.latex import to_latex

    return to_latex(document)


def _json(trace: Trace, view: View) -> bytes:
    from clearhead.show.data.plain import as_json, to_data

    return as_json(to_data(trace, view)).encode()


def _html(trace: Trace, view: View) -> bytes:
    from clearhead.show.page import page

    return page(trace, view)


def _script(trace: Trace, view: View) -> bytes:
    from clearhead.show.source.script import script

    return script(trace, view)


def _notebook(trace: Trace, view: View) -> bytes:
    from clearhead.show.source.notebook import notebook

    return notebook(trace, view)


def _archive(trace: Trace, view: View) -> memoryview:
    from clearhead.show.data.archive import npz

    return npz(trace, view)


def _sheet(trace: Trace, view: View) -> memoryview:
    from clearhead.show.sheet.workbook import xlsx

    return xlsx(trace, view)


MAX_WORKSHEET = 20_000
"""What has more numbers than this is drawn, not written as tables."""

MAX_TALL = (48, 2_000)
"""The most arrays and numbers that a picture has as tables: it has no pages, and gets too tall to be opened."""


def _paper(kind: Literal["pdf", "svg", "png"]) -> Exporter:
    def export(trace: Trace, view: View) -> bytes:
        if _is_large(trace, view, has_pages=kind == "pdf"):
            from clearhead.show.plot.multiples import picture

            return picture(trace, view, kind)
        from clearhead.show.paper.compile import compiled
        from clearhead.show.paper.worksheet import worksheet_of

        return compiled(worksheet_of(trace, view), kind)

    return export


def _is_large(trace: Trace, view: View, *, has_pages: bool) -> bool:
    """Whether what a view selects is too much for tables. Blanks are to be filled in: they stay tables if they can."""
    if view.address is not None:
        shape = trace.numpy(view.address).shape
        return bool(prod(shape if view.cell is None else shape[-2:]) > MAX_WORKSHEET)
    arrays, numbers = (len(trace), MAX_WORKSHEET) if has_pages or view.blank else MAX_TALL
    return len(trace) > arrays or sum(prod(trace[name].shape) for name in trace) > numbers


MEDIA: tuple[Medium, ...] = (
    Medium(".html", exporter=_html),
    Medium(".ipynb", exporter=_notebook),
    Medium(".json", "json", exporter=_json),
    Medium(".md", "markdown", _markdown),
    Medium(".npz", exporter=_archive),
    Medium(".py", exporter=_script),
    Medium(".pdf", exporter=_paper("pdf")),
    Medium(".png", exporter=_paper("png")),
    Medium(".svg", exporter=_paper("svg")),
    Medium(".tex", "latex", _latex),
    Medium(".txt", "text", _text),
    Medium(".xlsx", exporter=_sheet),
)
"""All media."""

KINDS = {medium.ending: medium for medium in MEDIA}
"""The media by the endings of their files."""

FORMS = {medium.form: medium for medium in MEDIA if medium.form}
"""The media that can be printed, by their names."""
