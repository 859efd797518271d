"""Workings that differ in one step: it reads something else, is left out, is done twice, or stands in another place.

Such an edit needs no row in the table of deviations. It counts only where its numbers are the function's at all sizes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations, permutations
from time import process_time

from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.measure.parts import Part
from clearhead.check.measure.repeats import REPEATS
from clearhead.deviations import candidates, deviation
from clearhead.errors import ClearheadError
from clearhead.line import Given, Line
from clearhead.ops.textbook import linear
from clearhead.ops.variants.heads import unchanged
from clearhead.working import Working

MAX_SECONDS = 1.5
"""Edits are tried for so long, by the clock of the processor."""

MAX_MOVED = 3
"""The most steps that a step is moved past."""

MAX_ALIKE = 3
"""The most edits that are said of those that give the same numbers."""


class Edit(Struct, frozen=True, eq=False):
    """A working with one step changed.

    Attributes:
        kind: ``"reads"``, ``"left out"``, ``"added"``, ``"exchanged"``, ``"order"``, ``"placed"``, ``"halves"``,
            ``"twice"``, ``"added twice"``, ``"applied twice"``, ``"appended"``, ``"repeated"``, ``"again"`` or
            ``"shared"``; or ``"deviation"``.
        line: the step, or the array, that is changed.
        measured: what is read there, or what comes after the line, as names.
        expected: what should be.
        working: the whole working with this change.
    """

    kind: str
    line: str
    measured: tuple[str, ...]
    expected: tuple[str, ...]
    working: Working


def edited(working: Working, holds: Callable[[Working], bool]) -> tuple[Edit, ...]:
    """The first edits of a working that hold, the simplest first; none if none holds."""
    end = process_time() + MAX_SECONDS
    found: list[Edit] = []
    for edit in edits(working):
        if process_time() > end or len(found) == MAX_ALIKE or (found and found[0].kind != edit.kind):
            break
        if holds(edit.working):
            found.append(edit)
    return tuple(found)


def edited_in_turn(
    working: Working, starts: Callable[[Working], bool], holds: Callable[[Working], bool]
) -> tuple[Edit, ...]:
    """Two edits or deviations of which the first gives a part of the numbers (``starts``), and both all of them."""
    end = process_time() + 2 * MAX_SECONDS
    if starts(working):
        return ()
    for first in _any(working):
        if process_time() > end:
            break
        if starts(first.working):
            for second in _any(first.working):
                if holds(second.working):
                    return first, second
                if process_time() > end:
                    break
    return ()


def _any(working: Working) -> Iterator[Edit]:
    """The edits of a working, and its deviations as such."""
    yield from edits(working)
    for each in candidates(working):
        try:
            made = each.rewrite(working)
        except ClearheadError:
            continue
        yield Edit("deviation", str(each), (deviation(each.id).does,), (), made)


def part_of_edits(found: Iterable[Edit], besides: Sequence[Edit] = ()) -> Part:
    """The edits that hold as one part; ``besides`` has those that hold together with the first."""
    first, *alike = found
    details = {"kind": first.kind, "line": first.line, "alike": tuple(alike), "besides": tuple(besides)}
    return Part("step", first.measured, first.expected, differs=True, details=details)


def edits(working: Working) -> Iterator[Edit]:
    """All workings that differ in one step, the simplest changes first; or in that of queries and that of keys."""
    yield from _repeats(working)
    kinds = (_left_out, _again, _shared, _reads, _read_together, _exchanged, _order, _placed, _halves, _twice, _added)
    for kind in kinds:
        for edit in kind(working):
            yield edit
            twin = _twin(edit.line)
            same = (each for each in kind(edit.working) if each.line == twin) if twin in working.names else ()
            wanted = tuple(map(_twin, edit.measured))
            yield from (_both(edit, each) for each in same if each.measured == wanted)


def _both(one: Edit, other: Edit) -> Edit:
    """An edit of a step of queries and that of keys as one."""
    measured = tuple(dict.fromkeys((*one.measured, *other.measured)))
    expected = tuple(dict.fromkeys((*one.expected, *other.expected)))
    return replace(other, line=f"{one.line} and {other.line}", measured=measured, expected=expected)


def _repeats(working: Working) -> Iterator[Edit]:
    """A norm comes behind the result too, or a half of a block is applied twice."""
    for kind, repeats in REPEATS.items():
        for what, made in repeats(working):
            yield Edit(kind, working.lines[-1].name if kind == "appended" else what, (what,), (), made)


def _twin(name: str) -> str:
    """The name of the same step of keys, for a step of queries; "" for others."""
    parts = name.split(".")
    return ".".join("key" if part == "query" else part for part in parts) if "query" in parts else ""


def _made(working: Working, lines: Iterable[Line]) -> Working | None:
    try:
        return replace(working, lines=tuple(lines))
    except ClearheadError:
        return None


def _left_out(working: Working) -> Iterator[Edit]:
    """What follows a line reads the line's first operand instead."""
    for line in working.lines:
        first = line.operands[0] if line.operands else ""
        if not first or working.axes[first] != line.axes:
            continue
        lines = [_reading(each, {line.name: first}) for each in working.lines if each.name != line.name]
        if line.name == working.lines[-1].name:  # the result keeps its name
            continue
        if made := _made(working, lines):
            yield Edit("left out", line.name, (first,), (line.name,), made)


def _reading(line: Line, names: dict[str, str]) -> Line:
    return replace(line, operands=tuple(names.get(each, each) for each in line.operands))


def _added(working: Working) -> Iterator[Edit]:
    """A line has another one, known before it, added to it."""
    before = [each.name for each in working.givens if each.holds == "numbers"]
    for place, line in enumerate(working.lines):
        for other in before:
            if working.axes[other] == line.axes:
                once = replace(line, name=f"{line.name}.alone")
                both = Line(line.name, linear.add, (once.name, other), line.axes)
                if made := _made(working, (*working.lines[:place], once, both, *working.lines[place + 1 :])):
                    yield Edit("added", line.name, (other,), (line.name,), made)
        before.append(line.name)


def _reads(working: Working) -> Iterator[Edit]:
    """A line reads another array of the same axes that is known before it."""
    before: list[Given | Line] = list(working.givens)
    for place, line in enumerate(working.lines):
        for at, expected in enumerate(line.operands):
            for other in before:
                if other.name != expected and _alike(working, other.name, expected):
                    operands = (*line.operands[:at], other.name, *line.operands[at + 1 :])
                    lines = (*working.lines[:place], replace(line, operands=operands), *working.lines[place + 1 :])
                    if made := _made(working, lines):
                        yield Edit("reads", line.name, (other.name,), (expected,), made)
        before.append(line)


def _read_together(working: Working) -> Iterator[Edit]:
    """Several lines that read the same array read another one that is known before the first of them."""
    names = [line.name for line in working.lines]
    for expected in working.axes:
        readers = [line for line in working.lines if expected in line.operands]
        for chosen in (each for count in range(2, len(readers) + 1) for each in combinations(readers, count)):
            for other in (*(each.name for each in working.givens), *names[: names.index(chosen[0].name)]):
                if other != expected and _alike(working, other, expected):
                    lines = (_reading(each, {expected: other}) if each in chosen else each for each in working.lines)
                    if made := _made(working, lines):
                        line = " and ".join(each.name for each in chosen)
                        yield Edit("reads", line, (other,), (expected,), made)


def _inner(working: Working, half: str) -> list[Line]:
    """The lines of a half without its norms and residual."""
    mine = [line for line in working.lines if line.name.startswith(f"{half}.")]
    around = ("norm", "outer", "residual")
    return [line for line in mine if line.name.split(".")[1] not in around]


def _pairs_of_halves(working: Working) -> Iterator[tuple[str, str]]:
    names = dict.fromkeys(line.name.partition(".")[0] for line in working.lines if "." in line.name)
    yield from permutations((name for name in names if f"{name}.output" in working.names), 2)


def _again(working: Working) -> Iterator[Edit]:
    """One half does what another one does, with the arrays of that: the other is called in its place."""
    for half, other in _pairs_of_halves(working):
        replaced, copied = (_inner(working, each) for each in (half, other))
        names = {line.name: f"{half}.again.{line.name}" for line in copied[:-1]}
        sources = [_read_from_outside(working, lines) for lines in (copied, replaced)]
        if any(len(each) != 1 for each in sources):
            continue
        names |= {copied[-1].name: replaced[-1].name, sources[0].pop(): sources[1].pop()}
        made = [replace(_reading(line, names), name=names[line.name]) for line in copied]
        at = working.lines.index(replaced[0])
        lines = (*working.lines[:at], *made, *(line for line in working.lines[at:] if line not in replaced))
        if again := _made(working, lines):
            yield Edit("again", half, (other,), (half,), again)


def _read_from_outside(working: Working, lines: Sequence[Line]) -> set[str]:
    """The tokens that some lines read, other than their own."""
    own = {line.name for line in lines}
    read = {name for line in lines for name in line.operands} - own
    return {name for name in read if working.axes[name] == lines[-1].axes}


def _shared(working: Working) -> Iterator[Edit]:
    """One half uses the arrays of another one, but for those of its norms."""
    givens = {each.name for each in working.givens}
    for half, other in _pairs_of_halves(working):
        mine = {name for line in _inner(working, half) for name in line.operands} & givens
        names = {name: other + name.removeprefix(half) for name in mine if name.startswith(f"{half}.")}
        names = {name: to for name, to in names.items() if to in givens and _alike(working, name, to)}
        lines = [_reading(line, names) if line.name.startswith(f"{half}.") else line for line in working.lines]
        if names and (made := _made(working, lines)):
            yield Edit("shared", half, (other,), (half,), made)


def _placed(working: Working) -> Iterator[Edit]:
    """A norm, with its gain, is applied to another line than it should be, and read by all or one of its readers."""
    for step in _norms(working):
        first, last = step[0].operands[0], step[-1].name
        rest = [_reading(line, {last: first}) for line in working.lines if line not in step]
        if last == working.lines[-1].name:  # the result keeps its name
            rest.append(Line(last, unchanged, (first,), step[-1].axes))
        names = {each.name: f"{each.name}.elsewhere" for each in step}
        for place, source in _places(working, rest, step[0]):
            moved = [replace(_reading(each, {**names, first: source}), name=names[each.name]) for each in step]
            after = rest[place:]
            readers = [each for each in after if source in each.operands]
            for chosen in [readers] if len(readers) == 1 else [readers, *([each] for each in readers)]:
                read = [_reading(each, {source: names[last]}) if each in chosen else each for each in after]
                if chosen and (made := _made(working, (*rest[:place], *moved, *read))):
                    alone = f" for {chosen[0].name} alone" if len(chosen) < len(readers) else ""
                    yield Edit("placed", last, (source + alone,), (first,), made)


def _places(working: Working, lines: Sequence[Line], step: Line) -> Iterator[tuple[int, str]]:
    """What has the axes of a norm's tokens, with how many lines come before what reads it; not what the norm reads."""
    before = ((0, each.name) for each in working.givens)
    for place, name in (*before, *((at, line.name) for at, line in enumerate(lines[:-1], start=1))):
        if working.axes[name] == step.axes and name != step.operands[0]:
            yield place, name


def _halves(working: Working) -> Iterator[Edit]:
    """The lines from some line on come before those up to it, where only that line connects them."""
    first, last = working.givens[0].name, working.lines[-1].name
    for at, line in enumerate(working.lines[:-1]):
        before, after = working.lines[: at + 1], working.lines[at + 1 :]
        names = {each.name for each in before}
        crossing = {name for each in after for name in each.operands if name in names}
        if crossing != {line.name} or working.axes[first] != line.axes or line.axes != working.lines[-1].axes:
            continue
        if any(first in each.operands for each in after):
            continue
        earlier = [replace(_reading(each, {line.name: first}), name=line.name if each.name == last else each.name)
                   for each in after]  # fmt: skip
        later = [replace(_reading(each, {first: line.name}), name=last if each.name == line.name else each.name)
                 for each in before]  # fmt: skip
        if made := _made(working, (*earlier, *later)):
            yield Edit("halves", last, (line.name,), (), made)


def _norms(working: Working) -> Iterator[tuple[Line, ...]]:
    """The norms, each with the line of its gain."""
    after = {line.operands[0]: line for line in working.lines if line.operation.role == "gain"}
    for line in working.lines:
        step = (line, after[line.name]) if line.name in after else (line,)
        if line.operation.role == "norm":
            yield step


def _alike(working: Working, one: str, other: str) -> bool:
    """Whether two arrays have the same axes, a key/value head for a head, and hold the same."""
    axes = [tuple("head" if word == "group" else word for word in working.axes[name]) for name in (one, other)]
    holds = {each.name: each.holds for each in working.givens}
    return axes[0] == axes[1] and holds.get(one, "numbers") == holds.get(other, "numbers")


def _exchanged(working: Working) -> Iterator[Edit]:
    """Two given arrays of the same axes, each used where the other should be."""
    names = [each.name for each in working.givens]
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            if _alike(working, one, other):
                lines = (_reading(each, {one: other, other: one}) for each in working.lines)
                if made := _made(working, lines):
                    yield Edit("exchanged", one, (other,), (one,), made)


def _order(working: Working) -> Iterator[Edit]:
    """A step comes after some of those that should read its result."""
    used = Counter(name for line in working.lines for name in line.operands)
    for step in working.lines:
        chain = [step]
        while len(chain) <= MAX_MOVED and used[chain[-1].name] == 1:
            after = next(line for line in working.lines if chain[-1].name in line.operands)
            if after.operands[0] != chain[-1].name or not _keeps_axes(working, chain[-1], after):
                break
            chain.append(after)
            if made := _moved(working, chain):
                yield Edit("order", step.name, tuple(each.name for each in chain[1:]), (step.name,), made)


def _keeps_axes(working: Working, *lines: Line) -> bool:
    return all(each.operands and working.axes[each.operands[0]] == each.axes for each in lines)


def _moved(working: Working, chain: Sequence[Line]) -> Working | None:
    """The working with the first step of a chain after the others; each place keeps its name."""
    order = [*chain[1:], chain[0]]
    last, made = chain[0].operands[0], []
    for place, step in zip(chain, order, strict=True):
        operands = (last, *step.operands[1:])
        made.append(replace(place, operation=step.operation, parameters=step.parameters, operands=operands))
        last = place.name
    names = {each.name for each in chain}
    kept = [each for each in working.lines if each.name not in names]
    at = next(place for place, each in enumerate(working.lines) if each.name == chain[-1].name) - len(chain) + 1
    return _made(working, (*kept[:at], *made, *kept[at:]))


def _twice(working: Working) -> Iterator[Edit]:
    """A step is done once more on its own result."""
    for place, line in enumerate(working.lines):
        if not line.operands or working.axes[line.operands[0]] != line.axes:
            continue
        once = replace(line, name=f"{line.name}.once")
        again = replace(line, operands=(once.name, *line.operands[1:]))
        if made := _made(working, (*working.lines[:place], once, again, *working.lines[place + 1 :])):
            kind = {"bias": "added twice", "gain": "applied twice"}.get(line.operation.role or "", "twice")
            what = line.name if kind == "twice" else " and ".join(line.operands[1:])
            yield Edit(kind, what, (line.name,), (line.name,), made)
