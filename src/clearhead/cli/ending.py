"""How a command ends: with an exit code and at most one message, whatever was raised."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import click

from clearhead.errors import ClearheadError, visible

DISAGREE, BAD_INPUT, BUG, INTERRUPTED = 1, 2, 3, 130

TRACEBACK = "CLEARHEAD_TRACEBACK"
"""Set this variable to see the traceback of an unexpected error."""

MAX_TYPED, MAX_SAID = 200, 500


def exit_code(run: Callable[[], int], typed: Sequence[str]) -> int:
    """Runs a command and returns its exit code; an error is printed as a message that names what was typed."""
    try:
        code = run()
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()  # the reader of the output has closed it, as `head` does
        return 0
    except ClearheadError as error:
        return _failed(str(error), BAD_INPUT)
    except click.ClickException as error:
        return _misused(error)
    except OSError as error:
        _discard_output()
        return _failed(f"{visible(str(error.filename or _shown(typed)))}: {error.strerror or error}.", BAD_INPUT)
    except SystemExit:
        raise
    except BaseException as error:
        return _unexpected(error, typed)
    return code


def _unexpected(error: BaseException, typed: Sequence[str]) -> int:
    """Errors of a library: too little memory and a panic come from the input, all others are faults of clearhead."""
    if os.environ.get(TRACEBACK):
        raise error
    said = f"{type(error).__name__}: {visible(str(error)[:MAX_SAID])}"
    if isinstance(error, MemoryError):
        return _failed(f"{_shown(typed)}: there is not enough memory for this. Use less input.", BAD_INPUT)
    if not isinstance(error, Exception):
        return _failed(f"{_shown(typed)}: a library failed on this input: {said}", BAD_INPUT)
    return _failed(
        f"This is a fault in clearhead, not in what you typed: {said}\n"
        f"It was raised by: {_shown(typed)}\n"
        f"Set {TRACEBACK}=1 and run it again to see where, and please report it.",
        BUG,
    )


def _misused(error: click.ClickException) -> int:
    """A usage error, in click's words."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        _print(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n")
    # click writes lists of choices as lines; what was typed stays text.
    _print("\n".join(visible(line.expandtabs()) for line in f"Error: {error.format_message()}".splitlines()))
    return BAD_INPUT


def _shown(typed: Sequence[str]) -> str:
    return visible(shlex.join(["clearhead", *typed])[:MAX_TYPED])


def _failed(message: str, code: int) -> int:
    _print(f"clearhead: {message}")
    return code


def _print(message: str) -> None:
    """Prints an error, unless nobody can read it."""
    with suppress(OSError, ValueError):
        click.echo(message, err=True)


def _discard_output() -> None:
    """Discards what is still to be printed, or Python would report an error again when it exits."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_standard_streams() -> None:
    """Replaces standard streams that are closed, and makes all of them accept every character.

    Names of tokens may hold what the terminal's encoding lacks, and the first file that is opened must not become
    standard output.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - standard streams stay open
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
