"""Outputs whose numbers are right and stand in other places: columns in another order, heads and items exchanged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, permutations, product

import numpy as np
from msgspec import Struct

from clearhead.axes import Axes, with_batch
from clearhead.check.calls.task import Task
from clearhead.check.measure.blocks.trials import Trial
from clearhead.check.measure.parts import Array

FEWEST = 2
"""Sizes at which numbers must stand in other places by the same rule."""


class Places(Struct, frozen=True, eq=False):
    """Where each number of the output should stand.

    Attributes:
        axes: the axes along which places differ.
        rule: how they do, in words.
        fix: what to change, in words.
    """

    axes: Axes
    rule: str
    fix: str = ""


def places(task: Task, ran: Sequence[Trial]) -> Places | None:
    """The one rule by which the numbers of a function stand in other places at every size; None if there is none."""
    known = [each for each in ran if each.kind == "ordinary" and each.y is not None]
    if len(task.returns) != 1 or len(known) < FEWEST:
        return None
    found = [rule for each in known if (rule := _at(task, each)) is not None]
    moved = [each for each in found if each.axes]
    if moved and len(moved[0].axes) > 2 and (rule := _relaid(task, known)):
        return rule
    alike = len({(each.axes, each.rule) for each in moved}) == 1
    return moved[0] if len(found) == len(known) and len(moved) >= FEWEST and alike else None


def _relaid(task: Task, known: Sequence[Trial]) -> Places | None:
    """The reshapes to axes in another order than they lie in that give all results, by one rule."""
    due = [each.expected[-1] for each in known]
    axes = [with_batch(task.axes(task.returns[-1]), each.ndim) for each in due]
    split = [_split(words, x.shape, each.sizes) for words, x, each in zip(axes, due, known, strict=True)]
    words = split[0][0]
    if any(other != words for other, _ in split):
        return None
    for steps in _orders(words):
        laid = (_laid(x, words, shape, steps) for x, (_, shape) in zip(due, split, strict=True))
        if all(trial.holds((x,)) for trial, x in zip(known, laid, strict=True)):
            names = [f"({', '.join(order)})" for order in (*steps, words)]
            turned = f"read as {names[1]}, transposed to {names[2]} and then " if len(steps) > 1 else ""
            fix = f"Reshape {names[0]} with its axes in the order in which they lie; transpose before or after that."
            return Places(words[:-1], f"they lie as {names[0]}, and are {turned}read as {names[-1]}", fix)
    return None


def _orders(words: Axes) -> Iterator[tuple[Axes, ...]]:
    """Orders of the axes but the last: that in which numbers lie; and those in which they are read and transposed."""
    orders = [(*each, words[-1]) for each in permutations(words[:-1])]
    yield from ((each,) for each in orders if each != words)
    yield from (each for each in product(orders, repeat=3) if each[0] != each[1] != each[2])


def _laid(x: Array, words: Axes, shape: Sequence[int], steps: tuple[Axes, ...]) -> Array:
    """Numbers that lie in one order of axes, read in another, transposed to a third, and read as they should lie."""
    sizes = dict(zip(words, shape, strict=True))
    y = x.reshape(tuple(shape)).transpose([words.index(word) for word in steps[0]])
    for read, turned in [steps[1:]] if len(steps) > 1 else []:
        y = y.reshape([sizes[word] for word in read]).transpose([read.index(word) for word in turned])
    return y.reshape(x.shape)


def _at(task: Task, trial: Trial) -> Places | None:
    """The rule at one size; without axes where all stands in its place."""
    assert trial.y is not None  # noqa: S101 - only trials with results are taken
    y, due = trial.y[-1], trial.expected[-1]
    if y.shape != due.shape or not (np.isfinite(y).all() and np.isfinite(due).all()):
        return None
    words, shape = _split(with_batch(task.axes(task.returns[-1]), due.ndim), due.shape, trial.sizes)
    order, sought = np.argsort(due, axis=None), np.argsort(y, axis=None)
    flat, wanted, near = y.ravel()[sought], due.ravel()[order], trial.near * max(float(np.abs(due).max()), 1e-30)
    if np.abs(flat - wanted).max() > near or np.diff(wanted).min(initial=1.0) <= near:
        return None  # other numbers, or equal ones, which may have come from any place
    source = np.empty(due.size, int)
    source[sought] = order
    return _rule(words, shape, np.unravel_index(source.reshape(shape), shape))


def _split(words: Axes, shape: Sequence[int], sizes: dict[str, int]) -> tuple[Axes, tuple[int, ...]]:
    """The axes with ``head*depth`` as two."""
    if words[-1:] != ("head*depth",) or "head" not in sizes:
        return words, tuple(shape)
    heads = sizes["head"]
    return (*words[:-1], "head", "depth"), (*shape[:-1], heads, shape[-1] // heads)


def _rule(words: Axes, shape: tuple[int, ...], source: Sequence[Array]) -> Places | None:
    """How the places of a permutation follow from their own."""
    own = np.indices(shape)
    off = [at for at in range(len(shape)) if (source[at] != own[at]).any()]
    if not off:
        return Places((), "")
    follows = {at: [axis for axis in range(len(shape)) if (np.diff(source[at], axis=axis) != 0).any()] for at in off}
    axes = tuple(words[at] for at in off)
    if len(off) == 1 and follows[off[0]] == off:
        order = np.take(np.moveaxis(source[off[0]], off[0], 0).reshape(shape[off[0]], -1), 0, axis=1)
        return _of_one(words[off[0]], order.tolist())
    if axes == ("batch", "head"):
        (b, h), (items, heads) = (own[at] for at in off), (shape[at] for at in off)
        if np.array_equal(source[off[0]] * heads + source[off[1]], h * items + b):
            fix = "Reshape to (batch, heads, ...) as the axis was made, and not to (heads, batch, ...)."
            return Places(axes, "items and heads, one axis of batch * heads, are read as (heads, batch)", fix)
    along = f"{', '.join(axes[:-1])} and {axes[-1]}" if len(axes) > 1 else axes[0]
    return Places(axes, f"they are exchanged along {along}, as by a reshape without its transpose")


def _of_one(word: str, order: list[int]) -> Places:
    """The rule of one axis, by the place that each entry should have."""
    n, what = len(order), "columns" if word in ("depth", "model", "head*depth") else f"entries of {word}"
    evens, halves = [*range(0, n, 2), *range(1, n, 2)], [x for a in range(n // 2) for x in (a, a + n // 2)]
    if order == evens:
        return Places(
            (word,),
            f"even {what} stand in front of odd ones",
            "Put them back in turn: np.stack([even, odd], -1).reshape(x.shape).",
        )
    if order == halves:
        return Places(
            (word,),
            f"{what} of both halves stand in turn",
            "Put the halves one behind the other: np.concatenate([first, second], -1).",
        )
    if order == order[::-1] or order == list(range(n))[::-1]:
        return Places((word,), f"{what} stand in reverse")
    if all((b - a) % n == 1 for a, b in pairwise(order)):
        return Places((word,), f"{what} are moved on around the end")
    return Places((word,), f"{what} stand in another order")
