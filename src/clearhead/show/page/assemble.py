"""One file of everything: the modules joined, the styles, the font, the content, and all of it on paper too."""

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
from clearhead.show.paper.worksheet import worksheet_of
from clearhead.show.text.html import to_html
from clearhead.show.trace_document import document_of, outline_of
from clearhead.show.view import View
from clearhead.trace import Trace

FOLDER = Path(__file__).parent

MODULES = (
    "dom", "number", "functions", "expr", "text", "content", "cells", "trace", "colour", "thumb", "typed", "grid",
    "wires", "place", "flow", "layers", "tokens", "inspector", "edits", "tools", "app",
)  # fmt: skip
"""The page's modules, each after those it imports."""

STYLES = ("page", "paper")

MAX_REPORTED = 100_000
"""Of a trace of more numbers than this no cell's arithmetic is printed: to find the cells for it would take long."""

MAX_PRINTED = 1_000_000
"""Of a trace of more numbers than this the print has only names and sizes."""

START = "$app.start(document);"

_IMPORT = re.compile(r'^import (\{[^}]*\}) from "[./\w]*/(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)

LICENCE = "Formulas are set in a part of STIX Two Math, under the SIL Open Font License 1.1 (openfontlicense.org)."


def page(trace: Trace, view: View) -> bytes:
    """A trace as one HTML file that needs nothing else, neither a network nor a server.

    Raises:
        UnknownName: no such deviation, line or head.
        ClearheadError: a claim does not fit its line.
    """
    count = sum(prod(trace[name].shape) for name in trace)
    paper = worksheet_of if count <= MAX_REPORTED else document_of if count <= MAX_PRINTED else outline_of
    return page_of(*content_of(trace, view), paper(trace, view)).encode("utf-8", "backslashreplace")


def page_of(content: Data, arrays: Mapping[str, Packed], paper: Document) -> str:
    """The page of a content and its packed arrays, with the document that is printed and read without scripts."""
    return file_of(content, arrays, (styles(), f"{program()}{START}"), to_html(paper, level=1))


def file_of(content: Data, arrays: Mapping[str, Packed], parts: tuple[str, str], paper: str) -> str:
    """One HTML file of a content with a title, packed arrays, styles and program, and what is seen without scripts."""
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
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            '<div id="app"></div>',
            f'<article class="paper">\n{paper}\n</article>',
            f'<script type="application/json" id="content">{data}</script>',
            *(_block(name, packed) for name, packed in arrays.items()),
            f'<script type="module">\n{script}\n</script>',
            "</body>",
            "</html>",
            "",
        ]
    )


def _block(name: str, packed: Packed) -> str:
    return f'<script type="application/octet-stream" data-line="{escape(name)}">{packed["data"]}</script>'


@cache
def program() -> str:
    """The modules as one: each is a function that gives what it exports, and takes from those before it."""
    return joined(FOLDER / f"{name}.js" for name in MODULES)


def joined(modules: Iterable[Path]) -> str:
    """Modules as one program, each after those it imports; their names are unique, whatever folder they are in."""
    return "".join(map(_enclosed, modules))


def _enclosed(module: Path) -> str:
    text = module.read_text("utf-8")
    exports = ", ".join(found[2] for found in _EXPORT.finditer(text))
    inner = _EXPORT.sub(r"\1", _IMPORT.sub(r"const \1 = $\2;", text))
    return f"const ${module.stem} = (() => {{\n{inner}\nreturn {{ {exports} }};\n}})();\n"


@cache
def styles() -> str:
    """The style sheets, and the font where there is one."""
    return "".join([*_font_face(), *((FOLDER / f"{name}.css").read_text("utf-8") for name in STYLES)])


def _font_face() -> Iterator[str]:
    if source := font():
        yield f"/* {LICENCE} */\n@font-face {{ font-family: 'Clearhead Math'; src: url({source}) format('woff'); }}\n"
