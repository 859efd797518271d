"""Steps of training as a spec: what an optimizer makes of the gradients, several steps in a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from clearhead.backward import GRAD
from clearhead.errors import SpecError
from clearhead.line import Given, Line
from clearhead.ops import Operation, as_parameters
from clearhead.ops.gradients.sums import sum_of
from clearhead.ops.textbook import training
from clearhead.spec.fields import Spec
from clearhead.working import BackwardOf, Working

NEW = ".new"
"""What stands behind the name of an array in the name of what a step makes of it."""

MAX_STEPS = 20
"""A working has no more steps: each has all the lines of the forward and the backward pass."""

STATES: Mapping[str, tuple[str, ...]] = {
    "sgd": ("velocity",), "adagrad": ("squares",), "adam": ("first", "second"), "adamw": ("first", "second"),
}  # fmt: skip
"""What each optimizer remembers of each array from step to step."""


class Optimizer(Spec, frozen=True):
    """Steps of training after a backward pass: the arrays with gradients, as an optimizer changes them.

    The result of a step for ``query.weight`` is the line ``query.weight.new``. Lines of the second step have the names
    of the first with ``step2.`` in front, and so on; after the last step the forward pass is computed once more. The
    state of an optimizer is lines too: ``query.weight.velocity`` (momentum), ``.squares`` (Adagrad), ``.first`` and
    ``.second`` (Adam), and ``past.query.weight.first`` before the first step.

    Attributes:
        kind: ``"sgd"``, ``"adagrad"``, ``"adam"`` or ``"adamw"``.
        rate: the learning rate.
        steps: how many steps are made, each from what the one before has made.
        momentum: of SGD: the share of the velocity that stays.
        dampening: of SGD: the share of the gradient that is left out of the velocity, from the second step on.
        nesterov: of SGD: whether a step goes where the velocity leads.
        betas: of Adam: the shares of both moving averages that stay.
        eps: of Adam and Adagrad: what is added to the root of the squares.
        decay: the weight decay: a share of the numbers, added to their gradient, or for AdamW taken off beside it.
        clip: the largest norm of all gradients together; larger ones are shortened to it; None for no limit.
        corrected: of Adam: whether averages are divided by their share that is not the 0 they began at.
        number: the number of the first step; above 1 what is remembered is given, ``past.query.weight.first`` ...
    """

    kind: Literal["sgd", "adagrad", "adam", "adamw"] = "adamw"
    rate: float = 0.001
    steps: int = 1
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    decay: float = 0.0
    clip: float | None = None
    corrected: bool = True
    number: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.steps <= MAX_STEPS:
            raise SpecError(f"Optimizer steps expects 1 to {MAX_STEPS}, got {self.steps}.")
        if self.number < 1:
            raise SpecError(f"Optimizer number expects the number of the first step, from 1, got {self.number}.")
        for name, low in (("rate", 0), ("momentum", 0), ("eps", 0), ("decay", 0), ("clip", 0)):
            value = getattr(self, name)
            if value is not None and value < low:
                raise SpecError(f"Optimizer {name} expects a number of at least {low}, got {value}.")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise SpecError(f"Optimizer betas expects two shares from 0 to below 1, got {list(self.betas)}.")
        if self.kind != "sgd" and (self.momentum or self.dampening or self.nesterov):
            raise SpecError(f"momentum, dampening and nesterov go with sgd, not with {self.kind}. Leave them out.")
        if (self.nesterov or self.dampening) and not self.momentum:
            raise SpecError("nesterov and dampening need a momentum above 0.")

    def behind(self, backward: Working) -> Working:
        """The working ``backward``, with gradients, followed by the steps.

        Raises:
            SpecError: nothing is trained, or several steps do not begin at a single number.
        """
        source = backward.backward_of
        if source is None or not source.wrt:
            raise SpecError("an optimizer expects gradients of something that it can train, and there are none.")
        if self.steps > 1 and backward.axes[source.of]:
            raise SpecError(f"several steps begin at a single number, such as a loss; {source.of} is none.")
        return _Steps(self, backward, source).working()


class _Steps:
    """The lines of all steps, as they are written."""

    def __init__(self, spec: Optimizer, backward: Working, source: BackwardOf) -> None:
        self.spec = spec
        self.backward = backward
        self.source = source
        self.states = () if spec.kind == "sgd" and not spec.momentum else STATES[spec.kind]

    def working(self) -> Working:
        """All lines: each pass forward and back with its step, and a last pass forward."""
        lines = [*self.backward.lines]
        now = {name: name for name in self.source.wrt}
        givens, past, before = self._before_the_first()
        lines += before
        moving = self._moving()
        for step in range(1, self.spec.steps + 1):
            path = f"step{step}." if step > 1 else ""
            if path:
                lines += _again(moving, path, now)
            made, past, now = self._step(path, now, past, self.spec.number + step - 1)
            lines += made
        forward = {line.name for line in self.source.forward.ending_at(self.source.of).lines}
        lines += _again([line for line in moving if line.name in forward], f"step{self.spec.steps + 1}.", now)
        source = BackwardOf(self.source.forward, self.source.of, self.source.wrt, (*self.source.then, self.spec))
        return Working((*self.backward.givens, *givens), tuple(lines), self.backward.label_base, source)

    def _moving(self) -> list[Line]:
        """The lines that a step changes: what reads a trained array, however far."""
        changed, found = set(self.source.wrt), []
        for line in self.backward.lines:
            if changed & {*line.operands}:
                changed.add(line.name)
                found.append(line)
        return found

    def _before_the_first(self) -> tuple[list[Given], dict[tuple[str, str], str], list[Line]]:
        """What is remembered of each array: given, or lines that are 0."""
        givens, lines, past = [], [], {}
        for name in self.source.wrt:
            axes = self.backward.axes[name]
            known = {word: size for word, size in self.backward.sizes.items() if word in axes}
            for state in self.states:
                past[name, state] = called = f"past.{name}.{state}"
                if self.spec.number > 1:
                    givens.append(Given(called, axes, tuple(known.items())))
                else:
                    lines.append(self.line(called, training.zeros, (name,), name))
        return givens, past, lines

    def _step(
        self, path: str, now: Mapping[str, str], past: Mapping[tuple[str, str], str], number: int
    ) -> tuple[list[Line], dict[tuple[str, str], str], dict[str, str]]:
        """The lines of a step; what is remembered after it, and where the arrays are."""
        grads = {name: f"{path}{name}{GRAD}" for name in self.source.wrt}
        lines = [*self._clipped(path, grads)] if self.spec.clip is not None else []
        for name in self.source.wrt:
            one = _OfOne(self, path + name, name, now[name], number)
            remembered = {state: past[name, state] for state in self.states}
            lines += one.lines(grads[name], remembered)
        states = {(name, state): f"{path}{name}.{state}" for name, state in past}
        return lines, states, {name: f"{path}{name}{NEW}" for name in self.source.wrt}

    def _clipped(self, path: str, grads: dict[str, str]) -> Iterator[Line]:
        """The norm of all gradients, and each shortened by it; ``grads`` are then these."""
        squares = {name: f"{grad}.square" for name, grad in grads.items()}
        for name, square in squares.items():
            yield self.line(square, training.squared_length, (grads[name],), name, axes=())
        both = as_parameters({"count": len(squares), "rank": 0})
        yield Line(f"{path}gradients.square", sum_of, tuple(squares.values()), (), both)
        norm = f"{path}gradients.norm"
        yield Line(norm, training.root_of_number, (f"{path}gradients.square",), ())
        for name, grad in grads.items():
            grads[name] = f"{grad}.clipped"
            yield self.line(grads[name], training.shorten, (grad, norm), name, limit=self.spec.clip)

    def line(
        self, called: str, operation: Operation, operands: Sequence[str], array: str,
        *, axes: Sequence[str] | None = None, **parameters: Any,
    ) -> Line:  # fmt: skip
        """A line of an operation on cells of an array, which knows how many axes these have."""
        own = self.backward.axes[array]
        given = as_parameters({**parameters, "rank": len(own)})
        return Line(called, operation, tuple(operands), own if axes is None else tuple(axes), given)


class _OfOne:
    """The lines of a step for one array."""

    def __init__(self, steps: _Steps, path: str, array: str, now: str, number: int) -> None:
        self.steps, self.spec = steps, steps.spec
        self.path, self.array, self.now, self.number = path, array, now, number

    def lines(self, grad: str, past: Mapping[str, str]) -> list[Line]:
        """All lines, from the gradient to what the step makes of the array."""
        spec, made = self.spec, list[Line]()
        if spec.decay and spec.kind != "adamw":
            made.append(self._line(f"{GRAD}.decayed", training.add_decay, grad, self.now, decay=spec.decay))
            grad = made[-1].name
        kinds = {"sgd": self._sgd, "adagrad": self._adagrad, "adam": self._adam, "adamw": self._adam}
        return [*made, *kinds[spec.kind](grad, past)]

    def _sgd(self, grad: str, past: Mapping[str, str]) -> Iterator[Line]:
        spec = self.spec
        if spec.momentum:
            dampening = spec.dampening if self.number > 1 else 0.0
            shares = {"momentum": spec.momentum, "dampening": dampening}
            moved = self._line(".velocity", training.velocity, past["velocity"], grad, **shares)
            yield moved
            if spec.nesterov:
                yield (ahead := self._line(".ahead", training.look_ahead, grad, moved.name, momentum=spec.momentum))
            grad = ahead.name if spec.nesterov else moved.name
        yield self._line(NEW, training.step_along, self.now, grad, rate=spec.rate)

    def _adagrad(self, grad: str, past: Mapping[str, str]) -> Iterator[Line]:
        squares = self._line(".squares", training.add_square, past["squares"], grad)
        yield squares
        yield self._scaled(self.now, grad, squares.name)

    def _adam(self, grad: str, past: Mapping[str, str]) -> Iterator[Line]:
        moments = []
        kinds = (("first", training.first_moment), ("second", training.second_moment))
        for (state, operation), beta in zip(kinds, self.spec.betas, strict=True):
            yield (moment := self._line(f".{state}", operation, past[state], grad, beta=beta))
            if self.spec.corrected:
                shares = {"beta": beta, "number": self.number}
                yield (moment := self._line(f".{state}.unbiased", training.unbiased, moment.name, **shares))
            moments.append(moment.name)
        start = self.now
        if self.spec.kind == "adamw" and self.spec.decay:
            shares = {"rate": self.spec.rate, "decay": self.spec.decay}
            yield (less := self._line(".decayed", training.shrink, start, **shares))
            start = less.name
        yield self._scaled(start, *moments)

    def _scaled(self, start: str, first: str, second: str) -> Line:
        return self._line(NEW, training.step_scaled, start, first, second, rate=self.spec.rate, eps=self.spec.eps)

    def _line(self, ending: str, operation: Operation, *operands: str, **parameters: Any) -> Line:
        return self.steps.line(self.path + ending, operation, operands, self.array, **parameters)


def _again(lines: Sequence[Line], path: str, now: Mapping[str, str]) -> list[Line]:
    """Lines once more, under names with a path in front, from what the step before has made of the arrays."""
    renamed = {**now, **{line.name: path + line.name for line in lines}}
    return [
        Line(
            path + line.name, line.operation, tuple(renamed.get(name, name) for name in line.operands), line.axes,
            line.parameters,
        )
        for line in lines
    ]  # fmt: skip
