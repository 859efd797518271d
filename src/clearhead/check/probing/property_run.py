"""All properties tried of a function, and the smallest input on which it differs from its working."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.diagnosis import Report
from clearhead.check.probing.calling import Caller, Form
from clearhead.check.probing.drawing import draw
from clearhead.check.probing.metamorphic import Property, Trial, Violation
from clearhead.check.probing.properties import PROPERTIES, differs
from clearhead.check.probing.report import Tested
from clearhead.check.probing.shrink import smallest
from clearhead.check.probing.starting import Start
from clearhead.check.probing.task import Task, opened, with_open_sizes

SEEDS = 2
"""On how many inputs each property is tried."""


class Tried(Struct, frozen=True, eq=False):
    """The properties that apply, and the smallest input that shows a difference; None if none does."""

    properties: tuple[Tested, ...]
    smallest: Violation | None

    @property
    def contradicts(self) -> bool:
        """Whether a property fails that does not fail of the explanation, which then is none."""
        return any(not (each.holds or each.follows or each.id == "large") for each in self.properties)

    def without_cause(self) -> Tried:
        """The same where nothing is explained."""
        return replace(self, properties=tuple(replace(each, follows=False) for each in self.properties))


def try_all(task: Task, begun: Start, report: Report) -> Tried:
    """Tries the properties that the working says must hold."""
    task = opened(task)
    trial = Trial(replace(begun.caller, task=task))
    cause = _cause(task, begun, report)
    found = _tested(differs(task), trial, begun).violation if report.verdict != "agrees" else None
    tested = tuple(_tested(each, trial, begun, cause) for each in PROPERTIES if each.applies(task))
    return Tried(tested, found)


def _cause(task: Task, begun: Start, report: Report) -> Trial | None:
    """The explanation as a function, to see what follows from it."""
    if not report.findings:
        return None
    working = with_open_sizes(report.findings[0].working)

    def explained(*arrays: Any) -> Any:
        given = {**task.fixed, **dict(zip(task.takes, arrays, strict=True))}
        trace = working.run({each.name: given[each.name] for each in working.givens})
        return tuple(trace[name] for name in task.returns)

    return Trial(Caller(explained, task, Form("numpy", batch=begun.form.batch)))


def _tested(prop: Property, trial: Trial, begun: Start, cause: Trial | None = None) -> Tested:
    for seed in range(SEEDS):
        found = prop.tried(trial, draw(trial.task, begun.sizes, seed, batch=trial.batch))
        if found:
            least = smallest(prop, trial, found, begun.tied)
            follows = cause is not None and prop.tried(cause, least.inputs) is not None
            return Tested(prop.id, prop.says, least, follows)
    return Tested(prop.id, prop.says)
