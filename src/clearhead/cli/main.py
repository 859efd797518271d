"""The group of all commands. The module of each is imported when it is typed, or when the help of all is shown."""

from __future__ import annotations

import click

from clearhead import __version__
from clearhead.cli.group import Commands

COMMANDS = {
    "list": "problems",
    "show": "show",
    "check": "check",
    "grade": "grade",
    "deviations": "check",
    "export": "show",
    "tour": "show",
    "plot": "show",
    "serve": "serve",
    "new": "problems",
    "generate": "exercises",
    "trace": "models",
    "verify": "models",
    "inspect": "inspect",
    "corpus": "corpus",
    "completion": "completion",
}
"""The commands in the order in which a newcomer needs them, each with the module of ``clearhead.cli`` that has it."""


@click.group(cls=Commands, places=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="clearhead")
def main() -> None:
    """Transformer attention with all of its working shown.

    Start with `clearhead show soccer`.
    """
