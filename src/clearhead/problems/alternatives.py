"""Fields of a spec that make an array unnecessary that is missing, or make use of one that is given."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from msgspec import Struct
from msgspec.structs import fields, replace

from clearhead.errors import ClearheadError
from clearhead.spec import Head, Loss, Mlp, Norm
from clearhead.working import Working

SIMPLEST: tuple[tuple[str, Any], ...] = (
    ("scale", 1.0), ("gain", False), ("bias", False), ("output", False), ("mask", None), ("padding", False),
    ("sink", False), ("cache", False), ("memory", False), ("projected", False), ("dropout", None), ("cross", None),
    ("tied", False), ("types", False), ("positions", None), ("loss", None), ("head", None), ("norm", None),
)  # fmt: skip
"""Fields, each with the value that needs the fewest arrays."""


RICHEST: tuple[tuple[str, Any], ...] = (
    ("mask", "boolean"), ("mask", "additive"), ("bias", ("query",)), ("bias", ("key",)), ("bias", ("value",)),
    ("bias", ("output",)), ("bias", True), ("gain", True), ("output", True), ("padding", True), ("sink", True),
    ("cache", True), ("memory", True), ("projected", True), ("dropout", 0.1), ("types", True), ("positions", True),
    ("tied", False), ("gated", True), ("norm", Norm()), ("loss", Loss()), ("head", Head()), ("mlp", Mlp()),
)  # fmt: skip
"""Fields, each with a value that needs one array more, or several."""

LEAVE_OUT = "leave out"


def alternatives(spec: Struct, heading: str, missing: set[str], needs: Callable[[Any], Working]) -> list[str]:
    """The fields that would make missing arrays unnecessary, as in a file.

    Args:
        spec: what is computed.
        heading: the heading of its table in the file.
        missing: the names of the arrays.
        needs: makes the working of another spec, entered where the problem enters it.

    Returns:
        The changes of one field that leave the fewest arrays missing, and fewer than now, each in words; before them,
        if none leaves no array missing, the last line that needs none of these.
    """
    found: dict[str, int] = {}
    for words, changed in _changes(spec, heading, SIMPLEST):
        try:
            left = missing & {given.name for given in needs(changed).givens}
        except ClearheadError:
            continue
        if left < missing:
            found[words] = len(left)
    fewest = min(found.values(), default=0)
    best = [words for words, left in found.items() if left == fewest]
    ending = _ending(needs(spec), missing) if fewest or not best else []
    return [*ending, *sorted(best, key=lambda words: words.startswith(LEAVE_OUT))]


def _ending(working: Working, missing: set[str]) -> list[str]:
    """The last line that can be computed without the missing arrays, in words; none with a backward pass."""
    if working.backward_of is not None:
        return []
    lacking, last = set(missing), ""
    for line in working.lines:
        if lacking.isdisjoint(line.operands):
            last = line.name
        else:
            lacking.add(line.name)
    return [f"write until = [{json.dumps(last)}] above the tables"] if last else []


def additions(spec: Struct, heading: str, given: set[str], needs: Callable[[Any], Working]) -> list[str]:
    """The changes of one field, in words, with which given arrays that have no use so far would have one."""
    found = []
    for words, changed in _changes(spec, heading, RICHEST):
        with suppress(ClearheadError):
            if given <= {each.name for each in needs(changed).givens}:
                found.append(words)
    return found


def _changes(spec: Any, heading: str, among: tuple[tuple[str, Any], ...]) -> Iterator[tuple[str, Any]]:
    """A spec with one field changed, anywhere in it, to a value among these, and the change in words."""
    own = {each.name: getattr(spec, each.name) for each in fields(spec)}
    for name, chosen in among:
        value = (*own[name], *chosen) if isinstance(chosen, tuple) and isinstance(own.get(name), tuple) else chosen
        if name in own and own[name] != value:
            try:
                changed = replace(spec, **{name: value})
            except ClearheadError:
                continue
            yield _said(name, value, heading), changed
    for name, value in own.items():
        path = f"{heading}.{name}"
        if isinstance(value, Struct):
            for words, changed in _changes(value, path, among):
                yield words, replace(spec, **{name: changed})
        elif isinstance(value, tuple) and value and isinstance(value[0], Struct):
            for at, item in enumerate(value):
                for words, changed in _changes(item, path, among):
                    yield words, replace(spec, **{name: (*value[:at], changed, *value[at + 1 :])})


def _said(name: str, value: Any, heading: str) -> str:
    if value is None:
        return f"{LEAVE_OUT} {name} below [{heading}]"
    if isinstance(value, Struct):
        return f"write a heading [{heading}.{name}]"
    return f"write {name} = {f'{value:g}' if isinstance(value, float) else json.dumps(value)} below [{heading}]"
