"""Doors: the only place from which lower layers use a higher one.

A trace saves, draws and shows itself, and so do workings, problems, reports and surveys. The functions that do it
belong to higher layers; their modules are imported when such a method is called, never before. Type checkers read the
imports below, Python the table after them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clearhead.inspection.report.files import save as save_survey
    from clearhead.inspection.report.table import TableRows
    from clearhead.inspection.steps import without_weights
    from clearhead.show.display import document_bundle, explanation_bundle, trace_bundle, working_bundle
    from clearhead.show.export import save as save_trace
    from clearhead.show.plot.picture import PlotKind, plot
    from clearhead.show.view import View, ViewOptions
    from clearhead.show.widget import widget_of

    __all__ = [
        "PlotKind", "TableRows", "View", "ViewOptions", "document_bundle", "explanation_bundle", "plot", "save_survey",
        "save_trace", "trace_bundle", "widget_of", "without_weights", "working_bundle",
    ]  # fmt: skip

DOORS = {
    "PlotKind": "clearhead.show.plot.picture:PlotKind",
    "TableRows": "clearhead.inspection.report.table:TableRows",
    "View": "clearhead.show.view:View",
    "ViewOptions": "clearhead.show.view:ViewOptions",
    "document_bundle": "clearhead.show.display:document_bundle",
    "explanation_bundle": "clearhead.show.display:explanation_bundle",
    "plot": "clearhead.show.plot.picture:plot",
    "save_survey": "clearhead.inspection.report.files:save",
    "save_trace": "clearhead.show.export:save",
    "trace_bundle": "clearhead.show.display:trace_bundle",
    "widget_of": "clearhead.show.widget:widget_of",
    "without_weights": "clearhead.inspection.steps:without_weights",
    "working_bundle": "clearhead.show.display:working_bundle",
}
"""Each door, with the module and the name that it leads to."""


def __getattr__(name: str) -> Any:
    if name not in DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = DOORS[name].partition(":")
    return getattr(import_module(module), attribute)
