"""One file with everything: the joined modules, the styles, the font, the content, and a version for print."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from math import prod
from pathlib import Path

from clearhead.document import Document
from clearhead.show.data.plain import as_json
from clearhead.show.formula.mathml import escape
from clearhead.show.page.arrays import Packed
from clearhead.show.page.content import Data, content_of
from clearhead.show.page.font import font
from clearhead.show.page.variants import variants_of
from clearhead.show.paper.worksheet import worksheet_of
from clearhead.show.text.html import to_html
from clearhead.show.trace_document import document_of, outline_of
from clearhead.show.view import View
from clearhead.trace import Trace

FOLDER = Path(__file__).parent

MODULES = (
    "dom", "number", "functions", "products", "expr", "text", "content", "cells", "trace", "explain", "colour",
    "thumb", "typed", "editor", "marks", "grid", "wires", "place", "fold", "flow", "layers", "stages", "tokens",
    "operand", "beside", "reasons", "steps", "room", "inspector", "history", "dust", "edits", "tools", "exercise",
    "slips", "hints", "tour", "focus", "app",
)  # fmt: skip
"""The page's modules, each after those it imports."""

STYLES = ("page", "narrow", "paper")

MAX_REPORTED = 100_000
"""With more numbers than this the print has no arithmetic of cells: choosing the cells would take long."""

MAX_PRINTED = 1_000_000
"""With more numbers than this the print has only names and sizes."""

START = "$app.start(document);"

_IMPORT = re.compile(r'^import (\{[^}]*\}) from "[./\w]*/(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)

LICENCE = "Formulas are set in a part of STIX Two Math, under the SIL Open Font License 1.1 (openfontlicense.org)."


def page(trace: Trace, view: View, *, embedded: bool = False) -> bytes:
    """A trace as one HTML file that needs nothing else, neither a network nor a server.

    Args:
        trace: the trace.
        view: how it is shown.
        embedded: whether the page is shown inside another page, which receives each change as a message.

    Raises:
        UnknownName: no such deviation, line or head.
        ClearheadError: a claim does not fit its line.
    """
    count = sum(prod(trace[name].shape) for name in trace)
    paper = worksheet_of if count <= MAX_REPORTED else document_of if count <= MAX_PRINTED else outline_of
    content, arrays = content_of(trace, view)
    content |= {"variants": variants_of(trace, view), "embedded": embedded}
    return page_of(content, arrays, paper(trace, view)).encode("utf-8", "backslashreplace")


def tour(trace: Trace, view: View, walk: list[Data]) -> bytes:
    """A page that walks through a trace in steps; printed, it is the worksheet."""
    content, arrays = content_of(trace, view)
    return page_of(content | {"steps": walk}, arrays, worksheet_of(trace, view)).encode("utf-8", "backslashreplace")


def page_of(content: Data, arrays: Mapping[str, Packed], paper: Document) -> str:
    """The page of a content and its packed arrays, with the document for print and for readers without scripts."""
    return file_of(content, arrays, inlined(styles(), f"{program()}{START}"), to_html(paper, level=1))


def file_of(content: Data, arrays: Mapping[str, Packed], parts: tuple[str, str], paper: str) -> str:
    """One HTML file with title, content, packed arrays, styles, program, and the document without scripts.

    Args:
        content: what the program reads.
        arrays: the packed numbers by name.
        parts: the styles and the program as elements: `inlined`, or links to where they are served.
        paper: the document as HTML.
    """
    style, script = parts
    about = {name: {key: value for key, value in packed.items() if key != "data"} for name, packed in arrays.items()}
    data = as_json(content | {"arrays": about}).replace("<", "\\u003c")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en" class="clearhead">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(content['title'])}</title>",
            style,
            "</head>",
            "<body>",
            '<div id="app"></div>',
            f'<article class="paper">\n{paper}\n</article>',
            f'<script type="application/json" id="content">{data}</script>',
            *(_block(name, packed) for name, packed in arrays.items()),
            script,
            "</body>",
            "</html>",
            "",
        ]
    )


def inlined(style: str, script: str) -> tuple[str, str]:
    """Styles and a program as elements of the file itself."""
    return f"<style>\n{style}</style>", f'<script type="module">\n{script}\n</script>'


def _block(name: str, packed: Packed) -> str:
    return f'<script type="application/octet-stream" data-line="{escape(name)}">{packed["data"]}</script>'


@cache
def program() -> str:
    """The modules as one program: each is a function that returns its exports and uses those before it."""
    return joined(FOLDER / f"{name}.js" for name in MODULES)


def joined(modules: Iterable[Path]) -> str:
    """Modules as one program, each after those that it imports; their names are unique over all folders."""
    return "".join(map(_enclosed, modules))


def _enclosed(module: Path) -> str:
    text = module.read_text("utf-8")
    exports = ", ".join(found[2] for found in _EXPORT.finditer(text))
    inner = _EXPORT.sub(r"\1", _IMPORT.sub(r"const \1 = $\2;", text))
    return f"const ${module.stem} = (() => {{\n{inner}\nreturn {{ {exports} }};\n}})();\n"


@cache
def frame() -> str:
    """The module that shows a page in a frame of a notebook, and hears of changes from it."""
    return (FOLDER / "frame.js").read_text("utf-8")


@cache
def styles() -> str:
    """The style sheets, and the font where there is one."""
    return "".join([*_font_face(), *((FOLDER / f"{name}.css").read_text("utf-8") for name in STYLES)])


def _font_face() -> Iterator[str]:
    if source := font():
        yield f"/* {LICENCE} */\n@font-face {{ font-family: 'Clearhead Math'; src: url({source}) format('woff'); }}\n"
