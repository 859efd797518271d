"""Measuring a function: what it computes, part by part, without a list of bugs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any

from msgspec.structs import replace

from clearhead.check.calls.calling import Function, libraries
from clearhead.check.calls.starting import Start, start
from clearhead.check.calls.task import task_of
from clearhead.check.measure.access import FILLED, Attend, Refused, Size, reference, roles_of
from clearhead.check.measure.blocks.measure import BlockEvidence, measure_block
from clearhead.check.measure.compare import compare_parts
from clearhead.check.measure.masks import far_seen, masked
from clearhead.check.measure.naming import Evidence
from clearhead.check.measure.observe import Observed, drawn, observe
from clearhead.check.measure.parts import Measurement, Premise
from clearhead.check.measure.premises import (
    Swept,
    finite,
    follows_inputs,
    normalised_axis,
    repeatable,
    roles,
    sweep,
    without_values,
)
from clearhead.check.measure.rebuild import rebuild
from clearhead.check.measure.sizes import Plan
from clearhead.errors import SpecError
from clearhead.working import Working

BEYOND = ("overflow", "score curve", "rounding", "precision")
"""The parts that may differ where the numbers agree on ordinary inputs."""

FEW = 2
"""At how many sizes parts are measured where all numbers agree."""

LARGE = 48
"""With more keys than this only masks are measured."""

DOUBLE, SINGLE = 2.0**-50, 2.0**-23
"""The relative precision of numbers in double and in single precision."""

SLOW = 0.15
"""A function that takes more seconds than this at each new size, on a full batch, is tried at fewer sizes."""

REBUILT = 30
"""How many units of precision the outputs of the parts may be off, and explain those of the function."""


def measure(
    function: Function,
    working: Working | None,
    takes: str | Sequence[str] = ("query", "key", "value"),
    returns: str | Sequence[str] = "head",
    given: Mapping[str, Any] | None = None,
    library: str | None = None,
) -> Measurement:
    """Measures what code computes, part by part, beside what its working computes.

    Args:
        function: called with one array for each name in ``takes``, as for `probe`.
        working: how it should be computed.
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
        ShapeError: a given array does not fit.
    """
    if not isinstance(working, Working):
        got = type(working).__name__
        raise SpecError(f"A function is measured beside a working, got {got}. Give Attention(heads=2).working().")
    task = task_of(working, takes, returns, given or {})
    begun, _ = start(function, task, libraries(function, library, given or {}))
    found = measure_from(begun)
    if found is None:
        said = " ".join(each.says for each in begun.seen.symptoms)
        raise SpecError(f"The function gives nothing to measure. {said}")
    return found.measurement


def measure_from(begun: Start) -> Evidence | BlockEvidence | None:
    """Measures a function that was called already; None if it gives nothing that can be compared."""
    if begun.rank > 0:
        return None
    found = roles_of(begun.caller.task)
    if found is None:
        return measure_block(begun)
    clock = perf_counter()
    f, due = Attend(begun.caller, found), reference(begun.caller.task, found)
    plan = Plan(begun.caller.task, found, begun.sizes, begun.tied)
    if _slow(f, plan):
        plan, f.filled, f.wide = plan.brief(), True, False
    measuring = _Measuring(f, due, plan)
    result = measuring.measurement()
    if result is None:
        return None
    result = replace(result, calls=measuring.f.calls, seconds=perf_counter() - clock)
    return Evidence(begun.caller.task, found, measuring.swept, tuple(measuring.rows), result)


def _slow(f: Attend, plan: Plan) -> bool:
    """Whether calls at new sizes take long, as where a function is compiled for each."""
    times = []
    for size in plan.measured()[:2]:
        made, clock = drawn(size, batch=FILLED if f.caller.form.batch else 1), perf_counter()
        with suppress(Refused):
            f(made.q, made.k, made.v, size.past)
        times.append(perf_counter() - clock)
    return bool(times) and min(times) > SLOW


class _Measuring:
    """One measuring in the making."""

    def __init__(self, f: Attend, due: Attend, plan: Plan) -> None:
        self.f = f
        self.due = due
        self.plan = plan
        self.eps = 0.0
        self.swept: tuple[Swept, ...] = ()
        self.rows: list[tuple[Observed, Observed]] = []

    def measurement(self) -> Measurement | None:
        """The premises in order, then the parts."""
        self.swept = sweep(self.f, self.due, self.plan.swept())
        ran = [each for each in self.swept if not each.refused]
        if not ran:
            return None
        if failed := finite(self.f, self.swept):
            return self._stopped(failed)
        measurable = [size for size in self.plan.measured() if self._runs(size)]
        size = measurable[0] if measurable else max((each.size for each in ran), key=lambda each: -each.keys)
        if failed := repeatable(self.f, size, SINGLE) or follows_inputs(self.f, size):
            return self._stopped(failed)
        return self._measured(size)

    def _runs(self, size: Size) -> bool:
        made = drawn(size)
        try:
            self.due(made.q, made.k, made.v, size.past)
            self.f(made.q, made.k, made.v, size.past)
        except Refused:
            return False
        return True

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
            return self._stopped(Premise("linear in values", None, (size.words,), (size.words,)))
        exchanged = None
        if order != (0, 1, 2):
            query, key, value = (order.index(place) for place in range(3))
            self.f.swaps = (query, key, value)
            exchanged = Premise("argument roles", order, (size.words,), (size.words,), stops=False, explains=True)
            self.swept = sweep(self.f, self.due, self.plan.swept())
        if failed := without_values(self.f, size):
            return self._stopped(failed)
        first = self._observed(size)
        if first is None:
            return self._stopped(Premise("finite", "weights", (size.words,), (size.words,)))
        self.eps = first[0].eps
        if failed := normalised_axis(first[0], size):
            return self._stopped(failed)
        rows = [first, *(row for each in self._chosen(size) if (row := self._observed(each)))]
        self.rows = rows
        return self._compared(rows, exchanged)

    def _chosen(self, first: Size) -> list[Size]:
        """The sizes to measure at beside the first: few where all agrees, and some of those that differ."""
        ran = {each.size for each in self.swept if not each.refused}
        off = [each.size for each in self.swept if not each.refused and not each.agrees(self.eps)]
        planned = [each for each in self.plan.measured() if each != first]
        if not off:
            return planned[: FEW - 1]
        tall = [each for each in off if each.keys <= LARGE and min(each.tokens, each.keys) > 1]
        hidden = tall[:FEW] if not any(each in off or each not in ran for each in planned) else []
        return [*hidden, *planned]

    def _observed(self, size: Size) -> tuple[Observed, Observed] | None:
        """The function and the working at one size; None if one does not run there."""
        try:
            a = observe(self.f, size)
            return a, observe(self.due, size, eps=max(a.eps, DOUBLE))
        except Refused:
            return None

    def _compared(self, rows: list[tuple[Observed, Observed]], exchanged: Premise | None) -> Measurement:
        found = compare_parts(rows)
        differing, right = list(found.differing), list(found.right)
        off = [each for each in self.swept if not each.refused and not each.agrees(self.eps)]
        if self.f.roles.masks:
            hidden = masked(self.f, self.due, rows[:FEW])
            differing += [each for each in hidden if each.name not in {part.name for part in differing}]
        seen = any(each.size.keys > 1 for each in self.swept if not each.refused)  # of one key, all weights are 1
        if seen and not off:
            differing = [each for each in differing if each.name in BEYOND]
        elif not differing:
            far = [each.size for each in off if each.size.keys > LARGE]
            part = far_seen(self.f, self.due, far[0], rows[0]) if far else None
            differing += [part] if part else []
        names = {each.name for each in differing}
        right = [each for each in right if each.name not in names]
        rest = max((self._rest(a, b) for a, b in rows), default=None) if off else None
        near = max(REBUILT * self.eps, 1e-5, *(a.step for a, _ in rows))
        return Measurement(tuple(differing), tuple(right), exchanged, rest, near, tuple(a.size.words for a, _ in rows),
                           eps=self.eps, **self._sizes())  # fmt: skip

    def _rest(self, a: Observed, b: Observed) -> float:
        """What the parts leave open of the function, beyond what they leave open of the working."""
        return max(rebuild(self.f, a) - rebuild(self.due, b), 0.0)
