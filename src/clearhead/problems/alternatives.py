"""What a problem could state instead of giving an array: fields of its spec that make the array unnecessary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import fields, replace

from clearhead.errors import ClearheadError
from clearhead.working import Working

SIMPLEST: tuple[tuple[str, Any], ...] = (
    ("scale", 1.0), ("gain", False), ("bias", False), ("output", False), ("mask", None), ("padding", False),
    ("sink", False), ("cache", False), ("memory", False), ("projected", False), ("dropout", None), ("cross", None),
    ("tied", False), ("types", False), ("positions", None), ("loss", None), ("head", None), ("norm", None),
)  # fmt: skip
"""Fields, each with the value that needs the fewest arrays."""


LEAVE_OUT = "leave out"


def alternatives(spec: Struct, heading: str, missing: set[str], needs: Callable[[Any], Working]) -> list[str]:
    """The fields that would make missing arrays unnecessary, as in a file.

    Args:
        spec: what is computed.
        heading: the heading of its table in the file.
        missing: the names of the arrays.
        needs: makes the working of another spec, entered where the problem enters it.

    Returns:
        The changes of one field that leave the fewest arrays missing, and fewer than now, each in words.
    """
    found: dict[str, int] = {}
    for words, changed in _changes(spec, heading):
        try:
            left = missing & {given.name for given in needs(changed).givens}
        except ClearheadError:
            continue
        if left < missing:
            found[words] = len(left)
    fewest = min(found.values(), default=0)
    best = [words for words, left in found.items() if left == fewest]
    return sorted(best, key=lambda words: words.startswith(LEAVE_OUT))


def _changes(spec: Any, heading: str) -> Iterator[tuple[str, Any]]:
    """A spec with one field changed, anywhere in it, and the change in words."""
    own = {each.name: getattr(spec, each.name) for each in fields(spec)}
    for name, value in SIMPLEST:
        if name in own and own[name] != value:
            try:
                changed = replace(spec, **{name: value})
            except ClearheadError:
                continue
            yield _said(name, value, heading), changed
    for name, value in own.items():
        path = f"{heading}.{name}"
        if isinstance(value, Struct):
            for words, changed in _changes(value, path):
                yield words, replace(spec, **{name: changed})
        elif isinstance(value, tuple) and value and isinstance(value[0], Struct):
            for at, item in enumerate(value):
                for words, changed in _changes(item, path):
                    yield words, replace(spec, **{name: (*value[:at], changed, *value[at + 1 :])})


def _said(name: str, value: Any, heading: str) -> str:
    if value is None:
        return f"{LEAVE_OUT} {name} below [{heading}]"
    written = str(value).lower() if isinstance(value, bool) else f"{value:g}"
    return f"write {name} = {written} below [{heading}]"
