"""How Sphinx builds the site: `make docs`."""

from __future__ import annotations

import re

import clearhead

project = "clearhead"
author = "The clearhead authors"
version = release = clearhead.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_templates"]
templates_path = ["_templates"]

myst_heading_anchors = 3

autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]  # the fields of a struct are its arguments

html_theme = "furo"
html_title = "clearhead"
html_static_path = ["_static"]
html_css_files = ["clearhead.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False


def setup(app):  # noqa: ANN001, ANN201 - Sphinx is not there when types are checked
    """Docstrings are prepared before Napoleon reads them."""
    app.connect("autodoc-process-docstring", _prepare, priority=400)


def _prepare(app, what, name, obj, options, lines):  # noqa: ANN001, ANN202, ARG001
    """Shapes such as (*batch, head) are no markup, and what stands before a colon in a property is no type."""
    lines[:] = [re.sub(r"(?<![\\*`\w])\*(?=\w)", r"\\*", line) for line in lines]
    if what in ("property", "attribute"):
        lines.insert(0, "")
