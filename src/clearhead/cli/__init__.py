"""The command line. Nothing imports it."""

from clearhead.cli.commands import main

__all__ = ["main"]
