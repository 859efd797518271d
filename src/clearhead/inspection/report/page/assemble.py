"""One file with everything: the joined modules, the styles, the content, and a table for readers without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from clearhead.inspection.report.page.content import content_of
from clearhead.inspection.survey import Survey
from clearhead.show.formula.mathml import escape
from clearhead.show.page.assemble import FOLDER as PAGE
from clearhead.show.page.assemble import file_of, inlined, joined

FOLDER = Path(__file__).parent

SHARED = ("dom", "number", "content")
"""Modules of the page of a trace that the report uses too."""

MODULES = ("survey", "plotting", "overview", "strip", "head", "shares", "map", "pairs", "report")
"""The report's own modules, each after those it imports."""

START = "$report.start(document);"


def report(survey: Survey) -> bytes:
    """A survey as one HTML file that needs nothing else, neither a network nor a server."""
    return _file(survey, inlined(styles(), program()), served=False)


def served_report(survey: Survey, style: str, script: str) -> bytes:
    """The report as it is served: it asks for parts of maps, and has styles and program from these addresses."""
    links = f'<link rel="stylesheet" href="{style}">', f'<script type="module" src="{script}"></script>'
    return _file(survey, links, served=True)


def _file(survey: Survey, parts: tuple[str, str], *, served: bool) -> bytes:
    content, numbers = content_of(survey)
    paper = "\n".join(_paper(survey))
    return file_of(content | {"served": served}, numbers, parts, paper).encode("utf-8", "backslashreplace")


@cache
def program() -> str:
    """The modules as one, and their start."""
    modules = joined((*(PAGE / f"{name}.js" for name in SHARED), *(FOLDER / f"{name}.js" for name in MODULES)))
    return f"{modules}{START}"


@cache
def styles() -> str:
    """The style sheets: the page's, and the report's own."""
    return "".join(each.read_text("utf-8") for each in (PAGE / "page.css", PAGE / "narrow.css", FOLDER / "report.css"))


def _paper(survey: Survey) -> Iterator[str]:
    """The summary as a table."""
    summary = survey.summary()
    yield f"<h1>{escape(survey.model)}</h1><p>{len(survey.tokens):,} tokens.</p>"
    names = "".join(f"<th>{name}" for name in summary.numbers)
    yield f"<table><thead><tr><th>layer<th>head{names}</tr></thead><tbody>"
    for row, layer in enumerate(survey.layers):
        for head in range(summary.entropy.shape[1]):
            numbers = "".join(f"<td>{each[row, head]:.3g}" for each in summary.numbers.values())
            yield f"<tr><td>{layer}<td>{head}{numbers}</tr>"
    yield "</tbody></table>"
