"""A problem: a worked example, with its numbers and optionally with somebody's answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import force_setattr, replace

import clearhead.doors as doors
from clearhead.axes import Axes, Shape, describe, head_axis
from clearhead.budgets import MAX_PROBLEM_CELLS
from clearhead.claim import Claim, Misfit
from clearhead.deviations import Applied, deviate
from clearhead.deviations.applied import check_count
from clearhead.digits import with_right_digits
from clearhead.dust import without_dust
from clearhead.errors import ProblemError, suggest
from clearhead.line import Given, find, head_position, memory_words, split_head
from clearhead.problems.alternatives import additions, alternatives
from clearhead.problems.fault import part
from clearhead.problems.names import role_of
from clearhead.problems.places import check_places
from clearhead.spec import Attention, Backward, Block, Positions, Transformer
from clearhead.trace import Trace
from clearhead.working import Working

NumpyArray = np.ndarray[Any, Any]
Computed = Attention | Block | Transformer | Positions
"""What a problem may compute."""

HEADINGS: dict[type[Computed], str] = {
    Attention: "attention", Block: "block", Transformer: "model", Positions: "positions",
}  # fmt: skip
"""The heading of each in a file."""


class Problem(Struct, frozen=True, eq=False, kw_only=True):
    """A worked example: what is computed, from which numbers, and what somebody got.

    Two problems are equal if all of their parts are, arrays to the last bit.

    Attributes:
        title: what it is called.
        about: what to notice, in a few sentences.
        tokens: the names of the query tokens (the rows of the input); none for numbers.
        key_tokens: the names of the key tokens (the rows of the memory) of cross-attention; none for numbers.
        spec: what is computed.
        arrays: the given arrays of the working by full name. Kept as copies that cannot be written to, float64, or
            bool for masks, int64 for what names rows of a table, in the working's order.
        given: the lines at which the working is entered; none for its beginning.
        until: the last lines, without lines that only follow these; none for all.
        deviations: what is done differently than in the textbook.
        claims: what somebody got. Heads and cells are labelled from 1.
        backward: the gradients that are computed too; None for none.

    Raises:
        ProblemError: parts do not fit each other; the message begins with the part, as a problem file calls it.
    """

    title: str
    about: str = ""
    tokens: tuple[str, ...] = ()
    key_tokens: tuple[str, ...] = ()
    spec: Computed
    arrays: Mapping[str, NumpyArray]
    given: tuple[str, ...] = ()
    deviations: tuple[Applied, ...] = ()
    claims: tuple[Claim, ...] = ()
    until: tuple[str, ...] = ()
    backward: Backward | None = None

    def __post_init__(self) -> None:
        with part("given" if self.given else "until" if self.until else HEADINGS[type(self.spec)]):
            textbook = self.textbook()
        if not textbook.lines:
            raise ProblemError("given leaves nothing to compute. Enter the working at earlier lines.")
        force_setattr(self, "arrays", _fitting_arrays(textbook.givens, self.arrays, self._instead))
        lines = _shapes("arrays", textbook, self.arrays)
        check_places(textbook, self.arrays, {name: shape for name, (_, shape) in lines.items()})
        _check_tokens(self.tokens, lines)
        _check_key_tokens(self.key_tokens, textbook, lines)
        with part("deviations"):
            check_count(self.deviations)
        deviated = textbook
        for index, deviation in enumerate(self.deviations):
            with part(f"deviations[{index}]"):
                deviated = deviation.rewrite(deviated)
        lines |= _shapes("deviations", deviated, self.arrays)
        first = textbook.label_base
        checked = (_checked_claim(f"claims[{index}]", claim, lines, first) for index, claim in enumerate(self.claims))
        force_setattr(self, "claims", tuple(checked))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and self._content() == other._content()

    def __ne__(self, other: object) -> bool:
        # A Struct without eq has its own !=, by identity.
        return not self == other

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple[object, ...]:
        arrays = tuple((name, a.dtype.str, a.shape, a.tobytes()) for name, a in self.arrays.items())
        return (
            self.title, self.about, self.tokens, self.key_tokens, self.spec, self.given, self.until, self.deviations,
            self.claims, self.backward, arrays,
        )  # fmt: skip

    def textbook(self) -> Working:
        """The working of the textbook, without deviations."""
        return self._textbook_of(self.spec)

    def _textbook_of(self, spec: Computed) -> Working:
        working = spec.working().starting_at(*self.given)
        forward = working.ending_at(*self.until, *_beside(working, self.until)) if self.until else working
        return forward if self.backward is None else self.backward.working(forward)

    def with_gradients(self, of: str) -> Problem:
        """The same problem with the gradients of the sum of the line ``of``, instead of its own backward pass.

        Raises:
            UnknownName: there is no such line.
        """
        forward = replace(self, backward=None, claims=())
        name, shape = forward.working().line(of).name, forward.trace(keep=[of])[of].shape
        given = {f"{name}.grad": np.ones(shape)} if shape else {}
        return replace(forward, backward=Backward(of=name), arrays={**self.arrays, **given})

    def _instead(self, names: set[str], *, missing: bool) -> list[str]:
        """What the file could state instead of giving arrays that are missing, or to use one that is given."""
        heading = HEADINGS[type(self.spec)]
        if missing:
            return alternatives(self.spec, heading, names, self._textbook_of)
        return additions(self.spec, heading, names, self._textbook_of)

    def working(self, *more_deviations: str | Applied) -> Working:
        """The working with the problem's deviations, followed by ``more_deviations``.

        Raises:
            UnknownName: no such deviation, or it names a line that does not exist.
            SpecError: a deviation has wrong parameters or nothing to rewrite.
        """
        return deviate(self.textbook(), *self.deviations, *more_deviations)

    def trace(self, *more_deviations: str | Applied, keep: Iterable[str] | None = None) -> Trace:
        """The working, with ``more_deviations``, and its numbers; ``keep`` as in `Working.run`.

        Numbers that are rounding errors alone, which would be 0 by hand, are 0. Those whose error could change a digit
        that is shown are right to the last bit (see `with_right_digits`).

        Raises:
            UnknownName: as `working`, or ``keep`` names nothing.
            SpecError: as `working`.
        """
        working = self.working(*more_deviations)
        arrays = {given.name: self.arrays[given.name] for given in working.givens}
        tokens, key_tokens = self.tokens or None, self.key_tokens or None
        trace = working.run(arrays, keep=keep, tokens=tokens, key_tokens=key_tokens)
        return with_right_digits(without_dust(trace))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows: the page of the computed problem, with its claims, or text."""
        applied = tuple(map(str, self.deviations))
        view = doors.View(self.title, self.about, applied, claims=self.claims, textbook=self.textbook())
        return doors.trace_bundle(self.trace(), view)


def _beside(working: Working, until: Sequence[str]) -> list[str]:
    """The lines that stand before the last of ``until`` and are computed from lines that it needs, as a softmax's sums.

    Values are none of them: where these are the input, they are computed from what is given.
    """
    if not until:
        return []
    needed = {line.name for line in working.ending_at(*until).lines}
    last = max(number for number, line in enumerate(working.lines) if line.name in needed)
    beside = []
    for line in working.lines[:last]:
        if line.name not in needed and line.operands and needed.issuperset(line.operands):
            needed.add(line.name)
            beside.append(line.name)
    return beside


Lines = dict[str, tuple[Axes, Shape]]
"""The axis words and the shape of lines and given arrays by name."""


def _shapes(path: str, working: Working, arrays: Mapping[str, NumpyArray]) -> Lines:
    """The axes and shape of each line of a working."""
    with part(path):
        shapes = working.shapes({given.name: arrays[given.name].shape for given in working.givens})
    if sum(map(prod, shapes.values())) > MAX_PROBLEM_CELLS:
        raise ProblemError(f"{path}: the lines would have more than {MAX_PROBLEM_CELLS} numbers. Use fewer tokens.")
    return {name: (working.axes[name], shape) for name, shape in shapes.items()}


def _fitting_arrays(
    givens: Iterable[Given], arrays: Mapping[str, Any], instead_of: Callable[..., list[str]]
) -> dict[str, NumpyArray]:
    """The arrays in the order of the givens, each of the right kind and with as many axes as it has words."""
    wanted = {given.name: given for given in givens}
    for name in arrays:
        if name not in wanted:
            raise ProblemError(f"arrays has no use for {name!r}. {_used_instead(name, wanted, instead_of)}")
    if missing := [given for given in wanted.values() if given.name not in arrays]:
        needs = ", ".join(f"{given.name} {describe(given.axes, given.known_sizes())}" for given in missing)
        listed = instead_of({given.name for given in missing}, missing=True)
        instead = "".join(f", or {each}" for each in listed[:MAX_ALTERNATIVES])
        raise ProblemError(
            f"arrays lacks {needs}. Give {'it' if len(missing) == 1 else 'them'} below [arrays]{instead}."
        )
    return {name: _fitting(given, arrays[name]) for name, given in wanted.items()}


def _used_instead(name: str, wanted: Mapping[str, Given], instead_of: Callable[..., list[str]]) -> str:
    """What to do about an array without a use: a field that asks for it, or the name that is meant."""
    if listed := instead_of({name}, missing=False):
        return f"To use it, {', or '.join(listed[:MAX_ALTERNATIVES])}."
    meant = role_of(name[:100])[0]
    return f"Did you mean {meant}?" if meant in wanted else suggest(name[:100], wanted)


MAX_ALTERNATIVES = 2
"""What could be stated instead of an array: no more is offered."""


def _fitting(given: Given, value: Any) -> NumpyArray:
    path = f"arrays.{given.name}"
    try:
        array = np.array(value)
    except ValueError:
        raise ProblemError(f"{path} expects rows of one length. Give every row as many numbers.") from None
    if array.dtype.kind not in "biuf":
        raise ProblemError(f"{path} expects {given.holds}, got an array of {array.dtype}.")
    if (array.dtype.kind == "b") != (given.holds == "booleans"):
        got = "booleans" if array.dtype.kind == "b" else "numbers"
        raise ProblemError(f"{path} expects {given.holds}, got {got}. {_KIND_REMEDIES[given.holds]}")
    if array.ndim != len(given.axes):
        shape = describe(given.axes, given.known_sizes())
        raise ProblemError(
            f"{path} expects {len(given.axes)} axes, {shape}, got {array.ndim}: its shape is {array.shape}. "
            f"Check how many brackets enclose the numbers."
        )
    if given.holds == "integers":
        array = _whole(path, array)
    if given.holds == "numbers":
        array = array.astype(np.float64)
        _check_finite(path, given, array)
    array.setflags(write=False)
    return array


def _whole(path: str, array: NumpyArray) -> NumpyArray:
    """The array as whole numbers."""
    wrong = ~(np.isfinite(array) & (np.abs(array) < MAX_WHOLE) & (np.trunc(array) == array))
    if wrong.any():
        cell = tuple(np.argwhere(wrong)[0])
        place = path + "".join(f"[{index}]" for index in cell)
        raise ProblemError(f"{place} expects a whole number, got {array[cell]}. It selects a row of a table, from 0.")
    return array.astype(np.int64)


MAX_WHOLE = 2**53
"""Below this whole numbers are themselves in float64."""

_KIND_REMEDIES = {
    "booleans": "Write true for keys that a query may attend to and false for others.",
    "numbers": "Write 0 and 1 for false and true.",
    "integers": "Write the numbers of rows, from 0.",
}


def _check_finite(path: str, given: Given, array: NumpyArray) -> None:
    """Minus infinity is allowed in scores and masks, where it masks a cell; all other numbers must be finite."""
    masked = given.axes[-2:] == ("query", "key")
    wrong = ~np.isfinite(array) & ~((array == -np.inf) & masked)
    if wrong.any():
        cell = tuple(np.argwhere(wrong)[0])
        place = path + "".join(f"[{index}]" for index in cell)
        also = " or -inf, which masks a cell" if masked else ""
        raise ProblemError(f"{place} expects a finite number{also}; got {array[cell]}. Change this number.")


def _check_tokens(tokens: tuple[str, ...], lines: Lines) -> None:
    """Checks that there is a name for each query token; their count is that of the last line with query tokens."""
    if not tokens:
        return
    found = [
        (name, shape[axes.index(word)])
        for name, (axes, shape) in lines.items()
        for word in ("token", "query")
        if word in axes
    ]
    if found and found[-1][1] != len(tokens):
        name, size = found[-1]
        raise ProblemError(f"tokens expects {size} names, one for each token of {name}; got {len(tokens)}.")


def _check_key_tokens(names: tuple[str, ...], textbook: Working, lines: Lines) -> None:
    """Checks that there is a memory, and a name for each of its tokens."""
    if not names:
        return
    words = memory_words(textbook.givens, textbook.lines)
    if not words:
        raise ProblemError("key_tokens names the tokens of a memory, and there is none. For the input write tokens.")
    name, word = next(iter(words.items()))
    axes, shape = lines[name]
    size = shape[axes.index(word)]
    if size != len(names):
        raise ProblemError(f"key_tokens expects {size} names, one for each token of {name}; got {len(names)}.")


def _checked_claim(path: str, claim: Claim, lines: Lines, first: int) -> Claim:
    """The claim in the shape of its line, head or cell, which must exist; axes of size 1 may be left out."""
    with part(f"{path}.line"):
        name, label = split_head(claim.line)
        axes, shape = lines[find(name, lines)]
        if label is not None:
            axes, shape = _one_head(name, label, axes, shape, first)
    claim = claim.shaped(shape)
    try:
        claim.place(axes, shape, first)
    except Misfit as error:
        raise ProblemError(f"{path}.{error.key}{error.says}") from None
    return claim


def _one_head(name: str, label: int, axes: Axes, shape: Shape, first: int) -> tuple[Axes, Shape]:
    """The axes and shape of one head of a line."""
    axis = head_axis(axes) or 0
    head_position(name, label, axes, shape[axis], first)
    place = len(axes) + axis
    return axes[:place] + axes[place + 1 :], shape[:place] + shape[place + 1 :]
