"""Groups of documents: their names, and the labels under which their numbers are kept."""

from __future__ import annotations

import hashlib

import msgspec

MAX_GROUP = 200
"""Letters of a group's name; what is longer ends with a hash of all of it."""


def group_name(value: object) -> str | None:
    """The name of the group that a column's value stands for; None for null and NaN, a missing number in a table."""
    if value is None or value != value:
        return None
    name = str(value)
    if len(name) <= MAX_GROUP:
        return name
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{name[: MAX_GROUP - len(digest) - 3]}...{digest}"


def as_label(group: str | None) -> str:
    """The label of a group, as JSON, so that no name is that of documents without a group."""
    return msgspec.json.encode(group).decode()


def group_of(label: str) -> str | None:
    """The group that a label stands for."""
    return msgspec.json.decode(label, type=str | None)
