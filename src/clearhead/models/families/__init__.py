"""The tables of families: every `Family` that a module of this folder defines under a public name.

To add one, copy the nearest into a new module and read `clearhead.models.family.Family`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from clearhead.models.family import Family


def _tables() -> dict[str, Family]:
    """All tables by their names; one that a module imports from another is the same table."""
    modules = (import_module(f"{__name__}.{each.name}") for each in sorted(iter_modules(__path__)))
    public = (value for module in modules for name, value in vars(module).items() if not name.startswith("_"))
    return {value.name: value for value in public if isinstance(value, Family)}


FAMILIES: tuple[Family, ...] = tuple(_tables().values())
"""All families that are known."""
