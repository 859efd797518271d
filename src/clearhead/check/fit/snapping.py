"""The number that somebody most likely wrote, of all that fit: 5e5, 1/8, 1/sqrt(96), ln 2."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator

from msgspec import Struct

Transform = Callable[[float], float]


class Snapped(Struct, frozen=True):
    """A number, its likely form, and the cost of writing it: lower is likelier."""

    value: float
    reading: str
    cost: float


class _Form(Struct, frozen=True):
    """A form of a number with one whole number in it: its text, the function of that number, its inverse, its cost."""

    text: str
    make: Transform
    back: Transform
    cost: float


_FORMS = (
    _Form("1/{}", lambda n: 1 / n, lambda x: 1 / x, 1.0),
    _Form("1/sqrt({})", lambda n: n**-0.5, lambda x: x**-2.0, 1.5),
    _Form("2/sqrt({})", lambda n: 2 * n**-0.5, lambda x: 4 * x**-2.0, 2.0),
    _Form("sqrt({})", lambda n: n**0.5, lambda x: x**2.0, 1.5),
    _Form("{}**-0.25", lambda n: n**-0.25, lambda x: x**-4.0, 2.0),
    _Form("2**{}", lambda n: 2.0**n, math.log2, 1.5),
    _Form("{}*ln(2)", lambda n: n * math.log(2), lambda x: x / math.log(2), 2.0),
    _Form("{}/ln(2)", lambda n: n / math.log(2), lambda x: x * math.log(2), 2.0),
    _Form("e**{}", math.exp, math.log, 3.0),
    _Form("{}*pi", lambda n: n * math.pi, lambda x: x / math.pi, 2.0),
)

MAX_WHOLE = 10**6
"""Whole numbers in a reading are smaller than this."""

DIGIT = 0.8
"""The cost of a digit of a whole number inside a form; a digit of a decimal costs 1."""

INVERSE = 1.0
"""The cost of dividing by a decimal, in addition to its digits."""

AT_HAND = 1.0
"""How much cheaper a whole number is that is a size of the problem."""


def snap(low: float, high: float, sizes: Collection[int] = ()) -> Snapped:
    """The likeliest number between two.

    Args:
        low: the smallest number that fits.
        high: the largest.
        sizes: sizes of the problem, such as its depth: a number computed from one is likelier.
    """
    return min(_candidates(low, high, sizes), key=lambda each: each.cost)


def _candidates(low: float, high: float, sizes: Collection[int]) -> Iterator[Snapped]:
    if low <= 0 <= high:
        yield Snapped(0.0, "0", 0.0)
        return
    if high < 0:
        for each in _candidates(-high, -low, sizes):
            yield Snapped(-each.value, f"-{each.reading}", each.cost)
        return
    yield _decimal(low, high)
    yield from _inverses(low, high, sizes)
    for form in _FORMS:
        ends = sorted((form.back(low), form.back(high)))
        whole = math.ceil(ends[0] - 1e-9)
        if 2 <= whole <= min(ends[1] + 1e-9, MAX_WHOLE):
            cheaper = AT_HAND if whole in sizes else 0.0
            cost = form.cost + DIGIT * len(str(whole)) - cheaper
            yield Snapped(form.make(whole), _with_equal(form, whole), cost)


def _inverses(low: float, high: float, sizes: Collection[int]) -> Iterator[Snapped]:
    """Divisors with a few decimals, such as temperatures: 1/3.4, or 1/(1.7*sqrt(8)) with a size of the problem."""
    inverse = _decimal(1 / high, 1 / low)
    yield Snapped(1 / inverse.value, f"1/{inverse.reading}", INVERSE + inverse.cost)
    for size in sizes:
        factor = _decimal(1 / (high * size**0.5), 1 / (low * size**0.5)) if size > 1 else inverse
        cost = INVERSE + factor.cost + DIGIT
        if 1 < factor.cost < inverse.cost:
            yield Snapped(1 / (factor.value * size**0.5), f"1/({factor.reading}*sqrt({size}))", cost)


def _with_equal(form: _Form, whole: int) -> str:
    text = form.text.format(whole)
    return f"{text} = 1/sqrt({whole**2})" if form.text == "1/{}" and whole**2 <= MAX_WHOLE else text


def _decimal(low: float, high: float) -> Snapped:
    """The shortest decimal between two positive numbers."""
    middle = (low + high) / 2
    for digits in range(1, 17):
        unit = 10.0 ** (math.floor(math.log10(high)) - digits + 1)
        near = float(f"{round(middle / unit) * unit:.{digits - 1}e}")
        if low <= near <= high:
            return Snapped(near, f"{near:g}" if digits <= 6 else repr(near), float(digits))
    return Snapped(middle, repr(middle), 17.0)
