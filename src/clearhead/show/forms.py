"""Documents printed in a form, such as text or Markdown."""

from __future__ import annotations

from clearhead.document import Document
from clearhead.errors import UnknownName, suggest
from clearhead.show.media import FORMS, WIDTH, Form


def lower(document: Document, form: Form, *, width: int = WIDTH, colour: bool = False) -> str:
    """A document as text, markdown or latex.

    Args:
        document: what is printed.
        form: the name of a medium that prints documents.
        width: the cells of a line; for text only.
        colour: whether ANSI codes colour it; for text only.

    Raises:
        UnknownName: no such form.
    """
    medium = FORMS.get(form)
    if medium is None or medium.printer is None:
        known = [name for name, each in FORMS.items() if each.printer is not None]
        raise UnknownName(f"A document has no form {form!r}. {suggest(form, known)}")
    return medium.printer(document, width, colour)
