"""Commands that show a trace: show, export, plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from clearhead.cli import options, typed
from clearhead.cli.group import command
from clearhead.cli.output import in_colour, print_text, width, wrote

if TYPE_CHECKING:
    from clearhead.problems import Problem
    from clearhead.show import FormOfTrace, View
    from clearhead.show.plot.picture import PlotKind
    from clearhead.show.view import Framework
    from clearhead.trace import Trace


@command("clearhead show soccer weights@2 --cell 1,3 --decimals 4")
@options.problem
@click.argument("line", shell_complete=typed.complete_line, required=False)
@click.option("--cell", metavar="I,J", callback=typed.cell, help="Work out one cell of LINE, counted from 1.")
@options.decimals
@options.deviate
@options.backward
@click.option(
    "--as", "form", type=click.Choice(["text", "json", "markdown", "latex"]), default="text", show_default=True
)
def show(
    problem: str,
    line: str | None,
    cell: tuple[int, ...] | None,
    decimals: int,
    deviate: tuple[str, ...],
    backward: str | None,
    form: FormOfTrace,
) -> None:
    """Show a problem worked out: lines, formulas, numbers.

    PROBLEM is the name of a bundled problem or a file. LINE is a line, such as weights, or one head of it, such as
    weights@2.
    """
    from clearhead.problems import read_problem
    from clearhead.show import View, render

    if cell is not None and line is None:
        raise click.UsageError("--cell needs to know of which LINE: clearhead show PROBLEM LINE --cell I,J.")
    worked = read_problem(problem) if backward is None else read_problem(problem).with_gradients(backward)
    trace = worked.trace(*deviate)
    applied = (*map(str, worked.deviations), *deviate)
    view = View(worked.title, "" if line else worked.about, applied, line, cell, decimals)
    print_text(render(trace, form, view, width=width(), colour=in_colour()))


@command("clearhead export soccer -o soccer.md -o soccer.json")
@options.problem
@click.option(
    "-o", "--output", "outputs", type=click.Path(), multiple=True, required=True, help="A file; may be repeated."
)
@options.decimals
@options.deviate
@options.backward
@click.option("--blank", metavar="LINE", multiple=True, help="Leave a line for students to fill in; may be repeated.")
@click.option(
    "--framework",
    type=click.Choice(["numpy", "torch"]),
    default="numpy",
    show_default=True,
    help="What .py and .ipynb are written in.",
)
@click.option("--key", is_flag=True, help="With --blank: write the solution too, to NAME-key.ENDING.")
def export(
    problem: str,
    outputs: tuple[str, ...],
    decimals: int,
    deviate: tuple[str, ...],
    backward: str | None,
    blank: tuple[str, ...],
    framework: Framework,
    key: bool,  # noqa: FBT001
) -> None:
    """Write a problem worked out to files.

    The ending of each file says what it becomes. LINE may hold *, which stands for anything: --blank "*" leaves all
    that is not given.
    """
    from clearhead.problems import read_problem
    from clearhead.show.export import Export

    if key and not blank:
        raise click.UsageError("--key goes with --blank: without blanks the file is its own key.")
    worked = read_problem(problem) if backward is None else read_problem(problem).with_gradients(backward)
    trace = worked.trace(*deviate)
    view = replace(view_of(worked, trace, decimals, deviate), framework=framework)
    made: list[Export] = []
    for path in map(Path, outputs):
        made.append(Export.of(trace, path, replace(view, blank=blank)))
        if key:
            made.append(Export.of(trace, path.with_stem(f"{path.stem}-key"), view))
    for each in made:
        each.write()
        wrote(each.path)


@command("clearhead plot soccer weights -o weights.png")
@options.problem
@click.argument("line", shell_complete=typed.complete_line)
@click.option("-o", "--output", type=click.Path(), required=True, help="A file that ends in .png, .svg or .pdf.")
@click.option("--kind", type=click.Choice(["heatmap", "entropy"]), default="heatmap", show_default=True)
@options.deviate
def plot(problem: str, line: str, output: str, kind: PlotKind, deviate: tuple[str, ...]) -> None:
    """Draw a line of a problem: heat maps of its heads, or how evenly each head spreads its weights.

    LINE is a line, such as weights, or one head of it, such as weights@2.
    """
    from clearhead.problems import read_problem
    from clearhead.show.plot.picture import save_plot

    save_plot(read_problem(problem).trace(*deviate), line, output, kind)
    wrote(output)


def view_of(problem: Problem, trace: Trace, decimals: int, deviate: tuple[str, ...]) -> View:
    """All of a problem: what it deviates by, what was claimed, and why that differs."""
    from clearhead.check import diagnose
    from clearhead.deviations import parse_deviation
    from clearhead.problems import format_problem
    from clearhead.show import View

    applied = (*map(str, problem.deviations), *deviate)
    found = None
    if problem.claims:
        found = diagnose(problem.claims, trace).document(title="Why they differ")
    return View(
        problem.title,
        problem.about,
        applied,
        decimals=decimals,
        claims=problem.claims,
        diagnosis=found,
        textbook=problem.textbook(),
        problem=format_problem(replace(problem, deviations=tuple(map(parse_deviation, applied)))),
    )
