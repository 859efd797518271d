"""Optional packages, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from clearhead.errors import MissingPackage


def need(module: str, extra: str) -> Any:
    """A module of an optional package, which ``pip install 'clearhead[extra]'`` installs.

    Raises:
        MissingPackage: it is not installed; the message has the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or module.partition(".")[0] != error.name.partition(".")[0]:
            raise
        raise MissingPackage(
            f"This needs {error.name}, which is not installed. Run: pip install 'clearhead[{extra}]'"
        ) from None
