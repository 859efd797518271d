"""Other results of a function: another line, the shape of a deviation, or swapped arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from msgspec.structs import replace

from clearhead.check.calls.calling import Caller, Symptom
from clearhead.check.calls.observing import Seen
from clearhead.check.calls.task import Arrays, Task
from clearhead.check.compare.comparison import Comparison, compare
from clearhead.check.diagnosis import Report
from clearhead.check.results import Finding
from clearhead.check.search.chance import Evidence, Fit
from clearhead.claim import Claim
from clearhead.deviations import candidates, deviation
from clearhead.errors import ClearheadError
from clearhead.working import Working

MAX_ALIKE = 4
"""The most arguments of one shape for which all orders are tried."""


def other_line(task: Task, seen: Sequence[Seen]) -> Symptom | None:
    """The other line of the working that the function returns, if it does."""
    full = [each for each in seen if each.outputs]
    for position, name in enumerate(task.returns):
        for line in _reachable(task):
            if line != name and all(_is(task, each, position, line) for each in full):
                return Symptom(
                    "line",
                    f"What it returns as {name} is {line}: {_summary(task, line)}",
                    f"Return {name}, or say returns={line!r} if {line} is meant.",
                )
    return None


def _summary(task: Task, name: str) -> str:
    line = task.whole.line(name)
    return getattr(getattr(line, "operation", None), "summary", "an array that it was given.")


def _reachable(task: Task) -> list[str]:
    """All lines that can be computed from the function's arguments and fixed arrays."""
    known = [*task.takes, *task.fixed]
    for line in task.whole.lines:
        if all(operand in known for operand in line.operands):
            known.append(line.name)
    return known


def _is(task: Task, seen: Seen, position: int, line: str) -> bool:
    """Whether an output is this line."""
    if len(seen.outputs) <= position:
        return False
    upto = task.whole.ending_at(line)
    given = {**task.fixed, **seen.inputs.arrays}
    claim = replace(seen.claims()[position], line=line)
    try:
        return compare([claim], upto.run({each.name: given[each.name] for each in upto.givens})).agrees
    except ClearheadError:
        return False


def other_arguments(task: Task, seen: Sequence[Seen]) -> Symptom | None:
    """Whether the function confuses its arguments, such as values and keys."""
    alike = [name for name in task.takes if task.axes(name) == task.axes(task.takes[0])]
    if len(alike) < 2 or len(alike) > MAX_ALIKE:
        return None
    full = [each for each in seen if each.outputs]
    for used in product(alike, repeat=len(alike)):
        uses = dict(zip(alike, used, strict=True))
        if list(used) != alike and all(_uses(task, each, uses) for each in full):
            said = ", ".join(f"{used} as {name}" for name, used in uses.items() if used != name)
            return Symptom("arguments", f"It uses {said}.", "Look at the order of arguments, and of what is unpacked.")
    return None


def _uses(task: Task, seen: Seen, uses: Mapping[str, str]) -> bool:
    given = seen.inputs.given(task)
    swapped = {**given, **{name: given[used] for name, used in uses.items()}}
    try:
        return compare(seen.claims(), task.working.run(swapped)).agrees
    except ClearheadError:
        return False


def of_another_shape(caller: Caller, seen: Sequence[Seen]) -> Report | None:
    """The report of deviations with which a line has the shape that is returned, and the numbers on all inputs."""
    task = caller.task
    if len(task.returns) != 1 or caller.form.order != "rows":
        return None
    given = [each.inputs.given(task) for each in seen]
    returned = [(each, out) for each in seen for out in caller(each.inputs.arrays, each.dtype).outputs]
    claims = [each.claim(task.returns[0], out) for each, out in returned]
    shapes = {name: array.shape for name, array in given[0].items()}
    found = []
    tried = candidates(task.working, shapes)
    for applied in tried:
        working = applied.rewrite(task.working)
        if all(_gives(working, claim, arrays) for claim, arrays in zip(claims, given, strict=True)):
            fit = Fit((Evidence(str(applied), "", 0, 0.0),), 0.0)
            found.append(Finding((str(applied),), working, fit, (deviation(applied.id).kind,)))
    if not found:
        return None
    trace = task.working.run(given[0])
    return Report("explained", Comparison(()), trace, tuple(found), tried=len(tried) + 1, largest=1, fitting=len(found))


def _gives(working: Working, claim: Claim, given: Arrays) -> bool:
    """Whether a working gives the claims, in shape and numbers."""
    try:
        return compare([claim], working.run({each.name: given[each.name] for each in working.givens})).agrees
    except ClearheadError:
        return False
