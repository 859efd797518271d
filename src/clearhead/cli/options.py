"""Arguments and options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from clearhead.cli import typed


def outputs(what: str) -> Callable[[Any], Any]:
    """The option of the files to write, each ``what``."""
    words = f"{what}; may be repeated."
    return click.option("-o", "--output", "outputs", type=click.Path(), multiple=True, required=True, help=words)


problem = click.argument("problem", shell_complete=typed.complete_problem)

deviate = click.option(
    "--deviate",
    metavar="ID",
    multiple=True,
    shell_complete=typed.complete_deviation,
    help="Compute with a deviation; may be repeated.",
)

backward = click.option(
    "--backward",
    metavar="LINE",
    help="Compute gradients too: of the sum of LINE with respect to all given arrays.",
)

decimals = click.option(
    "--decimals", type=click.IntRange(0, 15), default=3, show_default=True, help="How many to show."
)

tokens = click.option(
    "--tokens",
    metavar="1,2,3",
    callback=typed.token_ids,
    help="The numbers of the tokens, instead of a text; needs no tokenizer.",
)

decoder = click.option(
    "--decoder",
    metavar="TEXT",
    help="What the decoder of an encoder-decoder has written so far; behind its start token.",
)

decoder_tokens = click.option(
    "--decoder-tokens", metavar="0,1,2", callback=typed.token_ids, help="The same as numbers, as they are."
)

family = click.option(
    "--family",
    "families",
    metavar="FILE.py",
    type=click.Path(exists=True, dir_okay=False),
    help="Try the tables of this file first. The file is run.",
)
