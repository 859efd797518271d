"""Workings in which steps come once more: a norm behind the result, a half or all of a block applied twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from clearhead.errors import ClearheadError
from clearhead.line import Line
from clearhead.working import Working


def appended(working: Working) -> Iterator[tuple[str, Working]]:
    """A norm of the working, with its gain or without one, behind the result: the name of the norm, and the working."""
    after = {line.operands[0]: line for line in working.lines if line.operation.role == "gain"}
    last = working.lines[-1]
    for norm in (line for line in working.lines if line.operation.role == "norm" and line.axes == last.axes):
        gained = after.get(norm.name)
        for step in ((norm, gained), (norm,)) if gained else ((norm,),):
            lines = _behind(working.lines, [each for each in step if each], norm.operands[0])
            if made := _made(working, lines):
                yield (step[-1] or norm).name, made


def repeated(working: Working) -> Iterator[tuple[str, Working]]:
    """A half of a block, or all of it, applied to its own result: what is repeated, and the working."""
    paths = dict.fromkeys(line.name.partition(".")[0] for line in working.lines if "." in line.name)
    for path in (*paths, ""):
        own = [line for line in working.lines if not path or line.name.startswith(f"{path}.")]
        at = working.lines.index(own[0])
        if list(working.lines[at : at + len(own)]) != own:
            continue
        lines = _again(working, own, at)
        if lines and (made := _made(working, lines)):
            yield path, made


def _behind(lines: Sequence[Line], step: Sequence[Line], source: str) -> list[Line]:
    """Lines with a step behind the last of them, which keeps its name for the result."""
    last = lines[-1]
    once = f"{last.name}.once"
    kept = [*lines[:-1], replace(last, name=once)]
    names = {source: once}
    for each in step:
        named = last.name if each is step[-1] else f"{each.name}.behind"
        kept.append(_renamed(each, named, names))
        names[each.name] = named
    return kept


def _again(working: Working, own: Sequence[Line], at: int) -> list[Line]:
    """The lines with a section of them once more on its own result; none where it reads several lines of tokens."""
    names = {line.name for line in own}
    last = own[-1]
    given = {each.name for each in working.givens if each.axes != last.axes or each.holds != "numbers"}
    reads = {name for line in own for name in line.operands if name not in names and name not in given}
    if len(reads) != 1 or working.axes[source := reads.pop()] != last.axes:
        return []
    result = last.name
    first = [_renamed(line, f"{line.name}.once", {name: f"{name}.once" for name in names}) for line in own]
    again = [_renamed(line, line.name, {source: f"{result}.once"}) for line in own]
    return [*working.lines[:at], *first, *again, *working.lines[at + len(own) :]]


def _renamed(line: Line, name: str, names: dict[str, str]) -> Line:
    return replace(line, name=name, operands=tuple(names.get(each, each) for each in line.operands))


def _made(working: Working, lines: Sequence[Line]) -> Working | None:
    try:
        return replace(working, lines=tuple(lines))
    except ClearheadError:
        return None


REPEATS: dict[str, Callable[[Working], Iterator[tuple[str, Working]]]] = {"appended": appended, "repeated": repeated}
"""The ways in which steps may come once more, by the kind of edit."""
