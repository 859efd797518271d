"""Arguments and options that several commands take."""

from __future__ import annotations

import click

from clearhead.cli import typed

problem = click.argument("problem", shell_complete=typed.complete_problem)

deviate = click.option(
    "--deviate",
    metavar="ID",
    multiple=True,
    shell_complete=typed.complete_deviation,
    help="Work it out with a deviation; may be repeated.",
)

decimals = click.option(
    "--decimals", type=click.IntRange(0, 15), default=3, show_default=True, help="How many to show."
)
