"""From a problem and a change to the next problem and its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, Struct
from msgspec.structs import replace

from clearhead.axes import Cell, head_axis
from clearhead.budgets import MAX_DEVIATIONS
from clearhead.check import diagnose
from clearhead.check.report.hints import hints
from clearhead.claim import Claim, Written, leaves
from clearhead.deviations import Applied, candidates, deviation, parse_deviation
from clearhead.deviations.table import GROUPS
from clearhead.errors import ProblemError, UnknownName
from clearhead.line import Given
from clearhead.problems import Problem, bundled, format_problem, parse_problem, read_problem
from clearhead.show import View
from clearhead.show.media import KINDS
from clearhead.show.page import claimed_cells, content_of
from clearhead.show.text.html import to_html
from clearhead.trace import Trace
from clearhead.written import UNCLAIMED, value_of

Index = Annotated[int, Meta(ge=0, lt=2**31)]


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """A number that was typed: in a given array it changes the problem, in a line it is a claim.

    ``cell`` has an index for each axis, counted from 0; an empty text removes a claim.
    """

    cell: tuple[Index, ...]
    written: Annotated[str, Meta(max_length=100)]


class Change(Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers that were typed into one line."""

    line: str
    entries: Annotated[tuple[Entry, ...], Meta(min_length=1, max_length=10_000)]


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """A request of a page: its problem as the text of a file, or the name of a bundled one, and the changes.

    With ``hints`` a diagnosis says only where to look, and what kind of mistake it is.
    """

    problem: str
    change: Change | None = None
    hints: bool = False
    deviations: Annotated[tuple[str, ...], Meta(max_length=MAX_DEVIATIONS)] | None = None


def problem_of(text: str) -> Problem:
    """The bundled problem of this name, or the problem in this text. No path is ever opened."""
    return read_problem(text) if text in bundled() else parse_problem(text, source="problem")


def answer(asked: Asked) -> dict[str, Any]:
    """The changed problem as the text of its file, and the content of its page.

    Raises:
        ClearheadError: the problem or the change cannot be used.
    """
    problem = problem_of(asked.problem)
    if asked.deviations is not None:
        problem = replace(problem, deviations=tuple(map(parse_deviation, asked.deviations)))
    if asked.change is not None:
        problem = changed(problem, asked.change)
    return {"problem": format_problem(problem), **shown(problem)}


def shown(problem: Problem) -> dict[str, Any]:
    """What the page shows of a problem: its content and its packed arrays."""
    content, arrays = content_of(_trace(problem), view_of(problem))
    return {"content": content | {"arrays": arrays}}


def _trace(problem: Problem) -> Trace:
    try:
        return problem.trace()
    except (ValueError, ArithmeticError) as error:
        raise ProblemError(f"deviations: the working cannot be run with them: {error}. Remove one of them.") from None


def view_of(problem: Problem) -> View:
    """All of a problem except its diagnosis, which takes longer than the rest."""
    return View(
        problem.title,
        problem.about,
        tuple(map(str, problem.deviations)),
        claims=problem.claims,
        textbook=problem.textbook(),
    )


def changed(problem: Problem, change: Change) -> Problem:
    """The problem with other numbers in a given array, or with claims for a line.

    Raises:
        UnknownName: no such line.
        ProblemError: no such cell, or what was typed is no number.
    """
    working = problem.working()
    line = working.line(change.line)
    if isinstance(line, Given):
        return replace(problem, arrays={**problem.arrays, line.name: _edited(problem.arrays[line.name], change)})
    shapes = working.shapes({given.name: problem.arrays[given.name].shape for given in working.givens})
    for entry in change.entries:
        _check(line.name, entry.cell, shapes[line.name])
    axis = head_axis(line.axes)
    place = None if axis is None else len(shapes[line.name]) + axis
    return replace(
        problem, claims=(*_without(problem, change), *_claims(change, shapes[line.name], place, working.label_base))
    )


def _check(name: str, cell: Cell, shape: tuple[int, ...]) -> None:
    if len(cell) != len(shape) or any(index >= size for index, size in zip(cell, shape, strict=True)):
        raise ProblemError(f"{name} has the shape {shape} and no cell {cell}.")


def _edited(array: np.ndarray[Any, Any], change: Change) -> np.ndarray[Any, Any]:
    edited = array.copy()
    for entry in change.entries:
        _check(change.line, entry.cell, array.shape)
        edited[entry.cell] = _boolean(entry.written) if array.dtype.kind == "b" else _number(entry.written)
    return edited


def _number(written: str) -> float:
    return value_of(written)


def _boolean(written: str) -> bool:
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if written.lower() not in known:
        raise ProblemError(f"yes or no (1 or 0) is expected here; got {written!r}.")
    return known[written.lower()]


def _without(problem: Problem, change: Change) -> Iterator[Claim]:
    """The claims without those for the newly typed cells."""
    trace = _trace(problem)
    cells = {entry.cell for entry in change.entries}
    for claim in problem.claims:
        if claim.line not in trace:
            yield claim
            continue
        array = trace.numpy(claim.line)
        place = claim.place(trace.left_axes(claim.line), array.shape, trace.working.label_base)

        def is_new(at: Cell, claim: Claim = claim, place: Cell = place) -> bool:
            name, cell = trace.place(claim.line, *place, *at)
            return name == change.line and cell in cells

        left = _erased(claim.written, (), is_new)
        if left == claim.written:
            yield claim
        elif any(number != UNCLAIMED for number in leaves(left)):
            yield replace(claim, written=left, decimals=claim.precision)


def _erased(written: Written, at: Cell, is_new: Callable[[Cell], bool]) -> Written:
    if isinstance(written, str):
        return UNCLAIMED if is_new(at) else written
    return tuple(_erased(part, (*at, n), is_new) for n, part in enumerate(written))


def _claims(change: Change, shape: tuple[int, ...], axis: int | None, first: int) -> Iterator[Claim]:
    """A claim for one cell; for several cells one claim for each head, with its other cells unclaimed."""
    typed = {entry.cell: entry.written.strip() for entry in change.entries if entry.written.strip()}
    if len(change.entries) == 1:
        for cell, written in typed.items():
            yield Claim(change.line, written, tuple(index + first for index in cell))
        return
    for head in sorted({-1 if axis is None else cell[axis] for cell in typed}):
        cells = {_left(cell, axis): written for cell, written in typed.items() if axis is None or cell[axis] == head}
        address = change.line if axis is None else f"{change.line}@{head + first}"
        yield Claim(address, _nested(cells, _left(shape, axis), ()))


def _left(cell: Cell, axis: int | None) -> Cell:
    return cell if axis is None else (*cell[:axis], *cell[axis + 1 :])


def _nested(cells: dict[Cell, str], shape: tuple[int, ...], at: Cell) -> Written:
    if len(at) == len(shape):
        return cells.get(at, UNCLAIMED)
    return tuple(_nested(cells, shape, (*at, n)) for n in range(shape[len(at)]))


def choices_for(text: str) -> list[dict[str, Any]]:
    """The deviations that apply to the problem in this text."""
    return choices(problem_of(text))


def choices(problem: Problem) -> list[dict[str, Any]]:
    """The deviations that apply to a problem, by theme, each with what it does."""
    shapes = {name: array.shape for name, array in problem.arrays.items()}
    found = candidates(problem.textbook(), shapes)
    return [
        {"theme": theme, "deviations": each}
        for theme, rows in GROUPS.items()
        if (each := [_choice(applied) for applied in found if applied.id in {row.id for row in rows}])
    ]


def _choice(applied: Applied) -> dict[str, str]:
    return {"name": str(applied), "does": deviation(applied.id).does}


def diagnosis(text: str, what: Literal["causes", "hints"] = "causes") -> dict[str, Any]:
    """Why the claims of a problem differ, or hints without a number, as HTML; "" where nothing is claimed.

    The claims are compared with the textbook, not with the deviations that the user tries. Where they are right in
    some precision, the cells of the page are to be marked so: these claims come with the diagnosis.
    """
    problem = problem_of(text)
    if not problem.claims:
        return {"diagnosis": "", "claims": {}}
    trace = problem.textbook().run(problem.arrays, tokens=problem.tokens or None, key_tokens=problem.key_tokens or None)
    claims = [claim for claim in problem.claims if claim.line in trace]
    report = diagnose(claims, trace)
    if what == "hints" and report.verdict != "agrees":
        known = report.findings[0].deviations if report.findings else ()
        return {"diagnosis": to_html(hints(claims, trace, known)), "claims": {}}
    right = {} if problem.deviations else claimed_cells(trace, report.within)
    return {"diagnosis": to_html(report.document(title=report.heading)), "claims": right}


def exported(text: str, ending: str) -> bytes:
    """The problem as a file of a kind: its own, or any that a trace can become.

    Raises:
        UnknownName: no kind of file has this ending.
    """
    problem = problem_of(text)
    if ending == ".toml":
        return format_problem(problem).encode()
    if ending not in KINDS:
        raise UnknownName(f"There is no export to {ending!r}.")
    trace = _trace(problem)
    view = view_of(problem)
    right = diagnose(view.claims, trace, max_deviations=0).within if view.claims else ()
    return bytes(KINDS[ending].content(trace, replace(view, claims=right or view.claims)))
