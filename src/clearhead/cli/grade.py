"""The command that holds the numbers of a whole class against the working: grade."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clearhead.cli import options
from clearhead.cli.group import command
from clearhead.cli.output import print_document, say, wrote
from clearhead.errors import ClearheadError, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from clearhead.check.grading.gradebook import Entry, Gradebook
    from clearhead.claim import Claim
    from clearhead.trace import Trace

Read = tuple[str, "tuple[Claim, ...] | None", str]
"""A submission by its name: its claims, or None and the error."""


@command("clearhead grade soccer submissions/ -o grades.csv")
@options.problem
@click.argument("submissions", type=click.Path())
@click.option("-o", "--output", type=click.Path(), required=True, help="The CSV file to write.")
@options.deviate
@click.option(
    "--most", type=click.IntRange(1, 3), default=3, show_default=True, help="How many deviations to try together."
)
def grade(problem: str, submissions: str, output: str, deviate: tuple[str, ...], most: int) -> None:
    """Grade the submissions in a folder: a row for each.

    A submission is a file of claims (TOML, JSON, CSV or npz), or a folder with a matrix in each file: see
    docs/howto/grading.md. Each line is judged from the submitted lines before it, so that an error carried forward
    costs once. A file that cannot be read becomes a row with its error.
    """
    from clearhead.check.grading.gradebook import summary
    from clearhead.files import STANDARD_OUTPUT, replacing
    from clearhead.problems import read_problem
    from clearhead.problems.submissions import submissions as handed_in

    worked = read_problem(problem)
    trace = worked.trace(*deviate)
    paths = handed_in(submissions)
    with _progress(2 * len(paths)) as step:
        book = _graded(trace, list(_read(paths, trace, step)), most, step)
    with replacing(output) as file:
        file.write(book.csv().encode("utf-8", "replace"))
    if output != STANDARD_OUTPUT:
        print_document(summary(book, title=worked.title), "text")
        say()
        wrote(output)


def _read(paths: Sequence[Path], trace: Trace, step: Callable[[], None]) -> Iterator[Read]:
    from clearhead.problems.submissions import read_submission

    for path in paths:
        name = visible(path.name)
        try:
            yield name, read_submission(path, trace), ""
        except ClearheadError as error:  # which begins with the name
            yield name, None, str(error)
        except Exception as error:  # one submission must not end the rest
            yield name, None, _fault(name, error)
        step()


def _graded(trace: Trace, read: Sequence[Read], most: int, step: Callable[[], None]) -> Gradebook:
    from clearhead.check.grading.grade import Grader
    from clearhead.check.grading.gradebook import Entry, Gradebook

    everyone = [claims for _, claims, _ in read if claims is not None]
    grader = Grader(trace, everyone, max_deviations=most)
    entries: list[Entry] = []
    for name, claims, error in read:
        try:
            entries.append(Entry(name, None if claims is None else grader.grade(claims), error))
        except ClearheadError as fault:
            entries.append(Entry(name, error=f"{name}: {fault}"))
        except Exception as fault:
            entries.append(Entry(name, error=_fault(name, fault)))
        step()
    return Gradebook(tuple(entries))


def _fault(name: str, error: Exception) -> str:
    return visible(f"{name}: a fault in clearhead, not in what was submitted: {type(error).__name__}: {error}")


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
