"""Changes of inputs whose effect on outputs is known: tokens in another order, and one item or head changed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clearhead.check.calls.drawing import Inputs
from clearhead.check.calls.task import Task
from clearhead.check.probing.metamorphic import QUERY_WORDS, Array, Change, Trial, along, shifted


def reordered(trial: Trial, inputs: Inputs) -> Iterator[Change]:
    """Queries, keys, or both where they are the same tokens, in another order."""
    task = trial.task
    both = bool(task.queries & task.keys)
    for moves in (("query", "key"),) if both else (("query",), ("key",)):
        changed = {}
        for name, array in inputs.arrays.items():
            words = trial.words(name, array)
            for number, word in enumerate(words):
                if _side(task, name, word) in moves:
                    array = _swapped(array, number)
            changed[name] = array

        def expected(words: tuple[str, ...], before: Array, moves: tuple[str, ...] = moves) -> Array:
            for number, word in enumerate(words):
                if ("query" if word in QUERY_WORDS else word) in moves:
                    before = _swapped(before, number)
            return before

        what = "tokens" if both else {"query": "queries", "key": "keys (with their values)"}[moves[0]]
        yield Change(f"The first two {what} change places.", changed, expected)


def _side(task: Task, name: str, word: str) -> str:
    """Whether an axis of an array runs over queries or keys; "" if over neither."""
    if word in ("query", "key"):
        return word
    if word != "token":
        return ""
    return "query" if name in task.queries else "key" if name in task.keys else ""


def _swapped(array: Array, axis: int) -> Array:
    order = np.arange(array.shape[axis])
    order[:2] = order[:2][::-1]
    return np.take(array, order, axis=axis)


def other_items(trial: Trial, inputs: Inputs) -> Iterator[Change]:
    """One item of a batch changed: the others must not change."""
    size = inputs.sizes["batch"] if trial.batch else 1
    for item in range(size if size > 1 else 0):
        changed = {
            name: shifted(trial, name, array, batch=item)
            for name, array in inputs.arrays.items()
            if trial.task.takes_batch(name) and array.dtype.kind == "f"
        }

        def where(words: tuple[str, ...], before: Array, item: int = item) -> Array:
            return along(words, before.shape, np.arange(size) != item, ("batch",))

        yield Change(f"Item {item} of the batch is changed.", changed, where=where)


def other_heads(trial: Trial, inputs: Inputs) -> Iterator[Change]:
    """One head changed: the others must not change."""
    task, sizes = trial.task, inputs.sizes
    heads = sizes["head"]
    for name in task.takes:
        word = next((each for each in task.axes(name) if each in ("head", "group")), None)
        array = inputs.arrays[name]
        if word is None or array.dtype.kind != "f":
            continue
        for number in range(sizes[word]):
            times = heads // sizes[word]
            own = np.arange(heads) // times == number

            def where(words: tuple[str, ...], before: Array, own: Array = own) -> Array:
                if "head" in words:
                    return along(words, before.shape, ~own, ("head",))
                return along(words, before.shape, np.repeat(~own, before.shape[-1] // heads), ("head*depth",))

            yield Change(
                f"{word.capitalize()} {number} of {name} is changed.",
                {name: shifted(trial, name, array, **{word: number})},
                where=where,
            )


def heads_apart(task: Task) -> bool:
    """Whether each head has separate inputs and outputs."""
    apart = all({"head", "head*depth"} & set(task.axes(name)) for name in task.returns)
    return apart and any({"head", "group"} & set(task.axes(name)) for name in task.takes)


def many_batches(task: Task) -> bool:
    """Whether the function takes a batch."""
    return any(map(task.takes_batch, task.takes))
