"""The printers of documents, by the name of what they print; each is imported when it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from clearhead.document import Document
from clearhead.errors import UnknownName, suggest


def _text(document: Document, width: int, colour: bool) -> str:  # noqa: FBT001 - passed by `lower` alone
    from clearhead.show.text.plain import to_text

    return to_text(document, width=width, colour=colour)


def _markdown(document: Document, *_: int) -> str:
    from clearhead.show.text.markdown import to_markdown

    return to_markdown(document)


def _latex(document: Document, *_: int) -> str:
    from clearhead.show.text.latex import to_latex

    return to_latex(document)


Form = Literal["text", "markdown", "latex"]
FormOfTrace = Literal["text", "markdown", "latex", "json"]

FORMS: dict[Form, Callable[[Document, int, bool], str]] = {"text": _text, "markdown": _markdown, "latex": _latex}


def lower(document: Document, form: Form, *, width: int = 80, colour: bool = False) -> str:
    """A document as text, markdown or latex. ``width`` and ``colour`` are for text alone.

    Raises:
        UnknownName: no such form.
    """
    if form not in FORMS:
        raise UnknownName(f"A document has no form {form!r}. {suggest(form, FORMS)}")
    return FORMS[form](document, width, colour)
