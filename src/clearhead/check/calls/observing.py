"""The results of a function on random inputs, in the working's layout, and their symptoms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.axes import Axes, Shape, describe, with_batch
from clearhead.check.calls.calling import Call, Caller, Symptom
from clearhead.check.calls.drawing import Inputs
from clearhead.check.calls.task import Task
from clearhead.check.diagnosis import claim_of
from clearhead.claim import Claim
from clearhead.trace import Trace

Array = np.ndarray[Any, Any]


CLOSE = {8: 2e-6, 4: 1e-4, 2: 3e-2}
"""The largest relative difference that counts as equal, by the bytes of a number."""


UNITS = 30
"""How many units of the least precise number two equal outputs may differ."""


def close(one: Array, other: Array, eps: float = 0.0) -> Array:
    """Which numbers are equal up to rounding, with this relative precision or that of their type."""
    finite = np.abs(one[np.isfinite(one)])
    size = float(max(np.max(finite, initial=0.0), 1.0))
    bound = max(CLOSE.get(other.dtype.itemsize if other.dtype.kind == "f" else 8, 1e-7), UNITS * eps) * size
    with np.errstate(invalid="ignore"):
        near = np.abs(one - other) <= bound
    return np.asarray(near | (one == other) | (np.isnan(one) & np.isnan(other)))


class Seen(Struct, frozen=True, eq=False):
    """The results for some inputs: the function's in the working's layout, the working's, and symptoms."""

    inputs: Inputs
    dtype: str
    trace: Trace
    outputs: tuple[Array, ...] = ()
    symptoms: tuple[Symptom, ...] = ()

    def claims(self, *, single: bool = False) -> tuple[Claim, ...]:
        """The outputs as claims, with the precision of their type and that of the inputs, at most single precision."""
        return tuple(self.claim(name, out, single=single) for name, out in zip(self.names, self.outputs, strict=True))

    def claim(self, name: str, out: Array, *, single: bool = False) -> Claim:
        """An output as a claim."""
        if out.dtype != np.float64:
            return claim_of(name, out)
        if self.dtype == "float32":
            return claim_of(name, out.astype(np.float32))
        # A step in single precision changes the seventh digit; a wrong eps the fifth.
        digits = (claim_of(name, out.astype(np.float32)).precision or 0) + 2
        return claim_of(name, out, digits if single else None)

    @property
    def names(self) -> tuple[str, ...]:
        """The lines that were returned."""
        return tuple(self.trace) if self.outputs else ()


def look(caller: Caller, inputs: Inputs, dtype: str = "float64") -> Seen:
    """Calls a function, and compares shapes, axes and types with the working before numbers."""
    task = caller.task
    rounded = _as(inputs, dtype)
    ran = task.working.run(rounded.given(task), keep=task.returns)
    trace = Trace(task.working, {name: ran[name] for name in task.returns})
    call = caller(rounded.arrays, dtype)
    if call.failed:
        return Seen(rounded, dtype, trace, symptoms=(call.failed,))
    outputs, symptoms = [], list(_writes(call))
    for name, out in zip(task.returns, call.outputs, strict=True):
        placed, odd = _in_place(caller, name, out, trace.numpy(name), rounded)
        symptoms += odd
        if placed is not None:
            outputs.append(placed)
    complete = tuple(outputs) if len(outputs) == len(task.returns) else ()
    return Seen(rounded, dtype, trace, complete, tuple(symptoms))


def _as(inputs: Inputs, dtype: str) -> Inputs:
    """The inputs as numbers of a type, held in double precision."""
    arrays = {
        name: array if array.dtype.kind != "f" else array.astype(dtype).astype(np.float64)
        for name, array in inputs.arrays.items()
    }
    return Inputs(arrays, inputs.sizes)


def _writes(call: Call) -> Iterator[Symptom]:
    if call.writes:
        yield Symptom(
            "writes",
            f"It changes what it is given: after the call other numbers stand in {' and '.join(call.writes)}.",
            "Work on a copy, or without operators such as += and /= on arguments.",
        )


def _in_place(
    caller: Caller, name: str, out: Array, expected: Array, inputs: Inputs
) -> tuple[Array | None, list[Symptom]]:
    """An output in the working's layout, None if it has another shape; and its symptoms."""
    words = caller.task.axes(name)
    wanted = caller.form.there(words, expected)
    axes = with_batch(caller.form.axes(words), wanted.ndim)
    if out.dtype.kind not in "f":
        kind = "booleans" if out.dtype.kind == "b" else "whole numbers"
        return None, [
            Symptom("dtype", f"It returns {kind} ({out.dtype}) for {name}.", "Return floating-point numbers.")
        ]
    if out.shape == wanted.shape:
        return caller.form.back(words, out), []
    order = _order(wanted.shape, out.shape)
    if order:
        turned = np.transpose(out, np.argsort(order))
        return caller.form.back(words, turned), [_axes_symptom(name, axes, order, wanted.shape)]
    return None, [_shape_symptom(caller.task, name, axes, wanted.shape, out.shape, inputs)]


def _order(wanted: Shape, got: Shape) -> tuple[int, ...] | None:
    """The order of axes that turns one shape into another; None if there is none, or more than one."""
    if sorted(wanted) != sorted(got) or len(wanted) > 5:
        return None
    orders = [each for each in permutations(range(len(wanted))) if tuple(wanted[n] for n in each) == got]
    return orders[0] if len(orders) == 1 else None


def _axes_symptom(name: str, axes: Axes, order: tuple[int, ...], wanted: Shape) -> Symptom:
    got = describe([axes[n] for n in order], [wanted[n] for n in order])
    return Symptom(
        "axis-order",
        f"It returns {name} with its axes in another order: {got}, where {describe(axes, wanted)} is expected. What "
        f"follows was found with the axes in the right order.",
        f"Exchange the axes before returning: transpose it to ({', '.join(axes)}).",
    )


def _shape_symptom(task: Task, name: str, axes: Axes, wanted: Shape, got: Shape, inputs: Inputs) -> Symptom:
    looks = _named(got, inputs.sizes)
    like = f", which looks like ({', '.join(looks)})" if looks else ""
    lines = [each.name for each in task.whole.lines if looks and with_batch(each.axes, len(got)) == looks]
    remedy = f"If that is meant, say returns={lines[-1]!r}." if lines else ""
    return Symptom("shape", f"It returns {name} as {_tuple(got)}{like}; expected is {describe(axes, wanted)}.", remedy)


def lines_of_shape(caller: Caller, inputs: Inputs, shapes: Sequence[Shape]) -> Iterator[str]:
    """The lines of the working that have the shape of the single result."""
    looks = _named(shapes[0], inputs.sizes) if len(shapes) == 1 and caller.form.order == "rows" else None
    for line in caller.task.whole.lines if looks else ():
        if with_batch(caller.form.axes(line.axes), len(shapes[0])) == looks and line.name not in caller.task.returns:
            yield line.name


def _tuple(shape: Shape) -> str:
    return f"shape ({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _named(shape: Shape, sizes: dict[str, int]) -> Axes | None:
    """The axis words of a shape, by its sizes; None if one is unknown."""
    words = {
        size: word for word, size in reversed(sizes.items()) if word not in ("query", "key", "group", "apart", "wide")
    }
    return tuple(words[size] for size in shape) if shape and all(size in words for size in shape) else None


def varies(caller: Caller, seen: Seen) -> Symptom | None:
    """Whether a second call with the same inputs gives other numbers, by more than sums in another order would."""
    again = look(caller, seen.inputs, seen.dtype)
    same = len(again.outputs) == len(seen.outputs) and all(
        bool(close(one, other).all()) for one, other in zip(seen.outputs, again.outputs, strict=True)
    )
    if same:
        return None
    largest = max(
        (float(np.nanmax(np.abs(a - b))) for a, b in zip(seen.outputs, again.outputs, strict=False)), default=0.0
    )
    return Symptom(
        "varies",
        f"Two calls with the same inputs give numbers that differ by up to {largest:.2g}.",
        "Turn dropout off: model.eval(), or p = 0. Otherwise look for random numbers, or for state that calls leave.",
    )


def odd_numbers(seen: Seen) -> Iterator[Symptom]:
    """NaN and infinities where the working has numbers, and types that differ from that of the inputs."""
    for name, out in zip(seen.names, seen.outputs, strict=True):
        odd = ~np.isfinite(out) & np.isfinite(seen.trace.numpy(name))
        if odd.any():
            which = "NaN" if np.isnan(out[odd]).any() else "infinite"
            rows = _whole_rows(odd, with_batch(seen.trace.working.axes[name], odd.ndim))
            yield Symptom("nan", f"{int(odd.sum())} of {out.size} numbers of {name} are {which}{rows}.")
        if seen.dtype == "float64" and out.dtype.itemsize < 8:
            yield Symptom(
                "precision",
                f"Given float64 it returns {name} as {_type(out)}: numbers are compared at that precision.",
            )


def _whole_rows(odd: Array, axes: Axes) -> str:
    """Which queries or tokens the odd numbers are those of, in words, where they are all of some; else ""."""
    word = next((each for each in ("query", "token") if each in axes), "")
    if not word or odd.all():
        return ""
    at = axes.index(word)
    whole = np.asarray(odd.all(tuple(axis for axis in range(odd.ndim) if axis != at)))
    if not whole.any() or odd.sum() != whole.sum() * odd.size // len(whole):
        return ""
    return f": all those of {word} {', '.join(map(str, np.flatnonzero(whole)))}"


BFLOAT_SPARE = 7
"""The bits of a float16 that a number of bfloat16 does not use."""


def _type(out: Array) -> str:
    """The type of an output; bfloat16, which is held as float16, by the bits that it leaves."""
    if out.dtype != np.float16:
        return str(out.dtype)
    ordinary = out[np.abs(out) >= np.finfo(np.float16).tiny]
    few = ordinary.size and not (ordinary.view(np.uint16) & BFLOAT_SPARE).any()
    return "bfloat16" if few else "float16"
