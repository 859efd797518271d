"""Gradients on inputs of other shapes: more keys than queries, values wider than queries, all axes of one size.

Code that is right of the first shapes may be wrong of these: it takes one axis for another, or counts to a wrong end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from clearhead.check.calls.drawing import draw, sizes_of
from clearhead.check.calls.drawing import fits as sizes_fit
from clearhead.check.calls.observing import Seen, look
from clearhead.check.calls.starting import Start, attempt
from clearhead.check.calls.task import Task
from clearhead.check.diagnosis import Report
from clearhead.check.gradients.noise import as_rough
from clearhead.check.gradients.task import GradientTask
from clearhead.check.probing.explaining import agree, explain, unconfirmed

MORE = 2
"""How many more keys than queries there are, or features of values than of queries, where these should differ."""

EQUAL = 6
EQUAL_SIZES = {"token": EQUAL, "model": EQUAL, "depth": EQUAL, "hidden": EQUAL, "batch": 2}
"""Sizes at which there are as many rows as columns."""


class Elsewhere(Struct, frozen=True):
    """What is different on inputs of another shape.

    Attributes:
        note: what is said of it.
        report: the report that stands in the place of that on the first shapes; None where that remains.
        seen: the results on these inputs, which show where they are wrong; none where the first ones do.
    """

    note: str
    report: Report | None = None
    seen: tuple[Seen, ...] = ()


def elsewhere(task: GradientTask, begun: Start, rough: Sequence[float], forward: Start | None) -> tuple[Elsewhere, ...]:
    """What is different on inputs of other shapes, up to the first that has a report.

    Args:
        task: the gradients.
        begun: how the backward function is called, whose gradients agree on its first shapes.
        rough: how rough its results are.
        forward: how the function's own forward pass is called, where that agrees.
    """
    by_name = dict(zip(task.returns, rough, strict=True))
    found: list[Elsewhere] = []
    for each in (_more_keys, _wider_values, _equal_sizes):
        if (one := each(task, begun, by_name, forward)) is not None:
            found.append(one)
            if one.report is not None:
                break
    return tuple(found)


def _more_keys(task: GradientTask, begun: Start, rough: Mapping[str, float], _: Start | None) -> Elsewhere | None:
    """More keys than queries, where these are taken apart."""
    if not task.keys or task.keys & task.forward.queries or "token" not in begun.sizes:
        return None
    sizes = {**begun.sizes, "apart": begun.sizes["token"] + MORE, "key": begun.sizes["key"] + MORE}
    if not sizes_fit(task, draw(task, sizes, 0, batch=begun.form.batch)):
        return None
    more = attempt(begun.caller.function, task, begun.form, sizes)
    if more.rank:
        return Elsewhere("It was only tried with as many keys as queries: with more keys it gives nothing to compare.")
    report, seen = _report(task, more.seen, rough)
    if report is None:
        return None
    note = f"With more keys than queries its gradients differ{_cause(report)}."
    return Elsewhere(note, report, (seen,)) if task.forward.follows_order else Elsewhere(note)


def _wider_values(
    task: GradientTask, begun: Start, rough: Mapping[str, float], forward: Start | None
) -> Elsewhere | None:
    """Values with more features than queries, where they are taken apart, and the forward pass takes them."""
    if not task.of_values or begun.tied or "depth" not in begun.sizes:
        return None
    sizes = {**begun.sizes, "wide": begun.sizes["depth"] + MORE}
    if not sizes_fit(task, draw(task, sizes, 5, batch=begun.form.batch)):
        return None
    if forward is not None and not _takes(forward, sizes):
        return None
    wider = attempt(begun.caller.function, task, begun.form, sizes)
    if wider.rank:
        only = "It was only tried with values as wide as queries: with wider ones it gives nothing to compare."
        return Elsewhere(only) if forward is not None else None
    report, seen = _report(task, wider.seen, rough)
    if report is None:
        return None
    note = f"Where values are wider than queries its gradients differ{_cause(report)}."
    if forward is None:
        return Elsewhere(note)
    return Elsewhere(
        f"Its gradients agree where values are as wide as queries. {note} Its forward pass takes such values.",
        unconfirmed(report),
        (seen,),
    )


def _takes(forward: Start, sizes: Mapping[str, int]) -> bool:
    """Whether a forward pass gives the working's numbers at these sizes."""
    task = forward.caller.task
    found = attempt(forward.caller.function, task, forward.form, dict(sizes))
    return found.rank == 0 and agree(task, [found.seen])


def _equal_sizes(task: GradientTask, begun: Start, rough: Mapping[str, float], _: Start | None) -> Elsewhere | None:
    """All axes of the same size."""
    inputs = draw(task, sizes_of(task, EQUAL_SIZES), 4, batch=begun.form.batch)
    if begun.tied or not sizes_fit(task, inputs):
        return None
    equal = look(begun.caller, inputs, begun.form.dtype)
    if not equal.outputs:
        return None
    report, seen = _report(task, equal, rough)
    if report is None:
        return None
    note = (
        f"Its gradients agree on the other inputs, and differ where axes have the same size, {EQUAL}: "
        "a broadcast along the wrong axis does that."
    )
    return Elsewhere(note, unconfirmed(report), (seen,))


def _report(task: Task, seen: Seen, rough: Mapping[str, float]) -> tuple[Report | None, Seen]:
    """The report on results that differ, None where they agree; and the results as rough as they are."""
    compared = as_rough(seen, dict(rough))
    report, _ = explain(task, [compared], max_deviations=1)
    return (None if report.verdict == "agrees" else report), compared


def _cause(report: Report) -> str:
    return f": {' and '.join(report.findings[0].deviations)} gives its numbers" if report.findings else ""
