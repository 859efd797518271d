"""Probing: a function is called on random inputs, and its results are compared with a working."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.calls.calling import Function, Symptom, libraries
from clearhead.check.calls.drawing import draw, fits
from clearhead.check.calls.observing import Seen, lines_of_shape, odd_numbers, varies
from clearhead.check.calls.starting import Start, attempt, form_symptom, is_layout, others, start
from clearhead.check.calls.task import Task, retold, task_of
from clearhead.check.compare.comparison import Comparison, compare
from clearhead.check.diagnosis import Report
from clearhead.check.measure.blocks.measure import BlockEvidence
from clearhead.check.measure.dropout import dropped
from clearhead.check.measure.measure import measure_from
from clearhead.check.measure.naming import NEVER, Evidence
from clearhead.check.measure.parts import Measurement
from clearhead.check.measure.state import stateful
from clearhead.check.probing.adapt import Adapted
from clearhead.check.probing.explaining import LONG, MAX_DEVIATIONS, agree, explain, reported, unconfirmed
from clearhead.check.probing.property_run import try_all
from clearhead.check.probing.report import Drawn, Probe
from clearhead.check.probing.swapped_arguments import of_another_shape, other_arguments, other_line
from clearhead.errors import SpecError, WrongType
from clearhead.working import Working

MORE_KEYS = 2
"""How many more keys than queries there are, where the two should differ."""


WHERE = ("halves", "small inputs")
"""The parts of a block that say only where it differs, as do those of what is read."""

PRECISE = 2.0**-40
"""Numbers less precise than this are not searched for deviations."""

HALF = ("float16", "bfloat16")
"""Types that are named only where numbers have no more bits."""

MANY = 8
"""Fewer numbers than this may be near the right ones by chance."""

MAX_SEARCHED = 2
"""The largest sets of deviations that are searched where measured parts do not explain everything."""


def probe(
    function: Function | Adapted,
    working: Working | None = None,
    takes: str | Sequence[str] = ("query", "key", "value"),
    returns: str | Sequence[str] = "head",
    given: Mapping[str, Any] | None = None,
    library: str | None = None,
) -> Probe:
    """Calls a function on random inputs, and reports whether it computes the working, or what it does instead.

    An explanation is only reported if it also holds on other inputs than those it was found on.

    Args:
        function: called with one array for each name in ``takes``, in the working's layout: (batch, head, token, depth)
            for queries. Functions without a batch, or without an axis for a single head, are recognised. Or the result
            of `adapt`, which has the other arguments too.
        working: the right computation.
        takes: the lines or given arrays that the function is called with. The working is entered there.
        returns: the line that the function returns; several if it returns a tuple.
        given: fixed arrays, such as weights that the function has inside.
        library: ``"numpy"``, ``"torch"`` or ``"jax"``: the library of the function's arrays. If None, NumPy is tried
            first, then the others that are imported already.

    Raises:
        UnknownName: a line or array does not exist.
        SpecError: the working needs an array that is neither taken nor given; or there is no working.
        WrongType: ``function`` cannot be called.
        ShapeError: a given array does not fit.
    """
    if isinstance(function, Adapted):
        return _Probing(function.function, function.task(), (function.library,)).probe()
    if not isinstance(working, Working):
        got = "" if working is None else f", got {type(working).__name__}"
        raise SpecError(f"A function is probed against a working{got}. Give one, such as Attention(heads=2).working().")
    if not callable(function):
        raise WrongType(f"function expects a function, got {type(function).__name__}. Give it without calling it.")
    given = given or {}
    return _Probing(function, task_of(working, takes, returns, given), libraries(function, library, given)).probe()


class _Outcome(Struct, frozen=True):
    """The outcome of comparing numbers: how the function was called, its results, the report, and symptoms."""

    start: Start
    seen: tuple[Seen, ...]
    report: Report
    symptoms: tuple[Symptom, ...] = ()
    notes: tuple[str, ...] = ()
    measured: Measurement | None = None


class _Probing:
    """One probe in progress."""

    def __init__(self, function: Function, task: Task, libraries: Iterable[str]) -> None:
        self.function = function
        self.task = task
        self.start, self.odd = start(function, task, libraries)

    def probe(self) -> Probe:
        """Compares, explains, and tests the properties."""
        begun = self.start
        if not begun.seen.outputs:
            layouts = (found for each in others(begun) if (found := self._in_layout(each)))
            return (
                self._of_other_line()
                or self._of_other_shape()
                or next(map(self._finished, layouts), None)
                or self._without_numbers()
            )
        kept = stateful(begun)
        random = None if kept else varies(begun.caller, begun.seen)
        kept = kept or (dropped(begun) if random else None)
        if kept:
            trace = self.task.working.run(begun.seen.inputs.given(self.task))
            return self._bare(Report(kept.verdict, Comparison(()), trace, tried=0), (begun.seen,), measured=kept)
        if random:
            return self._without_numbers(random)
        return self._finished(self._measured() or self._compared())

    def _of_other_line(self) -> Probe | None:
        """The probe for another line that has the shape of what is returned, if the function is right for that."""
        shapes = [out.shape for out in self.start.caller(self.start.seen.inputs.arrays).outputs]
        for name in lines_of_shape(self.start.caller, self.start.seen.inputs, shapes):
            task = retold(self.task, name)
            found = task and _Probing(self.function, task, (self.start.form.library,)).probe()
            if found and found.verdict != "unexplained":
                remedy = f"Return {self.task.returns[0]}, or say returns={name!r} if {name} is meant."
                line = Symptom("line", f"What it returns is {name}.", remedy)
                return replace(found, verdict="explained", symptoms=(*self.start.seen.symptoms, line, *found.symptoms))
        return None

    def _of_other_shape(self) -> Probe | None:
        """The probe where deviations give the shape that is returned, and its numbers."""
        if {each.kind for each in self.start.seen.symptoms} != {"shape"}:
            return None
        seen = self.start.look()
        report = of_another_shape(self.start.caller, seen)
        return self._bare(report, seen) if report else None

    def _in_layout(self, other: Start, largest: int = 1) -> _Outcome | None:
        """The outcome in another layout, if there the numbers agree or can be explained by deviations."""
        seen = other.look()
        if not largest and not agree(self.task, seen):
            return None
        report, symptoms = explain(self.task, seen, max_deviations=1)
        if report.verdict == "unexplained":
            return None
        layout = form_symptom(self.start, other)
        return _Outcome(other, seen, report, (*symptoms, *([layout] if layout else [])))

    def _compared(self, max_deviations: int = MAX_DEVIATIONS, *, rough: bool = True) -> _Outcome:
        seen = self.start.look()
        report, symptoms = explain(self.task, seen, max_deviations=max_deviations, rough=rough)
        outcome = _Outcome(self.start, seen, report, (*self.odd, *symptoms))
        if report.verdict == "agrees":
            return self._with_more_keys(outcome)
        layouts = map(self._in_layout, others(self.start))
        if report.verdict == "unexplained":
            if odd := other_line(self.task, seen) or other_arguments(self.task, seen):
                return replace(outcome, report=replace(report, verdict="explained"), symptoms=(*outcome.symptoms, odd))
            return next((each for each in layouts if each), outcome)
        agreeing = next((each for each in layouts if each and each.report.verdict == "agrees"), None)
        layout = agreeing and form_symptom(self.start, agreeing.start)
        return replace(outcome, notes=(f"Or: {layout.says}",)) if layout else outcome

    def _measured(self) -> _Outcome | None:
        """The outcome of measuring, or of another layout in which the numbers agree; None for tasks without parts."""
        seen = self.start.look()
        if self.start.rank:
            return None
        other = iter(()) if agree(self.task, seen) else filter(partial(is_layout, self.start), others(self.start))
        if layout := next((found for each in other if (found := self._in_layout(each, 0))), None):
            return layout
        evidence = measure_from(self.start)
        return self._judged(evidence, seen) if evidence else None

    def _judged(self, evidence: Evidence | BlockEvidence, seen: Sequence[Seen]) -> _Outcome:
        measurement = evidence.measurement
        trace = self.task.working.run(seen[0].inputs.given(self.task))
        report = Report(measurement.verdict, compare(seen[0].claims(), trace), trace, tried=1)
        outcome = _Outcome(self.start, tuple(seen), report, self.odd, measured=measurement)
        if measurement.verdict == "agrees":
            return outcome if measurement.eps > PRECISE else self._with_more_keys(outcome)
        if named := evidence.names():
            return replace(outcome, report=reported(report, named))
        if line := other_line(self.task, seen):
            return replace(outcome, report=replace(report, verdict="explained"), symptoms=(*outcome.symptoms, line))
        degenerate = measurement.premise and measurement.premise.name in NEVER
        return outcome if degenerate or measurement.verdict == "explained" else self._searched(outcome, evidence)

    def _searched(self, outcome: _Outcome, evidence: Evidence | BlockEvidence) -> _Outcome:
        """The findings of a search through deviations, layouts and precisions, in addition to measurements.

        In long workings measuring has already tried all that a search could try in a reasonable time.
        """
        if len(self.task.working.lines) > LONG:
            odd = other_arguments(self.task, outcome.seen)
            explained = replace(outcome.report, verdict="explained")
            return replace(outcome, report=explained, symptoms=(*outcome.symptoms, odd)) if odd else outcome
        rough = outcome.measured is not None and outcome.measured.eps > PRECISE
        found = self._compared(MAX_SEARCHED, rough=rough)
        if found.start is self.start and isinstance(evidence, BlockEvidence):
            found = _confirmed(found, evidence)
        # Inputs on which all agrees do not undo what was measured, unless that is less than single precision shows.
        agrees = found.report.verdict == "agrees" and isinstance(evidence, Evidence) and evidence.agrees_in_single()
        if found.report.verdict != "explained" and not agrees:
            return replace(outcome, symptoms=found.symptoms)
        return found if agrees else replace(found, measured=outcome.measured)

    def _with_more_keys(self, outcome: _Outcome) -> _Outcome:
        """The outcome on as many keys as queries, and what is different on more keys."""
        task, begun = self.task, outcome.start
        if not task.keys or task.keys & task.queries or "token" not in begun.sizes:
            return outcome
        sizes = {**begun.sizes, "apart": begun.sizes["token"] + MORE_KEYS}
        sizes["key"] = sizes["key"] + MORE_KEYS
        if not fits(task, draw(task, sizes, 0, batch=begun.form.batch)):
            return outcome
        more = attempt(begun.caller.function, task, begun.form, sizes)
        if more.rank > 1:
            return replace(
                outcome, notes=("It was only tried with as many keys as queries: with more keys it does not run.",)
            )
        seen = more.look()
        report, symptoms = explain(task, seen)
        if report.verdict == "agrees":
            return outcome
        if not task.follows_order:
            return _Outcome(more, seen, report, symptoms)
        cause = f": {' and '.join(report.findings[0].deviations)} gives its numbers" if report.findings else ""
        return replace(outcome, notes=(f"With more keys than queries it differs{cause}.",))

    # The report

    def _finished(self, outcome: _Outcome) -> Probe:
        odd = [symptom for each in outcome.seen for symptom in (*each.symptoms, *odd_numbers(each))]
        symptoms = _distinct((*outcome.symptoms, *odd))
        report = outcome.report
        if report.verdict == "agrees" and _elsewhere(outcome, symptoms):
            report = replace(report, verdict="explained")
        tried = try_all(self.task, outcome.start, report, outcome.measured.eps if outcome.measured else 0.0)
        if report.findings and tried.contradicts:
            report, tried = unconfirmed(report), tried.without_cause()
            if outcome.measured and outcome.measured.verdict == "explained":
                report = replace(report, verdict="explained")
        return Probe(
            **{name: getattr(report, name) for name in Report.__struct_fields__},
            drawn=self._drawn(outcome.start, outcome.seen),
            symptoms=symptoms,
            properties=tried.properties,
            smallest=tried.smallest,
            notes=outcome.notes,
            measured=outcome.measured,
        )

    def _without_numbers(self, *more: Symptom) -> Probe:
        """The probe of a function without comparable results."""
        trace = self.task.working.run(self.start.seen.inputs.given(self.task))
        return self._bare(Report("unexplained", Comparison(()), trace, tried=0), (self.start.seen,), *more)

    def _bare(self, report: Report, seen: Sequence[Seen], *more: Symptom, measured: Measurement | None = None) -> Probe:
        """A probe without properties, which need numbers of the right shape that follow what is given."""
        return Probe(
            **{name: getattr(report, name) for name in Report.__struct_fields__},
            drawn=self._drawn(self.start, seen),
            symptoms=_distinct((*self.odd, *more, *self.start.seen.symptoms)),
            measured=measured,
        )

    def _drawn(self, begun: Start, seen: Sequence[Seen]) -> Drawn:
        used = {word for name in (*self.task.takes, *self.task.returns) for word in self.task.axes(name)}
        used |= {"batch"} if begun.form.batch else set()
        sizes = {word: size for word, size in begun.sizes.items() if word in used}
        sizes |= {"keys": begun.sizes["apart"]} if "apart" in begun.sizes else {}
        return Drawn(
            len(seen),
            sizes,
            tuple(dict.fromkeys(each.dtype for each in seen)),
            begun.form,
            {name: self.task.axes(name) for name in self.task.takes},
            self.task.returns,
        )


def _confirmed(outcome: _Outcome, evidence: BlockEvidence) -> _Outcome:
    """The outcome of a search, if what it found gives all numbers that were measured too."""
    report = outcome.report
    if report.findings and not all(evidence.holds(each.working) for each in report.findings):
        return replace(outcome, report=unconfirmed(report))
    measured = [part for part in evidence.measurement.parts if part.name not in WHERE and " read" not in part.name]
    few = sum(out.size for out in outcome.seen[0].outputs) < MANY
    if measured or few or report.precision is None or report.precision.kind not in HALF:
        return outcome  # what was measured to differ says more than how much it does
    says = (
        f"The numbers are right to {report.precision.digits} digits. Inputs and outputs keep more, so a step inside "
        "may be computed in half precision."
    )
    return replace(outcome, symptoms=(*outcome.symptoms, Symptom("precision", says)))


def _elsewhere(outcome: _Outcome, symptoms: Iterable[Symptom]) -> bool:
    """Whether the right numbers are in other places. Tokens as columns are as right as tokens as rows."""
    return outcome.start.form.order == "tokens-first" or any(each.kind == "axis-order" for each in symptoms)


def _distinct(symptoms: Iterable[Symptom]) -> tuple[Symptom, ...]:
    """Each symptom once; NaN once for all inputs, which count theirs separately."""
    said = {(each.kind, "" if each.kind == "nan" else each.says): each for each in reversed(tuple(symptoms))}
    return tuple(said.values())[::-1]
