"""A document on paper: as PDF of A4 pages, or as one tall picture, set by typst.

The compiler is given one fixed template and the document as data. Nothing of a trace is read as typst's source, and
the compiler's file root holds the template alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from msgspec import json

from clearhead.document import Document
from clearhead.extras import need
from clearhead.show.paper.document import as_data

TEMPLATE = Path(__file__).parent / "typst" / "worksheet.typ"

KNOWN = 0x0530
"""Letters before this one, Latin, Greek and Cyrillic, are in the fonts that typst brings."""

SIGNS = range(0x2000, 0x2C00)
"""Punctuation, arrows and mathematics, which they have too."""

MAX_TAGGED = 500_000
"""Larger documents go without the tags that screen readers follow: these would make their files 25 times as large."""

PICTURE_DPI = 144
MAX_PIXELS = 32_000
"""The height of the tallest picture."""


def compiled(document: Document, form: Literal["pdf", "svg", "png"]) -> bytes:
    """A document as set by typst.

    The same document gives the same bytes, on any machine as long as it keeps to Latin, Greek and Cyrillic letters;
    for others the system's own fonts are used too.

    Raises:
        MissingPackage: typst is not installed.
    """
    data = json.encode(as_data(document)).decode()
    compiler = need("typst", "pdf").Compiler(
        str(TEMPLATE),
        root=str(TEMPLATE.parent),
        ignore_system_fonts=all(map(_is_known, data)),
        sys_inputs={"document": data, "form": form},
    )
    dpi = _dpi(compiler) if form == "png" else None
    made: bytes = compiler.compile(format=form, ppi=dpi, pdf_tags=len(data) <= MAX_TAGGED)
    return made


def _dpi(compiler: Any) -> float:
    """The resolution of a picture, less than usual where it would be taller than programs can open."""
    height = json.decode(compiler.query("<height>", field="value", one=True), type=float)
    return min(PICTURE_DPI, MAX_PIXELS * 72 / height)


def _is_known(letter: str) -> bool:
    return ord(letter) < KNOWN or ord(letter) in SIGNS
