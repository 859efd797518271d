"""How a function can be called: library, batch, order of axes, sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import get_args

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.calls.calling import Caller, Form, Function, Order, Symptom, forms
from clearhead.check.calls.drawing import Sizes, draw, known_sizes, sizes_of
from clearhead.check.calls.observing import Seen, look
from clearhead.check.calls.task import Task

NOTHING = 3
"""The rank of a form in which a function gives nothing."""

SEEDS = 4
"""How many inputs are drawn besides the first; the last in single precision."""

COINCIDENCES: tuple[tuple[str, str], ...] = (
    ("token", "depth"), ("model", "head*depth"), ("token", "head"), ("token", "key"),
)  # fmt: skip
"""Sizes that some code needs to be equal: they are tried as equal where it runs on no other sizes."""


EVEN: Sizes = {"batch": 3, "token": 12, "depth": 4, "model": 16, "hidden": 24, "past": 20, "tap": 4}
"""Sizes for code that needs even ones: it cuts an axis into halves, or tokens into blocks."""

MULTIPLES = "at some sizes, such as multiples of 4"


class Start(Struct, frozen=True):
    """A way to call a function, and its results on a first input.

    ``tied`` sizes must be equal for it to run; ``even``: whether it runs at multiples of 4, and not at the first sizes.
    """

    caller: Caller
    sizes: Sizes
    seen: Seen
    tied: tuple[str, ...] = ()
    even: bool = False

    @property
    def form(self) -> Form:
        """The form in which it is called."""
        return self.caller.form

    def near(self, sizes: Sizes) -> Sizes:
        """Sizes at which it may run, near to these."""
        return {**EVEN, **{word: -(-size // 4) * 4 for word, size in sizes.items()}} if self.even else sizes

    @property
    def rank(self) -> int:
        """0 for results that can be compared, 1 with axes in another order, 2 for another shape, 3 for nothing."""
        kinds = {each.kind for each in self.seen.symptoms}
        if self.seen.outputs:
            return 1 if "axis-order" in kinds else 0
        return NOTHING if {"raises", "returns-nothing"} & kinds else 2

    def look(self) -> tuple[Seen, ...]:
        """Its results on all inputs, the first one in front."""
        drawn = [draw(self.caller.task, self.sizes, seed, batch=self.form.batch) for seed in range(1, SEEDS + 1)]
        types = [*[self.form.dtype] * (SEEDS - 1), "float32"]
        return (self.seen, *(look(self.caller, each, dtype) for each, dtype in zip(drawn, types, strict=True)))


def start(function: Function, task: Task, libraries: Iterable[str]) -> tuple[Start, tuple[Symptom, ...]]:
    """The way to call a function whose results can be compared, and its symptoms."""
    wanted = [form for library in libraries for form in forms(task, library)]
    sizes = sizes_of(task)
    tries = []
    for form in wanted:
        tries.append(attempt(function, task, form, sizes))
        if tries[-1].rank == 0:
            return tries[-1], ()
    best = next((each for each in tries if each.rank < NOTHING), tries[0])
    if best.rank < NOTHING:
        return best, ()
    single = [replace(form, dtype="float32") for form in wanted if form.dtype != "float32"]
    for form in single:
        again = attempt(function, task, form, sizes)
        if again.rank < NOTHING:
            return again, ()
    for chosen, tied, says in _other_sizes(task, sizes):
        again = min((attempt(function, task, form, chosen) for form in wanted), key=lambda each: each.rank)
        if again.rank < 2:
            only = Symptom("sizes", f"It runs only {says}, and was tried there.")
            return replace(again, tied=tied, even=says == MULTIPLES), (*tries[0].seen.symptoms, only)
    return best, ()


def _other_sizes(task: Task, sizes: Sizes) -> Iterator[tuple[Sizes, tuple[str, ...], str]]:
    """Other sizes for code that does not run at the first ones: all of them even, some equal, one new token."""
    even = sizes_of(task, {word: size for word, size in EVEN.items() if word in sizes})
    yield even, (), MULTIPLES
    for word, other in COINCIDENCES:
        if not {word, other} <= sizes.keys() or sizes[word] == sizes[other]:
            continue
        equal = sizes_of(task, {word: sizes[other], other: sizes[other]})
        if equal[word] == equal[other]:
            yield equal, (word, other), f"where {word} and {other} have the same size"
    if sizes["token"] > 1 and "token" not in known_sizes(task):
        one = sizes_of(task, {"token": 1})
        if not one.keys() & {"past"} and task.keys and not task.keys & task.queries and not task.follows_order:
            one = {**one, "apart": sizes["token"], "key": sizes["token"]}
        yield one, (), "with one new token"


def attempt(function: Function, task: Task, form: Form, sizes: Sizes) -> Start:
    """A function called in a form, on a first input of these sizes."""
    caller = Caller(function, task, form)
    inputs = draw(task, sizes, 0, batch=form.batch)
    return Start(caller, sizes, look(caller, inputs, form.dtype))


def others(begun: Start) -> Iterator[Start]:
    """Other ways with results that can be compared: other orders of axes, one example at a time."""
    task, form = begun.caller.task, begun.form
    tried = {_seen_as(task, form)}
    for order in (form.order, *get_args(Order)):
        for kind in forms(task, form.library, order):
            other = replace(kind, dtype=form.dtype)
            if _seen_as(task, other) not in tried:
                tried.add(_seen_as(task, other))
                found = attempt(begun.caller.function, task, other, begun.sizes)
                if found.rank == 0:
                    yield found


def is_layout(begun: Start, other: Start) -> bool:
    """Whether numbers that are right in another form show a layout: more than one array is given in another way.

    One alone may as well be read along the wrong axis: a softmax over queries is right of transposed scores.
    """
    task = begun.caller.task
    given = [
        [(form.batch and task.takes_batch(name), form.axes(task.axes(name))) for name in task.takes]
        for form in (begun.form, other.form)
    ]
    return bool(sum(one != two for one, two in zip(*given, strict=True)) > 1)


def _seen_as(task: Task, form: Form) -> tuple[object, ...]:
    """All that a form changes for the function."""
    return (form.batch, form.heads, *(form.axes(task.axes(name)) for name in (*task.takes, *task.returns)))


_COUNTED = Symptom(
    "layout",
    "This holds for one example at a time. With a batch in front it runs as well, and gives other numbers: an axis may "
    "be counted from the front there, as in axis=2 or dim=1, or numbers of one example be used for others.",
    "Count axes from the end, as axis=-1 for the keys, and compute each example from its own numbers alone.",
)


def _is_stacked(begun: Start, found: Start) -> bool:
    """Whether the results of a batch are those of its examples, one at a time."""
    task, arrays = begun.caller.task, begun.seen.inputs.arrays
    for at in range(begun.sizes["batch"]):
        one = {name: array[at] if task.takes_batch(name) else array for name, array in arrays.items()}
        outputs = found.caller(one).outputs
        if not outputs or any(
            mine.shape != whole.shape[1:] or not np.allclose(mine, whole[at], rtol=1e-9, atol=0, equal_nan=True)
            for mine, whole in zip(outputs, begun.seen.outputs, strict=True)
        ):
            return False
    return True


def form_symptom(begun: Start, found: Start) -> Symptom | None:
    """The symptom of a form after the first in which the function ran; None for one with fewer axes."""
    if found.form.order == begun.form.order:
        counted = begun.rank == 0 and begun.form.batch and not found.form.batch
        return _COUNTED if counted and not _is_stacked(begun, found) else None
    task = begun.caller.task
    name = next(iter((*task.returns, *task.takes)))
    lead = ("batch",) if found.form.batch else ()
    axes = ", ".join((*lead, *found.form.axes(task.axes(name))))
    ours = ", ".join((*lead, *task.axes(name)))
    return Symptom(
        "layout",
        f"It needs another layout: {name} as ({axes}), where clearhead has ({ours}). This is a convention; what "
        f"is said here holds in that layout.",
    )
