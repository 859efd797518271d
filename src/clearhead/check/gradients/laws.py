"""Properties of gradients that need no hypothesis about the code.

A gradient is linear in the gradient that it starts with. What a query may not see gets nothing from it. And whatever
leaves a result unchanged leaves a law for its gradients: a constant added to all keys, a matrix that turns queries one
way and keys the other, a factor. Which of these a working has is found by trying it on the working itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from clearhead.backward import GRAD
from clearhead.check.calls.drawing import Inputs, draw, sizes_of
from clearhead.check.calls.observing import close
from clearhead.check.calls.task import Task
from clearhead.check.gradients.task import GradientTask
from clearhead.check.probing.metamorphic import Array, Change, Property, Trial, Violation, along, by_changes, violation
from clearhead.check.probing.properties import PROPERTIES
from clearhead.errors import ClearheadError


def _of(trial: Trial) -> GradientTask:
    return cast("GradientTask", trial.task)


def _right(trial: Trial, inputs: Inputs) -> tuple[Array, ...] | None:
    """The gradients of the working."""
    try:
        trace = trial.task.working.run(inputs.given(trial.task), keep=trial.task.returns)
    except ClearheadError:
        return None
    return tuple(trace.numpy(name) for name in trial.task.returns)


def _generic(trial: Trial, inputs: Inputs | None = None) -> Inputs:
    """Random numbers of ordinary sizes, on which a law holds only if it always does; those of ``inputs``, if given."""
    if inputs is None:
        return draw(trial.task, sizes_of(trial.task), GENERIC, batch=trial.batch)
    rng = np.random.default_rng(GENERIC)
    kinds = {name: array.dtype.kind == "f" for name, array in inputs.arrays.items()}
    drawn = {
        name: np.where(np.isfinite(array), rng.normal(size=array.shape), array) if kinds[name] else array
        for name, array in inputs.arrays.items()
    }
    return Inputs(drawn, inputs.sizes)


GENERIC = 17
"""The seed of these numbers."""


# Linear in the gradient that the pass starts with


def _factors(trial: Trial, inputs: Inputs) -> Iterator[Change]:
    name = _of(trial).upstream
    if name is None:
        return
    for factor in (0.0, -3.0):
        says = f"{name} is multiplied by {factor:g}."
        yield Change(says, {name: factor * inputs.arrays[name]}, lambda _, before, by=factor: by * before)  # type: ignore[misc]


def _sums(trial: Trial, inputs: Inputs) -> Violation | None:
    """The gradients of a sum, which must be the sum of those of its parts."""
    name = _of(trial).upstream
    whole = trial.outputs(inputs)
    if name is None or whole is None:
        return None
    upper = np.zeros_like(inputs.arrays[name])
    upper[..., 0] = inputs.arrays[name][..., 0]
    first, rest = (
        trial.outputs(inputs, {**inputs.arrays, name: part}) for part in (upper, inputs.arrays[name] - upper)
    )
    for line, got, one, other in zip(trial.task.returns, whole, first or (), rest or (), strict=False):
        off = ~close(one + other, got, trial.eps)
        if off.any():
            says = f"The gradients that start with the first column of {name}, and with the others, are added up."
            return violation(says, inputs, line, off, (one + other, got))
    return None


def _linear(trial: Trial, inputs: Inputs) -> Violation | None:
    return by_changes(_factors)(trial, inputs) or _sums(trial, inputs)


# What gets nothing


def _unseen(trial: Trial, inputs: Inputs) -> Violation | None:
    """Gradients that start with one query alone, which must be 0 where the working's are exactly 0."""
    name = _of(trial).upstream
    if name is None:
        return None
    array = inputs.arrays[name]
    words = trial.words(name, array)
    word = next((each for each in words if each in ("token", "query")), None)
    for query in range(array.shape[words.index(word)] if word else 0):
        flags = np.arange(array.shape[words.index(cast("str", word))]) == query
        alone = {**inputs.arrays, name: array * along(words, array.shape, flags, (cast("str", word),))}
        right, got = _right(trial, _alone(trial, inputs, name, alone[name] != 0)), trial.outputs(inputs, alone)
        for line, expected, out in zip(trial.task.returns, right or (), got or (), strict=False):
            off = (expected == 0) & ~close(expected, out, trial.eps)
            if off.any():
                says = f"Only query {query} has a gradient, and no change here changes what it computes."
                return violation(says, inputs, line, off, (expected, out), {name: alone[name]})
    return None


def _alone(trial: Trial, inputs: Inputs, name: str, where: Array) -> Inputs:
    """Random numbers in the place of all, with a gradient at some places alone."""
    drawn = _generic(trial, inputs)
    return Inputs({**drawn.arrays, name: drawn.arrays[name] * where}, inputs.sizes)


# What changes nothing leaves a law

NONE = 1e-9
"""Sums that are smaller than this share of their terms are 0."""


def _zero_sums(trial: Trial, inputs: Inputs) -> Violation | None:
    """Sums of gradients along an axis, where those of the working are always 0."""
    right, got = _right(trial, _generic(trial)), trial.outputs(inputs)
    for line, drawn, out in zip(trial.task.returns, right or (), got or (), strict=False):
        for axis, word in enumerate(trial.words(line, out)):
            if not _adds_up(drawn, axis):
                continue
            total = out.sum(axis)
            above = np.maximum(out, 0).sum(axis)
            off = ~close(above, above - total, trial.eps)
            if off.any():
                name = line.removesuffix(GRAD)
                says = f"The same numbers added to {name} along {word} change nothing, so {line} adds up to 0 along it."
                return violation(says, inputs, f"the sum of {line}", off, (np.zeros_like(total), total))
    return None


def _adds_up(grad: Array, axis: int) -> bool:
    """Whether a gradient adds up to 0 along an axis, though its numbers are not 0."""
    terms = np.abs(grad).sum(axis)
    return grad.shape[axis] > 1 and bool(terms.any() and (np.abs(grad.sum(axis)) <= NONE * terms).all())


def _products(trial: Trial, inputs: Inputs, grads: tuple[Array, ...]) -> Iterator[tuple[str, Array, Array]]:
    """For two arguments with the same last axis: x^T dx and dy^T y, summed over all but items of a batch."""
    task = _of(trial)
    for place, one in enumerate(task.wrt):
        for other_place, other in enumerate(task.wrt[place + 1 :], place + 1):
            if task.axes(one)[-1:] != task.axes(other)[-1:] or min(len(task.axes(one)), len(task.axes(other))) < 2:
                continue
            x, y = inputs.arrays[one], inputs.arrays[other]
            dx, dy = grads[place], grads[other_place]
            if x.shape[-1] != y.shape[-1] or x.ndim != dx.ndim or y.ndim != dy.ndim:
                continue
            lead = 1 if trial.batch and task.takes_batch(one) else 0
            first, second = _gram(x, dx, lead), _gram(dy, y, lead)
            if first.shape == second.shape:
                yield f"{one}^T @ {one}{GRAD} = {other}{GRAD}^T @ {other}", first, second


def _gram(a: Array, b: Array, lead: int) -> Array:
    """The sum of a^T b over all axes between those of items and the last."""
    flat = [each.reshape(*each.shape[:lead], -1, each.shape[-1]).astype(np.float64) for each in (a, b)]
    return np.asarray(np.swapaxes(flat[0], -1, -2) @ flat[1])


def _balance(trial: Trial, inputs: Inputs) -> Violation | None:
    """Queries turned by a matrix and keys by its inverse give the same scores, which ties their gradients together."""
    drawn = _generic(trial)
    right, got = _right(trial, drawn), trial.outputs(inputs)
    if right is None or got is None:
        return None
    holds = {says for says, one, other in _products(trial, drawn, right) if _same(one, other)}
    for says, mine, theirs in _products(trial, inputs, got):
        off = ~close(mine, theirs, trial.eps)
        if says in holds and off.any():
            return violation(f"{says}.", inputs, says.partition(" = ")[0], off, (theirs, mine))
    return None


FACTOR = 2.0
POWERS = (-1.0, 0.0, 1.0)


def _scaled(trial: Trial, inputs: Inputs) -> Violation | None:
    """An argument multiplied by a factor, which multiplies the working's gradients by a power of it."""
    drawn, before = _generic(trial), trial.outputs(inputs)
    for name in _of(trial).wrt:
        changed = {**inputs.arrays, name: FACTOR * inputs.arrays[name]}
        after = trial.outputs(inputs, changed)
        for line, power, mine, theirs in zip(
            trial.task.returns, _powers(trial, drawn, name), before or (), after or (), strict=False
        ):
            factor = 1.0 if power is None else FACTOR**power
            off = ~close(factor * mine, theirs, trial.eps)
            if power is not None and off.any():
                says = f"{name} is multiplied by {FACTOR:g}, which multiplies {line} by {factor:g}."
                return violation(says, inputs, line, off, (factor * mine, theirs), {name: changed[name]})
    return None


def _powers(trial: Trial, drawn: Inputs, name: str) -> Iterator[float | None]:
    """The power of a factor of an argument by which each gradient of the working is multiplied; None for no power."""
    larger = Inputs({**drawn.arrays, name: FACTOR * drawn.arrays[name]}, drawn.sizes)
    for one, two in zip(_right(trial, drawn) or (), _right(trial, larger) or (), strict=False):
        yield next((power for power in POWERS if one.any() and _same(two, FACTOR**power * one)), None)


def _same(one: Array, other: Array) -> bool:
    return bool(np.abs(one - other).max() <= NONE * max(float(np.abs(other).max()), 1e-300))


# Items of a batch


def _batch_sums(trial: Trial, inputs: Inputs) -> Violation | None:
    """Gradients of what all items of a batch share, which must be the sums of those of the items."""
    task, items = _of(trial), trial.outputs(inputs)
    function = getattr(trial.caller.function, "function", None)
    if items is None or function is None or not trial.batch:
        return None
    shapes = [out.shape[1:] if task.shared(name) else out.shape for name, out in zip(task.wrt, items, strict=True)]
    whole = Trial(_replaced(trial, function), trial.eps).caller.numbers(inputs.arrays, shapes)
    for name, line, each, got in zip(task.wrt, task.returns, items, whole or (), strict=False):
        expected = each.sum(0) if task.shared(name) else each
        off = ~close(expected, got, trial.eps)
        if off.any():
            return violation("The items of a batch come one by one, and together.", inputs, line, off, (expected, got))
    return None


def _replaced(trial: Trial, function: Callable[..., Any]) -> Any:
    return type(trial.caller)(function, trial.caller.task, trial.caller.form)


def _has_upstream(task: Task) -> bool:
    return isinstance(task, GradientTask) and task.upstream is not None


GRADIENT_PROPERTIES: tuple[Property, ...] = (
    Property("linear", "The gradients are linear in the gradient that they start with.", _has_upstream, _linear),
    Property(
        "unseen",
        "The gradient of a query gives nothing to what does not change the query's result.",
        _has_upstream,
        _unseen,
    ),
    Property("sums", "Gradients add up to 0 where a constant changes nothing.", lambda _: True, _zero_sums),
    Property("balance", "The gradients of two factors of a product agree with each other.", lambda _: True, _balance),
    Property("factors", "A factor of an argument changes gradients by a power of it.", lambda _: True, _scaled),
    Property("together", "Items of a batch give the sum of their gradients.", lambda _: True, _batch_sums),
    *(each for each in PROPERTIES if each.id in ("batch", "heads", "order")),
)
"""The properties of gradients, in the order in which they are tried."""
