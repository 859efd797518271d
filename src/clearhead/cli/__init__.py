"""The command line. Nothing imports it."""

from clearhead.cli.main import main

__all__ = ["main"]
