"""The page of a problem as a widget of a notebook, which gives back what was typed into it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from clearhead.extras import need
from clearhead.show.page import page
from clearhead.show.page.assemble import frame
from clearhead.show.view import View
from clearhead.trace import Trace


def widget_of(trace: Trace, view: View, read: Callable[[str], Any]) -> Any:
    """The page of a trace as a widget.

    Args:
        trace: what is shown.
        view: how, with the text of the problem's file.
        read: makes a problem of such a text.

    Raises:
        MissingPackage: anywidget is not installed.
    """
    widget = _kind()(page=page(trace, view, embedded=True).decode(), text=view.problem or "")
    widget.read = read
    return widget


@cache
def _kind() -> type[Any]:
    anywidget, traitlets = need("anywidget", "notebook"), need("traitlets", "notebook")
    members = {
        "__doc__": "A problem's page in a notebook. ``problem`` is the problem with all that was typed so far.",
        "_esm": frame(),
        "page": traitlets.Unicode().tag(sync=True),
        "text": traitlets.Unicode().tag(sync=True),
        "height": traitlets.Int(760).tag(sync=True),
        "problem": property(lambda self: self.read(self.text)),
    }
    return type("ProblemWidget", (anywidget.AnyWidget,), members)
