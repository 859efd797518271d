"""Pages on a class and for each of its students: as text, Markdown, LaTeX, HTML or PDF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from msgspec.structs import replace

if TYPE_CHECKING:
    from clearhead.check.grading.gradebook import Entry
    from clearhead.claim import Claim
    from clearhead.document import Document
    from clearhead.show import Form
    from clearhead.trace import Trace

MAX_SOLVED = 100
"""The most matrices of a solution."""

MATRICES = 3
"""The axes of a line that has a matrix for each head."""


@cache
def _endings() -> Mapping[str, str]:
    """The endings of pages, and the form of each: those in which documents are printed, HTML and PDF."""
    from clearhead.show.media import FORMS

    printed = {medium.ending: name for name, medium in FORMS.items() if medium.printer is not None}
    return dict(sorted({**printed, ".html": "html", ".pdf": "pdf"}.items()))


def write_page(path: str | Path, document: Document) -> None:
    """Writes a document as a page of the kind that its ending says."""
    from clearhead.files import replacing
    from clearhead.show.forms import lower
    from clearhead.show.paper.compile import compiled
    from clearhead.show.text.html import one_page

    form = _endings()[Path(path).suffix.lower()]
    if form == "pdf":
        content = compiled(document, "pdf")
    else:
        text = one_page(document) if form == "html" else lower(document, cast("Form", form))
        content = text.encode("utf-8", "replace")
    with replacing(path) as file:
        file.write(content)


def check_ending(option: str, path: str) -> None:
    """Refuses a file whose ending names no kind of page."""
    if Path(path).suffix.lower() not in _endings():
        raise click.UsageError(f"{option} expects a file that ends in {', '.join(_endings())}; got {path}.")


def kinds_of(written: str) -> tuple[str, ...]:
    """The endings of pages, written as ``html,pdf``."""
    kinds = tuple(dict.fromkeys(f".{each.strip().lower().lstrip('.')}" for each in written.split(",") if each.strip()))
    unknown = [each for each in kinds if each not in _endings()]
    if unknown or not kinds:
        known = ", ".join(each[1:] for each in _endings())
        raise click.UsageError(f"--pages expects kinds such as html,pdf, of {known}; got {written}.")
    return kinds


def write_feedback(
    folder: Path,
    people: Iterable[tuple[Entry, Sequence[Claim] | None, Trace | None]],
    kinds: Sequence[str],
    *,
    solution: bool,
) -> None:
    """Writes the pages of each submission: hints without numbers, and the right numbers if a solution is asked for."""
    from clearhead.files import make_folder

    make_folder(folder)
    for entry, claims, trace in people:
        document = _feedback(entry, claims, trace, solution=solution)
        for ending in kinds:
            write_page(folder / f"{_file_name(entry.name)}{ending}", document)


def _feedback(entry: Entry, claims: Sequence[Claim] | None, trace: Trace | None, *, solution: bool) -> Document:
    """Which lines follow, where to look first, the kind of mistake; then what could not be read, and the solution."""
    from clearhead.check.compare.comparison import compare
    from clearhead.check.report.comparison import document_of
    from clearhead.check.report.hints import hints
    from clearhead.document import Document, Heading, Prose

    if claims is None or trace is None or entry.grade is None:
        return Document(entry.name, (Prose(f"This could not be graded: {entry.why}"),))
    document = hints(claims, trace, entry.grade.deviations, title=entry.name)
    parts = [*document.parts]
    if entry.error:
        parts.append(Prose(f"This could not be read: {entry.error}"))
    if not solution:
        return replace(document, parts=parts)
    compared = document_of(compare(_by_head(claims, trace), trace), title=entry.name, max_lines=MAX_SOLVED)
    said = Prose(
        "What follows compares each line with the right numbers; a line may differ only because an earlier does."
    )
    return replace(compared, parts=[*parts, Heading("Solution"), said, *compared.parts])


def _by_head(claims: Iterable[Claim], trace: Trace) -> Iterator[Claim]:
    """The claims, those of a whole line with heads as one for each head: a matrix can then be shown."""
    first = trace.working.label_base
    for claim in claims:
        if claim.values.ndim == MATRICES and claim.line in trace and "head" in trace.axes(claim.line)[:1]:
            for label, part in enumerate(claim.written, start=first):
                yield replace(claim, line=f"{claim.line}@{label}", written=part, slack=0.0)
        else:
            yield claim


def _file_name(name: str) -> str:
    """The name of a submission, made safe as the name of a file."""
    return "".join(letter if letter.isalnum() or letter in "-_. @" else "_" for letter in name).strip(". ") or "_"
