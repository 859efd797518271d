"""Measuring a function: what it computes, part by part, without a list of bugs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from math import inf, isfinite
from time import perf_counter, process_time
from typing import Any

import numpy as np
from msgspec.structs import replace

from clearhead.check.calls.calling import Function, libraries
from clearhead.check.calls.observing import varies
from clearhead.check.calls.starting import Start, start
from clearhead.check.calls.task import task_of
from clearhead.check.measure.access import FILLED, Attend, Refused, Size, reference, roles_of
from clearhead.check.measure.blocks.measure import BlockEvidence, measure_block
from clearhead.check.measure.compare import Compared, compare_parts
from clearhead.check.measure.dropout import dropped
from clearhead.check.measure.fills import leaking
from clearhead.check.measure.masks import Under, blind_query, far_seen, masked, padded_queries
from clearhead.check.measure.naming import Evidence
from clearhead.check.measure.observe import Observed, drawn, observe
from clearhead.check.measure.parts import Array, Measurement, Part, Premise
from clearhead.check.measure.precision import FLOATS
from clearhead.check.measure.premises import (
    SINGLE,
    Swept,
    finite,
    finite_at_zero,
    follows_inputs,
    keeps_state,
    mask_sense,
    mixes_items,
    normalised_axis,
    repeatable,
    roles,
    sweep,
    without_values,
)
from clearhead.check.measure.rebuild import rebuild
from clearhead.check.measure.running import running
from clearhead.check.measure.selection import selection
from clearhead.check.measure.sizes import Plan
from clearhead.check.measure.state import stateful
from clearhead.check.measure.tables import reading_of
from clearhead.errors import SpecError, WrongType
from clearhead.working import Working

BEYOND = ("overflow", "score curve", "rounding", "precision", "fill")
"""The parts that may differ where the numbers agree on ordinary inputs."""

FEW = 2
"""At how many sizes parts are measured where all numbers agree."""

DRAWN = 9
"""The number of keys whose grid is shown best."""

TABLES = {"turn", "frequencies", "positions", "bias"}
"""The parts that differ where a function keeps numbers of its own, as cosines and biases by distance, in few bits."""

LARGE = 48
"""With more keys than this only masks are measured."""

DOUBLE = 2.0**-50
"""The relative precision of numbers in double precision."""

HALF = 2.0**-14
"""Numbers less precise than this are added up in half precision, perhaps."""

SLOW = 0.15
"""A function that takes more seconds of the processor than this at each new size is tried at fewer sizes."""

REBUILT = 30
"""The tolerance, in units of precision, within which the outputs of the parts explain those of the function."""


def measure(
    function: Function,
    working: Working | None,
    takes: str | Sequence[str] = ("query", "key", "value"),
    returns: str | Sequence[str] = "head",
    given: Mapping[str, Any] | None = None,
    library: str | None = None,
) -> Measurement:
    """Measures what code computes, part by part, and compares it with its working.

    Args:
        function: called with one array for each name in ``takes``, as for `probe`.
        working: the right computation.
        takes: queries, keys and values (batch, head, token, depth), and masks or cached keys and values if it has any;
            or tokens, and the weights that are given to it, for a norm, an MLP or a block.
        returns: the heads (batch, head, token, depth), or the weights (batch, head, query, key); or any other line.
        given: arrays that the function has inside, such as a mask.
        library: ``"numpy"``, ``"torch"`` or ``"jax"``; None to find out.

    Returns:
        The parts that differ and those that are right, with how often the function was called.

    Raises:
        UnknownName: a line or array does not exist.
        SpecError: the function gives nothing that can be compared.
        WrongType: ``function`` cannot be called.
        ShapeError: a given array does not fit.
    """
    if not isinstance(working, Working):
        got = type(working).__name__
        raise SpecError(f"A function is measured against a working, got {got}. Give Attention(heads=2).working().")
    if not callable(function):
        raise WrongType(f"function expects a function, got {type(function).__name__}. Give it without calling it.")
    task = task_of(working, takes, returns, given or {})
    begun, _ = start(function, task, libraries(function, library, given or {}))
    if kept := stateful(begun) or (dropped(begun) if varies(begun.caller, begun.seen) else None):
        return kept
    found = measure_from(begun)
    if found is None:
        said = " ".join(each.says for each in begun.seen.symptoms)
        raise SpecError(f"The function gives nothing to measure. {said}")
    return found.measurement


def measure_from(begun: Start) -> Evidence | BlockEvidence | None:
    """Measures a function that was called already; None if its results cannot be compared."""
    if begun.rank > 0:
        return None
    found = roles_of(begun.caller.task)
    if found is None:
        return measure_block(begun)
    clock = perf_counter()
    f, expected = Attend(begun.caller, found), reference(begun.caller.task, found)
    plan = Plan(begun.caller.task, found, begun.sizes, begun.tied)
    if _slow(f, plan):
        plan, f.filled, f.wide = plan.brief(), True, False
    measuring = _Measuring(f, expected, plan)
    result = measuring.measurement()
    if result is None:
        return None
    if (part := result.part("frequencies")) and part.differs:
        part.details["reading"] = reading_of(begun.caller.task.working, part)
    evidence = Evidence(begun.caller.task, found, measuring.swept, tuple(measuring.rows), result).with_edits()
    known = replace(evidence.measurement, calls=measuring.f.calls, seconds=perf_counter() - clock)
    return replace(evidence, measurement=known)


def _slow(f: Attend, plan: Plan) -> bool:
    """Whether calls at new sizes take long, as where a function is compiled for each."""
    times = []
    for size in plan.measured()[:2]:
        made, clock = drawn(size, batch=FILLED if f.caller.form.batch else 1), process_time()
        with suppress(Refused):
            f(made.q, made.k, made.v, size.past)
        times.append(process_time() - clock)
    return bool(times) and min(times) > SLOW


def _from_drawn(size: Size) -> int:
    """How far the keys are from as many as are shown best."""
    return abs(size.keys - DRAWN)


class _Measuring:
    """One measurement in progress."""

    def __init__(self, f: Attend, expected: Attend, plan: Plan) -> None:
        self.f = f
        self.expected = expected
        self.plan = plan
        self.eps = 0.0
        self.measurable: list[Size] = []
        self.swept: tuple[Swept, ...] = ()
        self.sense: Premise | None = None
        self.rows: list[tuple[Observed, Observed]] = []

    def measurement(self) -> Measurement | None:
        """The premises in order, then the parts."""
        self.swept = sweep(self.f, self.expected, self.plan.swept())
        ran = [each for each in self.swept if not each.refused]
        if not ran:
            return None
        failed = finite(self.f, self.expected, self.swept)
        if failed and (failed.explains or len(failed.fails) == len(failed.tried)):
            return self._stopped(failed)
        measurable = [size for size in self.plan.measured() if self._runs(size)]
        size = measurable[0] if measurable else min((each.size for each in ran), key=_from_drawn)
        self.sense = mask_sense(self.f, size)
        self.measurable = [each for each in measurable if self._runs(each, finite=True)] if failed else measurable
        size = next(iter(self.measurable), size)
        if other := repeatable(self.f, size, SINGLE) or follows_inputs(self.f, size):
            return self._stopped(failed or other)
        found = self._measured(size)
        if found.differs and not (found.parts or found.premise):
            failed = failed or mixes_items(self.f, size)
        if failed is None:
            return found
        whole = found.parts and not found.premise  # what is measured where all is finite
        return replace(found, premise=replace(failed, stops=False)) if whole else self._stopped(failed)

    def _runs(self, size: Size, *, finite: bool = False) -> bool:
        """Whether the function runs at a size, and gives finite numbers there."""
        made = drawn(size)
        try:
            due = self.expected(made.q, made.k, made.v, size.past)
            y = self.f(made.q, made.k, made.v, size.past)
        except Refused:
            return False
        return not finite or bool((np.isfinite(y) | ~np.isfinite(due)).all())

    def _stopped(self, failed: Premise) -> Measurement:
        return Measurement(premise=failed, **self._sizes())

    def _sizes(self) -> dict[str, Any]:
        ran = [each for each in self.swept if not each.refused]
        agreeing = [each for each in ran if each.agrees(self.eps)]
        return {
            "agrees": tuple(each.size.words for each in agreeing),
            "differs": tuple(each.size.words for each in ran if each not in agreeing),
            "refused": tuple(each.size.words for each in self.swept if each.refused),
        }

    def _measured(self, size: Size) -> Measurement:
        order = roles(self.f, size)
        if order is None:
            return self._stopped(
                mixes_items(self.f, size) or Premise("linear in values", None, (size.words,), (size.words,))
            )
        exchanged = self.sense
        if order != (0, 1, 2):
            query, key, value = (order.index(place) for place in range(3))
            self.f.swaps = (query, key, value)
            exchanged = Premise("argument roles", order, (size.words,), (size.words,), stops=False, explains=True)
            self.swept = sweep(self.f, self.expected, self.plan.swept())
        if failed := finite_at_zero(self.f, self.expected, size) or without_values(self.f, size):
            return self._stopped(failed)
        first = self._observed(size)
        if first is None:
            return self._stopped(Premise("finite", "weights", (size.words,), (size.words,)))
        self.eps = first[0].eps
        if failed := normalised_axis(self.f, self.expected, first, size):
            return self._stopped(failed)
        rows = [first, *(row for each in self._chosen(size) if (row := self._observed(each)))]
        if not compare_parts(rows).differing:
            rows += [row for each in self._odd({a.size for a, _ in rows}) if (row := self._observed(each))]
        self.rows = rows
        return self._compared(rows, exchanged)

    def _chosen(self, first: Size) -> list[Size]:
        """The sizes to measure at after the first: few where all agrees."""
        planned = [each for each in self.measurable if each != first]
        return planned if self._off() else planned[: FEW - 1]

    def _off(self) -> list[Swept]:
        """The results that differ, and are numbers."""
        ran = (each for each in self.swept if not each.refused and each.finite)
        return [each for each in ran if not each.agrees(self.eps)]

    def _odd(self, known: Collection[Size]) -> list[Size]:
        """Some of the sizes at which numbers differ, for where no part does at those that were measured."""
        odd = [each.size for each in self._off() if 1 < each.size.keys <= LARGE and each.size not in known]
        return sorted(odd, key=_from_drawn)[:FEW]

    def _observed(self, size: Size) -> tuple[Observed, Observed] | None:
        """The function and the working at one size; None if one does not run there."""
        try:
            a = observe(self.f, size)
            return a, observe(self.expected, size, eps=max(a.eps, DOUBLE))
        except Refused:
            return None

    def _compared(self, rows: list[tuple[Observed, Observed]], exchanged: Premise | None) -> Measurement:
        rows, found = self._in_single(rows, compare_parts(rows))
        stale = keeps_state(self.f, self.expected, rows[0][0].size) if self._partly() else None
        exchanged = exchanged or stale
        differing, right = list(found.differing), list(found.right)
        off = [each for each in self.swept if not each.refused and not each.agrees(self.eps)]
        under: tuple[Under, ...] = ()
        if self.f.roles.masks:
            hidden, under = masked(self.f, self.expected, rows[:FEW])
            differing += [each for each in hidden if each.name not in {part.name for part in differing}]
        seen = any(each.size.keys > 1 for each in self.swept if not each.refused)  # with one key, all weights are 1
        if seen and not off:
            differing = [each for each in differing if each.name in BEYOND]
        differing = [] if stale else differing
        if not differing and (part := leaking(self.f, self.expected, rows[0])):
            differing += [part]
        if not differing and (off or self.eps > HALF):
            far = [each.size for each in off or self.swept if each.size.keys > LARGE and not each.refused]
            part = far_seen(self.f, self.expected, far[-1], rows[0]) if far else None
            differing += [part] if part else []
        if self.f.roles.masks and not self.f.inverts and (blind := blind_query(self.f, self.expected, rows[0][0].size)):
            right += [blind]
        names = {each.name for each in differing}
        right = [each for each in right if each.name not in names]
        cases = (*((a, b, None) for a, b in rows), *under)
        rest = max(self._rest(a, b, masks) for a, b, masks in cases) if off else None
        near = max(REBUILT * self.eps, 1e-5, *(a.step for a, _ in rows))
        if off and not exchanged and (part := padded_queries(self.f, self.expected, self.swept, self.eps)):
            differing, rest = [part], 0.0
        remains = rest is not None and (rest > near or not differing)
        if remains and not exchanged and (chosen := self._not_softmax(rows)):
            differing, rest = [chosen], 0.0
        return Measurement(tuple(differing), tuple(right), exchanged, rest, near, tuple(a.size.words for a, _ in rows),
                           eps=self.eps, **self._sizes())  # fmt: skip

    def _in_single(
        self, rows: list[tuple[Observed, Observed]], found: Compared
    ) -> tuple[list[tuple[Observed, Observed]], Compared]:
        """The same in single precision, where only tables differ, and by less than that shows."""
        ran = [each for each in self.swept if not each.refused]
        names = {each.name for each in found.differing}
        if not names or names - TABLES or self.eps >= SINGLE / 2 or not all(each.agrees(SINGLE / 2) for each in ran):
            return rows, found
        rough = [
            (replace(a, eps=SINGLE / 2, bits=replace(a.bits, inside=FLOATS["float32"]) if a.bits else None), b)
            for a, b in rows
        ]
        again = compare_parts(rough)
        if again.differing:
            return rows, found
        self.eps = SINGLE / 2
        return rough, again

    def _not_softmax(self, rows: list[tuple[Observed, Observed]]) -> Part | None:
        """How keys are chosen by their scores, or what is not rescaled; None where that does not give all weights."""
        ran = [each for each in self.swept if not each.refused and min(each.size.tokens, each.size.keys) > FEW]
        off = [each.size for each in ran if each.finite and not each.agrees(self.eps)]
        wide = sorted(
            (each.size for each in ran if each.finite and each.size.keys <= LARGE), key=lambda size: -size.keys
        )
        sizes = list(dict.fromkeys((*(a.size for a, _ in rows[:FEW]), *wide[:FEW], *off[:1])))
        return selection(self.f, self.expected, sizes, self.eps) or running(self.f, self.expected, sizes, self.eps)

    def _partly(self) -> bool:
        """Whether some sizes agree and others do not."""
        agreeing = [each.agrees(self.eps) for each in self.swept if not each.refused]
        return any(agreeing) and not all(agreeing)

    def _rest(self, a: Observed, b: Observed, masks: dict[str, Array] | None) -> float:
        """The error of the parts for the function, beyond their error for the working."""
        found = rebuild(self.f, a, masks) - rebuild(self.expected, b, masks)
        return max(found, 0.0) if isfinite(found) else inf
