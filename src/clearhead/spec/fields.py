"""The fields of a spec, checked against their annotated types."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import astuple, fields, force_setattr

from clearhead.errors import SpecError

if TYPE_CHECKING:
    from msgspec.inspect import Type


class Spec(Struct, frozen=True, forbid_unknown_fields=True):
    """The base of every spec: its fields have their annotated types.

    Raises:
        SpecError: a value is of another type; the message names the field and what it expects.
    """

    def __post_init__(self) -> None:
        _convert_fields(self)


def _convert_fields(spec: Struct) -> None:
    """Converts every field of a new struct to its annotated type: a list to a tuple, a whole number to a float."""
    given = tuple(_plain(value) for value in astuple(spec))
    try:
        values = msgspec.convert(given, _types(type(spec)))
    except _MISFITS:
        raise SpecError(_message(type(spec), given)) from None
    for name, value in zip(spec.__struct_fields__, values, strict=True):
        if isinstance(value, (int, float)) and not abs(value) <= (MAX_COUNT if isinstance(value, int) else MAX_NUMBER):
            raise SpecError(f"{type(spec).__name__} {name} expects a finite number, got {value!r:.40}.")
        force_setattr(spec, name, value)


def check_rate(owner: str, rate: float) -> None:
    """Checks that a rate of dropout leaves something.

    Raises:
        SpecError: it is not at least 0 and below 1.
    """
    if not 0 <= rate < 1:
        raise SpecError(f"{owner} dropout expects a rate from 0 to below 1, got {rate}. Leave it out for none.")


MAX_COUNT, MAX_NUMBER = 2**31 - 1, sys.float_info.max
"""The largest whole number and the largest number of a spec: what counts or scales is finite."""

_MISFITS = (msgspec.ValidationError, OverflowError, UnicodeEncodeError)
"""What msgspec raises for another type, a number beyond float64, and half a character."""


@lru_cache(maxsize=64)
def _types(kind: type[Struct]) -> Any:
    """The types of all fields, as that of a tuple."""
    return tuple[tuple(field.type for field in fields(kind))]  # type: ignore[misc]  # known at run time only


_GATED = {"swiglu": "silu", "geglu": "gelu", "reglu": "relu"}


def meant_by(value: object) -> str:
    """What to write for a name that people use for an activation and a gate together; empty for any other value."""
    name = value.lower() if isinstance(value, str) else ""
    if name in ("swish", "gelu_new", "gelu_pytorch_tanh"):
        return f'Write "{"silu" if name == "swish" else "gelu-tanh"}".'
    return f'Write activation = "{_GATED[name]}" with gated = true.' if name in _GATED else ""


def _plain(value: Any) -> Any:
    """A number of NumPy or another array library as Python's own."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def _message(kind: type[Struct], values: tuple[Any, ...]) -> str:
    """What the first field of another type expects, and what it got."""
    for field, value in zip(fields(kind), values, strict=True):
        try:
            msgspec.convert(value, field.type)
        except _MISFITS:
            expects = f"{kind.__name__} {field.name} expects {words_of(field.type)}, got {repr(value)[:200]}."
            return f"{expects} {meant_by(value)}".rstrip()
    raise AssertionError("one of the fields must be of another type")


def words_of(kind: Any) -> str:
    """What a type expects, in words."""
    from msgspec import inspect

    def words(kind: Type) -> list[str]:
        match kind:
            case inspect.UnionType(types):
                return [each for member in types for each in words(member)]
            case inspect.LiteralType(values):
                return [repr(value) for value in values]
            case inspect.StructType(cls):
                return [f"{cls.__name__}(...)"]
            case inspect.VarTupleType(item):
                return [f"a tuple of ({_either(words(item))})"]
            case inspect.TupleType(items):
                return [f"a tuple of {len(items)}: {', '.join(_either(words(item)) for item in items)}"]
            case inspect.FloatType(gt=0) | inspect.IntType(gt=0):
                return [f"{_WORDS[type(kind).__name__]} above 0"]
            case _:
                return [_WORDS[type(kind).__name__]]

    return _either(words(inspect.type_info(kind)))


_WORDS = {
    "BoolType": "True or False",
    "FloatType": "a number",
    "IntType": "a whole number",
    "NoneType": "None",
    "StrType": "a text",
}


def _either(words: list[str]) -> str:
    """``a, b or c``."""
    *rest, last = words
    return f"{', '.join(rest)} or {last}" if rest else last
