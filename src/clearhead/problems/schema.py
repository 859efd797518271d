"""The keys of a problem file and their types, and msgspec's errors in plain words."""

from __future__ import annotations

import re
from contextlib import suppress
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields

from clearhead.budgets import MAX_CLAIMS, MAX_DEVIATIONS
from clearhead.claim import MAX_DECIMALS
from clearhead.errors import ProblemError, suggest
from clearhead.problems.fault import join, quote
from clearhead.spec import Attention, Backward, Block, Positions, Transformer
from clearhead.spec.fields import meant_by, words_of
from clearhead.written import value_of

FORMAT = 1
"""The version of the format that this clearhead reads and writes."""

Name = Annotated[str, Meta(max_length=200)]
"""The name of a line or a deviation in a file."""


class ClaimTable(Struct, frozen=True, forbid_unknown_fields=True):
    """One ``[[claims]]``."""

    line: Name
    values: Any
    cell: tuple[Annotated[int, Meta(ge=1, le=10**9)], ...] | None = None
    decimals: Annotated[int, Meta(ge=0, le=MAX_DECIMALS)] | None = None


class ClaimsFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of claims alone."""

    format: int
    claims: Annotated[tuple[ClaimTable, ...], Meta(min_length=1, max_length=MAX_CLAIMS)]


class ProblemFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole problem, its numbers still nested lists."""

    format: int
    title: str
    about: str = ""
    tokens: tuple[str, ...] = ()
    key_tokens: tuple[str, ...] = ()
    deviations: Annotated[tuple[Name, ...], Meta(max_length=MAX_DEVIATIONS)] = ()
    given: tuple[Name, ...] = ()
    until: tuple[Name, ...] = ()
    attention: Attention | None = None
    block: Block | None = None
    model: Transformer | None = None
    positions: Positions | None = None
    backward: Backward | None = None
    arrays: dict[str, Any]
    claims: Annotated[tuple[ClaimTable, ...], Meta(max_length=MAX_CLAIMS)] = ()


File = TypeVar("File", ClaimsFile, ProblemFile)
Steps = tuple[str | int, ...]

_WORDS = {
    "str": ("a text", "Put it in quotes."),
    "int": ("a whole number", "Write it with digits alone, without quotes or a decimal point."),
    "float": ("a number", "Write it with digits and without quotes."),
    "bool": ("true or false", "Write it in small letters and without quotes."),
    "array": ("a list", "Put it in square brackets, with commas between the entries."),
    "object": ("a table", "Give it a heading in brackets, with its keys below, a line each."),
}
"""The name of each type, and how it is written."""


def check_format(tables: dict[str, Any]) -> None:
    """Checks that the file has a version that can be read.

    Raises:
        ProblemError: ``format`` is missing, or another number.
    """
    if "format" not in tables:
        raise ProblemError(f"format is missing. Write format = {FORMAT} as the first line.")
    version = tables["format"]
    if type(version) is not int or version != FORMAT:
        raise ProblemError(
            f"format expects {FORMAT}, got {quote(version)}. Write format = {FORMAT}; "
            f"a file of a later format needs a newer clearhead."
        )


def convert(tables: dict[str, Any], file: type[File]) -> File:
    """Tables as a `ProblemFile` or `ClaimsFile`.

    Raises:
        ProblemError: a key is unknown, missing, of the wrong type or contradicts another.
    """
    try:
        return msgspec.convert(tables, file)
    except msgspec.ValidationError as error:
        raise ProblemError(_explain(str(error), tables, file)) from None


_PLACED = re.compile(r"(?P<says>.*?)(?: - at `\$(?P<path>[\w.\[\]]*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_EXPECTED = re.compile(r"Expected `([\w |]+)`(.*?)(?:, got .*)?")


def _explain(message: str, tables: dict[str, Any], file: type[Struct]) -> str:
    """A message of msgspec, with the place in plain words, the value, and what to do."""
    placed = _PLACED.fullmatch(message)
    says, path = (placed["says"], placed["path"] or "") if placed else (message, "")
    steps: Steps = tuple(int(index) if index else name for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path))
    where = path.removeprefix(".")
    if found := _UNKNOWN.fullmatch(says):
        return _unknown(found[1], where, _type_at(file, steps), file, _value_at(tables, (*steps, found[1])))
    if found := _MISSING.fullmatch(says):
        return f"{join(where, found[1])} is missing. {_MISSING_REMEDIES.get(found[1], 'Write it down.')}"
    value = _value_at(tables, steps)
    came = quote(value)
    if found := _EXPECTED.fullmatch(says):
        if get_origin(kind := _type_at(file, steps)) is Literal:
            return f"{where} expects {words_of(kind)}, got {came}."
        words = [_WORDS.get(each, (each, "")) for each in found[1].split(" | ") if each != "null"]
        called, remedy = " or ".join(called for called, _ in words), _remedy(value, where, words[0][1])
        if found[2]:  # a limit
            remedy = "Cells are counted from 1." if ".cell[" in where else ""
        return f"{where} expects {called}{found[2]}, got {came}. {remedy}".rstrip()
    if says.startswith("Invalid enum value"):
        expects = f"{where} expects {' or '.join(map(str, get_args(_type_at(file, steps))))}, got {came}."
        return f"{expects} {meant_by(_value_at(tables, steps))}".rstrip()
    return f"{where}: {says}"


def _remedy(value: Any, where: str, remedy: str) -> str:
    """How a value of another type is written at its place, more exactly than by its type alone if possible."""
    if isinstance(value, str) and "without quotes" in remedy:
        with suppress(ProblemError):
            written = repr(value_of(value)).removesuffix(".0")
            return f"Write it as {written}." if remedy is _WORDS["float"][1] or written.isdigit() else remedy
    if remedy is _WORDS["array"][1] and isinstance(value, dict):
        return f"Write its heading with two brackets: [[{where}]]."
    return f"Write a heading [{where}], with its keys below, a line each." if remedy is _WORDS["object"][1] else remedy


ALL_FIELDS = "docs/reference/fields.md has all fields."

_MISSING_REMEDIES = {
    "title": 'Write title = "..." near the top.',
    "arrays": "Write the given numbers below a heading [arrays].",
    "heads": "Write heads = 1 for a single head.",
    "attention": "Write a heading [block.attention] with heads below it.",
    "line": 'Name the line, as in line = "weights@2".',
    "values": "Give the numbers, as in values = [[0.5, 0.5]].",
    "claims": "Write each claim below a heading [[claims]].",
}


def _unknown(key: str, where: str, owner: Any, file: type[Struct], value: Any) -> str:
    known = [field.name for field in fields(owner)]
    if where and isinstance(value, list) and value and isinstance(value[0], list):
        remedy = f"Given numbers stand below a heading [arrays]: is it missing above {key}?"
    elif where and key in {field.name for field in fields(file)}:
        remedy = f"{key} stands at the top of the file: move it above the first heading in brackets."
    else:
        remedy = suggest(key[:100], known)
        if where:
            remedy += f" {ALL_FIELDS}"
    return f"{where or 'the file'} has no key {quote(key)}. {remedy}"


def _type_at(file: type[Struct], steps: Steps) -> Any:
    """The type that the file has at a path, without ``| None``."""
    here: Any = file
    for step in steps:
        if isinstance(step, int):
            here = get_args(here)[0]
        else:
            here = next(field.type for field in fields(here) if field.name == step)
        here = _bare(here)
    return here


def _bare(kind: Any) -> Any:
    """A type without its limits of length, and without None."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return _bare(next(arg for arg in get_args(kind) if arg is not type(None)))
    return kind


def _value_at(tables: Any, steps: Steps) -> Any:
    for step in steps:
        tables = tables[step]
    return tables
