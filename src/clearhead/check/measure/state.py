"""State between calls: whether outputs follow what an earlier call was given, and which of its arrays."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from clearhead.check.calls.calling import Caller, Form
from clearhead.check.calls.drawing import draw, sizes_of
from clearhead.check.calls.observing import close
from clearhead.check.calls.starting import Start
from clearhead.check.calls.task import ASKED, Arrays
from clearhead.check.measure.access import running
from clearhead.check.measure.parts import Array, Measurement, Premise
from clearhead.deviations import Applied
from clearhead.errors import ClearheadError

SEEDS = (50, 51)
"""Inputs of calls in between, besides those of the probe."""

FRESH = {"token": 14, "depth": 12, "model": 12, "past": 4}
"""Sizes with which a function is called for the first time; it may keep arrays by their shape."""

LARGE, FELT = 1e4, 100
"""How many times larger arrays of a call in between are made, and how many times larger outputs show it."""

COUNTED = 400
"""Positions that count on from call to call are looked for up to this one."""


def stateful(begun: Start) -> Measurement | None:
    """The measurement of a function whose outputs follow calls before; None of others, and of chance.

    Its premise says what is remembered (``found["of"]``, names of arrays), and of which calls (``found["kind"]``):

    - ``"before"``: of the call before.
    - ``"first"``: of the first call with arrays of these shapes.
    - ``"kept"``: of all calls before, one after the other.
    - ``"counts"``: nothing of their arrays, but positions count on from them (``found["at"]``: the side, and from where
      in two calls).
    - ``"scores"``: scores change with every call, and what is done with values does not.
    """
    if begun.rank > 0:
        return None
    clock = perf_counter()
    calls = _Calls(begun)
    found = calls.found()
    if found is None:
        return None
    sizes = {word: size for word, size in begun.sizes.items() if word in _words(begun)}
    premise = Premise("remembers", found, (sizes,), (sizes,), explains=bool(found.pop("explains")))
    return Measurement(premise=premise, differs=(sizes,), calls=calls.count, seconds=perf_counter() - clock)


def _words(begun: Start) -> set[str]:
    task = begun.caller.task
    return {word for name in (*task.takes, *task.returns) for word in task.axes(name)}


class _Calls:
    """Calls of a function on three inputs of the same sizes."""

    def __init__(self, begun: Start) -> None:
        self.begun = begun
        self.task = task = begun.caller.task
        self.batch = begun.form.batch
        self.one = begun.seen.inputs.arrays
        self.two, self.three = (draw(task, begun.sizes, seed, batch=self.batch).arrays for seed in SEEDS)
        self.shapes = [begun.seen.trace.numpy(name).shape for name in task.returns]
        self.working = Caller(running(task, task.working), task, Form("numpy"))
        self.count = 0

    def found(self) -> dict[str, Any] | None:
        """What is remembered; None if nothing is."""
        first, _, again = self._call(self.one), self._call(self.two), self._call(self.one)
        if first is None or again is None:
            return None
        if _same(first, again):
            return self._of_the_first()
        one, other = self._call(self.one), self._call(self.one)
        if one is None or other is None:
            return None
        return self._of_the_call_before(other) if _same(one, other) else self._of_all(first, one, other)

    def _call(self, arrays: Arrays, shapes: Sequence[tuple[int, ...]] | None = None) -> tuple[Array, ...] | None:
        self.count += 1
        return self.begun.caller.numbers(arrays, shapes or self.shapes)

    def _due(self, arrays: Arrays) -> tuple[Array, ...] | None:
        """What the working gives."""
        call = self.working(arrays)
        return None if call.failed else call.outputs

    def _of_the_call_before(self, repeated: tuple[Array, ...]) -> dict[str, Any] | None:
        """The arrays of the call before that outputs follow."""
        self._call(self.two)
        base = self._call(self.one)
        names = []
        for name in self.task.takes:
            self._call({**self.two, name: self.three[name]})
            if not _same(base, self._call(self.one)):
                names.append(name)
        explains = _same(repeated, self._due(self.one))  # with equal calls, what is remembered is right
        return {"kind": "before", "of": tuple(names), "explains": explains} if names else None

    def _of_the_first(self) -> dict[str, Any] | None:
        """The arrays that count in the first call with their shapes, and in none after that."""
        unread = [name for name in self.task.takes if self._is_unread(self.one, {**self.one, name: self.two[name]})]
        chosen = {word: size for word, size in FRESH.items() if word in _words(self.begun)}
        drawn = [draw(self.task, sizes_of(self.task, chosen), seed, batch=self.batch).arrays for seed in (0, 1)]
        due = self._due(drawn[0]) if unread else None
        if due is None or not _same(self._call(drawn[0], [each.shape for each in due]), due):
            return None
        shapes = [each.shape for each in due]
        names = tuple(name for name in unread if self._is_unread(drawn[0], {**drawn[0], name: drawn[1][name]}, shapes))
        return {"kind": "first", "of": names, "explains": True} if names else None

    def _is_unread(self, arrays: Arrays, changed: Arrays, shapes: Sequence[tuple[int, ...]] | None = None) -> bool:
        """Whether outputs do not change, where those of the working do."""
        return not _same(self._due(arrays), self._due(changed)) and _same(
            self._call(arrays, shapes), self._call(changed, shapes)
        )

    def _of_all(self, first: tuple[Array, ...], *repeated: tuple[Array, ...]) -> dict[str, Any] | None:
        """What adds up over calls, where two equal calls never give the same."""
        off = max(float(np.nanmax(np.abs(a - b))) for a, b in zip(*repeated, strict=True))
        still = tuple(name for name in self.task.takes if self._is_still(name))
        scores = {"query", "key"} <= {word for name in still for word in name.split(".")}
        if scores and (at := self._counted()):
            return {"kind": "counts", "of": still, "off": off, "at": at, "explains": True}
        for name in self.task.takes:
            if not ASKED & set(self.task.axes(name)) or self.two[name].dtype.kind == "b":
                continue
            self._call({**self.two, name: LARGE * self.two[name]})
            y = self._call(self.one)
            if y is not None and _largest(y) > FELT * _largest(first):
                return {"kind": "kept", "of": (name,), "off": off, "explains": self._is_right_at_first()}
        if scores:
            return {"kind": "scores", "of": still, "off": off, "explains": False}
        return None

    def _is_still(self, name: str) -> bool:
        """Whether outputs stay the same from call to call, and are not 0, where this array is."""
        if self.one[name].dtype.kind == "b":
            return False
        zero = {**self.one, name: 0 * self.one[name]}
        one, two = self._call(zero), self._call(zero)
        return one is not None and bool(_largest(one)) and _same(one, two)

    def _is_right_at_first(self) -> bool:
        """Whether the first call with arrays of other shapes gives what the working gives."""
        chosen = {word: size for word, size in FRESH.items() if word in _words(self.begun)}
        arrays = draw(self.task, sizes_of(self.task, chosen), 0, batch=self.batch).arrays
        due = self._due(arrays)
        return due is not None and _same(self._call(arrays, [each.shape for each in due]), due)

    def _counted(self) -> tuple[str, int, int] | None:
        """The side whose positions count on from call to call, and from where in two calls; None for none."""
        y = [self._call(self.one) for _ in range(2)]
        for side in ("query", "key"):
            at: list[int] = []
            for by in range(1, COUNTED):
                due = self._moved(side, by)
                if due is None:
                    break
                at += [by] * (len(at) < len(y) and _same(y[len(at)], due))
            if len(at) == len(y):
                return side, at[0], at[1]
        return None

    def _moved(self, side: str, by: int) -> tuple[Array, ...] | None:
        """What the working gives where the positions of one side are larger by this."""
        try:
            moved = Applied("rotary-offset-on-one-side", (("by", by), ("side", side))).rewrite(self.task.working)
        except ClearheadError:
            return None
        call = Caller(running(self.task, moved), self.task, Form("numpy"))(self.one)
        return None if call.failed else call.outputs


def _same(one: tuple[Array, ...] | None, other: tuple[Array, ...] | None) -> bool:
    """Whether two results are equal up to rounding."""
    if one is None or other is None:
        return False
    return all(a.shape == b.shape and bool(close(a, b).all()) for a, b in zip(one, other, strict=True))


def _largest(y: tuple[Array, ...]) -> float:
    return max(float(np.abs(np.nan_to_num(each)).max(initial=0.0)) for each in y)
