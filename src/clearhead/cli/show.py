"""Commands that show a trace: show, export, tour, plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from clearhead.cli import options, typed
from clearhead.cli.group import command
from clearhead.cli.output import in_colour, print_document, print_text, width, wrote

if TYPE_CHECKING:
    from clearhead.problems import Problem
    from clearhead.show import FormOfTrace, View
    from clearhead.show.export import Export
    from clearhead.show.plot.picture import PlotKind
    from clearhead.show.source.assignment import Grader
    from clearhead.show.view import Framework
    from clearhead.trace import Trace


@command("clearhead show soccer weights@2 --cell 1,3 --decimals 4")
@options.problem
@click.argument("line", shell_complete=typed.complete_line, required=False)
@click.option("--cell", metavar="I,J", callback=typed.cell, help="Show the arithmetic of one cell, counted from 1.")
@options.decimals
@options.deviate
@options.backward
@click.option("--exact", is_flag=True, help="Show fractions, roots and powers of e instead of decimals.")
@click.option("--as", "form", type=typed.FormName(), default="text", show_default=True)
def show(
    problem: str,
    line: str | None,
    cell: tuple[int, ...] | None,
    decimals: int,
    deviate: tuple[str, ...],
    backward: str | None,
    exact: bool,  # noqa: FBT001 - an option is passed by name
    form: FormOfTrace,
) -> None:
    """Show a problem computed: lines, formulas, numbers.

    PROBLEM is the name of a bundled problem or a file. LINE is a line, such as weights, or one head of it, such as
    weights@2.
    """
    from clearhead.problems import read_problem
    from clearhead.show import View, render

    if cell is not None and line is None:
        raise click.UsageError("--cell needs a LINE: clearhead show PROBLEM LINE --cell I,J.")
    worked = read_problem(problem) if backward is None else read_problem(problem).with_gradients(backward)
    trace = worked.trace(*deviate)
    applied = (*map(str, worked.deviations), *deviate)
    view = View(worked.title, "" if line else worked.about, applied, line, cell, decimals)
    if exact:
        if form == "json":
            raise click.UsageError("--exact is for people: text, markdown or latex.")
        from clearhead.show.exact import exact_document

        print_document(exact_document(trace, view), form)
        return
    print_text(render(trace, form, view, width=width(), colour=in_colour()))


@command("clearhead export soccer -o soccer.md -o soccer.json")
@options.problem
@options.outputs("A file")
@options.decimals
@options.deviate
@options.backward
@click.option("--blank", metavar="LINE", multiple=True, help="Leave a line blank for students; may be repeated.")
@click.option(
    "--framework",
    type=click.Choice(["numpy", "torch"]),
    default="numpy",
    show_default=True,
    help="The library of .py and .ipynb files.",
)
@click.option("--key", is_flag=True, help="With --blank: write the solution too, to NAME-key.ENDING.")
@click.option(
    "--autograde",
    type=click.Choice(["nbgrader", "otter"]),
    help="With --blank: an .ipynb whose cells grade each blank.",
)
def export(
    problem: str,
    outputs: tuple[str, ...],
    decimals: int,
    deviate: tuple[str, ...],
    backward: str | None,
    blank: tuple[str, ...],
    framework: Framework,
    key: bool,  # noqa: FBT001
    autograde: Grader | None,
) -> None:
    """Write a computed problem to files.

    The ending of each file says its kind. In LINE, * matches anything: --blank "*" leaves all computed
    lines blank.
    """
    from clearhead.problems import read_problem
    from clearhead.show.export import Export

    if key and not blank:
        raise click.UsageError("--key goes with --blank: without blanks the file is its own key.")
    worked = read_problem(problem) if backward is None else read_problem(problem).with_gradients(backward)
    trace = worked.trace(*deviate)
    view = replace(view_of(worked, trace, decimals, deviate), framework=framework)
    made: list[Export] = []
    if autograde is not None:
        made, outputs = [_assignment(worked, trace, view, path, blank, autograde) for path in outputs], ()
    for path in map(Path, outputs):
        made.append(Export.of(trace, path, replace(view, blank=blank)))
        if key:
            made.append(Export.of(trace, path.with_stem(f"{path.stem}-key"), view))
    for each in made:
        each.write()
        wrote(each.path)


def _assignment(worked: Problem, trace: Trace, view: View, path: str, blank: tuple[str, ...], grader: Grader) -> Export:
    """The notebook of an instructor, for a grader to make the students' of it."""
    from clearhead.problems import format_problem
    from clearhead.show.export import Export
    from clearhead.show.source.assignment import assignment

    if Path(path).suffix.lower() != ".ipynb":
        raise click.UsageError(f"--autograde makes a notebook; {path} does not end in .ipynb.")
    text = format_problem(replace(worked, claims=(), deviations=()))
    return Export(path, assignment(trace, replace(view, blank=blank), grader, text))


@command("clearhead tour soccer -o tour.html")
@options.problem
@options.outputs("A file that ends in .html or .pdf")
@options.decimals
@options.deviate
def tour(problem: str, outputs: tuple[str, ...], decimals: int, deviate: tuple[str, ...]) -> None:
    """Write a walk through a problem, step by step.

    Each step has a sentence, and the cells that matter are lit: one page to click through with a class, or slides as
    PDF. The arrow keys, or those of a presenter, go from step to step.
    """
    from clearhead.problems import read_problem
    from clearhead.show import View
    from clearhead.show.tour import save_tour

    worked = read_problem(problem)
    applied = (*map(str, worked.deviations), *deviate)
    view = View(worked.title, worked.about, applied, decimals=decimals, textbook=worked.textbook())
    trace = worked.trace(*deviate)
    for output in outputs:
        save_tour(trace, output, view)
        wrote(output)


@command("clearhead plot soccer weights -o weights.png")
@options.problem
@click.argument("line", shell_complete=typed.complete_line)
@options.outputs("A file that ends in .png, .svg or .pdf")
@click.option("--kind", type=click.Choice(["heatmap", "entropy"]), default="heatmap", show_default=True)
@options.deviate
def plot(problem: str, line: str, outputs: tuple[str, ...], kind: PlotKind, deviate: tuple[str, ...]) -> None:
    """Draw a line of a problem: heat maps of its heads, or the entropy of each head's weights.

    LINE is a line, such as weights, or one head of it, such as weights@2.
    """
    from clearhead.problems import read_problem
    from clearhead.show.plot.picture import save_plot

    trace = read_problem(problem).trace(*deviate)
    for output in outputs:
        save_plot(trace, line, output, kind)
        wrote(output)


def view_of(problem: Problem, trace: Trace, decimals: int, deviate: tuple[str, ...]) -> View:
    """All of a problem: its deviations, its claims, and why these differ."""
    from clearhead.check import diagnose
    from clearhead.deviations import parse_deviation
    from clearhead.problems import format_problem
    from clearhead.show import View

    applied = (*map(str, problem.deviations), *deviate)
    report = diagnose(problem.claims, trace) if problem.claims else None
    first = report.first if report and not report.line_by_line else None
    return View(
        problem.title,
        problem.about,
        applied,
        decimals=decimals,
        claims=(report.within if report else ()) or problem.claims,
        diagnosis=report.document(title=report.heading) if report else None,
        causes=first.finding.deviations if first else (),
        textbook=problem.textbook(),
        problem=format_problem(replace(problem, deviations=tuple(map(parse_deviation, applied)))),
    )
