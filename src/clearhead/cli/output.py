"""What all commands print through: the terminal's width and whether it takes colour."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from clearhead.document import Document


def in_colour() -> bool:
    """Whether to write in colour: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def width() -> int:
    """The columns of the terminal."""
    return shutil.get_terminal_size().columns


def print_document(document: Document, form: str) -> None:
    """Prints a document as text, markdown or latex."""
    from clearhead.show import lower

    click.echo(lower(document, form, width=width(), colour=in_colour()), color=True)
