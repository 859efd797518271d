"""Calls a function, with arrays of its library in the form that it needs, and finds symptoms from outside."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from clearhead.axes import HEADS, Axes, Shape, describe
from clearhead.check.calls.task import Arrays, Task
from clearhead.errors import SpecError, suggest
from clearhead.trace import to_numpy

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]
Order = Literal["rows", "tokens-first", "columns"]

LIBRARIES: dict[str, tuple[str, Callable[[Any, Array], Any]]] = {
    "numpy": ("numpy", lambda _, array: array),
    "torch": ("torch", lambda torch, array: torch.from_numpy(array)),
    "jax": ("jax.numpy", lambda jnp, array: jnp.array(array)),
}
"""The libraries of functions: the module to import, and how it makes an array from NumPy's."""


def _knows_double() -> bool:
    """Whether JAX is set to double precision."""
    return bool(import_module("jax").config.values["jax_enable_x64"])


class Form(Struct, frozen=True):
    """How a function is called.

    Attributes:
        library: whose arrays it gets.
        batch: whether arrays have a batch in front.
        heads: whether arrays have an axis of heads; it may be missing for one head.
        order: which axis comes first: ``"rows"`` as the working has them, ``"columns"`` with tokens last,
            ``"tokens-first"`` with heads after tokens.
        dtype: the most precise numbers that it takes.
    """

    library: str = "numpy"
    batch: bool = True
    heads: bool = True
    order: Order = "rows"
    dtype: str = "float64"

    def axes(self, words: Axes) -> Axes:
        """The axis words of an array as the function sees it, without the batch."""
        if not self.heads:
            words = tuple(word for word in words if word not in HEADS)
        return tuple(words[place] for place in _places(words, self.order))

    def there(self, words: Axes, array: Array) -> Array:
        """An array of the working as the function gets it."""
        if not self.heads:
            array = np.squeeze(array, tuple(n - len(words) for n, word in enumerate(words) if word in HEADS))
            words = tuple(word for word in words if word not in HEADS)
        return _turned(array, _places(words, self.order)).copy(order="C")

    def back(self, words: Axes, array: Array) -> Array:
        """An array of the function as the working has it."""
        inner = words if self.heads else tuple(word for word in words if word not in HEADS)
        array = _turned(array, tuple(int(n) for n in np.argsort(_places(inner, self.order))))
        if self.heads:
            return array
        place = [n - len(words) for n, word in enumerate(words) if word in HEADS]
        return np.expand_dims(array, tuple(place)) if place else array


def _places(words: Axes, order: Order) -> tuple[int, ...]:
    """The places of the axes in another order."""
    places = list(range(len(words)))
    pair = {"columns": 2, "tokens-first": 3}.get(order, 0)
    if pair and len(words) >= pair and (pair == 2 or (words[-3] in HEADS and words[-2] == "token")):
        places[-pair], places[1 - pair] = places[1 - pair], places[-pair]
    return tuple(places)


def _turned(array: Array, places: Sequence[int]) -> Array:
    lead = array.ndim - len(places)
    return np.transpose(array, (*range(lead), *(lead + place for place in places)))


class Symptom(Struct, frozen=True):
    """Something odd about a function: it raises, returns another shape, changes its inputs ..."""

    kind: Literal[
        "raises", "returns-nothing", "shape", "axis-order", "layout", "dtype", "nan", "varies", "writes", "line",
        "arguments", "precision", "sizes",
    ]  # fmt: skip
    says: str
    remedy: str = ""


class Call(Struct, frozen=True, eq=False):
    """One call: the outputs of the function as NumPy arrays, or the symptom instead."""

    outputs: tuple[Array, ...] = ()
    failed: Symptom | None = None
    writes: tuple[str, ...] = ()


class Caller(Struct, frozen=True):
    """A function with the form in which it is called."""

    function: Function
    task: Task
    form: Form

    def __call__(self, arrays: Arrays, dtype: str | None = None) -> Call:
        """Calls the function on copies of these arrays, which are in the working's layout."""
        make = _maker(self.form.library)
        given = {name: self._prepared(name, arrays[name], dtype or self.form.dtype) for name in self.task.takes}
        handed = [make(array.copy()) for array in given.values()]
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                returned = self.function(*handed)
                values = _picked(returned, self.task.returns)
                if (size := max(map(_size, values), default=0)) > MAX_RETURNED:
                    return Call(failed=_oversized(size))
                outputs = _arrays(values)
        except Exception as error:
            return Call(failed=_raised(error, self, given))
        written = tuple(name for name, array in zip(given, handed, strict=True) if not _same(given[name], array))
        return Call(outputs, writes=written) if outputs else Call(failed=_nothing(returned, self.task))

    def _prepared(self, name: str, array: Array, dtype: str) -> Array:
        array = self.form.there(self.task.axes(name), array)
        return array if array.dtype.kind != "f" else array.astype(dtype)

    def numbers(self, arrays: Arrays, shapes: Sequence[Shape]) -> tuple[Array, ...] | None:
        """The outputs in the working's layout; None if it raises or returns other shapes than these."""
        call = self(arrays)
        if call.failed:
            return None
        words = [self.task.axes(name) for name in self.task.returns]
        if any(out.ndim < len(self.form.axes(axes)) for axes, out in zip(words, call.outputs, strict=True)):
            return None
        back = tuple(self.form.back(axes, out) for axes, out in zip(words, call.outputs, strict=True))
        return back if [out.shape for out in back] == list(shapes) else None


def _maker(library: str) -> Callable[[Array], Any]:
    module, make = LIBRARIES[library]
    imported = import_module(module)
    return lambda array: make(imported, array)


def _same(before: Array, after: Any) -> bool:
    now = to_numpy(after)
    return bool(np.array_equal(before.astype(now.dtype), now, equal_nan=now.dtype.kind == "f"))


MAX_RETURNED = 1 << 24
"""The most numbers of an output that are read: a probe returns thousands, but a view can have any size."""


def _size(value: Any) -> int:
    """The numbers of an array, before anything copies it."""
    return math.prod(value.shape) if _is_array(value) else 0


def _oversized(size: int) -> Symptom:
    return Symptom(
        "returns-nothing",
        f"It returns an array of {size} numbers, of which at most {MAX_RETURNED} are looked at.",
        "Check what broadcasts.",
    )


def _picked(returned: Any, names: Sequence[str]) -> list[Any]:
    """The results by name; none if there are too few."""
    if isinstance(returned, Mapping):
        values = [returned.get(name, returned.get(name.rpartition(".")[2])) for name in names]
    elif isinstance(returned, tuple | list) and (len(names) > 1 or _is_array(next(iter(returned), None))):
        values = list(returned)[: len(names)]
    else:
        values = [returned]
    return [] if len(values) < len(names) or any(value is None for value in values) else values


def results(returned: Any, names: Sequence[str]) -> tuple[Array, ...]:
    """What a function returned, as NumPy arrays by name; () if it is something else."""
    values = _picked(returned, names)
    return () if max(map(_size, values), default=0) > MAX_RETURNED else _arrays(values)


def _arrays(values: Sequence[Any]) -> tuple[Array, ...]:
    """The results as arrays; () if they are no arrays."""
    arrays = tuple(_numbers(value) for value in values)
    return arrays if all(array.dtype.kind in "fiub" or "float" in str(array.dtype) for array in arrays) else ()


def _numbers(value: Any) -> Array:
    """An array of any library as NumPy's; bfloat16, which NumPy does not have, as the type of its size."""
    array = to_numpy(value)
    return array.astype(np.float16) if "bfloat16" in str(getattr(value, "dtype", "")) else array


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _raised(error: Exception, caller: Caller, given: Arrays) -> Symptom:
    form, task = caller.form, caller.task
    shapes = ", ".join(
        f"{name} {describe(_with_batch(form.axes(task.axes(name)), array.ndim), array.shape)}"
        for name, array in given.items()
    )
    message = " ".join(str(error).split()) or "no message"
    short = message if len(message) <= 160 else f"{message[:157]}..."
    return Symptom("raises", f"It raises {type(error).__name__} ({short}) when called with {shapes}.")


def _with_batch(words: Axes, rank: int) -> Axes:
    return ("batch",) * (rank - len(words)) + words


def _nothing(returned: Any, task: Task) -> Symptom:
    wanted = " and ".join(task.returns)
    what = "None" if returned is None else f"a {type(returned).__name__} that holds no such arrays"
    return Symptom(
        "returns-nothing", f"It returns {what}, where {wanted} is expected.", "End the function with return."
    )


def libraries(function: Function, library: str | None, given: Mapping[str, Any]) -> Iterator[str]:
    """The libraries to try: the named one, or else those that the user has imported.

    Raises:
        SpecError: no such library is known.
    """
    if library is not None:
        if library not in LIBRARIES:
            raise SpecError(f"library expects {', '.join(LIBRARIES)}, got {library!r}. {suggest(library, LIBRARIES)}")
        yield library
        return
    hints = {type(each).__module__.partition(".")[0] for each in (*given.values(), function)}
    hints |= {base.__module__.partition(".")[0] for base in type(function).__mro__}
    imported = [name for name, (module, _) in LIBRARIES.items() if module in sys.modules]
    yield from sorted(imported, key=lambda name: (name not in hints - {"numpy"}, name != "numpy"))


def forms(task: Task, library: str, order: Order = "rows") -> Iterator[Form]:
    """The forms that a function may need; the one with all axes first."""
    dtype = "float32" if library == "jax" and not _knows_double() else "float64"
    if any(map(task.takes_batch, task.takes)):
        yield Form(library, order=order, dtype=dtype)
    if task.working.sizes.get("head") == 1 and any(HEADS & set(task.axes(name)) for name in task.takes):
        yield Form(library, batch=False, heads=False, order=order, dtype=dtype)
    yield Form(library, batch=False, order=order, dtype=dtype)
