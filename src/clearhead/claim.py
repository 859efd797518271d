"""Claims: numbers that somebody got, and the precision in which they were written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import cached_property, lru_cache
from typing import Any, Union

import numpy as np
from msgspec.structs import force_setattr, replace

from clearhead.axes import Axes, Shape, describe
from clearhead.brief import Brief
from clearhead.errors import ProblemError, WrongType
from clearhead.trace import to_numpy
from clearhead.written import DECIMAL, UNCLAIMED, canonical, is_exact, value_of

Written = Union[str, tuple["Written", ...]]
"""Numbers as they were written, nested like the array they claim."""


EXACT = 1e-12
"""The relative tolerance of a claim that was written as a fraction."""

_ROUNDING = 1e-9
"""The slack of a claim at the edge of its tolerance, as a part of the tolerance."""

_LAST_BITS = 4 * float(np.finfo(np.float64).eps)
"""By how much of itself, or of 1, a number may always be off."""

MAX_DECIMALS = 20
"""The most decimals that a claim may state: more than any number of a type has."""

_MIN_SIGNIFICANT = 3
"""Without exponents, fewer significant digits than these do not show a style of printing."""

_NARROW = ("float32", "float16", "bfloat16")
"""The types of arrays that hold fewer digits than float64."""

Slack = Union[float, tuple["Slack", ...]]
"""Distances, nested like the numbers they belong to; one number holds for all."""


_DIGITS = {2: 2, 4: 4, 8: 9}
"""The digits to which computed numbers are compared, by the bytes of their type: half, single, double."""


class Misfit(ProblemError):
    """A claim whose ``key`` (cell or values) does not fit its line; the message continues after the key."""

    def __init__(self, key: str, says: str) -> None:
        super().__init__(f"claim.{key}{says}")
        self.key = key
        self.says = says


class Claim(Brief, frozen=True, dict=True):
    """Numbers that somebody got for a line, for one head of it (``"weights@2"``), or for one cell.

    Attributes:
        line: the line, by any unambiguous ending of its path, perhaps with a head.
        written: the numbers as they were written, nested tuples like the array: ``"2.425"``, ``"1e-3"``, ``"7/6"``,
            ``"sqrt(2)/2"``, ``"nan"``, ``"-inf"``; ``"?"`` where nothing is claimed. Percent, decimal commas and
            typographic signs are kept in plain characters (`clearhead.written`).
        cell: the one cell that is claimed, labelled as the problem labels cells; None for the whole array.
        decimals: the precision, where it differs from that of the written numbers.
        dtype: the type of the array they come from, where it holds fewer digits than float64: ``"float32"``,
            ``"float16"`` or ``"bfloat16"``.
        slack: the tolerance of each number in addition to its rounding, because of the numbers it was computed
            from.
    """

    line: str
    written: Written
    cell: tuple[int, ...] | None = None
    decimals: int | None = None
    dtype: str | None = None
    slack: Slack = 0.0

    def __post_init__(self) -> None:
        shape_of(self.written)
        if self.decimals is not None and (type(self.decimals) is not int or not 0 <= self.decimals <= MAX_DECIMALS):
            raise ProblemError(f"decimals expects a whole number, 0 to {MAX_DECIMALS}, got {self.decimals!r}.")
        force_setattr(self, "written", _nested_text(self.written))

    @classmethod
    def of(cls, line: str, numbers: Any, *, decimals: int | None = None) -> Claim:
        """A claim of numbers held in nested lists or an array of any library.

        Args:
            line: the line, perhaps with a head: ``"weights@2"``.
            numbers: the numbers, in the shape of the line.
            decimals: how many count; None for every digit of the array's type.

        Raises:
            WrongType: they are no real numbers, or rows are not equally long.
            ProblemError: there are no numbers, or ``decimals`` is no whole number from 0 on.
        """
        array, dtype = _held(numbers)
        return cls(line, _write(array, dtype), decimals=decimals, dtype=dtype)

    @classmethod
    def computed(
        cls, line: str, numbers: Any, *, cell: tuple[int, ...] | None = None, decimals: int | None = None
    ) -> Claim:
        """A claim of numbers that code gave: with the precision of their type after several sums.

        Args:
            line: the line, with or without a head.
            numbers: an array of any library, or nested lists.
            cell: the one cell that they are for; None for the whole line.
            decimals: how many count; None for those of the type.

        Raises:
            WrongType: they are no real numbers, or rows are not equally long.
        """
        array = _held(numbers)[0]
        if decimals is None:
            kept = _DIGITS.get(array.dtype.itemsize if array.dtype.kind == "f" else 8, 9)
            largest = float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0))
            decimals = max(0, kept - max(0, int(np.ceil(np.log10(largest))) if largest > 0 else 0))
        return replace(cls.of(line, array, decimals=decimals), cell=cell)

    def place(self, axes: Axes, shape: Shape, first: int) -> tuple[int, ...]:
        """The claimed cell, from 0, of an array with these ``axes`` and ``shape``, labelled from ``first``; () for all.

        Raises:
            Misfit: the array has no such cell, or another shape than the claim.
        """
        if self.cell is not None and len(self.cell) != len(shape):
            words = ", ".join(axes)
            raise Misfit("cell", f" expects a number for each of {words} of {self.line}, got {len(self.cell)}.")
        for label, size, word in zip(self.cell or (), shape, axes, strict=False):
            if not first <= label < first + size:
                raise Misfit("cell", f": {self.line} has {word} {first} to {first + size - 1}, not {label}.")
        written = self.shape
        if written != (shape if self.cell is None else ()):
            expected = describe(axes, shape) if self.cell is None and shape else "one number"
            got = f"shape {written}" if written else "one number"
            raise Misfit(
                "values", f' expects {expected} for {self.line}, got {got}. Write "?" for what is not claimed.'
            )
        return tuple(label - first for label in self.cell or ())

    def shaped(self, shape: Shape) -> Claim:
        """The claim in the ``shape`` of its line, where its own differs by axes of size 1 alone; else as it is."""
        own = self.shape
        if self.cell is not None or own == shape or [n for n in own if n != 1] != [n for n in shape if n != 1]:
            return self
        return replace(self, written=_as_tuples(np.array(self.written, dtype=object).reshape(shape).tolist()))

    @cached_property
    def shape(self) -> Shape:
        """The shape of what is written.

        Raises:
            ProblemError: rows differ in length or depth.
        """
        return shape_of(self.written)

    @cached_property
    def values(self) -> np.ndarray[Any, Any]:
        """The claimed numbers as a read-only float64 array; NaN also where nothing is claimed."""
        return self._array(value_of, np.float64)

    @cached_property
    def claimed(self) -> np.ndarray[Any, Any]:
        """Which cells are claimed, as booleans."""
        return self._array(lambda number: number != UNCLAIMED, np.bool_)

    @cached_property
    def precision(self) -> int | None:
        """The most decimals that a number was written in; None for fractions alone, which are exact."""
        if self.decimals is not None:
            return self.decimals
        return max((d for d in map(decimals_of, self._leaves) if d is not None), default=None)

    @cached_property
    def half_units(self) -> np.ndarray[Any, Any]:
        """Half a unit of the last digit of each number, as it was written; 0 for fractions.

        Numbers in one array are mostly printed in one style, in which trailing zeros may be dropped: to a number of
        decimals, or to a number of significant digits (``1.6660e-05``). The style that drops fewer zeros is assumed.
        """
        if self.decimals is not None:
            return np.full(self.values.shape, _half_unit(self.decimals))
        return self._array(_units(self._leaves), np.float64)

    def with_slack(self, slack: Slack) -> Claim:
        """The claim with another ``slack``; what was read from its text is not read again."""
        claim = copy(self)
        force_setattr(claim, "slack", slack)
        for name in ("tolerances", "plain"):
            claim.__dict__.pop(name, None)
        return claim

    @cached_property
    def tolerances(self) -> np.ndarray[Any, Any]:
        """The tolerance of each number: half a unit of its last digit, and its slack."""
        return self.half_units + np.asarray(self.slack, dtype=np.float64)

    @cached_property
    def plain(self) -> tuple[float, np.ndarray[Any, Any]] | None:
        """The least and every distance up to which numbers agree, where these alone decide: each finite, none exact."""
        if self.has_exact or not np.isfinite(self.values[self.claimed]).all():
            return None
        wide = self.tolerances * (1 + _ROUNDING)
        return float(np.min(wide, initial=np.inf, where=self.claimed)), wide

    @property
    def tolerance(self) -> float:
        """The largest half unit of a last digit that was written."""
        return float(np.max(self.half_units, initial=0.0, where=np.isfinite(self.values)))

    def exact(self) -> np.ndarray[Any, Any]:
        """Which cells were written as a fraction or a root, and so are exact."""
        return self._exact

    @cached_property
    def has_exact(self) -> bool:
        """Whether a cell was written so."""
        return bool(self._exact.any())

    @cached_property
    def _exact(self) -> np.ndarray[Any, Any]:
        return self._array(is_exact, np.bool_)

    @cached_property
    def _leaves(self) -> tuple[str, ...]:
        return tuple(leaves(self.written))

    def _array(self, change: Callable[[str], Any], kind: Any) -> np.ndarray[Any, Any]:
        """What ``change`` gives for each number, as a read-only array."""
        array = np.array([change(number) for number in self._leaves], dtype=kind).reshape(self.shape)
        array.setflags(write=False)
        return array


def _as_tuples(lists: Any) -> Written:
    return tuple(map(_as_tuples, lists)) if isinstance(lists, list) else lists


def differing(claim: Claim, expected: np.ndarray[Any, Any], cell: tuple[int, ...] = ()) -> np.ndarray[Any, Any]:
    """Which claimed cells differ from these numbers: the one definition of agreement.

    Args:
        claim: the claim.
        expected: numbers in the claim's shape, with optional leading axes for several expectations at once.
        cell: the only cell of the claim to compare, to which the expected numbers then belong; () for all.
    """
    claimed = claim.values[cell]
    if claim.plain is not None and _LAST_BITS * np.max(np.abs(expected), initial=1.0) <= claim.plain[0]:
        outside: np.ndarray[Any, Any] = claim.claimed[cell] & ~(np.abs(claimed - expected) <= claim.plain[1][cell])
        return outside
    tolerances = claim.tolerances[cell]
    size = np.maximum(np.abs(np.where(np.isfinite(expected), expected, 0)), 1)
    tolerance = np.maximum(tolerances * (1 + _ROUNDING), _LAST_BITS * size)
    if claim.has_exact:
        tolerance = np.where(claim.exact()[cell], np.maximum(tolerances, EXACT * size), tolerance)
    with np.errstate(invalid="ignore"):
        near = np.abs(claimed - expected) <= tolerance
    agree = near | (claimed == expected) | (np.isnan(claimed) & np.isnan(expected))
    differs: np.ndarray[Any, Any] = claim.claimed[cell] & ~agree
    return differs


def _held(numbers: Any) -> tuple[np.ndarray[Any, Any], str | None]:
    """The numbers as an array of NumPy, and the name of their type if it holds fewer digits than float64."""
    name = str(getattr(numbers, "dtype", "")).rpartition(".")[2]
    dtype = name if name in _NARROW else None
    if dtype == "bfloat16" and hasattr(numbers, "float"):
        numbers = numbers.float()  # NumPy has no such type, and PyTorch does not convert it
    try:
        array = to_numpy(numbers)
        if array.dtype.kind not in "biuf":
            array = np.frompyfunc(float, 1, 1)(array).astype(np.float64)
    except (TypeError, ValueError):
        raise WrongType(
            f"numbers expects real numbers in rows of equal length, got {type(numbers).__name__}. "
            "Give an array, or nested lists."
        ) from None
    return (array.astype(np.float32) if dtype == "bfloat16" else array), dtype


def _write(array: np.ndarray[Any, Any], dtype: str | None) -> Written:
    """Each number with the fewest digits that distinguish it from its neighbours of this type."""
    short = {"float32": np.float32, "bfloat16": np.float32, "float16": np.float16}.get(dtype or "", np.float64)

    def write(number: Any) -> Written:
        if isinstance(number, list):
            return tuple(write(item) for item in number)
        whole = math.isfinite(number) and number == int(number)
        return repr(int(number)) if whole else repr(float(str(short(number))))

    with np.errstate(over="ignore"):
        return write(array.astype(np.float64).tolist())


def _half_unit(decimals: int) -> float:
    return float(0.5 * 10.0**-decimals)


def _units(numbers: Sequence[str]) -> Callable[[str], float]:
    """Half a unit of the last digit, for each of the numbers of a claim, by the style in which all were printed.

    That is the style which drops fewer trailing zeros. Where significant digits drop only one fewer, each number has
    the larger of both units, so that no right number is refused.
    """
    decimals = {number: decimals_of(number) for number in numbers}
    digits = {number: significant_of(number) for number in numbers}
    most = max((d for d in decimals.values() if d is not None), default=0)
    # A whole number looks the same in both styles: it shows nothing.
    telling = [number for number in numbers if digits[number] and float(number) % 1]
    significant = max((digits[number] for number in telling), default=0)
    saved = sum(most - (decimals[number] or 0) for number in telling)
    saved -= sum(significant - digits[number] for number in telling)
    usual = any("e" in number.lower() for number in numbers) or _keeps_zeros(telling, most, significant)
    scientific = saved > 0 and (usual or significant >= _MIN_SIGNIFICANT)

    def unit(number: str) -> float:
        if decimals[number] is None:
            return 0.0
        size = abs(float(number)) if scientific else 0.0
        if not digits[number] or size in (0.0, math.inf):  # beyond the range of float64
            return max(_half_unit(most), _half_large_unit(number))
        own = _half_unit(significant - 1 - math.floor(math.log10(size)))
        return own if usual or saved > 1 else max(own, _half_unit(most))

    return unit


def _half_large_unit(number: str) -> float:
    """Half a unit of the last digit where an exponent makes it a large one, as in 3.65e+08; 0 for others, as 1e3."""
    mantissa, _, exponent = number.lower().partition("e")
    large = len(mantissa.partition(".")[2]) - int(exponent or 0)
    return _half_unit(large) if "." in mantissa[:-1] and large < 0 and math.isfinite(float(number)) else 0.0


def _keeps_zeros(numbers: Sequence[str], most: int, significant: int) -> bool:
    """Whether numbers with fewer decimals than others have trailing zeros: 0.10 with 0.0067.

    A style with a fixed number of decimals and dropped zeros does not print these.
    """
    kept = any(number.endswith("0") and 0 < (decimals_of(number) or 0) < most for number in numbers)
    return kept and all(significant_of(number) == significant for number in numbers)


@lru_cache(maxsize=4096)
def decimals_of(number: str) -> int | None:
    """The decimals that a number was written in: 3 for 2.425, 4 for 1.5e-3, 0 for 7, None for 7/6 and nan.

    >>> [decimals_of(n) for n in ("2.425", "1.5e-3", "7", "7/6", "nan")]
    [3, 4, 0, None, None]
    """
    match = DECIMAL.fullmatch(number)
    if match is None:
        return None
    digits = match.group(2) or match.group(3) or ""
    return max(len(digits) - int(match.group(5) or 0), 0)


@lru_cache(maxsize=4096)
def significant_of(number: str) -> int:
    """The significant digits that a number was written in; 0 for 0, 7/6 and nan.

    >>> [significant_of(n) for n in ("2.425", "1.6660e-05", "0.010", "120", "0.0", "7/6")]
    [4, 5, 2, 3, 0, 0]
    """
    if DECIMAL.fullmatch(number) is None:
        return 0
    return len(number.lower().partition("e")[0].lstrip("+-").replace(".", "").lstrip("0"))


def leaves(written: Written) -> Iterator[str]:
    """The numbers of nested tuples, in order."""
    if isinstance(written, str):
        yield written
    else:
        for part in written:
            yield from leaves(part)


def _nested_text(written: Written) -> Written:
    return canonical(written) if isinstance(written, str) else tuple(map(_nested_text, written))


def shape_of(written: Written) -> tuple[int, ...]:
    """The shape of nested tuples.

    Raises:
        ProblemError: rows differ in length or depth.
    """
    if isinstance(written, str):
        return ()
    shapes: Sequence[tuple[int, ...]] = [shape_of(part) for part in written]
    if not shapes or len(set(shapes)) > 1:
        raise ProblemError("The rows of a claim are empty or not equally long.")
    return (len(shapes), *shapes[0])
