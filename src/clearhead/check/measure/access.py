"""A function as attention that can be measured: called with any queries, keys and values, with a count of calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.calls.calling import Caller, Form, Symptom
from clearhead.check.calls.task import Task
from clearhead.check.measure.parts import Array, Sizes
from clearhead.working import Working

MAX_NUMBERS = 1_000_000
"""A batch is split so that the largest array of a call has no more numbers than about this."""

FILLED = 16
"""The batch for a function that is slow at each new shape: smaller batches are padded to it."""

PROJECTED = ("query", "key", "value")


PER_HEAD = frozenset({"head", "group", "depth", "bucket"})
"""The axes of what has no tokens."""


class Refused(Exception):
    """The function raised, or did not return numbers of the right shape."""

    def __init__(self, symptom: Symptom | None, shape: tuple[int, ...] = ()) -> None:
        super().__init__(symptom.says if symptom else f"returns shape {shape}")
        self.symptom = symptom
        self.shape = shape


class Roles(Struct, frozen=True):
    """The roles of a function's arguments in attention: names by role, and the masks."""

    query: str
    key: str
    value: str
    past: tuple[str, str] | None
    masks: tuple[str, ...]
    others: tuple[str, ...]
    """What else it takes, of heads, features and distances: sinks, gains, learned biases."""

    returned: int
    """The place of the line that is measured among those that are returned: the heads, or the weights."""

    weights: bool
    """Whether that line has the weights and not the heads."""


def roles_of(task: Task) -> Roles | None:
    """The roles in a task that can be measured: heads or weights from queries, keys and values; None in others."""
    found: dict[str, str] = {}
    masks, others = [], []
    for name in task.takes:
        axes, words = task.axes(name), name.split(".")
        role = next((each for each in PROJECTED if each in words), None)
        if role and axes[-1:] == ("depth",) and len(axes) == 3:
            role = f"past.{role}" if "past" in axes else role
            if role in found:
                return None
            found[role] = name
        elif set(axes) <= {"query", "key"} and axes:
            masks.append(name)
        elif axes and set(axes) <= PER_HEAD:
            others.append(name)
        else:
            return None
    if not {"query", "key"} <= found.keys() or ("past.key" in found) != ("past.value" in found):
        return None
    returned = [task.axes(name) for name in task.returns]
    heads = [place for place, axes in enumerate(returned) if axes == ("head", "token", "depth") and "value" in found]
    weights = [place for place, name in enumerate(task.returns) if name.split(".")[-1] == "weights"]
    if not heads and (not weights or "past.key" in found):
        return None
    past = (found["past.key"], found["past.value"]) if "past.key" in found else None
    place = heads[0] if heads else weights[0]
    names = (found["query"], found["key"], found.get("value", ""))
    return Roles(*names, past, tuple(masks), tuple(others), place, not heads)


class Attend:
    """Attention on q (batch, head, query, depth), k and v (batch, group, key, depth), the first ``past`` keys cached.

    Attributes:
        calls: how often the function was called.
        swaps: for each of query, key, value whose arrays the function is given there; other than in order only where
            its arguments have other roles.
        wide: whether values may be wider than queries.
        filled: whether every call has the same number of examples, so that the function sees few shapes.
        columns: where each column of the values is in the output; None for its own place.
        live: the columns of the values that are in the output; None for all.
        inverts: whether the function is given boolean masks the other way round, because it reads them so.
        written: the arguments that it has written into.
    """

    def __init__(self, caller: Caller, roles: Roles) -> None:
        self.caller = caller
        self.roles = roles
        self.calls = 0
        self.swaps = (0, 1, 2)
        self.wide = not roles.weights
        self.filled = False
        self.written: set[str] = set()
        self.columns: Array | None = None
        self.live: Array | None = None
        self.inverts = False

    @property
    def task(self) -> Task:
        """The task of the function."""
        return self.caller.task

    def __call__(self, q: Array, k: Array, v: Array, past: int = 0, masks: dict[str, Array] | None = None) -> Array:
        """The heads (batch, head, query, depth) in double precision.

        Raises:
            Refused: the function does not run on such arrays, or returns another shape.
        """
        q, k, v = ((q, k, v)[place] for place in self.swaps)
        largest = max(q.size, k.size, v.size, q[..., 0].size * max(k.shape[-2], v.shape[-1])) // len(q) or 1
        step = max(1, MAX_NUMBERS // largest) if self.caller.form.batch else 1
        pieces, fill = [], self.filled and self.caller.form.batch and not masks
        step = FILLED if fill else step
        for at in range(0, len(q), step):
            pq, pk, pv = (_filled(x[at : at + step]) if fill else x[at : at + step] for x in (q, k, v))
            pieces.append(self._called(pq, pk, pv, past, self._of_items(masks or {}, at, step))[: len(q) - at])
        return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]

    def _of_items(self, masks: dict[str, Array], at: int, step: int) -> dict[str, Array]:
        """The masks of some items of the batch; those that are the same for all items are left as they are."""
        own = {name for name, mask in masks.items() if mask.ndim > len(self.task.axes(name)) and len(mask) > 1}
        return {name: mask[at : at + step] if name in own else mask for name, mask in masks.items()}

    def _called(self, q: Array, k: Array, v: Array, past: int, masks: dict[str, Array]) -> Array:
        arrays = self.arrays(q, k, v, past, masks)
        if not self.caller.form.batch:
            arrays = {name: array[0] if array.ndim > len(self.task.axes(name)) else array
                      for name, array in arrays.items()}  # fmt: skip
        self.calls += 1
        call = self.caller(arrays)
        if call.failed:
            raise Refused(call.failed)
        self.written |= set(call.writes)
        words = self.task.axes(self.task.returns[self.roles.returned])
        out = call.outputs[self.roles.returned]
        form = self.caller.form
        if out.ndim < len(form.axes(words)):
            raise Refused(None, out.shape)
        out = form.back(words, out).astype(np.float64)
        out = out if form.batch else out[None]
        last = k.shape[-2] if self.roles.weights else v.shape[-1]
        if out.shape != (*q.shape[:-1], last):
            raise Refused(None, out.shape)
        return out if self.columns is None else out[..., self.columns]

    def arrays(
        self, q: Array, k: Array, v: Array, past: int, masks: dict[str, Array] | None = None
    ) -> dict[str, Array]:
        """The arguments of the function, by name; masks that are not given mask nothing."""
        roles, masks = self.roles, masks or {}
        arrays = {roles.query: q, roles.key: k[:, :, past:]}
        if roles.value:
            arrays[roles.value] = v[:, :, past:]
        if roles.past:
            arrays |= {roles.past[0]: k[:, :, :past], roles.past[1]: v[:, :, :past]}
        for name in roles.masks:
            mask = masks[name] if name in masks else self._open(name, len(q), q.shape[-2], k.shape[-2])
            arrays[name] = ~mask if self.inverts and mask.dtype.kind == "b" else mask
        sizes = {**self.task.working.sizes, "head": q.shape[1], "group": k.shape[1], "depth": q.shape[-1]}
        for name in roles.others:
            arrays[name] = _constant([sizes[word] for word in self.task.axes(name)])
        return arrays

    def _open(self, name: str, batch: int, queries: int, keys: int) -> Array:
        sizes = {"query": queries, "key": keys}
        shape = tuple(sizes[word] for word in self.task.axes(name))
        lead = (batch,) if self.task.takes_batch(name) else ()
        holds = next(each.holds for each in self.task.working.givens if each.name == name)
        return np.ones(lead + shape, dtype=bool) if holds == "booleans" else np.zeros(lead + shape)


def _constant(shape: Sequence[int]) -> Array:
    """Numbers about one, the same in every call at a size."""
    return np.asarray(1 + 0.5 * np.random.default_rng(len(shape)).normal(size=shape))


def _filled(x: Array) -> Array:
    """A batch padded with copies of its first example."""
    return np.concatenate([x, np.repeat(x[:1], FILLED - len(x), 0)])


def reference(task: Task, roles: Roles) -> Attend:
    """The working itself as attention, to be measured by the same code."""
    return Attend(Caller(running(task, task.working), task, Form("numpy")), roles)


def running(task: Task, working: Working) -> Callable[..., Any]:
    """A working as a function of what a task takes, which returns what the task returns."""

    def run(*arrays: Any) -> Any:
        given = {**task.fixed, **dict(zip(task.takes, arrays, strict=True))}
        trace = working.run({each.name: given[each.name] for each in working.givens}, keep=task.returns)
        return tuple(trace[name] for name in task.returns)

    return run


class Size(Struct, frozen=True):
    """A size for measuring: new tokens, tokens in the cache, keys, features of a head; query and key/value heads."""

    tokens: int
    past: int
    keys: int
    depth: int
    heads: int
    groups: int

    @property
    def words(self) -> Sizes:
        """The size by axis words."""
        cached = {"past": self.past} if self.past else {}
        return {"token": self.tokens, **cached, "key": self.keys, "head": self.heads, "group": self.groups,
                "depth": self.depth}  # fmt: skip

    @property
    def batch(self) -> int:
        """The examples of a batch: not as many as heads, so that one is not taken for the other."""
        return 3 if self.heads == 2 else 2
