"""The kernel in Numba: attention and its statistics in tiles that never leave the cache.

Each thread takes blocks of one head's queries, and loops over the keys. No library of matrix products is called, so
no other threads interfere. docs/explanation/kernels.md says how it was found and where its time goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

LINE, NUMBERS_IN_LINE, BYTES = 64, 16, 4
"""Bytes in a line of the cache, float32 numbers in it, and bytes of one."""

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
    """Computes a request."""
    arrays = _arrays(request)
    heads = arrays["query"].shape[0] * arrays["query"].shape[1]
    results = _results(request, arrays)
    plans, where, there = _parts(_plan(request, arrays), [_head(request, arrays, index) for index in range(heads)],
                                 results, request.ends)  # fmt: skip
    largest = max(plans, key=lambda plan: plan.block)
    attend, receive = entries()
    threads = max(1, min(config.NUMBA_NUM_THREADS, sum(-(-plan.queries // plan.block) for plan in plans)))
    # The memory has a name so that it lives as long as its addresses are used.
    memory, spaces = zip(*(_space(largest) for _ in range(threads)), strict=True)
    steps = [(attend, _tasks(plans, -1), 2)]
    if request.wanted.received:
        steps.append((receive, _tasks(plans, 1), 1))
    whole, before = sum(task.cost * weight for _, tasks, weight in steps for task in tasks), 0
    for run, tasks, weight in steps:
        workers = [
            lambda task, run=run, space=space: run(
                plans[task.head], where[task.head], there[task.head], space, task.block
            )
            for space in spaces
        ]
        report = None if request.wanted.progress is None else _onwards(request.wanted.progress, before, weight, whole)
        share_out(tasks, workers, report)
        before += sum(task.cost * weight for task in tasks)
    del memory
    return _inspection(request, results)


def _parts(
    plan: Plan, heads: list[Head], results: dict[str, Array], ends: tuple[int, ...] | None
) -> tuple[list[Plan], list[Head], list[Results]]:
    """For each head of each text its plan, its arrays and its results. Without ``ends`` there is one text."""
    there = np.array([_rows(results[name], len(heads)) for name in Results._fields]).T
    if ends is None:
        return [plan] * len(heads), heads, _named(there)
    # Many short texts have many heads: their addresses are computed all at once.
    starts = np.array([0, *ends[:-1]])[:, None, None]
    apart = [results[name].strides[1] if results[name].size else 0 for name in Results._fields]
    begin = np.array([(head.query, head.key, head.value) for head in heads])
    places = begin + starts * BYTES * [plan.query_row, plan.key_row, plan.value_row]
    slopes = [head.slope for head in heads] * len(ends)
    rows = places.reshape(-1, 3).tolist()
    where = [Head(query, key, value, 0, 0, slope) for (query, key, value), slope in zip(rows, slopes, strict=True)]
    plans = []
    for start, end in zip((0, *ends), ends, strict=False):
        tokens = end - start
        own = plan._replace(queries=tokens, keys=tokens, block=_block(len(heads), tokens))
        plans += [own] * len(heads)
    return plans, where, _named(there + starts * apart)


def _named(addresses: Array) -> list[Results]:
    """The addresses of results (..., result), by name."""
    return list(map(Results._make, addresses.reshape(-1, len(Results._fields)).tolist()))


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
    """How many tokens to process at once: many share the fetched numbers, but each thread should get four blocks."""
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


def _rows(array: Array, count: int) -> list[int]:
    """The addresses of rows, or nowhere where there are none."""
    first, step = array.ctypes.data, array.strides[0]
    return [first + index * step for index in range(count)] if array.size else [0] * count


def _results(request: Request, arrays: dict[str, Array]) -> dict[str, Array]:
    """The arrays to be filled; the first axis counts the heads of all examples."""
    batch, heads, queries, _ = arrays["query"].shape
    between = dict.fromkeys(BETWEEN, (queries,))
    shapes = {name: (batch * heads, *shape) for name, shape in (request.shapes() | between).items()}
    types = {name: np.int64 if name in STATISTICS and STATISTICS[name].integer else np.float32 for name in shapes}
    missing = np.empty((0, 0), np.float32)
    new = np.empty if request.ends is None else np.zeros  # rows behind the last text are 0
    return {name: new(shapes[name], dtype=types[name]) if name in shapes else missing for name in Results._fields}


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


def _tasks(plans: list[Plan], ahead: int) -> list[Task]:
    """The blocks of all heads, of queries (``ahead`` -1) or of keys (1).

    One head after the other, so that its keys and values stay in the cache; in each head the costly blocks first, so
    that the last ones are short.
    """
    found: dict[Plan, list[tuple[int, int]]] = {}
    tasks = []
    for head, plan in enumerate(plans):
        if plan not in found:
            found[plan] = sorted(_blocks(plan, ahead), reverse=True)
        tasks += [Task(cost, head, -block) for cost, block in found[plan]]
    return tasks


def _blocks(plan: Plan, ahead: int) -> Iterator[tuple[int, int]]:
    """The cost of each block of a head, and its number, negative."""
    own, others = (plan.queries, plan.keys) if ahead < 0 else (plan.keys, plan.queries)
    offset = (plan.keys - plan.queries) * -ahead
    for block in range(-(-own // plan.block)):
        first, last = block * plan.block, min((block + 1) * plan.block, own) - 1
        begin, end = visible.py_func(first + offset, last + offset, ahead if plan.causal else 0, plan.window, others)
        yield max(end - begin, 1) * (last - first + 1), -block


def _inspection(request: Request, results: dict[str, Array]) -> Inspection:
    batch, heads = request.query.shape[:2]
    found = {name: results[name].reshape(batch, heads, *shape) for name, shape in request.shapes().items()}
    numbers = {name: request.unflatten(request.xp.asarray(array)) for name, array in found.items()}
    return Inspection(numbers, edges=request.wanted.edges)
