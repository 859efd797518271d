"""The output of all commands. Names from files are escaped before they reach a terminal.

Only this module and `clearhead.cli.ending` call ``click.echo``; a test holds it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from clearhead.errors import visible
from clearhead.files import STANDARD_OUTPUT

if TYPE_CHECKING:
    from clearhead.document import Document
    from clearhead.show import Form

DEFAULT_WIDTH = 80


def in_colour() -> bool:
    """Whether to write in colour: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def width() -> int:
    """The columns of the terminal, or the value of COLUMNS; 80 where neither is known.

    ``shutil.get_terminal_size`` does the same, but importing it loads every compression of Python's.
    """
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1).columns or DEFAULT_WIDTH
    except (OSError, ValueError):
        return DEFAULT_WIDTH


def say(line: str = "", *, err: bool = False) -> None:
    """Prints a line, with control characters escaped."""
    click.echo(visible(line), err=err)


def wrote(path: object) -> None:
    """Says which file was written, unless that is standard output."""
    if str(path) != STANDARD_OUTPUT:
        say(f"Wrote {path}")


def print_text(text: str) -> None:
    """Prints a text whose control characters and colours are our own."""
    click.echo(text, color=True, nl=not text.endswith("\n"))


def print_json(data: Any) -> None:
    """Prints data as JSON."""
    from clearhead.show import as_json

    print_text(as_json(data))


def print_document(document: Document, form: Form) -> None:
    """Prints a document as text, markdown or latex."""
    from clearhead.show import lower

    print_text(lower(document, form, width=width(), colour=in_colour()))
