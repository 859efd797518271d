"""How a trace is shown: a document of it, and a printer for each medium."""

from __future__ import annotations

from collections.abc import Callable

from clearhead.document import Document
from clearhead.errors import UnknownName, suggest
from clearhead.show.data import as_json, to_data
from clearhead.show.trace import View, document_of
from clearhead.trace import Trace


def _text(document: Document, width: int, colour: bool) -> str:  # noqa: FBT001 - passed by `lower` alone
    from clearhead.show.text import to_text

    return to_text(document, width=width, colour=colour)


def _markdown(document: Document, *_: int) -> str:
    from clearhead.show.markdown import to_markdown

    return to_markdown(document)


def _latex(document: Document, *_: int) -> str:
    from clearhead.show.latex import to_latex

    return to_latex(document)


FORMS: dict[str, Callable[[Document, int, bool], str]] = {"text": _text, "markdown": _markdown, "latex": _latex}
"""The printers by the name of what they print; each is imported when it is used."""


def lower(document: Document, form: str, *, width: int = 80, colour: bool = False) -> str:
    """A document as text, markdown or latex. ``width`` and ``colour`` are for text alone.

    Raises:
        UnknownName: no such form.
    """
    if form not in FORMS:
        raise UnknownName(f"A document has no form {form!r}. {suggest(form, FORMS)}")
    return FORMS[form](document, width, colour)


def render(trace: Trace, form: str = "text", view: View | None = None, *, width: int = 80, colour: bool = False) -> str:
    """A trace as text, markdown, latex or json.

    Args:
        trace: what is shown.
        form: what it is shown as.
        view: title, line, cell, decimals; None for the whole trace as it is.
        width: the cells of a line of text.
        colour: whether text has colours, by ANSI codes.

    Raises:
        UnknownName: no such form, line, head or deviation.
        ShapeError: no such cell.
    """
    view = view or View()
    if form == "json":
        return as_json(to_data(trace, view))
    return lower(document_of(trace, view), form, width=width, colour=colour)


__all__ = ["FORMS", "View", "as_json", "document_of", "lower", "render", "to_data"]
