"""The command that makes shells complete what is typed."""

from __future__ import annotations

import click

from clearhead.cli.group import COMPLETION, PROGRAM, command
from clearhead.cli.output import print_text


@command('eval "$(clearhead completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that makes SHELL complete names.

    It completes commands, problems, their lines, and deviations.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - the choice above has click's own three
    print_text(kind(context.find_root().command, {}, PROGRAM, COMPLETION).source())
