"""How objects are shown in a notebook: as a page inside it, and as text where pages are not shown.

Each page is in a frame that shares nothing with the notebook or with other pages: no styles, no scripts, and none of
the notebook's rights.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import prod

from clearhead.axes import describe
from clearhead.document import Arithmetic, Document, Equation, Heading, Part
from clearhead.explanation import Explanation
from clearhead.line import equation
from clearhead.show.forms import lower
from clearhead.show.page import page
from clearhead.show.page.assemble import styles
from clearhead.show.text.html import to_html
from clearhead.show.trace_document import document_of, outline_of
from clearhead.show.view import View
from clearhead.trace import Trace
from clearhead.working import Working

Bundle = dict[str, str]

MAX_NUMBERS = 300_000
"""A notebook stores what it shows; a trace of more numbers than this is only described."""

TALL, LOW, EACH = 760, 120, 64
"""The height of a page, the least height of a document, and the height of each of its parts."""


def trace_bundle(trace: Trace, view: View | None = None) -> Bundle:
    """A trace as its page and as text."""
    view = view or View()
    count = sum(prod(trace[name].shape) for name in trace)
    if count > MAX_NUMBERS:
        return document_bundle(outline_of(trace, view))
    html = page(trace, view).decode()
    return {"text/plain": _text(document_of(trace, view)), "text/html": _frame(html, view.title, TALL)}


def working_bundle(working: Working) -> Bundle:
    """A working as its lines with their formulas."""
    return document_bundle(Document("Working", tuple(_lines(working)), None))


def explanation_bundle(explanation: Explanation) -> Bundle:
    """A cell as its formula and its arithmetic."""
    parts = (Equation(*explanation.stated), Arithmetic(explanation))
    return document_bundle(Document(explanation.name, parts, explanation.decimals))


def document_bundle(document: Document) -> Bundle:
    """A document as HTML and as text."""
    height = min(TALL, LOW + EACH * len(document.parts))
    body = f'<article class="paper">\n{to_html(document)}\n</article>'
    html = (
        f'<!DOCTYPE html><html lang="en" class="clearhead"><meta charset="utf-8"><style>{styles()}</style>{body}</html>'
    )
    return {"text/plain": _text(document), "text/html": _frame(html, document.title, height)}


def _text(document: Document) -> str:
    return lower(document, "text", width=100)


def _frame(html: str, title: str, height: int) -> str:
    return (
        f'<iframe sandbox="allow-scripts" title="{escape(title)}" srcdoc="{escape(html)}" '
        f'style="width: 100%; height: {height}px; border: 0; resize: vertical; overflow: auto"></iframe>'
    )


def _lines(working: Working) -> Iterator[Part]:
    for given in working.givens:
        yield Heading(given.name, aside=f"{describe(given.axes, given.known_sizes())} given")
    for line in working.lines:
        yield Heading(line.name, aside=describe(line.axes, [None] * len(line.axes)))
        yield Equation(*equation(line, working.axes, working.label_base), working.label_base)
