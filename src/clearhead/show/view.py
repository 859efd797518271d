"""What of a trace is shown, and how: the one argument of every medium besides the trace."""

from __future__ import annotations

from typing import Literal, TypedDict

from msgspec import Struct

from clearhead.axes import Cell
from clearhead.claim import Claim
from clearhead.deviations import Applied
from clearhead.document import Document
from clearhead.errors import UnknownName
from clearhead.line import Given, Line, matches
from clearhead.working import Working

Framework = Literal["numpy", "torch"]


class View(Struct, frozen=True):
    """What of a trace is shown, and how.

    Attributes:
        title: the document's title.
        about: its first paragraphs, separated by blank lines.
        deviations: the deviations in the trace's working, which the document names.
        address: show only this line, or this head of one (``"weights@2"``); None for the whole trace.
        cell: show also the arithmetic of this cell: an index for each axis that the address leaves, counted as the
            labels are (from 1 on paper), like the head in the address.
        decimals: how precisely numbers are shown; None for all digits.
        claims: numbers that somebody got, which some media mark in the matrices.
        diagnosis: why the claims differ, for media that have room for it.
        blank: patterns of the lines whose numbers are left blank; as for `Working.run` any ending of a path matches,
            and ``*`` matches anything. Given arrays are always shown.
        framework: the library of a program: numpy or torch.
        textbook: the working without the deviations, for media that mark the lines that these change.
        problem: the text of the problem's file, for pages that can be edited and saved as one.
        causes: deviations that explain the claims together, for pages on which they can be tried.
        next_tokens: the most probable next tokens of a model, with probabilities, for media that have room for them.
    """

    title: str = "Trace"
    about: str = ""
    deviations: tuple[str | Applied, ...] = ()
    address: str | None = None
    cell: Cell | None = None
    decimals: int | None = 3
    claims: tuple[Claim, ...] = ()
    diagnosis: Document | None = None
    blank: tuple[str, ...] = ()
    framework: Framework = "numpy"
    textbook: Working | None = None
    problem: str | None = None
    causes: tuple[str, ...] = ()
    next_tokens: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.cell is not None and self.address is None:
            raise UnknownName("A cell needs its line. Give an address too, such as weights@2.")

    def leaves_blank(self, name: str) -> bool:
        """Whether the numbers of the line ``name`` are left blank."""
        return any(matches(pattern, name) for pattern in self.blank)


class ViewOptions(TypedDict, total=False):
    """The attributes of a `View` as keyword arguments, for type checkers."""

    title: str
    about: str
    deviations: tuple[str | Applied, ...]
    address: str | None
    cell: Cell | None
    decimals: int | None
    claims: tuple[Claim, ...]
    diagnosis: Document | None
    blank: tuple[str, ...]
    framework: Framework
    textbook: Working | None
    problem: str | None
    causes: tuple[str, ...]
    next_tokens: tuple[tuple[str, float], ...]


def is_shares(line: Given | Line) -> bool:
    """Whether a line holds weights whose rows sum to 1: results of a softmax, and lines called weights."""
    if isinstance(line, Given):
        return False
    return line.operation.role == "softmax" or line.name.rpartition(".")[2] == "weights"
