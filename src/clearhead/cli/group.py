"""How commands end: with an exit code, and never with a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import click

from clearhead.errors import ClearheadError, suggest

DISAGREE, BAD_INPUT, BUG, INTERRUPTED = 1, 2, 3, 130

TRACEBACK = "CLEARHEAD_TRACEBACK"
"""Set this variable to see the traceback of an unexpected error."""


class Commands(click.Group):
    """A group of commands in the order they are written, whose errors are told in words."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands in the order in which a newcomer needs them."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was typed; an unknown one is answered with the closest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(f"{error.message} {suggest(args[0], self.commands)}", ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; an error becomes a message and an exit code."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except ClearheadError as error:
            _fail(str(error), BAD_INPUT)
        except BrokenPipeError:
            # Whoever read the output has left, as `head` does. Python would complain once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from None
        except OSError as error:
            _fail(f"{error.filename or 'The system'}: {error.strerror or error}.", BAD_INPUT)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if os.environ.get(TRACEBACK):
                raise
            _fail(
                f"This is a fault in clearhead, not in what you typed: {type(error).__name__}: {error}\n"
                f"Set {TRACEBACK}=1 and run it again to see where, and please report it.",
                BUG,
            )
        return result


def _fail(message: str, code: int) -> None:
    click.echo(f"clearhead: {message}", err=True)
    raise click.exceptions.Exit(code)


def command(example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command whose help ends with an example."""
    return click.command(epilog=f"Example: {example}", context_settings={"help_option_names": ["-h", "--help"]})
