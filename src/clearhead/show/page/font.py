"""The letters of formulas: a subset of STIX Two Math, whose licence (OFL) allows this."""

from __future__ import annotations

import warnings
from base64 import b64encode
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

SIGNS = "−·×∑√∞≤∧⌊⌋μσθγβπ…¯~˜\u2061"
ITALICS = (*range(0x1D434, 0x1D468), 0x210E, *range(0x1D6FC, 0x1D714))
"""The italic letters, Latin and Greek, that a browser uses for a ``<mi>`` of one letter."""


@cache
def font() -> str | None:
    """The font as a ``data:`` address; None where the packages for it are not installed.

    Formulas then use the mathematical font of the reader's system.
    """
    found = find_spec("ziamath")
    if found is None or not found.submodule_search_locations or find_spec("fontTools") is None:
        return None
    path = Path(found.submodule_search_locations[0]) / "fonts" / "STIXTwoMath-Regular.ttf"
    return f"data:font/woff;base64,{b64encode(_cut(path)).decode('ascii')}" if path.exists() else None


def _cut(path: Path) -> bytes:
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    options = Options(layout_features=["ssty", "dtls"], layout_closure=False, hinting=False, notdef_outline=True)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[*range(0x20, 0x7F), *map(ord, SIGNS), *ITALICS])
    with warnings.catch_warnings(), TTFont(path, lazy=True) as full, BytesIO() as file:
        warnings.simplefilter("ignore")
        subsetter.subset(full)
        full.flavor = "woff"
        full.save(file)
        return file.getvalue()
