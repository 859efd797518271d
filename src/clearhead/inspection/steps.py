"""Long attention, forward and backward, put in the place of the lines that would store its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial
from math import prod

from msgspec import Struct

from clearhead.axes import Shape
from clearhead.backward import GRAD, LONG
from clearhead.compiled.program import Engine
from clearhead.errors import SpecError
from clearhead.inspection.core import Core, core_of
from clearhead.inspection.gradients import Attended, attend
from clearhead.inspection.plain_gradients import gradient_lines
from clearhead.inspection.request import Wanted, request_of
from clearhead.inspection.rows import rows_of
from clearhead.line import Line
from clearhead.ops import Array, Namespace
from clearhead.plan import After, Step
from clearhead.working import Working

HEADED = 3
"""The axes of queries, keys and values that heads have of their own: head, token, feature."""


class Passed(Struct, frozen=True):
    """One attention in a run or a backward pass.

    Attributes:
        core: its lines forward.
        ends: for each array that they are given, the line that carries the gradient out to it; none in a run forward.
        engine: what computes them.
    """

    core: Core
    ends: Mapping[str, str]
    engine: Engine

    @property
    def operands(self) -> tuple[str, ...]:
        """The names of the arrays that the lines are given: query, key, value, others."""
        return self.core.query, self.core.key, self.core.value, *(each.name for each in self.core.others)

    @property
    def sums(self) -> str:
        """What the forward pass is called, until nothing else is called after the weights."""
        return f"{self.core.head.name} and sums"

    def attend(self, _: Namespace, query: Array, key: Array, value: Array, *others: Array) -> Attended:
        """The forward pass."""
        given = dict(zip(self.operands[3:], others, strict=True))
        request = request_of((query, key, value), given, self.core, {}, Wanted(top=0))
        return attend(request, tuple(self.ends), self.engine)

    def carry_back(self, _: Namespace, attended: Attended, grad: Array) -> Mapping[str, Array]:
        """The gradients of all arrays at which the pass ends."""
        return attended.gradients(grad, tuple(self.ends))


def without_weights(
    whole: Working, steps: Sequence[Step], wanted: Set[str], arrays: Mapping[str, Array], engine: Engine
) -> list[Step]:
    """The steps of a run or a backward pass, of which those of long attention whose weights nobody reads are fewer.

    Args:
        whole: the lines, with those of gradients if there are any.
        steps: how they would be computed one by one.
        wanted: the lines that are asked for.
        arrays: what is known already.
        engine: what computes the steps that are put in.
    """
    found = list(steps)
    forward = whole if whole.backward_of is None else whole.backward_of.forward
    shapes = forward.shapes({given.name: tuple(arrays[given.name].shape) for given in forward.givens})
    for core in _long(forward, shapes):
        inside = {line.name for line in core.working.lines if line != core.head}
        if inside.isdisjoint(arrays) and inside.isdisjoint(wanted):
            passed = _passed(whole, core, {step.name for step in found}, engine)
            shorter = _needed(_replaced(found, passed), wanted)
            if not any(core.softmax in step.lines for step in shorter):
                found = [_renamed(step, passed.sums, core.softmax.name) for step in shorter]
    return found


def inside_long(working: Working, shapes: Mapping[str, Shape], kept: Set[str]) -> set[str]:
    """The lines of long attention that a run does not store, if it keeps these."""
    found: set[str] = set()
    for core in _long(working, shapes):
        inside = {line.name for line in core.working.lines if line != core.head}
        found |= inside if inside.isdisjoint(kept) else set()
    return found


def _long(forward: Working, shapes: Mapping[str, Shape]) -> Iterator[Core]:
    """The attentions of many weights that can be computed for some queries at a time."""
    for line in forward.lines:
        if line.operation.role == "weighted-sum" and prod(shapes[line.operands[0]]) >= LONG:
            try:
                core = core_of(forward, line.name)
                rows_of(core)
            except SpecError:
                continue
            headed = all(len(forward.axes[name]) == HEADED for name in (core.query, core.key, core.value))
            if headed and all(_can_remark(core, each) for each in core.working.lines):
                yield core


def _can_remark(core: Core, line: Line) -> bool:
    """Whether the rows on which a line has a remark are found without storing it."""
    remark = line.operation.remark
    return remark is None or (line == core.softmax and not remark.reads_operands)


def _passed(whole: Working, core: Core, there: Set[str], engine: Engine) -> Passed:
    """Where the gradients leave an attention; nowhere, if its backward pass is not that of its lines alone."""
    if whole.backward_of is None:
        return Passed(core, {}, engine)
    lines = {_said(line): line.name for line in whole.lines if line.name in there}
    ends: dict[str, str] = {}
    for given in core.working.givens:
        if given.holds == "numbers":
            last = core.working.backward(core.head.name, given.name).lines[-1]
            if (end := lines.get(_said(last))) is not None:
                ends[given.name] = end
    try:
        own = gradient_lines(core, ends) if ends else ()
    except SpecError:
        return Passed(core, {}, engine)
    inner = [line for line in own if GRAD in line.name and line.name.removesuffix(GRAD) not in ends]
    return Passed(core, ends if {*whole.lines}.issuperset(inner) else {}, engine)


def _said(line: Line) -> tuple[object, ...]:
    """What a line says but for its own name."""
    return line.operation, line.operands, line.parameters


def _replaced(steps: Sequence[Step], passed: Passed) -> list[Step]:
    """The steps with those of an attention, forward and backward, put in the place of its last ones."""
    core, ends = passed.core, passed.ends
    sums, back = passed.sums, f"{core.head.name} and gradients"
    remarks = After(_remarked, ()) if core.softmax.operation.remark else None
    forward = [Step(sums, passed.attend, passed.operands, remarks, ())]
    backward = [Step(back, passed.carry_back, (sums, core.head.name + GRAD), None, ())]
    made: list[Step] = []
    for step in steps:
        name = next((name for name, end in ends.items() if end == step.name), None)
        if step.name == core.head.name:
            made += [*forward, Step(step.name, _output, (sums,), None, ())]
            forward = []
        elif name is not None:
            made += [*forward, *backward, Step(step.name, partial(_one, name=name), (back,), None, ())]
            forward, backward = [], []
        else:
            made.append(step)
    return made


def _renamed(step: Step, old: str, new: str) -> Step:
    """A step with a name changed: remarks on rows of weights are kept under the name of these."""
    names = tuple(new if name == old else name for name in step.operands)
    return step._replace(name=new if step.name == old else step.name, operands=names)


def _output(_: Namespace, attended: Attended) -> Array:
    return attended.output


def _remarked(_: Namespace, attended: Attended, *__: Array) -> Array:
    return attended.remarked


def _one(_: Namespace, gradients: Mapping[str, Array], *, name: str) -> Array:
    return gradients[name]


def _needed(steps: Sequence[Step], wanted: Set[str]) -> list[Step]:
    """The steps that are needed for what is wanted."""
    needed, found = {*wanted}, []
    for step in reversed(steps):
        if step.name in needed:
            needed.update(step.operands)
            found.append(step)
    return found[::-1]
