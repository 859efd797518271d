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

backward = click.option(
    "--backward",
    metavar="LINE",
    help="Work out the gradients too, of the sum of the numbers of LINE with respect to all that is given.",
)

decimals = click.option(
    "--decimals", type=click.IntRange(0, 15), default=3, show_default=True, help="How many to show."
)

tokens = click.option(
    "--tokens",
    metavar="1,2,3",
    callback=typed.token_ids,
    help="The numbers of the tokens, in the place of a text; needs no tokenizer.",
)

family = click.option(
    "--family",
    "families",
    metavar="FILE.py",
    type=click.Path(exists=True, dir_okay=False),
    help="Try the tables of this file first. The file is run.",
)
