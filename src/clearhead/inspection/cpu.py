"""The kernel in Numba: attention and its statistics in tiles that never leave the cache.

Each thread takes blocks of one head's queries, and sweeps over the keys. No library of matrix products is called, so
none has threads that would get into the way. docs/explanation/kernels.md says how it was found and where its time goes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import config, njit

from clearhead.compiled import elementary, products
from clearhead.compiled.attention import layout, lists, passes, tiles
from clearhead.compiled.attention.layout import BETWEEN, Head, Plan, Results, Space
from clearhead.compiled.attention.lists import GROUPS, WORDS, room
from clearhead.compiled.attention.passes import visible
from clearhead.compiled.attention.tiles import ADDITIVE, BOOLEAN, MAX_PANELS, NO_MASK, TILE, rounded_up
from clearhead.compiled.attention.workers import Task, share_out
from clearhead.compiled.simd import LANES, ROWS, WIDTH, digest
from clearhead.inspection.request import Request
from clearhead.inspection.result import Inspection
from clearhead.inspection.statistics import SINKS, STATISTICS
from clearhead.ops.textbook.scores import alibi_slopes

LINE, NUMBERS_IN_LINE = 64, 16
"""Bytes in a line of the cache, and float32 numbers."""

Array = np.ndarray[Any, Any]
Pass = Callable[[Plan, Head, Results, Space, int], None]

attend_block, receive_block = passes.attend, passes.receive


def _entries(sources: str) -> tuple[Pass, Pass]:
    @njit(nogil=True, cache=True)
    def attend(plan: Plan, head: Head, results: Results, space: Space, block: int) -> None:
        if sources:
            attend_block(plan, head, results, space, block)

    @njit(nogil=True, cache=True)
    def receive(plan: Plan, head: Head, results: Results, space: Space, block: int) -> None:
        if sources:
            receive_block(plan, head, results, space, block)

    return attend, receive


@cache
def entries() -> tuple[Pass, Pass]:
    """The two passes, compiled when they are first called, and kept on disk from then on."""
    return _entries(digest(elementary, products, tiles, lists, passes, layout))


def inspect(request: Request) -> Inspection:
    """Computes what a request asks for."""
    arrays = _arrays(request)
    heads = arrays["query"].shape[0] * arrays["query"].shape[1]
    results = _results(request, arrays)
    plan, where = _plan(request, arrays), [_head(request, arrays, index) for index in range(heads)]
    there = [Results(**{name: _row(array, index) for name, array in results.items()}) for index in range(heads)]
    attend, receive = entries()
    threads = max(1, min(config.NUMBA_NUM_THREADS, heads * -(-plan.queries // plan.block)))
    # The memory is named so that it stays as long as its addresses are used.
    memory, spaces = zip(*(_space(plan) for _ in range(threads)), strict=True)
    steps = [(attend, _tasks(plan, heads, -1), 2)]
    if request.wanted.received:
        steps.append((receive, _tasks(plan, heads, 1), 1))
    whole, before = sum(task.cost * weight for _, tasks, weight in steps for task in tasks), 0
    for run, tasks, weight in steps:
        workers = [
            lambda task, run=run, space=space: run(plan, where[task.head], there[task.head], space, task.block)
            for space in spaces
        ]
        report = None if request.wanted.progress is None else _onwards(request.wanted.progress, before, weight, whole)
        share_out(tasks, workers, report)
        before += sum(task.cost * weight for task in tasks)
    del memory
    return _inspection(request, results)


def _onwards(progress: Any, before: int, weight: int, whole: int) -> Any:
    return lambda done, _: progress(before + done * weight, whole)


def _arrays(request: Request) -> dict[str, Array]:
    """The request's arrays as NumPy arrays, without a copy where features lie next to each other."""
    found = {name: _numpy(getattr(request, name)) for name in ("query", "key", "value")}
    for name, array in found.items():
        if array.strides[-1] != array.itemsize and array.shape[-1] > 1:
            found[name] = np.ascontiguousarray(array)
    found["edges"] = np.minimum(np.asarray(request.wanted.edges, dtype=np.int64), 2**31 - 1).astype(np.int32)
    if request.mask is not None:
        mask = _numpy(request.mask)
        found["mask"] = mask if mask.dtype == bool else mask.astype(np.float32, copy=False)
    if request.padding is not None:
        found["padding"] = _numpy(request.padding)
    return found


def _numpy(array: Any) -> Array:
    return np.asarray(array.detach() if hasattr(array, "detach") else array)


def _strides(array: Array | None, axes: int) -> tuple[int, ...]:
    """In numbers; 0 along axes of one number, so that it serves for any."""
    if array is None:
        return (0,) * axes
    return tuple(0 if n == 1 else s // array.itemsize for n, s in zip(array.shape, array.strides, strict=True))


def _plan(request: Request, arrays: dict[str, Array]) -> Plan:
    query, key, value = arrays["query"], arrays["key"], arrays["value"]
    mask, padding, form = arrays.get("mask"), arrays.get("padding"), request.form
    _, _, mask_query, mask_key = _strides(mask, 4)
    kind = NO_MASK if mask is None else BOOLEAN if mask.dtype == bool else ADDITIVE
    return Plan(
        queries=query.shape[2], keys=key.shape[2], depth=query.shape[3], features=value.shape[3],
        query_row=query.strides[2] // 4, key_row=key.strides[2] // 4, value_row=value.strides[2] // 4,
        mask_kind=kind, mask_bytes=0 if mask is None else mask.itemsize, mask_query=mask_query, mask_key=mask_key,
        padded=int(padding is not None), padding_key=_strides(padding, 2)[1],
        causal=int(form.causal), window=form.window or 0, cap=float(form.softcap or 0), scale=float(request.scale),
        top=request.wanted.top, bands=request.bands, edges=arrays["edges"].ctypes.data,
        block=_block(query.shape[0] * query.shape[1], query.shape[2]),
    )  # fmt: skip


def _block(heads: int, tokens: int) -> int:
    """How many tokens to take along at once: many share what is fetched for them, but each thread should get four."""
    panels = MAX_PANELS
    while panels > 1 and heads * -(-tokens // (panels * WIDTH)) < 4 * config.NUMBA_NUM_THREADS:
        panels //= 2
    return panels * WIDTH


def _head(request: Request, arrays: dict[str, Array], index: int) -> Head:
    batch, head = divmod(index, arrays["query"].shape[1])
    group = head // (arrays["query"].shape[1] // arrays["key"].shape[1])
    mask, padding = arrays.get("mask"), arrays.get("padding")
    slope = 0.0
    if request.form.alibi:
        heads = arrays["query"].shape[1]
        slope = float(alibi_slopes(np.zeros((heads, 1, 1)), heads=heads)[head])
    return Head(
        query=_address(arrays["query"], batch, head),
        key=_address(arrays["key"], batch, group),
        value=_address(arrays["value"], batch, group),
        mask=0
        if mask is None
        else _address(mask, *(min(i, n - 1) for i, n in zip((batch, head), mask.shape, strict=False))),
        padding=0 if padding is None else _address(padding, batch),
        slope=slope,
    )


def _address(array: Array, *place: int) -> int:
    return int(array.ctypes.data + sum(i * stride for i, stride in zip(place, array.strides, strict=False)))


def _row(array: Array, index: int) -> int:
    """The address of a row, or nowhere where there is none."""
    return _address(array, index) if array.size else 0


def _results(request: Request, arrays: dict[str, Array]) -> dict[str, Array]:
    """The arrays to be filled; the first axis counts the heads of all examples."""
    batch, heads, queries, _ = arrays["query"].shape
    between = dict.fromkeys(BETWEEN, (queries,))
    shapes = {name: (batch * heads, *shape) for name, shape in (request.shapes() | between).items()}
    types = {name: np.int64 if name in STATISTICS and STATISTICS[name].integer else np.float32 for name in shapes}
    missing = np.empty((0, 0), np.float32)
    return {name: np.empty(shapes[name], dtype=types[name]) if name in shapes else missing for name in Results._fields}


def _space(plan: Plan) -> tuple[Array, Space]:
    """A thread's working space, and where its parts lie; each begins where a line of the cache does."""
    filled, listed, block = rounded_up.py_func(plan.features), room.py_func(plan.top), plan.block
    sizes = Space(
        panels=block * plan.depth, rows=TILE * rounded_up.py_func(plan.depth), value=TILE * filled,
        scores=TILE * WIDTH, largest=TILE // ROWS * WIDTH, mask=TILE * WIDTH,
        output=block * filled, peak=block, total=block, moment=block, kept=WIDTH,
        least=block, best=block * listed, best_key=block * listed, band=block * plan.bands, sink=block * SINKS,
        own=block, columns=WIDTH, ladder=LANES * plan.top, groups=GROUPS, words=2 * WORDS, word_at=WORDS,
    )  # fmt: skip
    lines = [-(-size // NUMBERS_IN_LINE) for size in sizes]
    memory = np.zeros((sum(lines) + 1) * NUMBERS_IN_LINE, dtype=np.float32)
    begin = -(-memory.ctypes.data // LINE) * LINE
    return memory, Space(*(begin + LINE * sum(lines[:part]) for part in range(len(lines))))


def _tasks(plan: Plan, heads: int, ahead: int) -> list[Task]:
    """The blocks of all heads, of queries (``ahead`` -1) or of keys (1).

    One head after the other, so that its keys and values stay near; in each the costly first, so that the last that is
    left to do is little.
    """
    own, others = (plan.queries, plan.keys) if ahead < 0 else (plan.keys, plan.queries)
    offset = (plan.keys - plan.queries) * -ahead
    tasks = []
    for block in range(-(-own // plan.block)):
        first, last = block * plan.block, min((block + 1) * plan.block, own) - 1
        begin, end = visible.py_func(first + offset, last + offset, ahead if plan.causal else 0, plan.window, others)
        tasks += [Task(max(end - begin, 1) * (last - first + 1), head, block) for head in range(heads)]
    return sorted(tasks, key=lambda task: (task.head, -task.cost))


def _inspection(request: Request, results: dict[str, Array]) -> Inspection:
    batch, heads = request.query.shape[:2]
    found = {name: results[name].reshape(batch, heads, *shape) for name, shape in request.shapes().items()}
    numbers = {name: request.unflatten(request.xp.asarray(array)) for name, array in found.items()}
    return Inspection(numbers, edges=request.wanted.edges)
