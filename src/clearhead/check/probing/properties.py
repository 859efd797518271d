"""Properties of all attention of a kind, which need no hypothesis about the code.

Each property has a change of inputs, and the outputs that must follow. Whether it applies follows from the lines of the
working: its masks, whether the position of a token matters, the function's arguments and results.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from clearhead.check.calls.drawing import Inputs
from clearhead.check.calls.observing import close
from clearhead.check.calls.task import ASKED, Task, masks_of
from clearhead.check.probing.metamorphic import (
    Array,
    Change,
    Property,
    Trial,
    Violation,
    along,
    at,
    by_changes,
    query_word,
    shifted,
    violation,
)
from clearhead.check.probing.property_changes import heads_apart, many_batches, other_heads, other_items, reordered
from clearhead.errors import ClearheadError
from clearhead.line import Line
from clearhead.ops import Role
from clearhead.ops.textbook import scores, tokens
from clearhead.trace import Trace

# What a query may not see


def _masked(trial: Trial, inputs: Inputs) -> Array | None:
    """For each query and key (after a batch, if any): whether it is masked in all heads."""
    softmax = next(filter(_is_softmax, trial.task.working.lines), None)
    if softmax is None:
        return None
    try:
        trace = trial.task.working.run(inputs.given(trial.task), keep=[softmax.operands[0]])
    except ClearheadError:
        return None
    masked = np.asarray(np.isneginf(trace.numpy(softmax.operands[0])))
    words = trace.axes(softmax.operands[0])
    return np.asarray(masked.all(axis=words.index("head"))) if "head" in words else masked


def _unseen(trial: Trial, inputs: Inputs, *, later: bool) -> Iterator[Change]:
    """Changes of a token that some queries may not see: because it is later, or for another reason."""
    masked = _masked(trial, inputs)
    if masked is None:
        return
    queries, keys = masked.shape[-2:]
    past = keys - next(
        (
            inputs.arrays[n].shape[trial.words(n, inputs.arrays[n]).index(_token_word(trial, n))]
            for n in _tokens(trial, trial.task.keys)
        ),
        keys,
    )
    future = np.arange(keys) > np.arange(queries)[:, None] + (keys - queries)
    counts = masked & future if later else (masked & ~future if _has(trial.task, scores.mask_causal) else masked)
    for key in range(past, keys):
        if not counts[..., key].any():
            continue
        token = key - past
        changed = {
            name: shifted(trial, name, inputs.arrays[name], **{_token_word(trial, name): token})
            for name in _tokens(trial, trial.task.keys)
        }
        own = np.arange(queries) == token if set(changed) & trial.task.queries else np.zeros(queries, dtype=bool)
        stays = counts[..., key] & ~own

        def where(words: tuple[str, ...], before: Array, stays: Array = stays) -> Array:
            axes = ("batch",) * (stays.ndim - 1) + (query_word(words) or "",)
            return along(words, before.shape, stays, axes)

        yield Change(f"Token {token} is changed, which some queries may not see.", changed, where=where)


def _token_word(trial: Trial, name: str) -> str:
    return "key" if "key" in trial.task.axes(name) else "token"


def _tokens(trial: Trial, names: frozenset[str]) -> list[str]:
    """Those of the arrays that have numbers for each token."""
    task = trial.task
    return [
        name
        for name in task.takes
        if name in names and {"token", "key"} & set(task.axes(name)) and len(task.axes(name)) > 1
    ]


def _has(task: Task, *operations: Any) -> bool:
    return any(line.operation in operations for line in task.working.lines)


def _rows_returned(task: Task) -> bool:
    return all(query_word(task.axes(name)) for name in task.returns)


# The order of tokens


def _any_order(task: Task) -> bool:
    """Whether nothing depends on the order of tokens, and all arrays with tokens are arguments."""
    fixed = any(ASKED & set(given.axes) for given in task.working.givens if given.name not in task.takes)
    return not task.follows_order and _rows_returned(task) and bool(task.queries) and bool(task.keys) and not fixed


# Weights as shares


def _shares(trial: Trial, inputs: Inputs) -> Violation | None:
    """Weights that are negative, or rows of them that do not sum to one."""
    outputs = trial.outputs(inputs)
    masked = _masked(trial, inputs)
    for name, out in zip(trial.task.returns, outputs or (), strict=False):
        if not _is_softmax(trial.task.working.line(name)):
            continue
        sums = out.sum(axis=-1)
        sees = np.ones(sums.shape, dtype=bool)
        if masked is not None:
            seen = np.asarray(~masked.all(axis=-1))
            words = trial.words(name, out)[:-1]
            sees = along(words, sums.shape, seen, ("batch",) * (seen.ndim - 1) + words[-1:])
        if (out < 0).any():
            return violation("A weight is negative.", inputs, name, out < 0, (np.zeros_like(out), out))
        off = ~close(np.ones_like(sums), sums, trial.eps) & sees
        if off.any():
            return violation("The weights of a query do not sum to one.", inputs, name, off, (np.ones_like(sums), sums))
    return None


def _is_softmax(line: Any) -> bool:
    return isinstance(line, Line) and line.operation.role == "softmax"


def _equal_values(trial: Trial, inputs: Inputs) -> Violation | None:
    """Values that are the same for all tokens, which must be the output."""
    (name,) = _values(trial.task)
    array = inputs.arrays[name]
    words = trial.words(name, array)
    same = {
        **inputs.arrays,
        name: np.repeat(
            array[at(words, "token", slice(0, 1))], array.shape[words.index("token")], axis=words.index("token")
        ),
    }
    alike = Inputs(same, inputs.sizes)
    outputs = trial.outputs(alike)
    if outputs is None:
        return None
    trace = _shared_evenly(trial.task, alike, name)
    for line, out in zip(trial.task.returns, outputs, strict=True):
        if trial.task.working.line(line).axes[-1] not in ("depth", "head*depth"):
            continue
        off = ~close(trace.numpy(line), out, trial.eps)
        if off.any():
            says = "All tokens have the same value, so each query must get this value."
            return violation(says, alike, line, off, (trace.numpy(line), out))
    return None


def _shared_evenly(task: Task, inputs: Inputs, values: str) -> Trace:
    """The lines after the weights, where each query that sees a key gives all keys the same weight."""
    softmax = next(line.name for line in task.working.lines if _is_softmax(line))
    given = inputs.given(task)
    weights = task.working.run(given, keep=[softmax]).numpy(softmax)
    even = np.where(weights.any(axis=-1, keepdims=True), np.ones_like(weights) / weights.shape[-1], 0)
    return task.working.starting_at(softmax, values).run({softmax: even, values: given[values]})


def _values(task: Task) -> tuple[str, ...]:
    """The values, where the function takes them as they enter the weighted sum, and returns this sum."""
    sums = [line for line in task.working.lines if line.operation.role == "weighted-sum"]
    if len(sums) != 1 or task.working.lines[-1].operation.role not in ("weighted-sum", "concat"):
        return ()
    if not any(_is_softmax(task.working.line(operand)) for operand in sums[0].operands[:1]):
        return ()
    name = _through(task, sums[0].operands[1], ("repeat",))
    return (name,) if name in task.takes else ()


def _through(task: Task, name: str, roles: tuple[Role, ...]) -> str:
    """The line that another comes from, through operations of these roles alone."""
    line = task.working.line(name)
    while isinstance(line, Line) and line.operation.role in roles:
        line = task.working.line(line.operands[0])
    return line.name


# Constants that softmax does not see

SCALED: tuple[Role, ...] = ("distance", "mask", "scale")
"""The operations that keep a constant on a row of scores constant."""


def _row_shifts(trial: Trial, inputs: Inputs) -> Iterator[Change]:
    """A constant on each row of scores, or the same vector on all keys, which has the same effect."""
    for name in _row_constant(trial.task):
        yield Change(f"1 is added to all of {name}.", {name: inputs.arrays[name] + 1})


def _row_constant(task: Task) -> tuple[str, ...]:
    """The arguments that may be shifted by a constant without changing the weights."""
    softmax = next(filter(_is_softmax, task.working.lines), None)
    if softmax is None or any(_derived(task, name, softmax.name) for name in task.returns):
        return ()
    found = [_through(task, softmax.operands[0], SCALED)]
    found += [line.operands[1] for line in masks_of(task) if line.operation is scores.mask_additive]
    product = task.working.line(found[0])
    if isinstance(product, Line) and product.operation.role == "product":
        found.append(_through(task, product.operands[1], ("repeat",)))
    reads = [operand for line in task.working.lines for operand in line.operands]
    return tuple(name for name in dict.fromkeys(found) if name in task.takes and reads.count(name) == 1)


def _derived(task: Task, name: str, softmax: str) -> bool:
    """Whether a returned line does not come from the weights."""
    working = task.working.ending_at(name)
    return softmax not in {line.name for line in working.lines}


# Large numbers

LARGE = 1000.0


def _large_scores(trial: Trial, inputs: Inputs) -> Violation | None:
    """Large scores, which must not overflow."""
    large = {name: inputs.arrays[name] * LARGE for name in trial.task.queries if inputs.arrays[name].dtype.kind == "f"}
    big = Inputs({**inputs.arrays, **large}, inputs.sizes)
    outputs = trial.outputs(big)
    if outputs is None:
        return None
    trace = trial.task.working.run(big.given(trial.task))
    for name, out in zip(trial.task.returns, outputs, strict=True):
        expected = trace.numpy(name)
        off = np.isfinite(expected) & ~np.isfinite(out)
        if off.any():
            return violation(f"Queries are {LARGE:g} times as large.", inputs, name, off, (expected, out), large)
    return None


# Means of tokens

FINEST = 2.0**-52
"""The relative precision of double precision."""

LOST = 0.05
"""The part of the largest output by which a large mean may change others: rounding does by far less."""


def _norms_alone(task: Task) -> bool:
    """Whether the task is one layer norm of what is taken, with its gain and bias."""
    first, *rest = task.working.lines
    return first.operation is tokens.layer_norm and all(line.operation.role == "gain" for line in rest)


def _large_mean(trial: Trial, inputs: Inputs) -> Violation | None:
    """A large number added to all features of a token, of which a layer norm keeps nothing."""
    (name,) = trial.task.working.lines[0].operands
    by = 2.0 ** round(-np.log2(max(trial.eps, FINEST)) / 2)
    moved = {**inputs.arrays, name: inputs.arrays[name] + by}
    before, after = trial.outputs(inputs), trial.outputs(inputs, moved)
    for line, one, other in zip(trial.task.returns, before or (), after or (), strict=False):
        off = ~(np.abs(one - other) <= LOST * np.abs(one).max())
        if off.any():
            says = (
                f"{by:g} is added to all features. A layer norm keeps nothing of it, but a variance that is "
                f"the mean of squares less the square of the mean loses its digits there."
            )
            return violation(says, inputs, line, off, (one, other), {name: moved[name]})
    return None


PROPERTIES: tuple[Property, ...] = (
    Property(
        "future",
        "Later tokens do not change the results of earlier ones.",
        lambda task: _has(task, scores.mask_causal) and _rows_returned(task) and bool(task.keys),
        by_changes(lambda trial, inputs: _unseen(trial, inputs, later=True)),
    ),
    Property(
        "masked",
        "Masked tokens have no effect.",
        lambda task: len(masks_of(task)) > _has(task, scores.mask_causal) and _rows_returned(task) and bool(task.keys),
        by_changes(lambda trial, inputs: _unseen(trial, inputs, later=False)),
    ),
    Property("order", "Reordered tokens give the same results in that order.", _any_order, by_changes(reordered)),
    Property(
        "shares",
        "Weights are not negative, and those of a query sum to one.",
        lambda task: any(_is_softmax(task.working.line(name)) for name in task.returns),
        _shares,
    ),
    Property(
        "equal-values",
        "Where all values are equal, each query gets this value.",
        lambda task: bool(_values(task)),
        _equal_values,
    ),
    Property(
        "row-constant",
        "A constant on a row of scores changes nothing.",
        lambda task: bool(_row_constant(task)),
        by_changes(_row_shifts),
    ),
    Property("batch", "Items of a batch do not influence each other.", many_batches, by_changes(other_items)),
    Property("heads", "Heads do not influence each other.", heads_apart, by_changes(other_heads)),
    Property(
        "large",
        "Large scores do not overflow.",
        lambda task: any(map(_is_softmax, task.working.lines)) and bool(task.queries),
        _large_scores,
    ),
    Property("large-mean", "A large mean of a token's features changes nothing.", _norms_alone, _large_mean),
)
"""All properties, in the order in which they are tried."""


def differs(task: Task) -> Property:
    """The property that the function gives the working's numbers, to find the smallest input on which it does not."""

    def tried(trial: Trial, inputs: Inputs) -> Violation | None:
        outputs = trial.outputs(inputs)
        if outputs is None:
            return None
        try:
            trace = task.working.run(inputs.given(task), keep=task.returns)
        except ClearheadError:  # the working does not take inputs of these sizes
            return None
        for name, out in zip(task.returns, outputs, strict=True):
            off = ~close(trace.numpy(name), out, trial.eps)
            if off.any():
                return violation("", inputs, name, off, (trace.numpy(name), out))
        return None

    return Property("same", "It gives the working's numbers.", lambda _: True, tried)
