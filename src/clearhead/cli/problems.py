"""Commands on problem files: list, new."""

from __future__ import annotations

from pathlib import Path

import click

from clearhead.cli.group import command
from clearhead.cli.output import print_text, say


@command("clearhead list")
def list() -> None:
    """List the problems that come with clearhead, a line each.

    First those to learn with, then a library of examples from well-known teaching pieces, which have what these
    printed as claims: see it beside the working with `clearhead check NAME`.
    """
    from clearhead.problems import bundled, library, read_problem

    groups = {"": bundled(), **library()}
    width = max(len(name) for names in groups.values() for name in names)
    for heading, names in groups.items():
        if heading:
            say()
            say(heading)
        for name in names:
            say(f"{name:<{width}}  {read_problem(name).title}")


@command("clearhead new mine.toml --from lecture.ipynb")
@click.argument("file", type=click.Path(), default="problem.toml")
@click.option(
    "--from", "source", type=click.Path(), help="A notebook, script or workbook (.ipynb, .py, .xlsx) to read."
)
@click.option("--example", type=click.IntRange(1), help="With --from: which of several examples.  [default: the last]")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def new(file: str, source: str | None, example: int | None, force: bool) -> None:  # noqa: FBT001 - an option is passed by name
    """Write a commented starter problem to FILE, or one that is proposed from what you have.

    The starter runs as it is. With --from the arrays that are written out in a notebook, a script or a workbook become
    the given arrays, and what it printed becomes claims. The source is read and never run; what is not sure is said,
    and stands in the file as comments. With - as FILE, print it.
    """
    from clearhead.problems import STARTER, write_text

    if example is not None and source is None:
        raise click.UsageError("--example says which example of a file is meant: add --from FILE.")
    if file != "-" and Path(file).exists() and not force:
        raise click.UsageError(f"{file} exists. Choose another name, or --force to replace it.")
    text = STARTER if source is None else _proposed(source, example)
    if file == "-":
        print_text(text)
        return
    write_text(text, file)
    say(f"Wrote {file}. {'Edit it' if source is None else 'Look through it'}, then: clearhead show {file}")


def _proposed(source: str, example: int | None) -> str:
    """The text of the problem that is proposed from a file, with what is not sure on stderr."""
    from clearhead.problems.proposal import propose

    found = propose(source, example)
    if found.count > 1:
        say(f"{found.count} examples were found; this is number {found.number}. --example takes another.", err=True)
    for each in found.unsure:
        say(f"Not sure: {each}", err=True)
    return found.text
