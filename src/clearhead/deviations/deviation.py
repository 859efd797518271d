"""What a row of the table of deviations holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct

from clearhead.ops import Parameters
from clearhead.working import Working

Rewrite = Callable[..., Working]
Tries = Callable[[Working], Iterable[Parameters]]


def once(working: Working) -> Iterable[Parameters]:
    """One try, without parameters."""
    return ((),)


def never(working: Working) -> Iterable[Parameters]:
    """No try: what a search has other means for."""
    return ()


def values(name: str, *tried: float | str) -> Tries:
    """One try for each value of the only parameter."""
    return lambda working: tuple(((name, value),) for value in tried)


class Parameter(Struct, frozen=True):
    """A parameter of a deviation: its name, its type, and what it says."""

    name: str
    type: type[int] | type[float] | type[str]
    about: str


class Deviation(Struct, frozen=True):
    """A named rewrite of a working.

    Attributes:
        id: its name in files, on the command line and in reports.
        kind: a mistake, a convention that others follow, or rounding.
        does: what it does, in a sentence.
        invisible: on what data it changes nothing.
        remedy: how to mend it in one's own code.
        seen: where it was seen; ``name#n`` is an issue or pull request of a public repository.
        rewrite: the working with the deviation in it; raises SpecError where there is nothing to rewrite.
        parameters: what ``rewrite`` needs beside the working.
        tries: the values of these that people use, for a search through them.
        catalogue: the rows of the fault catalogue that it stands for.
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
