"""Gate and up of an MLP that are read from other columns of the weight, or the bias, that holds both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import permutations

import numpy as np

from clearhead.check.calls.task import Arrays, Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Computed
from clearhead.check.measure.blocks.mlps import MlpArrays, mlp_arrays
from clearhead.check.measure.blocks.trials import Trial
from clearhead.check.measure.parts import Array

LAYOUTS: dict[str, Callable[[int], Array]] = {
    "[gate | up]": np.arange,
    "[up | gate]": lambda n: np.roll(np.arange(n), n // 2),
    "gate and up by turns, column by column": lambda n: np.arange(n).reshape(2, -1).T.reshape(-1),
    "up and gate by turns, column by column": lambda n: np.arange(n).reshape(2, -1)[::-1].T.reshape(-1),
    "2 shards of [gate | up] each": lambda n: _shards(n, 2),
    "4 shards of [gate | up] each": lambda n: _shards(n, 4),
}
"""The columns of a weight that holds gate and up, by their places in [gate | up]; none for other widths."""

BLOCKS: dict[str, Callable[[int], Array]] = {
    f"gate and up by turns, in blocks of {size}": partial(lambda n, size: _blocks(n, size), size=size)
    for size in (2, 4, 8, 16, 32)
}
"""The same in blocks, as kernels want them."""


ALL = LAYOUTS | BLOCKS


def _shards(columns: int, count: int) -> Array:
    if columns // 2 % count:
        return np.zeros(0, int)
    return np.arange(columns).reshape(2, count, -1).swapaxes(0, 1).reshape(-1)


def _blocks(columns: int, size: int) -> Array:
    return (
        _shards(columns, columns // 2 // size) if columns // 2 % size == 0 and columns > 2 * size else np.zeros(0, int)
    )


def gates_elsewhere(task: Task, ran: Sequence[Trial]) -> str:
    """How columns of gate and up are written and read where all trials come out so; "" if in no way that is known."""
    names = mlp_arrays(task)
    known = sorted((each for each in ran if each.y is not None), key=lambda each: each.expected[-1].size)
    if names is None or not names.gate or all(each.agrees for each in known):
        return ""
    run = Computed(task, task.working)
    for what, pairs in _held_together(names).items():
        for written, read in _pairs():
            if all(_holds(run, pairs, (ALL[written], ALL[read]), each) for each in known):
                return f"Gate and up stand in one {what} as {written}, and are read as {read}."
    return ""


Pairs = tuple[tuple[str, str], ...]
"""Arrays of the gate with those of up, by name, that stand in one."""


def _held_together(names: MlpArrays) -> dict[str, Pairs]:
    """What may hold gate and up together: the weights, the biases, or both alike."""
    weights = (names.gate, names.up)
    biases = (f"{weight.removesuffix('weight')}bias" for weight in weights)
    gate, up = (name if name in names.biases else "" for name in biases)
    if not gate or not up:
        return {"weight": (weights,)}
    return {"weight": (weights,), "weight and one bias": (weights, (gate, up)), "bias": ((gate, up),)}


def _pairs() -> Iterator[tuple[str, str]]:
    plain, *others = LAYOUTS
    yield from ((plain, each) for each in (*others, *BLOCKS))
    yield from ((each, plain) for each in (*others, *BLOCKS))
    yield from permutations(others, 2)


Laid = tuple[Callable[[int], Array], Callable[[int], Array]]


def _holds(run: Computed, pairs: Pairs, laid: Laid, trial: Trial) -> bool:
    arrays = _read(pairs, laid, trial.arrays)
    if arrays is None:
        return trial.agrees
    try:
        return trial.holds(run({**trial.arrays, **arrays}))
    except Refused:
        return False


def _read(pairs: Pairs, laid: Laid, arrays: Arrays) -> Arrays | None:
    """The arrays that are read instead of the given ones; None for widths without such a layout."""
    made: Arrays = {}
    for gate, up in pairs:
        both = np.concatenate([arrays[gate], arrays[up]], -1)
        written, read = (layout(both.shape[-1]) for layout in laid)
        if len(written) != len(read) or not len(read):
            return None
        found = np.empty_like(both)
        found[..., read] = both[..., written]
        made[gate], made[up] = np.split(found, 2, -1)
    return made
