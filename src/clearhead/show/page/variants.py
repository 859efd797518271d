"""The deviations that travel with a page: the lines that each rewrites, as data, with formulas and without numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from clearhead.deviations import Applied, candidates, deviate, deviation
from clearhead.deviations.common import COMMON, COMMON_BACKWARD
from clearhead.errors import visible
from clearhead.show.page.content import Data, line_data
from clearhead.show.view import View
from clearhead.trace import Trace
from clearhead.working import Working

MAX_NUMBERS = 50_000
"""A page of more numbers than this takes no deviations along: it would not compute them soon enough."""

MAX_LINES = 400
"""Of more rewritten lines than this in all the rest is left out."""


def variants_of(trace: Trace, view: View) -> list[Data]:
    """The ways in which a page can compute its lines otherwise: those that explain the claims, then common ones.

    Each has a name, what it does, how to fix it, the deviations that are in it, the names of all lines in order, and
    the lines that are new or others than in the trace.
    """
    if sum(prod(shape) for shape in trace.shapes.values()) > MAX_NUMBERS:
        return []
    shapes = {given.name: trace.shapes[given.name] for given in trace.working.givens}
    found: list[Data] = []
    room = MAX_LINES
    singles = [each for ids in (COMMON_BACKWARD, COMMON) for each in candidates(trace.working, shapes, ids)]
    for data, working in _ways(trace, view, singles):
        made = {**data, "order": list(working.names), "lines": _rewritten(trace, working, view)}
        room -= len(made["lines"])
        if room < 0:
            break
        found.append(made)
    return found


def _ways(trace: Trace, view: View, singles: Sequence[Applied]) -> Iterator[tuple[Data, Working]]:
    applied = tuple(map(str, view.deviations))
    if applied and view.textbook is not None:
        says = {"does": "All lines are as the textbook has them.", "remedy": ""}
        yield {"name": "Without deviations", **says, "applied": []}, view.textbook
    if view.causes:
        yield _way(view.causes, applied), deviate(trace.working, *view.causes)
    for each in singles:
        if (str(each),) == view.causes:
            continue
        yield _way((str(each),), applied), deviate(trace.working, each)


def _way(names: tuple[str, ...], applied: tuple[str, ...]) -> Data:
    known = [deviation(name.partition(":")[0]) for name in names]
    return {
        "name": visible(" with ".join(names)),
        "does": " ".join(each.does for each in known),
        "remedy": " ".join(each.remedy for each in known),
        "applied": [*applied, *names],
    }


def _rewritten(trace: Trace, working: Working, view: View) -> list[Data]:
    """The lines of a working that the trace has not, or has otherwise, as a page shows them."""
    shapes = working.shapes({given.name: trace.shapes[given.name] for given in trace.working.givens})
    old = set(trace.working.lines)
    return [
        line_data(line, working, trace, view, shapes) | {"absent": None, "claims": [], "notes": [], "changed": True}
        for line in working.lines
        if line not in old or shapes[line.name] != trace.shapes.get(line.name)
    ]
