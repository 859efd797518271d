"""Commands that compare numbers with the working: check, deviations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clearhead.cli import options, typed
from clearhead.cli.ending import DISAGREE
from clearhead.cli.group import command
from clearhead.cli.output import print_document, print_json, print_text, say, width

if TYPE_CHECKING:
    from clearhead.claim import Claim
    from clearhead.problems import Problem
    from clearhead.show import FormOfTrace


@command("clearhead check soccer")
@options.problem
@click.option(
    "--claims", type=click.Path(), help="Take the claims from this file (TOML, JSON, CSV, npz, xlsx, ipynb, py)."
)
@options.deviate
@click.option("--diagnose/--no-diagnose", default=True, help="Say why they differ, or only where.  [default: say why]")
@click.option("--more", is_flag=True, help="Show all: every line, formula, alternative, and data that would decide.")
@click.option("--hints", is_flag=True, help="Only say where to look and what kind of mistake it is, without a number.")
@click.option("--as", "form", type=typed.FormName(), default="text")
def check(
    problem: str,
    claims: str | None,
    deviate: tuple[str, ...],
    diagnose: bool,  # noqa: FBT001 - an option is passed by name
    more: bool,  # noqa: FBT001 - an option is passed by name
    hints: bool,  # noqa: FBT001 - an option is passed by name
    form: FormOfTrace,
) -> None:
    """Compare the claims of a problem with its working, and say why they differ.

    The verdict comes first, with the smallest set of deviations that would give the claimed numbers; then what is
    claimed and what is expected, what to change, and how sure this is. --more shows the rest. Numbers are compared
    at the precision they were written in: 2.425 has three decimals. The exit code is 0 if all agree or are right in
    another precision (as float32 gives, or as the digits of the given arrays allow), 1 if not, 2 if the input is bad.
    """
    from clearhead.check import compare, data_of, document_of
    from clearhead.check import diagnose as why
    from clearhead.check.report.hints import hints as hints_of
    from clearhead.problems import read_problem

    worked = read_problem(problem)
    claimed = _claimed(claims, worked) if claims else worked.claims
    trace = worked.trace(*deviate)
    found = compare(claimed, trace)
    report = why(claimed, trace) if diagnose and not found.agrees else None
    if report is not None and report.within:
        found = compare(report.within, trace)
    if hints:
        if form == "json":
            raise click.UsageError("--hints are sentences: leave --as json out.")
        known = report.findings[0].deviations if report is not None and report.findings else ()
        print_document(hints_of(claimed, trace, known, title=worked.title), form)
    elif form == "json":
        data = data_of(found, title=worked.title)
        print_json(data if report is None else {**data, "diagnosis": report.data()})
    else:
        if report is None:
            print_document(document_of(found, title=worked.title), form)
        elif not more or found.agrees:
            print_document(report.summary(title=worked.title), form)
            if form == "text" and not more and not found.agrees:
                say()
                say("--more shows the formulas, what agrees, and what cannot be seen on this data.")
        else:
            # Where they differ; the evidence for a cause is shown with the cause, below.
            print_document(document_of(found, title=worked.title, max_lines=1), form)
            say()
            print_document(report.document(title=report.heading), form)
    raise click.exceptions.Exit(0 if found.agrees else DISAGREE)


def _claimed(path: str, worked: Problem) -> tuple[Claim, ...]:
    """The claims in a file: a file of claims, a problem, or a submission."""
    from clearhead.problems import read_claims
    from clearhead.problems.submissions import read_submission

    if path.lower().endswith(".toml") or not Path(path).suffix:
        return read_claims(path)
    return read_submission(Path(path), worked.trace())


@command("clearhead deviations softmax-over-queries")
@click.argument("id", shell_complete=typed.complete_deviation, required=False)
def deviations(id: str | None) -> None:
    """List the deviations, or show all about one.

    A deviation is a known way to get other numbers: a mistake, a convention that others follow, or rounding. --deviate
    applies one, and check searches for them.
    """
    from clearhead.deviations import deviation
    from clearhead.deviations.table import GROUPS

    if id is None:
        for group, rows in GROUPS.items():
            say()
            say(group)
            for each in rows:
                say(f"  {each.id:<34}{each.kind}")
        return
    each = deviation(id)
    known = [("", f"{each.id} ({each.kind})"), ("", each.does), ("Cannot be seen: ", each.invisible)]
    known += [("To fix it: ", each.remedy), ("Seen: ", each.seen)]
    known += [(f"Parameter {each.name}: ", f"{each.about}.") for each in each.parameters]
    for lead, text in known:
        print_text(click.wrap_text(lead + text, width(), subsequent_indent="  " if lead else ""))
