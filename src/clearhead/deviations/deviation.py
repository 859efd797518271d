"""A row of the table of deviations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

from msgspec import Struct

from clearhead.ops import Parameters
from clearhead.working import Working

Rewrite = Callable[..., Working]
Tries = Callable[[Working], Iterable[Parameters]]


def once(working: Working) -> Iterable[Parameters]:
    """One try, without parameters."""
    return ((),)


def never(working: Working) -> Iterable[Parameters]:
    """No try: the search finds these by other means."""
    return ()


def values(name: str, *tried: float | str) -> Tries:
    """One try for each value of the only parameter."""
    return lambda working: tuple(((name, value),) for value in tried)


MAX_WHOLE = 10**6
"""The type of a parameter that counts: tokens, keys, decimals."""

MAX_DECIMALS = 15
"""A float64 has no more significant decimals."""

TINY = 1e-9
"""The least of a parameter that must be above 0."""


ParameterType = type[int] | type[float] | type[str]


class Span(Struct, frozen=True):
    """The range ``low`` to ``high`` in which a parameter is searched; with ``signed`` also the same range below 0.

    ``waves``: up to this value it is searched more closely, since angles that grow as it falls go round there.
    """

    low: float
    high: float
    signed: bool = False
    waves: float = 0.0


class Parameter(Struct, frozen=True):
    """A parameter of a deviation, with the bounds of numbers.

    Attributes:
        name: its name.
        type: the type of its values.
        about: what it is, in a few words.
        least, most: the bounds of a number.
        span: the range in which a value that is not listed is searched; None for no search.
        divides: what a number divides, in the plural; "" if it divides nothing.
        says: what the deviation does with each of these values, where its own sentence leaves that open.
    """

    name: str
    type: ParameterType
    about: str
    least: float = -math.inf
    most: float = math.inf
    span: Span | None = None
    divides: str = ""
    says: tuple[tuple[str, str], ...] = ()

    def fault(self, value: Any) -> str | None:
        """What ``value`` should be and is not; None if it is valid."""
        if isinstance(value, bool) or not isinstance(value, self.type):
            return self.type.__name__
        if isinstance(value, str):
            return None
        least, most = self.least, self.most
        if self.type is int:
            least, most = max(least, -MAX_WHOLE), min(most, MAX_WHOLE)
        if least <= value <= most and abs(value) < math.inf:
            return None
        return " and ".join(
            ["a finite number"]
            + ([f"at least {least:g}"] if math.isfinite(least) else [])
            + ([f"at most {most:g}"] if math.isfinite(most) else [])
        )


class Deviation(Struct, frozen=True):
    """A named rewrite of a working.

    Attributes:
        id: its name in files, on the command line and in reports.
        kind: a mistake, a convention that others follow, or rounding.
        does: what it does, in a sentence.
        invisible: on what data it changes nothing.
        remedy: how to correct it in one's own code.
        seen: where it was seen; ``name#n`` is an issue or pull request of a public repository.
        rewrite: the working with the deviation in it; raises SpecError where there is nothing to rewrite.
        parameters: what ``rewrite`` needs besides the working.
        tries: the values of the parameters that are in use, which a search tries.
        catalogue: its rows in the catalogue of faults, docs/reference/faults.md.
        of: the pass that it rewrites: of the backward pass the lines of gradients, which then are not those of what is
            computed.
        rare: whether it is tried alone and in pairs only, not in larger sets.
    """

    id: str
    kind: Literal["mistake", "convention", "rounding"]
    does: str
    invisible: str
    remedy: str
    seen: str
    rewrite: Rewrite
    parameters: tuple[Parameter, ...] = ()
    tries: Tries = once
    catalogue: tuple[str, ...] = ()
    rare: bool = False
    of: Literal["forward", "backward"] = "forward"
