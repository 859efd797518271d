"""All properties of a function, tested, and the smallest input on which it differs from its working."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.calls.calling import Caller, Form
from clearhead.check.calls.drawing import draw
from clearhead.check.calls.starting import Start
from clearhead.check.calls.task import Task, opened, with_open_sizes
from clearhead.check.diagnosis import Report
from clearhead.check.probing.metamorphic import Property, Trial, Violation
from clearhead.check.probing.properties import PROPERTIES, differs
from clearhead.check.probing.report import Tested
from clearhead.check.probing.shrink import MAX_CALLS, smallest
from clearhead.working import Working

SEEDS = 2
"""On how many inputs each property is tried."""

EXTREME = ("large", "large-mean")
"""Properties on extreme inputs, which may fail whatever else is right."""

FEW_TESTS = 12
"""The most tests in the search for a smaller input where the failure follows from the cause."""


class Tried(Struct, frozen=True, eq=False):
    """The properties that apply, and the smallest input that shows a difference; None if none does."""

    properties: tuple[Tested, ...]
    smallest: Violation | None

    @property
    def contradicts(self) -> bool:
        """Whether a property fails that holds for the explanation, which is then wrong."""
        return any(not (each.holds or each.follows or each.id in EXTREME) for each in self.properties)

    def without_cause(self) -> Tried:
        """The same where nothing is explained."""
        return replace(self, properties=tuple(replace(each, follows=False) for each in self.properties))


def try_all(
    task: Task, begun: Start, report: Report, eps: float = 0.0, table: Sequence[Property] = PROPERTIES
) -> Tried:
    """Tests the properties that apply to the working, and that it has, for numbers of this relative precision."""
    task = opened(task)
    trial = Trial(replace(begun.caller, task=task), eps)
    cause = _cause(task, begun, report)
    found = _tested(differs(task), trial, begun).violation if report.verdict != "agrees" else None
    right = _as_function(task.working, task, begun)
    asked = [each for each in table if each.applies(task) and _first(each, right, begun) is None]
    tested = tuple(_tested(each, trial, begun, cause) for each in asked)
    return Tried(tested, found)


def _cause(task: Task, begun: Start, report: Report) -> Trial | None:
    """The explanation as a function, to test which failures follow from it."""
    if not report.findings:
        return None
    return _as_function(with_open_sizes(report.findings[0].working), task, begun)


def _as_function(working: Working, task: Task, begun: Start) -> Trial:
    """A working as a function under test."""

    def computed(*arrays: Any) -> Any:
        given = {**task.fixed, **dict(zip(task.takes, arrays, strict=True))}
        trace = working.run({each.name: given[each.name] for each in working.givens})
        return tuple(trace[name] for name in task.returns)

    return Trial(Caller(computed, task, Form("numpy", batch=begun.form.batch)))


def _tested(prop: Property, trial: Trial, begun: Start, cause: Trial | None = None) -> Tested:
    found = _first(prop, trial, begun)
    if found is None:
        return Tested(prop.id, prop.says)
    shown = cause is None or prop.tried(cause, found.inputs) is None  # no example is shown of what follows
    least = smallest(prop, trial, found, begun.tied, MAX_CALLS if shown else FEW_TESTS)
    return Tested(prop.id, prop.says, least, cause is not None and prop.tried(cause, least.inputs) is not None)


def _first(prop: Property, trial: Trial, begun: Start) -> Violation | None:
    """The first violation on drawn inputs; None where the property holds."""
    drawn = (draw(trial.task, begun.sizes, seed, batch=trial.batch) for seed in range(SEEDS))
    return next(filter(None, (prop.tried(trial, inputs) for inputs in drawn)), None)
