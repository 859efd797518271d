"""How a trace is shown: a document of it, a printer for each medium, and files of every kind.

This package itself loads only what is needed to show a trace as text. Files are written by ``show.export`` and read by
``show.data.reading``.
"""

from __future__ import annotations

from typing import cast

from clearhead.show.certain import as_certain
from clearhead.show.data.plain import as_json, to_data
from clearhead.show.forms import lower
from clearhead.show.media import FORMS, Form, FormOfTrace
from clearhead.show.trace_document import document_of
from clearhead.show.view import View, ViewOptions
from clearhead.trace import Trace


def render(
    trace: Trace,
    form: FormOfTrace = "text",
    view: View | None = None,
    *,
    width: int = 80,
    colour: bool = False,
) -> str:
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
    trace, view = as_certain(trace, view or View())
    if form in FORMS and FORMS[form].printer is None:
        return str(FORMS[form].content(trace, view), "utf-8")
    return lower(document_of(trace, view), cast("Form", form), width=width, colour=colour)


__all__ = [
    "FORMS",
    "Form",
    "FormOfTrace",
    "View",
    "ViewOptions",
    "as_json",
    "document_of",
    "lower",
    "render",
    "to_data",
]
