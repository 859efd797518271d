"""Nested lists of a file as arrays, and as claims that keep their digits."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from clearhead.claim import Written
from clearhead.errors import ProblemError
from clearhead.problems.fault import part, quote
from clearhead.problems.toml import Digits, whole
from clearhead.written import DECIMAL, UNCLAIMED, canonical, value_of

Leaf = Callable[[Any, str], Any]

_MAX_AXES = 8
_MAX_DIGITS = 60


def read_array(value: Any, path: str) -> np.ndarray[Any, Any]:
    """The array of nested lists: float64, or bool if the first of its values is true or false.

    Raises:
        ProblemError: lists are empty or differ in length or depth, or a value is of another kind than the first.
    """
    if not isinstance(value, list):
        raise ProblemError(f"{path} expects lists of numbers, got {quote(value)}. Write it as [[1, 0], [0, 1]].")
    shape, first = _shape(value, path)
    if isinstance(first, bool):
        return np.array(_nested(value, shape, path, _boolean), dtype=np.bool_)
    return np.array(_nested(value, shape, path, _number), dtype=np.float64)


def read_written(value: Any, path: str, faults: list[str] | None = None) -> Written:
    """Nested lists of numbers as they were written, for a `Claim`; a single number is one too.

    Args:
        value: the lists.
        path: what they are called in errors.
        faults: where given, takes the message of each number that cannot be read, which is then not claimed.

    Raises:
        ProblemError: as `read_array`, or a text is no number that a claim can hold.
    """
    shape, _ = _shape(value, path)
    written: Written = _nested(value, shape, path, _digits if faults is None else partial(_legible, faults))
    return written


_SURE = re.compile(r"[+\-\u2212]?(0*,\d+|\d+,(\d{1,2}|\d{4,})) ?%?")
"""A number with a comma that cannot separate thousands."""

_DOUBTFUL = re.compile(r"([+\-\u2212]?\d+),(\d{3} ?%?)")
"""A number with a comma that may."""


def with_points(arrays: Sequence[Any]) -> list[Any]:
    """The nested lists of one writer; who has written one decimal comma that is beyond doubt has written no other.

    >>> with_points([[["0,893", "1,440"]], "2,288"]), with_points([["1,440"], ["0.5"]])
    ([[['0.893', '1.440']], '2.288'], [['1,440'], ['0.5']])
    """
    if not any(_SURE.fullmatch(text.strip()) for each in arrays for text in _texts(each, _MAX_AXES)):
        return list(arrays)
    return [_pointed(each, _MAX_AXES) for each in arrays]


def _texts(value: Any, depth: int) -> Iterator[str]:
    """The texts in lists that are nested at most so deep."""
    if isinstance(value, str):
        yield value
    for item in value if isinstance(value, list) and depth else ():
        yield from _texts(item, depth - 1)


def _pointed(value: Any, depth: int) -> Any:
    if isinstance(value, str) and (found := _DOUBTFUL.fullmatch(value.strip())):
        return ".".join(found.groups())
    return [_pointed(item, depth - 1) for item in value] if isinstance(value, list) and depth else value


def _legible(faults: list[str], value: Any, path: str) -> str:
    try:
        return _digits(value, path)
    except ProblemError as error:
        faults.append(str(error))
        return UNCLAIMED


def _shape(value: Any, path: str) -> tuple[tuple[int, ...], Any]:
    """The shape of nested lists, by their first items, and the first value."""
    shape: list[int] = []
    while isinstance(value, list):
        if not value:
            raise ProblemError(f"{path}{'[0]' * len(shape)} is an empty list. Give at least one number.")
        shape.append(len(value))
        value = value[0]
    if len(shape) > _MAX_AXES:
        raise ProblemError(f"{path} is nested {len(shape)} lists deep; no array has more than {_MAX_AXES} axes.")
    return tuple(shape), value


def _nested(value: Any, shape: tuple[int, ...], path: str, leaf: Leaf) -> Any:
    """The values of nested lists, each through ``leaf``, as nested tuples of this shape."""
    if not shape:
        if isinstance(value, list):
            raise ProblemError(f"{path} expects a number, as the first is, got {quote(value)}. Check the brackets.")
        return leaf(value, path)
    if not isinstance(value, list):
        raise ProblemError(f"{path} expects a list of {shape[0]}, as the first is, got {quote(value)}.")
    if len(value) != shape[0]:
        raise ProblemError(f"{path} expects {shape[0]} entries, as many as the first, got {len(value)}.")
    return tuple(_nested(item, shape[1:], f"{path}[{index}]", leaf) for index, item in enumerate(value))


def _boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise ProblemError(f"{path} expects true or false, as the first value is, got {quote(value)}.")
    return value


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ProblemError(f'{path} expects a number, got {quote(value)}. Write it as 0.5 or as "1/3".')
    if isinstance(value, str):
        with part(path):
            return _known(value)
    if isinstance(value, Digits):
        if math.isinf(value) and "inf" not in value.text:
            raise ProblemError(f"{path} expects a number below 1.8e308, got {quote(value)}. Write -inf if you mean it.")
        return float(value)
    return float(whole(int(value), path))


def _known(text: str) -> float:
    """The value of a number that is written as a text."""
    if math.isnan(number := value_of(text)):
        raise ProblemError(f"Every cell of a given array has a number; got {quote(text)}.")
    return number


def _digits(value: Any, path: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ProblemError(f"{path} expects a number, got {quote(value)}. Write ? in quotes where nothing is claimed.")
    if isinstance(value, str):
        text = value
    else:
        text = value.text if isinstance(value, Digits) else str(whole(int(value), path))
    if len(text) > _MAX_DIGITS:
        raise ProblemError(f"{path} expects at most {_MAX_DIGITS} characters, got {quote(value)}.")
    if DECIMAL.fullmatch(text):
        return text
    with part(path):
        return canonical(text)
