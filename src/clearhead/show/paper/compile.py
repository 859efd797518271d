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
"""Letters before this one, Latin, Greek and Cyrillic, are in typst's own fonts."""

SIGNS = range(0x2000, 0x2C00)
"""Punctuation, arrows and mathematics, which are also in these fonts."""

MAX_TAGGED = 500_000
"""Larger documents have no tags for screen readers, which would make their files 25 times as large."""

PICTURE_DPI = 144
MAX_PIXELS = 32_000
"""The height of the tallest picture."""


def compiled(document: Document, form: Literal["pdf", "svg", "png", "slides"]) -> bytes:
    """A document as set by typst; as slides each of its sections is a page of its own.

    The same document gives the same bytes on any machine if all letters are Latin, Greek or Cyrillic; for others the
    system's fonts are used too.

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
    kind = "pdf" if form == "slides" else form
    made: bytes = compiler.compile(format=kind, ppi=dpi, pdf_tags=len(data) <= MAX_TAGGED)
    return made


def _dpi(compiler: Any) -> float:
    """The resolution of a picture, less than usual where it would be taller than programs can open."""
    height = json.decode(compiler.query("<height>", field="value", one=True), type=float)
    return min(PICTURE_DPI, MAX_PIXELS * 72 / height)


def _is_known(letter: str) -> bool:
    return ord(letter) < KNOWN or ord(letter) in SIGNS
