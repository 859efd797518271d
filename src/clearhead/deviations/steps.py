"""Steps of training that are wrong by themselves: decay, moments, eps, clipping, and gradients that are kept."""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from clearhead.backward import GRAD
from clearhead.deviations.deviation import Deviation, Rewrite
from clearhead.deviations.rewrites import Nothing, change_lines, swap
from clearhead.line import Line
from clearhead.ops import Operation, as_parameters
from clearhead.ops.gradients import sums
from clearhead.ops.textbook import training
from clearhead.ops.variants import training as wrong
from clearhead.working import Working

_CORRECTED = "first / (1 - beta1 ** step), second / (1 - beta2 ** step), with steps counted from 1."
_DECAY = "w = w * (1 - rate * decay), beside the step: w - rate * m / (np.sqrt(v) + eps)."


class _Adam(Struct, frozen=True):
    """The lines of a step of Adam for one array: the step, the decay before it, both averages and their corrections."""

    step: Line
    decay: Line | None
    moments: tuple[Line, Line]
    corrected: tuple[Line | None, Line | None]

    @property
    def start(self) -> str:
        """The numbers before the step and its decay."""
        return self.decay.operands[0] if self.decay else self.step.operands[0]


def _adams(working: Working) -> list[_Adam]:
    return [_adam(working, line) for line in working.lines if line.operation is training.step_scaled]


def _adam(working: Working, step: Line) -> _Adam:
    """The lines of which a step is made.

    Raises:
        Nothing: it is no step of Adam.
    """
    start, *averages = (_of(working, name) for name in step.operands)
    corrected = tuple(each if each and each.operation is training.unbiased else None for each in averages)
    pairs = zip(averages, corrected, strict=True)
    moments = tuple(_of(working, own.operands[0]) if own else each for each, own in pairs)
    if not moments[1] or moments[1].operation is not training.second_moment or not moments[0]:
        raise Nothing("no step of this working is one of Adam.")
    decay = start if start and start.operation is training.shrink else None
    return _Adam(step, decay, (moments[0], moments[1]), (corrected[0], corrected[1]))


def _of(working: Working, name: str) -> Line | None:
    line = working.line(name)
    return line if isinstance(line, Line) else None


def _each_adam(change: Callable[[_Adam], dict[str, list[Line]]]) -> Rewrite:
    """A rewrite of the lines of every step of Adam: by name, what they become."""

    def rewrite(working: Working) -> Working:
        made: dict[str, list[Line]] = {}
        for adam in _adams(working):
            made.update(change(adam))
        if not made:
            raise Nothing("no step of this working is one of Adam.")
        return working.rewrite(lambda line: made.get(line.name, [line]))

    return rewrite


def _decayed(adam: _Adam) -> Line:
    if adam.decay is None:
        raise Nothing("no step of this working has a decay beside the gradient.")
    return adam.decay


def _in_gradient(adam: _Adam) -> dict[str, list[Line]]:
    decay, first, second = _decayed(adam), *adam.moments
    past, grad = first.operands
    shares = dict(decay.parameters)
    own = as_parameters({"decay": shares["decay"], "rank": shares["rank"]})
    added = Line(f"{grad}.decayed", training.add_decay, (grad, adam.start), decay.axes, own)
    return {
        first.name: [added, replace(first, operands=(past, added.name))],
        second.name: [replace(second, operands=(second.operands[0], added.name))],
        decay.name: [],
        adam.step.name: [replace(adam.step, operands=(adam.start, *adam.step.operands[1:]))],
    }


def _after(adam: _Adam) -> dict[str, list[Line]]:
    decay, step = _decayed(adam), adam.step
    inner = replace(step, name=f"{step.name}.undecayed", operands=(adam.start, *step.operands[1:]))
    return {decay.name: [], step.name: [inner, replace(decay, name=step.name, operands=(inner.name,))]}


def _without_decay(adam: _Adam) -> dict[str, list[Line]]:
    decay = _decayed(adam)
    return {decay.name: [], adam.step.name: [replace(adam.step, operands=(adam.start, *adam.step.operands[1:]))]}


def _whole_decay(adam: _Adam) -> dict[str, list[Line]]:
    decay = _decayed(adam)
    return {decay.name: [replace(decay, parameters=as_parameters({**dict(decay.parameters), "rate": 1.0}))]}


def _constant_decay(adam: _Adam) -> dict[str, list[Line]]:
    decay = _decayed(adam)
    return {decay.name: [replace(decay, operation=wrong.shrink_by_constant)]}


def _uncorrected(*which: int) -> Callable[[_Adam], dict[str, list[Line]]]:
    def change(adam: _Adam) -> dict[str, list[Line]]:
        step, made = adam.step, dict[str, list[Line]]()
        operands = [*step.operands]
        for each in which:
            own = adam.corrected[each]
            if own is None:
                raise Nothing("no average of this working is divided by its share.")
            made[own.name] = []
            operands[1 + each] = adam.moments[each].name
        return {**made, step.name: [replace(step, operands=tuple(operands))]}

    return change


def _early(adam: _Adam) -> dict[str, list[Line]]:
    own = adam.corrected[1]
    if own is None:
        raise Nothing("no average of this working is divided by its share.")
    parameters = as_parameters({**dict(adam.step.parameters), **dict(own.parameters)})
    operands = (*adam.step.operands[:2], adam.moments[1].name)
    step = replace(adam.step, operation=wrong.step_with_eps_early, operands=operands, parameters=parameters)
    return {own.name: [], step.name: [step]}


def _other_betas(adam: _Adam) -> dict[str, list[Line]]:
    betas = [dict(each.parameters)["beta"] for each in adam.moments]
    if betas[0] == betas[1]:
        raise Nothing("both averages of this working keep the same share.")
    made: dict[str, list[Line]] = {}
    for each, own, beta in zip(adam.moments, adam.corrected, reversed(betas), strict=True):
        for line in filter(None, (each, own)):
            made[line.name] = [replace(line, parameters=as_parameters({**dict(line.parameters), "beta": beta}))]
    return made


def _uphill(working: Working) -> Working:
    steps = (training.step_scaled, training.step_along)

    def change(line: Line) -> list[Line]:
        rate = -dict(line.parameters)["rate"]
        return [replace(line, parameters=as_parameters({**dict(line.parameters), "rate": rate}))]

    return change_lines(working, lambda line: line.operation in steps, change, "a step of training")


def _each_clipped(working: Working) -> Working:
    """Each gradient shortened by its own norm."""
    shortened = [line for line in working.lines if line.operation is training.shorten]
    if len(shortened) < 2:
        raise Nothing("this working does not clip several gradients together.")

    def change(line: Line) -> list[Line]:
        grad = line.operands[0]
        norm = Line(f"{grad}.norm", training.root_of_number, (f"{grad}.square",), ())
        return [norm, replace(line, operands=(grad, norm.name))]

    return change_lines(working, lambda line: line in shortened, change, "a gradient that is clipped")


def _unclipped(working: Working) -> Working:
    def change(line: Line) -> list[Line]:
        rank = dict(line.parameters)["rank"]
        return [Line(line.name, sums.sum_of, line.operands[:1], line.axes, as_parameters({"count": 1, "rank": rank}))]

    return change_lines(working, lambda line: line.operation is training.shorten, change, "a gradient that is clipped")


_STEP = re.compile(r"step(\d+)\.")


def _kept(working: Working) -> Working:
    """From the second step on the gradients of all steps before are added."""
    later = [line for line in working.lines if _is_gradient_of_step(working, line)]
    if not later:
        raise Nothing("this working has one step of training, or none.")

    def change(line: Line) -> list[Line]:
        number = int(_STEP.match(line.name)[1])  # type: ignore[index]
        array = _STEP.sub("", line.name, count=1)
        before = f"step{number - 1}.{array}" if number > 2 else array
        inner = replace(line, name=f"{line.name}.alone")
        count = as_parameters({"count": 2, "rank": len(line.axes)})
        return [inner, Line(line.name, sums.sum_of, (inner.name, before), line.axes, count)]

    return working.rewrite(lambda line: change(line) if line in later else [line])


def _is_gradient_of_step(working: Working, line: Line) -> bool:
    source = working.backward_of
    found = _STEP.match(line.name)
    return bool(source and found and line.name[found.end() :].removesuffix(GRAD) in source.wrt and GRAD in line.name)


def _swapped(operation: Operation) -> Rewrite:
    return swap({training.step_scaled: operation})


def _row(id: str, does: str, invisible: str, remedy: str, seen: str, rewrite: Rewrite) -> Deviation:
    return Deviation(id, "mistake", does, invisible, remedy, seen, rewrite, of="backward")


ROWS = (
    _row(
        "step-decay-in-gradient",
        "Weight decay is added to the gradient (L2), not taken off beside the step (AdamW).",
        "Where the decay is 0.",
        _DECAY,
        "keras#19051.",
        _each_adam(_in_gradient),
    ),
    _row(
        "step-decay-not-scaled",
        "Weight decay is not multiplied by the learning rate.",
        "Where the rate is 1.",
        _DECAY,
        "Optimisers.jl#182.",
        _each_adam(_whole_decay),
    ),
    _row(
        "step-decay-after",
        "Weight decay takes its share of the numbers after the step, not before.",
        "Where few digits are shown: the difference is the rate times the decay, of the step.",
        _DECAY,
        "transformers#14539, assignment1-basics#54.",
        _each_adam(_after),
    ),
    _row(
        "step-decay-constant",
        "Weight decay takes the same off every number: it is not multiplied by the number.",
        "Where every number is 1.",
        _DECAY,
        "torchopt PR#14.",
        _each_adam(_constant_decay),
    ),
    _row(
        "step-decay-missing",
        "Weight decay is left out.",
        "Where the numbers are 0.",
        _DECAY,
        "The family of transformers#14539.",
        _each_adam(_without_decay),
    ),
    _row(
        "step-correction-missing",
        "The averages of Adam are not divided by their share that is not the 0 they began at.",
        "After many steps.",
        _CORRECTED,
        "The family of analytics-zoo#781.",
        _each_adam(_uncorrected(0, 1)),
    ),
    _row(
        "step-correction-missing-in-first",
        "The average of the gradients is not divided by its share that is not the 0 it began at.",
        "After many steps.",
        _CORRECTED,
        "The family of analytics-zoo#781.",
        _each_adam(_uncorrected(0)),
    ),
    _row(
        "step-correction-missing-in-second",
        "The average of the squares is not divided by its share that is not the 0 it began at.",
        "After many steps.",
        _CORRECTED,
        "The family of analytics-zoo#781.",
        _each_adam(_uncorrected(1)),
    ),
    _row(
        "step-betas-exchanged",
        "The averages of gradients and of squares keep each other's share.",
        "In the first step, where both are divided by their share.",
        "betas = (0.9, 0.999): the gradients keep less.",
        "The family of torchani PR#261.",
        _each_adam(_other_betas),
    ),
    _row(
        "step-eps-inside",
        "The eps of a step is inside the root.",
        "Where the squares are far above eps.",
        "np.sqrt(v) + eps, not np.sqrt(v + eps).",
        "The family of torchani PR#261.",
        _swapped(wrong.step_with_eps_inside),
    ),
    _row(
        "step-eps-early",
        "The eps of Adam is added before the squares are divided by their share, which then divides it too.",
        "Where the squares are far above eps.",
        "np.sqrt(v / (1 - beta2 ** step)) + eps.",
        "torchani PR#261, pytorch PR#22628, nanochat#304.",
        _each_adam(_early),
    ),
    _row(
        "step-root-missing",
        "A step is divided by the squares, not by their root.",
        "Where the squares are 1.",
        "m / (np.sqrt(v) + eps).",
        "The family of torchani PR#261.",
        _swapped(wrong.step_without_root),
    ),
    _row(
        "step-uphill",
        "A step goes along the gradient, not against it: the loss grows.",
        "Where the gradient is 0.",
        "w = w - rate * gradient.",
        "The family of ascent in the place of descent.",
        _uphill,
    ),
    _row(
        "step-clipped-alone",
        "Each gradient is shortened by its own norm, not by that of all together.",
        "Where no gradient is longer than the limit.",
        "One norm: np.sqrt(sum((g ** 2).sum() for g in gradients)).",
        "The family of lingua PR#59.",
        _each_clipped,
    ),
    _row(
        "step-not-clipped",
        "The gradients are not shortened.",
        "Where they are no longer than the limit.",
        "Multiply all gradients by limit / norm where the norm is larger.",
        "The family of lingua PR#59.",
        _unclipped,
    ),
    _row(
        "step-gradients-kept",
        "Gradients are not set to 0 between steps: those of the steps before are added.",
        "In the first step.",
        "optimizer.zero_grad() before each backward pass.",
        "The family of nanoGPT#168.",
        _kept,
    ),
)
