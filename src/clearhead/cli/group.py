"""The group of commands: in a fixed order, with a message for every error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from clearhead.cli.ending import exit_code, open_standard_streams
from clearhead.errors import suggest

PROGRAM, COMPLETION = "clearhead", "_CLEARHEAD_COMPLETE"
"""The name of the command, and the variable by which a shell requests completions."""


class Commands(click.Group):
    """A group of commands in a fixed order, which prints errors as messages."""

    def __init__(self, *args: Any, places: Mapping[str, str], **extra: Any) -> None:
        """``places``: the commands, each with the module of this folder that has a function of its name."""
        super().__init__(*args, **extra)
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands in the order in which a newcomer needs them."""
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of a name, whose module is imported now."""
        if cmd_name not in self.places:
            return None
        found: click.Command = getattr(import_module(f"clearhead.cli.{self.places[cmd_name]}"), cmd_name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was typed; an unknown one is answered with the closest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(f"{error.message} {suggest(args[0], self.places)}", ctx) from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's signature
        **extra: Any,
    ) -> Any:
        """Runs the command that was typed, and exits with its code; with ``standalone_mode=False`` as click does it.

        Click's own way to exit gives 1, which means here that numbers differ, to an interrupt and to a closed pipe.
        """
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode, **extra)
        typed = sys.argv[1:] if args is None else list(args)
        open_standard_streams()
        sys.exit(exit_code(lambda: self._run(typed), typed))

    def _run(self, typed: list[str]) -> int:
        if instruction := os.environ.get(COMPLETION):
            from click.shell_completion import shell_complete

            return shell_complete(self, {}, PROGRAM, COMPLETION, instruction)
        try:
            with self.make_context(PROGRAM, list(typed)) as context:
                self.invoke(context)
        except click.exceptions.Exit as end:
            return end.exit_code
        return 0


class _Command(click.Command):
    """A command; one that only prints says which command writes files."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name not in ("-o", "--output"):
                raise
            instead = f"{self.name} prints. To write files, use: clearhead export PROBLEM -o FILE."
            raise click.UsageError(f"{error.format_message()} {instead}", ctx) from None


def command(example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command whose help ends with an example."""
    return click.command(
        cls=_Command, epilog=f"Example: {example}", context_settings={"help_option_names": ["-h", "--help"]}
    )
