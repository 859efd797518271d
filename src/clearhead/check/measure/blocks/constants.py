"""Constants inside a half of a block that are not what they should be: one or two, fitted to what the function gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from time import process_time

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.calls.task import Task
from clearhead.check.measure.blocks.newton import fitted, snapped
from clearhead.check.measure.blocks.outline import halves
from clearhead.check.measure.blocks.residuals import gives
from clearhead.check.measure.blocks.trials import Trial
from clearhead.check.measure.laws import written
from clearhead.errors import ClearheadError
from clearhead.line import Line
from clearhead.ops.textbook import linear, scores, tokens
from clearhead.working import Working

MAX_SECONDS = 2.5
"""Constants are tried for so long, by the clock of the processor."""

ALIKE = 3
"""The most sets of constants that are said of those that give the same numbers."""

LEAST = 1e-12
"""Values this small stand for none."""

Lines = tuple[Line, ...]


class Constant(Struct, frozen=True):
    """A constant of a line.

    Attributes:
        line: the line.
        kind: ``"scale"`` for a factor of what it gives, ``"eps"`` of a norm, ``"leak"`` for the slope of a ReLU
            below 0, ``"cap"`` for a soft-cap of what it gives.
        value: what was fitted.
        expected: what it should be.
    """

    line: str
    kind: str
    value: float
    expected: float


def constants(task: Task, ran: Sequence[Trial]) -> tuple[tuple[Constant, ...], ...]:
    """The fewest constants that give all results of a function, up to two in each half; those with few digits first.

    Several sets may give the same: twice the queries and half the values are half the values and twice the scores.
    """
    known = sorted((each for each in ran if each.y is not None and each.kind == "ordinary"),
                   key=lambda each: each.expected[-1].size)  # fmt: skip
    single = [each for each in ran if each.kind == "off" and len(each.of) == 1 and each.y]
    clean = {each.of[0] for each in single if each.agrees}
    paths = [half.name for half in halves(task) if half.name in _paths(task)]
    wrong = [path for path in paths if path in clean] or paths
    if len(wrong) < 2:
        return tuple(map(_written, _sets(task, _places(task, wrong), known[-2:], ran)))
    found: tuple[Constant, ...] = ()
    for path in wrong:
        alone = [each for each in ran if each.kind == "off" and {*each.of} == {*paths} - {path} and each.y]
        if alone and not all(each.agrees for each in alone):
            found += next(iter(_sets(task, _places(task, [path]), alone, alone)), ())
    return (_written(found),) if found and gives(task, _with(task.working, found), ran) else ()


def _paths(task: Task) -> set[str]:
    return {line.name.partition(".")[0] for line in task.working.lines if "." in line.name}


def _sets(
    task: Task, places: Iterable[Constant], held: Sequence[Trial], ran: Sequence[Trial]
) -> tuple[tuple[Constant, ...], ...]:
    """The smallest sets of constants that are fitted to some trials and give all of others."""
    known, end = list(places), process_time() + MAX_SECONDS
    for count in (1, 2):
        found: list[tuple[Constant, ...]] = []
        for chosen in combinations(known, count):
            if process_time() > end or len(found) == ALIKE:
                break
            if (fits := _fitted(task, chosen, held)) and gives(task, _with(task.working, fits), ran):
                found.append(fits)
        if found:
            return tuple(sorted(found, key=lambda each: sum(len(written(one.value)) for one in _written(each))))
    return ()


def _written(found: Iterable[Constant]) -> tuple[Constant, ...]:
    """Constants by what they are in code."""
    return tuple(replace(each, value=VALUES[each.kind](each.value)) for each in found)


def _fitted(task: Task, chosen: Sequence[Constant], held: Sequence[Trial]) -> tuple[Constant, ...]:
    """These constants, fitted; none where they do not lead to what the function gave."""

    def made(values: Iterable[float]) -> Working | None:
        return _with(task.working, _valued(chosen, values))

    found = fitted(task, made, np.array([STARTS[each.kind](each.expected) for each in chosen]), held)
    constants = _valued(chosen, found or ())
    return () if any(each.kind == "cap" and each.value < LEAST for each in constants) else constants


def _valued(chosen: Iterable[Constant], values: Iterable[float]) -> tuple[Constant, ...]:
    return tuple(replace(each, value=float(value)) for each, value in zip(chosen, values, strict=False))


def _places(task: Task, paths: Sequence[str]) -> Iterator[Constant]:
    """The constants of these halves, in the order of their lines; of all lines where there are none."""
    after = {line.operands[0]: line for line in task.working.lines if line.operation.role == "gain"}
    for line in task.working.lines:
        if paths and line.name.partition(".")[0] not in paths:
            continue
        role = line.operation.role or ""
        eps = dict(line.parameters).get("eps")
        if eps is not None:
            yield Constant(line.name, "eps", float(eps), float(eps))
            if line.name not in after:
                yield Constant(line.name, "scale", 1.0, 1.0)
        elif line.operation is tokens.relu:
            yield Constant(line.name, "leak", 0.0, 0.0)
        elif role == "scale" and "key" in line.axes:
            yield from (Constant(line.name, kind, 1.0, 1.0) for kind in ("scale", "cap"))
        elif role == "gain" or (role == "product" and line.axes[-1:] != ("key",) and not _is_projected(line)):
            yield Constant(line.name, "scale", 1.0, 1.0)


def _is_projected(line: Line) -> bool:
    """Whether a line holds queries, keys or values of heads, whose factors show in scores and in what comes out."""
    return "head" in line.axes or "group" in line.axes


def _with(working: Working, chosen: Iterable[Constant]) -> Working | None:
    """The working with these constants."""
    by_line: dict[str, list[tuple[str, float]]] = {}
    for each in chosen:
        by_line.setdefault(each.line, []).append((each.kind, each.value))
    lines: list[Line] = []
    for line in working.lines:
        made: Lines = (line,)
        for kind, value in by_line.get(line.name, ()):
            made = (*made[:-1], *CHANGES[kind](made[-1], value, f"{line.name}.{len(made)}"))
        lines += made
    try:
        return replace(working, lines=tuple(lines))
    except ClearheadError:
        return None


def _scaled(line: Line, value: float, name: str) -> Lines:
    return replace(line, name=name), Line(line.name, scores.scale, (name,), line.axes, (("factor", value),))


def _leaking(line: Line, value: float, name: str) -> Lines:
    """A ReLU less ``value`` times that of the negative argument."""
    turned, below, slope = (f"{name}.{each}" for each in ("turned", "below", "slope"))
    return (
        replace(line, name=name),
        Line(turned, scores.scale, line.operands, line.axes, (("factor", -1.0),)),
        Line(below, tokens.relu, (turned,), line.axes),
        Line(slope, scores.scale, (below,), line.axes, (("factor", -value),)),
        Line(line.name, linear.add, (name, slope), line.axes),
    )


def _capped(line: Line, value: float, name: str) -> Lines:
    """Scores with the soft-cap of which ``value`` is the inverse of the square."""
    cap = max(value, LEAST) ** -0.5
    return replace(line, name=name), Line(line.name, scores.softcap, (name,), line.axes, (("cap", cap),))


def _eps(line: Line, value: float, _: str) -> Lines:
    """A norm with the eps of which ``value`` is the root."""
    parameters = {**dict(line.parameters), "eps": value**2}
    return (replace(line, parameters=tuple(sorted(parameters.items()))),)


CHANGES: dict[str, Callable[[Line, float, str], Lines]] = {
    "scale": _scaled, "leak": _leaking, "cap": _capped, "eps": _eps,
}  # fmt: skip
"""The lines with a constant, by its kind."""

STARTS: Mapping[str, Callable[[float], float]] = {
    "scale": float, "leak": float, "eps": lambda _: 0.05, "cap": lambda _: 1e-6,
}  # fmt: skip
"""From where a constant is fitted, by what is expected; the slope of the root of eps vanishes at 0."""

VALUES: Mapping[str, Callable[[float], float]] = {
    "scale": float, "leak": float, "eps": lambda value: snapped(value**2), "cap": lambda value: snapped(value**-0.5),
}  # fmt: skip
"""What was fitted, as it is written."""
