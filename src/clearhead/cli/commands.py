"""The commands. Each imports what it needs when it runs, so that help and completion start at once."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clearhead import __version__
from clearhead.cli import typed
from clearhead.cli.group import DISAGREE, Commands, command

if TYPE_CHECKING:
    from clearhead.check import Report
    from clearhead.claim import Claim
    from clearhead.document import Document
    from clearhead.trace import Trace


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="clearhead")
def main() -> None:
    """Transformer attention with all of its working shown.

    Begin with `clearhead show soccer`.
    """
    # Names of tokens may hold what the terminal's encoding lacks.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _colour() -> bool:
    """Whether to write in colour: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _width() -> int:
    return shutil.get_terminal_size().columns


_deviate = click.option(
    "--deviate",
    metavar="ID",
    multiple=True,
    shell_complete=typed.complete_deviation,
    help="Work it out with a deviation; may be repeated.",
)


@command(main, "clearhead list")
def list() -> None:
    """List the bundled problems, a line each."""
    from clearhead.problems import bundled, read_problem

    names = bundled()
    width = max(map(len, names))
    for name in names:
        click.echo(f"{name:<{width}}  {read_problem(name).title}")


@command(main, "clearhead show soccer weights@2 --cell 1,3 --decimals 4")
@click.argument("problem", shell_complete=typed.complete_problem)
@click.argument("line", shell_complete=typed.complete_line, required=False)
@click.option("--cell", metavar="I,J", callback=typed.cell, help="Work out one cell of LINE, counted from 1.")
@click.option("--decimals", type=click.IntRange(0, 15), default=3, show_default=True, help="How many to show.")
@_deviate
@click.option(
    "--as", "form", type=click.Choice(["text", "json", "markdown", "latex"]), default="text", show_default=True
)
def show(
    problem: str, line: str | None, cell: tuple[int, ...] | None, decimals: int, deviate: tuple[str, ...], form: str
) -> None:
    """Show a problem worked out: lines, formulas, numbers.

    PROBLEM is the name of a bundled problem or a file. LINE is a line, such as weights, or one head of it, such as
    weights@2.
    """
    from clearhead.problems import read_problem
    from clearhead.show import View, render

    if cell is not None and line is None:
        raise click.UsageError("--cell needs to know of which LINE: clearhead show PROBLEM LINE --cell I,J.")
    worked = read_problem(problem)
    trace = worked.trace(*deviate)
    applied = (*map(str, worked.deviations), *deviate)
    view = View(worked.title, "" if line else worked.about, applied, line, cell, decimals)
    click.echo(render(trace, form, view, width=_width(), colour=_colour()), color=True)


@command(main, "clearhead check soccer")
@click.argument("problem", shell_complete=typed.complete_problem)
@click.option("--claims", type=click.Path(), help="Take the claims from this file instead.")
@_deviate
@click.option("--diagnose/--no-diagnose", default=True, help="Say why they differ, or only where.  [default: say why]")
@click.option("--as", "form", type=click.Choice(["text", "json", "markdown", "latex"]), default="text")
def check(problem: str, claims: str | None, deviate: tuple[str, ...], diagnose: bool, form: str) -> None:  # noqa: FBT001 - an option is passed by name
    """Compare the claims of a problem with its working, and say why they differ.

    The first line that differs comes first, with its arithmetic; then the smallest sets of deviations that would give
    the claimed numbers. Numbers are compared at the precision they were written in: 2.425 has three decimals. The exit
    code is 0 if all agree, 1 if some differ, 2 if the input is bad.
    """
    from clearhead.check import compare, data_of, document_of
    from clearhead.problems import read_claims, read_problem
    from clearhead.show import as_json

    worked = read_problem(problem)
    claimed = read_claims(claims) if claims else worked.claims
    trace = worked.trace(*deviate)
    found = compare(claimed, trace)
    report = _diagnosis(claimed, trace) if diagnose and not found.agrees else None
    if form == "json":
        data = data_of(found, title=worked.title)
        click.echo(as_json(data if report is None else {**data, "diagnosis": report.data()}))
    else:
        _print(document_of(found, title=worked.title), form)
        if report is not None:
            click.echo()
            _print(report.document(title="Why they differ"), form)
    raise click.exceptions.Exit(0 if found.agrees else DISAGREE)


def _diagnosis(claims: Sequence[Claim], trace: Trace) -> Report:
    from clearhead.check import diagnose

    given = {each.name: trace[each.name] for each in trace.working.givens}
    return diagnose(claims, trace.working, given, tokens=trace.tokens)


def _print(document: Document, form: str) -> None:
    from clearhead.show import lower

    click.echo(lower(document, form, width=_width(), colour=_colour()), color=True)


@command(main, "clearhead deviations softmax-over-queries")
@click.argument("id", shell_complete=typed.complete_deviation, required=False)
def deviations(id: str | None) -> None:
    """List the deviations, or tell all about one.

    A deviation is a known way to get other numbers: a mistake, a convention that others follow, or rounding. What
    --deviate takes, and what check looks for.
    """
    from clearhead.deviations import GROUPS, deviation

    if id is None:
        for group, rows in GROUPS.items():
            click.echo(f"\n{group}")
            for each in rows:
                click.echo(f"  {each.id:<34}{each.kind}")
        return
    each = deviation(id)
    told = [("", f"{each.id} ({each.kind})"), ("", each.does), ("Cannot be seen: ", each.invisible)]
    told += [("To mend it: ", each.remedy), ("Seen: ", each.seen)]
    told += [(f"Parameter {each.name}: ", f"{each.about}.") for each in each.parameters]
    for lead, text in told:
        click.echo(click.wrap_text(lead + text, _width(), subsequent_indent="  " if lead else ""))


@command(main, "clearhead new mine.toml")
@click.argument("file", type=click.Path(), default="problem.toml")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def new(file: str, force: bool) -> None:  # noqa: FBT001 - an option is passed by name
    """Write a commented starter problem to FILE.

    It runs as it is. With - as FILE, print it.
    """
    from clearhead.problems import STARTER, write_text

    if file == "-":
        click.echo(STARTER, nl=False)
        return
    if Path(file).exists() and not force:
        raise click.UsageError(f"{file} exists. Choose another name, or --force to replace it.")
    write_text(STARTER, file)
    click.echo(f"Wrote {file}. Edit it, then: clearhead show {file}")


@command(main, 'eval "$(clearhead completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete names.

    It completes commands, problems, their lines, and deviations.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - the choice above has click's own three
    click.echo(kind(main, {}, "clearhead", "_CLEARHEAD_COMPLETE").source())
