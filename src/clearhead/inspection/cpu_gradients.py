"""The gradients of attention in Numba: memory linear in tokens, every score computed once more.

Each thread takes some keys of a group of heads, so that only the gradients of queries are shared. Where there are fewer
groups than threads can work on, a group's keys are divided into parts, and each part sums those for itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numba import config, njit

from clearhead.compiled import elementary, matrices, products
from clearhead.compiled.attention import backward, layout, lists, passes, tiles
from clearhead.compiled.attention.backward import HEIGHT, PANELS, Backward, BackwardSpace, whole
from clearhead.compiled.attention.layout import Head, Plan
from clearhead.compiled.attention.passes import visible
from clearhead.compiled.attention.tiles import rounded_up
from clearhead.compiled.attention.workers import Task, share_out
from clearhead.compiled.shipped import native
from clearhead.compiled.simd import WIDTH, digest
from clearhead.inspection.cpu import address, arrays_of, computed, in_rows, laid_out, shared_plan, single_head
from clearhead.inspection.request import Request

Array = np.ndarray[Any, Any]
Back = Callable[[Plan, Head, Backward, BackwardSpace, int, int], None]

PARTS = 2
"""Tasks for each thread, at least: under a causal mask the first keys have the most queries."""

back_block = backward.carry_back


def _entry(sources: str) -> Back:
    @njit(nogil=True, cache=True)
    def carry_back(plan: Plan, head: Head, back: Backward, space: BackwardSpace, begin: int, end: int) -> None:
        if sources:
            back_block(plan, head, back, space, begin, end)

    made: Back = carry_back
    return made


@cache
def sources() -> str:
    """A hash of the source that the pass is compiled from."""
    return digest(sys.modules[__name__], elementary, matrices, products, tiles, lists, passes, layout, backward)


@cache
def entry() -> Back:
    """The pass, compiled when it is first called, and kept on disk from then on."""
    return native("carry_back", sources()) or _entry(sources())


class Forward(NamedTuple):
    """What the forward pass leaves: the arrays that it read, and all that it found, the heads of all examples first."""

    arrays: dict[str, Array]
    found: dict[str, Array]


class Sizes(NamedTuple):
    """How many there are of what: examples, heads, groups, parts of a group's keys, keys in a part."""

    batch: int
    heads: int
    groups: int
    parts: int
    length: int


def attend(request: Request) -> Forward:
    """The forward pass of a request."""
    arrays = arrays_of(request)
    return Forward(arrays, computed(request, arrays))


def output(request: Request, forward: Forward) -> Array:
    """The output of the forward pass (batch, head, query, feature)."""
    return forward.found["output"].reshape(*request.query.shape[:3], -1)


def largest(request: Request, forward: Forward) -> Array:
    """The largest weight of each query (batch, head, query): 1 over the sum of exponentials; 0 without a key."""
    return forward.found["inverse"].reshape(request.query.shape[:3])


def gradients(request: Request, forward: Forward, grad: Array) -> tuple[Array, Array, Array]:
    """The gradients of query, key and value, from that of the output (batch, head, query, feature)."""
    grad = in_rows(grad)
    plan = shared_plan(request, forward.arrays)._replace(block=PANELS * WIDTH)
    sizes = _sizes(request, plan)
    rows = _by_query(plan, forward, grad)
    results = _results(sizes, plan)
    heads = [single_head(request, forward.arrays, index) for index in range(sizes.batch * sizes.heads)]
    table = sorted(_table(sizes, plan), reverse=True)
    tasks = [Task(cost, row, row + 1) for row, (cost, _, _) in enumerate(table)]
    # The memory has a name so that it lives as long as its addresses are used.
    memory, spaces = zip(*(_space(plan) for _ in range(min(config.NUMBA_NUM_THREADS, len(tasks)))), strict=True)
    shared, run = sizes.heads // sizes.groups, entry()

    def work(space: BackwardSpace, task: Task) -> None:
        _, group, part = table[task.first]
        begin = part * sizes.length
        for index in range(group * shared, (group + 1) * shared):
            back = _back(sizes, index, part, grad, rows, results)
            run(plan, heads[index], back, space, begin, min(begin + sizes.length, plan.keys))

    share_out(tasks, [partial(work, space) for space in spaces], None)
    del memory
    return _cut(sizes, plan, results)


def _sizes(request: Request, plan: Plan) -> Sizes:
    batch, heads, _, _ = request.query.shape
    groups, panels = request.key.shape[1], -(-plan.keys // WIDTH)
    parts = min(-(-PARTS * config.NUMBA_NUM_THREADS // (batch * groups)), panels)
    length = -(-panels // parts) * WIDTH
    return Sizes(batch, heads, groups, -(-plan.keys // length), length)


def _by_query(plan: Plan, forward: Forward, grad: Array) -> Array:
    """The three numbers of each query that the pass reads, for each head."""
    mean = np.einsum("bhqf,bhqf->bhq", forward.found["output"].reshape(grad.shape), grad)
    found = np.zeros((3, mean.shape[0] * mean.shape[1], rounded_up.py_func(plan.queries)), np.float32)
    numbers = forward.found["shift"], forward.found["inverse"], mean.reshape(-1, plan.queries)
    for each, number in zip(found, numbers, strict=True):
        each[:, : plan.queries] = number
    return found


def _results(sizes: Sizes, plan: Plan) -> tuple[Array, Array, Array]:
    """Gradients of queries for each part, and of keys and values, to be added to."""
    queries, keys = rounded_up.py_func(plan.queries), rounded_up.py_func(plan.keys)
    depth, features = whole.py_func(plan.depth), whole.py_func(plan.features)
    query = np.zeros((sizes.parts, sizes.batch * sizes.heads, queries, depth), np.float32)
    key = np.zeros((sizes.batch * sizes.groups, keys, depth), np.float32)
    return query, key, np.zeros((sizes.batch * sizes.groups, keys, features), np.float32)


def _table(sizes: Sizes, plan: Plan) -> Iterator[tuple[int, int, int]]:
    """The cost of each part of each group, the group, and the part."""
    for part in range(sizes.parts):
        first, last = part * sizes.length, min((part + 1) * sizes.length, plan.keys) - 1
        offset, ahead = plan.queries - plan.keys, 1 if plan.causal else 0
        begin, end = visible.py_func(first + offset, last + offset, ahead, plan.window, plan.queries)
        yield from (
            (max(end - begin, 1) * (last - first + 1), group, part) for group in range(sizes.batch * sizes.groups)
        )


def _back(
    sizes: Sizes, index: int, part: int, grad: Array, rows: Array, results: tuple[Array, Array, Array]
) -> Backward:
    """The addresses of one head's arrays, for a part of its keys."""
    query, key, value = results
    group = index // (sizes.heads // sizes.groups)
    shift, inverse, mean = (address(each, index) for each in rows)
    return Backward(
        address(grad, *divmod(index, sizes.heads)), grad.strides[2] // grad.itemsize, shift, inverse, mean,
        address(query, part, index), address(key, group), address(value, group),
    )  # fmt: skip


def _space(plan: Plan) -> tuple[Array, BackwardSpace]:
    """A thread's working space, and where its parts lie."""
    depth, features = whole.py_func(plan.depth), whole.py_func(plan.features)
    sizes = BackwardSpace(
        panels=plan.block * plan.depth, values=plan.block * plan.features, keys=plan.block * depth, rows=HEIGHT * depth,
        grad=HEIGHT * features, scores=HEIGHT * WIDTH, change=HEIGHT * WIDTH, bent=HEIGHT * WIDTH if plan.cap else 0,
        mask=HEIGHT * WIDTH,
    )  # fmt: skip
    memory, places = laid_out(sizes)
    return memory, BackwardSpace(*places)


def _cut(sizes: Sizes, plan: Plan, results: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """The results with all their axes, without what fills them up."""
    query, key, value = results
    each_query = query[0] if sizes.parts == 1 else query.sum(axis=0)
    return (
        each_query.reshape(sizes.batch, sizes.heads, *each_query.shape[1:])[:, :, : plan.queries, : plan.depth],
        key.reshape(sizes.batch, sizes.groups, *key.shape[1:])[:, :, : plan.keys, : plan.depth],
        value.reshape(sizes.batch, sizes.groups, *value.shape[1:])[:, :, : plan.keys, : plan.features],
    )
