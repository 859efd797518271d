"""The command that compares the numbers of a whole class with the working: grade."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from clearhead.cli import options
from clearhead.cli.feedback import check_ending, kinds_of, write_feedback, write_page
from clearhead.cli.group import command
from clearhead.cli.output import print_document, say, wrote
from clearhead.errors import ClearheadError, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from clearhead.check.grading.gradebook import Gradebook
    from clearhead.check.grading.marks import Platform
    from clearhead.claim import Claim
    from clearhead.trace import Trace


class Read(Struct, frozen=True):
    """A submission by its name: its claims and the right trace, or None; and the error, or what could not be read."""

    name: str
    claims: tuple[Claim, ...] | None = None
    trace: Trace | None = None
    error: str = ""


@command("clearhead grade soccer submissions/ -o grades.csv")
@options.problem
@click.argument("submissions", type=click.Path())
@click.option("-o", "--output", type=click.Path(), required=True, help="The CSV file to write.")
@click.option("--feedback", type=click.Path(file_okay=False), help="A folder for pages of hints, one a submission.")
@click.option("--pages", default="md", show_default=True, help="With --feedback: kinds of pages, such as html,pdf.")
@click.option("--solution", is_flag=True, help="With --feedback: the right numbers too, each first error worked out.")
@click.option("--roster", type=click.Path(), help="A CSV file of submissions and their variants, two cells a row.")
@click.option("--summary", "page", type=click.Path(), help="A page on the class: .html, .md, .pdf, .tex or .txt.")
@click.option("--marks", type=click.Path(), help="A CSV file of marks to upload, by the names of submissions.")
@click.option("--for", "platform", type=click.Choice(["moodle", "canvas"]), default="moodle", show_default=True)
@click.option("--points", type=click.FloatRange(0), default=10, show_default=True, help="What full credit is worth.")
@options.deviate
@click.option(
    "--most", type=click.IntRange(1, 3), default=3, show_default=True, help="How many deviations to combine at most."
)
def grade(  # each is an option of the command
    problem: str,
    submissions: str,
    output: str,
    feedback: str | None,
    pages: str,
    solution: bool,  # noqa: FBT001 - an option is passed by name
    roster: str | None,
    page: str | None,
    marks: str | None,
    platform: Platform,
    points: float,
    deviate: tuple[str, ...],
    most: int,
) -> None:
    """Grade the submissions in a folder: a row for each.

    A submission is a file of claims (TOML, JSON, CSV, npz, xlsx, ipynb, py), or a folder with a matrix in each file:
    see docs/howto/grading.md. PROBLEM may be a folder of variants, as generate --variants writes it: a submission then
    has the number of its variant in its name (3-anna.json), or in the roster. Each line is judged from the submitted
    lines before it, so that an error carried forward costs once. A file that cannot be read becomes a row with its
    error.
    """
    from clearhead.check.grading.gradebook import summary
    from clearhead.check.grading.marks import class_page
    from clearhead.check.grading.marks import marks as marks_of
    from clearhead.files import STANDARD_OUTPUT, replacing
    from clearhead.problems.submissions import submissions as handed_in
    from clearhead.problems.variants import read_roster, read_variants

    kinds = kinds_of(pages)
    if page is not None:
        check_ending("--summary", page)
    variants = read_variants(problem)
    traces = {name: each.trace(*deviate) for name, each in variants.items()}
    known = read_roster(roster) if roster else {}
    paths = handed_in(submissions)
    with _progress(2 * len(paths)) as step:
        read = list(_read(paths, traces, known, step))
        book = _graded(read, most, step)
    with replacing(output) as file:
        file.write(book.csv().encode("utf-8", "replace"))
    if feedback is not None:
        people = ((entry, each.claims, each.trace) for each, entry in zip(read, book.entries, strict=True))
        write_feedback(Path(feedback), people, kinds, solution=solution)
    title = next(iter(variants.values())).title.partition(", variant ")[0]
    if page is not None:
        write_page(page, class_page(book, title=title))
    if marks is not None:
        with replacing(marks) as file:
            file.write(
                marks_of(book, platform, title=title, points=points, variants=len(variants) > 1).encode(
                    "utf-8", "replace"
                )
            )
    if output != STANDARD_OUTPUT:
        print_document(summary(book, title=title), "text")
        say()
        for written in filter(None, (output, feedback, page, marks)):
            wrote(written)


def _read(
    paths: Sequence[Path], traces: Mapping[str, Trace], roster: Mapping[str, str], step: Callable[[], None]
) -> Iterator[Read]:
    from clearhead.problems.submissions import read_all_that_fits, refuse_link
    from clearhead.problems.variants import variant_of

    for path in paths:
        name = visible(path.name)
        try:
            refuse_link(path)
            trace = traces[variant_of(path.name, traces, roster)]
            found = read_all_that_fits(path, trace)
            yield Read(name, found.claims, trace, visible(" ".join(found.faults)))
        except ClearheadError as error:  # which begins with the name
            yield Read(name, error=str(error))
        except Exception as error:  # one submission must not stop the others
            yield Read(name, error=_fault(name, error))
        step()


def _graded(read: Sequence[Read], most: int, step: Callable[[], None]) -> Gradebook:
    from clearhead.check.grading.grade import Grader
    from clearhead.check.grading.gradebook import Entry, Gradebook

    graders: dict[int, Grader] = {}
    entries: list[Entry] = []
    for each in read:
        if each.claims is None or each.trace is None:
            entries.append(Entry(each.name, error=each.error))
            step()
            continue
        key = id(each.trace)  # one for each variant
        try:
            if key not in graders:
                everyone = [other.claims for other in read if other.claims is not None and other.trace is each.trace]
                graders[key] = Grader(each.trace, everyone, max_deviations=most)
            entries.append(Entry(each.name, graders[key].grade(each.claims), each.error))
        except ClearheadError as fault:
            entries.append(Entry(each.name, error=f"{each.name}: {fault}"))
        except Exception as fault:
            entries.append(Entry(each.name, error=_fault(each.name, fault)))
        step()
    return Gradebook(tuple(entries))


def _fault(name: str, error: Exception) -> str:
    return visible(f"{name}: a fault in clearhead, not in the submission: {type(error).__name__}: {error}")


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[], None]]:
    """A bar on the terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Grading", total=steps)
        yield lambda: bar.advance(task)
