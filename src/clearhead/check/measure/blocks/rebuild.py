"""Outputs of a block computed with a hidden cell as it was measured, compared with those of the function."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from clearhead.check.calls.task import Arrays, Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Outputs
from clearhead.check.measure.blocks.curves import Formula
from clearhead.check.measure.blocks.outline import lines_of
from clearhead.check.measure.blocks.trials import Trial
from clearhead.errors import ClearheadError


def remainder(task: Task, formula: Formula, ran: Sequence[Trial]) -> float:
    """The largest difference that this hidden cell leaves, relative to the outputs; 0 where all are right."""
    left = 0.0
    for trial in ran:
        if trial.y is None:
            continue
        try:
            due = replace(trial, expected=_outputs(task, formula, trial.arrays))
        except (ClearheadError, Refused):
            return np.inf
        left = max(left, 0.0 if due.agrees else due.off)
    return left


def _outputs(task: Task, formula: Formula, arrays: Arrays) -> Outputs:
    """The outputs of the working with this formula of its hidden cells."""
    active = next(lines_of(task, "activation"))
    gated = next((line for line in lines_of(task, "gate") if active.name in line.operands), None)
    gate = active.operands[0]
    up = next(name for name in gated.operands if name != active.name) if gated else gate
    hidden = gated.name if gated else active.name
    given = {**task.fixed, **arrays}
    before, after = task.working.ending_at(gate, up), task.working.starting_at(hidden)
    trace = before.run({each.name: given[each.name] for each in before.givens}, keep=(gate, up))
    given[hidden] = formula(trace.numpy(gate), trace.numpy(up))
    found = after.run({each.name: given[each.name] for each in after.givens}, keep=task.returns)
    return tuple(np.asarray(found.numpy(name), np.float64) for name in task.returns)
