"""Commands on problem files: list, new."""

from __future__ import annotations

from pathlib import Path

import click

from clearhead.cli.group import command
from clearhead.cli.output import print_text, say


@command("clearhead list")
def list() -> None:
    """List the bundled problems, a line each."""
    from clearhead.problems import bundled, read_problem

    names = bundled()
    width = max(map(len, names))
    for name in names:
        say(f"{name:<{width}}  {read_problem(name).title}")


@command("clearhead new mine.toml")
@click.argument("file", type=click.Path(), default="problem.toml")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def new(file: str, force: bool) -> None:  # noqa: FBT001 - an option is passed by name
    """Write a commented starter problem to FILE.

    It runs as it is. With - as FILE, print it.
    """
    from clearhead.problems import STARTER, write_text

    if file == "-":
        print_text(STARTER)
        return
    if Path(file).exists() and not force:
        raise click.UsageError(f"{file} exists. Choose another name, or --force to replace it.")
    write_text(STARTER, file)
    say(f"Wrote {file}. Edit it, then: clearhead show {file}")
