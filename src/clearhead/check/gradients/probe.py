"""Probing gradients: a backward function is called on random inputs, and compared with its own forward pass first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.calls.calling import Function, Symptom, libraries
from clearhead.check.calls.drawing import draw, sizes_of
from clearhead.check.calls.drawing import fits as sizes_fit
from clearhead.check.calls.observing import Seen, look, odd_numbers, varies
from clearhead.check.calls.starting import Start, form_symptom, others, start
from clearhead.check.compare.comparison import Comparison
from clearhead.check.diagnosis import Report
from clearhead.check.gradients.differences import Slope, slopes
from clearhead.check.gradients.elsewhere import elsewhere
from clearhead.check.gradients.functions import Autograd, autograd, backward_of, by_item, is_differentiable, misfit
from clearhead.check.gradients.laws import GRADIENT_PROPERTIES
from clearhead.check.gradients.noise import SMOOTH, as_rough, is_lost, roughness
from clearhead.check.gradients.places import places, suspects
from clearhead.check.gradients.report import GradientProbe
from clearhead.check.gradients.task import GradientTask, gradient_task
from clearhead.check.measure.naming import Named
from clearhead.check.probing.explaining import SINGLE, agree, agrees_with, explain, reported, unconfirmed
from clearhead.check.probing.property_run import try_all
from clearhead.check.probing.report import Drawn
from clearhead.deviations import candidates, deviation
from clearhead.errors import SpecError
from clearhead.working import Working

MAX_SEARCHED = 2
"""The largest sets of deviations that are tried."""

OTHER_SIZES = {"token": 7, "depth": 6, "batch": 2}
"""Sizes on which an explanation must hold too."""


def probe_gradients(
    function: Function | Autograd,
    working: Working,
    takes: str | Sequence[str] = ("query", "key", "value"),
    returns: str = "head",
    *,
    forward: Function | None = None,
    wrt: str | Sequence[str] | None = None,
    given: Mapping[str, Any] | None = None,
    library: str | None = None,
) -> GradientProbe:
    """Calls a function that returns gradients, and reports whether they are right, which are wrong, and why.

    First the gradients are compared with differences of the function's own forward pass, if there is one: whether a
    backward pass fits its forward pass needs no textbook. Then they are compared with the working's.

    Args:
        function: called with one array for each name in ``takes``, then with the gradient of ``returns``, unless that
            is a single number, such as a loss, whose gradient is 1; it returns one gradient for each name in ``wrt``.
            Or a ``torch.autograd.Function``, a module of PyTorch, a ``jax.custom_vjp``, or what `autograd` makes of a
            function of these libraries: their forward pass is known.
        working: the right computation.
        takes: the lines or given arrays that the forward pass is called with.
        returns: the line with whose gradient the backward pass starts.
        forward: the function's own forward pass, called with one array for each name in ``takes``.
        wrt: whose gradients are returned; all that is taken and holds numbers, if None.
        given: fixed arrays, such as weights that the function has inside.
        library: ``"numpy"``, ``"torch"`` or ``"jax"``, as for `probe`.

    Raises:
        UnknownName: a line or array does not exist.
        SpecError: the working needs an array that is neither taken nor given, or no gradient is asked for.
        ShapeError: a given array does not fit.
    """
    if not isinstance(working, Working):
        raise SpecError(f"A function is probed against a working, got {type(working).__name__}.")
    task = gradient_task(working, takes, returns, wrt, given)
    if is_differentiable(function):
        source = function if isinstance(function, Autograd) else autograd(function, library)
        called: Function = backward_of(source, task)
        kinds: tuple[str, ...] = (source.library,)
        forward = forward or source.function
    else:
        called = cast("Function", function)
        kinds = tuple(libraries(called, library, given or {}))
    own = _own(forward, task, kinds) if forward is not None else None
    return _Probing(by_item(called, task), task, kinds, own, misfit(called, task)).probe()


class _Own(Struct, frozen=True):
    """The function's own forward pass: how it is called, and the report on it."""

    start: Start
    report: Report | None


def _own(forward: Function, task: GradientTask, kinds: Sequence[str]) -> _Own:
    """The forward pass in the first layout in which it gives the working's numbers; else in the first of all."""
    begun, _ = start(forward, task.forward, kinds)
    if not begun.seen.outputs:
        return _Own(begun, None)
    ways = [begun, *(each for each in others(begun) if each.rank == 0)]
    looked = ((each, _rough(each)) for each in ways)
    found = next(((each, seen) for each, (seen, _) in looked if agree(task.forward, seen)), (begun, _rough(begun)[0]))
    return _Own(found[0], explain(task.forward, found[1], max_deviations=1, rough=False)[0])


def _rough(way: Start) -> tuple[tuple[Seen, ...], tuple[float, ...]]:
    """The results on inputs of two sizes and two precisions, and how rough they are."""
    task, form = way.caller.task, way.form
    rough = roughness(way.caller, way.seen.inputs, [out.shape for out in way.seen.outputs])
    drawn = [(draw(task, way.sizes, seed, batch=form.batch), kind) for seed, kind in ((1, form.dtype), (2, "float32"))]
    other = draw(task, sizes_of(task, OTHER_SIZES), 3, batch=form.batch)
    if not way.tied and sizes_fit(task, other):
        drawn.append((other, form.dtype))
    seen = (way.seen, *(look(way.caller, inputs, kind) for inputs, kind in drawn))
    by_name = dict(zip(task.returns, rough, strict=True))
    return tuple(as_rough(each, by_name) for each in seen if each.outputs), rough


def _lost(way: Start, rough: Sequence[float]) -> Symptom | None:
    """What is said of results that jump so much that wrong numbers could not be distinguished from right ones."""
    jumping = [size for size, out in zip(rough, way.seen.outputs, strict=True) if isfinite(size) and is_lost(size, out)]
    if not jumping:
        return None
    says = f"Its numbers jump by about {max(jumping):.2g} where inputs move a little, so nothing can be said of them."
    return Symptom("precision", says, "Probe it in a wider type.")


def _backward_first(report: Report) -> Report:
    """The report with causes of the backward pass before others with the same numbers: the forward pass is right."""
    findings = sorted(report.findings, key=lambda each: _of_forward(each.deviations))
    groups = []
    for group in report.indistinguishable:
        sets = [*group.workings.items()]
        smallest = sorted(sets[: group.smallest], key=lambda each: _of_forward(each[0]))
        groups.append(replace(group, workings=dict([*smallest, *sets[group.smallest :]])))
    return replace(report, findings=tuple(findings), indistinguishable=tuple(groups))


def _of_forward(deviations: Sequence[str]) -> bool:
    """Whether a cause has anything that the forward pass does otherwise."""
    return any(deviation(each.partition(":")[0]).of == "forward" for each in deviations)


class _Looked(Struct, frozen=True):
    """The results of a function called in one way, and how rough they are."""

    start: Start
    seen: tuple[Seen, ...]
    rough: tuple[float, ...]


class _Probing:
    """One probe in progress."""

    def __init__(
        self, function: Function, task: GradientTask, kinds: Sequence[str], own: _Own | None, misfit: Symptom | None
    ) -> None:
        self.task, self.own, self.misfit = task, own, misfit
        self.start, self.odd = start(function, task, kinds)

    def probe(self) -> GradientProbe:
        """Compares with differences and with the working, explains, and tests the properties."""
        ways = [each for each in (self.start, *others(self.start)) if each.rank == 0]
        if not ways:
            ways = [self.start] if self.start.seen.outputs else []
        if not ways:
            return self._bare((self.misfit,) if self.misfit else ())
        if random := varies(ways[0].caller, ways[0].seen):
            return self._bare((random,))
        looked = [_Looked(each, *_rough(each)) for each in ways]
        if lost := _lost(ways[0], looked[0].rough):
            return self._bare((lost,))
        found = next((each for each in looked if agree(self.task, each.seen)), None)
        if found is None:
            return self._finished(*self._explained(looked))
        return self._finished(found, *explain(self.task, found.seen, max_deviations=1))

    def _explained(self, looked: Sequence[_Looked]) -> tuple[_Looked, Report, tuple[Symptom, ...]]:
        """The report in the layout of the forward pass, if that is known; else in the one where there is a cause."""
        if self.own and self.own.report and self.own.report.verdict == "agrees":
            same = [each for each in looked if each.start.form.order == self.own.start.form.order]
            looked = same[:1] or looked
        for each in looked[1:]:
            report, symptoms = explain(self.task, each.seen, max_deviations=1, rough=False)
            if report.verdict != "unexplained":
                return each, report, symptoms
        report, symptoms = explain(self.task, looked[0].seen, max_deviations=MAX_SEARCHED, rough=False)
        return looked[0], self._detached(looked[0], report) if report.symptom else report, symptoms

    def _detached(self, looked: _Looked, report: Report) -> Report:
        """The report where gradients are nothing but zeros: the line to which nothing comes, if one explains them."""
        named = []
        for each in candidates(self.task.working, among={"grad-detached"}):
            rewritten = each.rewrite(self.task.working)
            if all(agrees_with(rewritten, self.task, seen) for seen in looked.seen):
                named.append(Named((each,), rewritten))
        return reported(report, named) if named else report

    def _slopes(self, looked: _Looked, seen: Seen) -> tuple[Slope, ...]:
        """Each gradient against the function's own forward pass."""
        if self.own is None or self.own.report is None:
            return ()
        return slopes(self.own.start.caller, self.task, seen.inputs, seen.outputs, looked.rough)

    def _finished(self, looked: _Looked, report: Report, symptoms: Sequence[Symptom]) -> GradientProbe:
        task = self.task
        own = self.own.start if self.own and self.own.report and self.own.report.verdict == "agrees" else None
        other = elsewhere(task, looked.start, looked.rough, own) if report.verdict == "agrees" else ()
        seen = (*looked.seen, *(each for one in other for each in one.seen))
        report = next((one.report for one in other if one.report is not None), report)
        if own:
            report = _backward_first(report)
        eps = max((size for size in looked.rough if size < float("inf")), default=0.0)
        tried = try_all(task, looked.start, report, eps if eps > SMOOTH else 0.0, GRADIENT_PROPERTIES)
        if report.findings and tried.contradicts:
            report, tried = unconfirmed(report), tried.without_cause()
        layout = form_symptom(self.start, looked.start)
        odd = [symptom for each in seen for symptom in (*each.symptoms, *odd_numbers(each))]
        found = places(seen, task, single=SINGLE in symptoms)
        wrong, right = ([each.line for each in found if each.right is kind] for kind in (False, True))
        return GradientProbe(
            **{name: getattr(report, name) for name in Report.__struct_fields__},
            drawn=self._drawn(looked),
            symptoms=tuple(dict.fromkeys((*self.odd, *symptoms, *([layout] if layout else []), *odd))),
            properties=tried.properties,
            smallest=tried.smallest,
            notes=tuple(one.note for one in other),
            slopes=self._slopes(looked, seen[-1] if len(seen) > len(looked.seen) else looked.start.seen),
            places=found,
            suspects=suspects(task.working, wrong, right) if wrong else (),
            forward=self.own.report if self.own else None,
            rough=eps if eps > SMOOTH else 0.0,
        )

    def _bare(self, more: Sequence[Symptom]) -> GradientProbe:
        """The probe of a function without comparable results."""
        begun = self.start
        trace = self.task.working.run(begun.seen.inputs.given(self.task))
        bare = Report("unexplained", Comparison(()), trace, tried=0)
        return GradientProbe(
            **{name: getattr(bare, name) for name in Report.__struct_fields__},
            drawn=self._drawn(_Looked(begun, (begun.seen,), ())),
            symptoms=tuple(dict.fromkeys((*self.odd, *more, *begun.seen.symptoms))),
            forward=self.own.report if self.own else None,
        )

    def _drawn(self, looked: _Looked) -> Drawn:
        task, begun = self.task, looked.start
        used = {word for name in (*task.takes, *task.returns) for word in task.axes(name)}
        used |= {"batch"} if begun.form.batch else set()
        return Drawn(
            len(looked.seen),
            {word: size for word, size in begun.sizes.items() if word in used},
            tuple(dict.fromkeys(each.dtype for each in looked.seen)),
            begun.form,
            {name: task.axes(name) for name in task.takes},
            task.returns,
        )
