"""The group of all commands. Each imports what it needs when it runs, so that help and completion start at once."""

from __future__ import annotations

import click

from clearhead import __version__
from clearhead.cli import check, corpus, exercises, grade, inspect, models, problems, serve, show
from clearhead.cli.group import COMPLETION, PROGRAM, Commands, command
from clearhead.cli.output import print_text


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="clearhead")
def main() -> None:
    """Transformer attention with all of its working shown.

    Start with `clearhead show soccer`.
    """


@command('eval "$(clearhead completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that makes SHELL complete names.

    It completes commands, problems, their lines, and deviations.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - the choice above has click's own three
    print_text(kind(main, {}, PROGRAM, COMPLETION).source())


COMMANDS = (
    problems.list,
    show.show,
    check.check,
    grade.grade,
    check.deviations,
    show.export,
    show.tour,
    show.plot,
    serve.serve,
    problems.new,
    exercises.generate,
    models.trace,
    models.verify,
    inspect.inspect,
    corpus.corpus,
    completion,
)
"""In the order in which a newcomer needs them."""

for each in COMMANDS:
    main.add_command(each)
