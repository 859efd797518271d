"""The kernel in Numba: attention and its statistics in tiles that never leave the cache.

Each thread takes blocks of one head's queries, and loops over the keys. No library of matrix products is called, so
no other threads interfere. docs/explanation/kernels.md says how it was found and where its time goes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numba import config, njit

from clearhead.compiled import elementary, products
from clearhead.compiled.attention import layout, lists, passes, tiles
from clearhead.compiled.attention.layout import (
    ADDRESSES,
    BETWEEN,
    SIZES,
    Head,
    Heads,
    Plan,
    Results,
    Space,
    head_of,
    plan_of,
    results_of,
)  # fmt: skip
from clearhead.compiled.attention.lists import GROUPS, WORDS, room
from clearhead.compiled.attention.passes import visible
from clearhead.compiled.attention.tiles import ADDITIVE, BOOLEAN, MAX_PANELS, NO_MASK, TILE, rounded_up
from clearhead.compiled.attention.workers import Task, share_out
from clearhead.compiled.shipped import bound, native
from clearhead.compiled.simd import LANES, ROWS, WIDTH, digest
from clearhead.inspection.request import Request
from clearhead.inspection.result import Inspection
from clearhead.inspection.statistics import SINKS, STATISTICS
from clearhead.ops.textbook.scores import alibi_slopes

LINE, NUMBERS_IN_LINE, BYTES = 64, 16, 4
"""Bytes in a line of the cache, float32 numbers in it, and bytes of one."""

TASKS, MAX_COST = 16, 1 << 22
"""The fewest tasks that each of several threads gets, and about the most pairs in a task of several blocks."""

Array = np.ndarray[Any, Any]
Pass = Callable[[Heads, Space, Array], None]

attend_block, receive_block = passes.attend, passes.receive


def _entries(sources: str) -> tuple[Pass, Pass]:
    @njit(nogil=True, cache=True)
    def attend(heads: Heads, space: Space, blocks: Array) -> None:
        for task in range(len(blocks) if sources else 0):
            head, block = blocks[task]
            attend_block(plan_of(heads, head), head_of(heads, head), results_of(heads, head), space, block)

    @njit(nogil=True, cache=True)
    def receive(heads: Heads, space: Space, blocks: Array) -> None:
        for task in range(len(blocks) if sources else 0):
            head, block = blocks[task]
            receive_block(plan_of(heads, head), head_of(heads, head), results_of(heads, head), space, block)

    return attend, receive


@cache
def sources() -> str:
    """A hash of the source that the passes are compiled from."""
    return digest(sys.modules[__name__], elementary, products, tiles, lists, passes, layout)


@cache
def entries() -> tuple[Pass, Pass]:
    """The two passes over some blocks (block, [head, number]), compiled when first called, and kept on disk."""
    attend, receive = _entries(sources())
    return native("attend", sources()) or attend, native("receive", sources()) or receive


def inspect(request: Request) -> Inspection:
    """Computes a request."""
    return _inspection(request, computed(request, arrays_of(request)))


def computed(request: Request, arrays: dict[str, Array]) -> dict[str, Array]:
    """All that both passes find, by name; the first axis counts the heads of all examples."""
    results = _results(request, arrays)
    texts = _texts(request, arrays)
    heads = _heads(request, arrays, results, texts)
    threads = max(1, min(config.NUMBA_NUM_THREADS, sum(-(-each.queries // each.block) for each in texts)))
    # The memory has a name so that it lives as long as its addresses are used.
    memory, spaces = zip(*(_space(max(texts, key=_block_of)) for _ in range(threads)), strict=True)
    attend, receive = entries()
    steps = [(attend, *_tasks(texts, len(heads.sizes), -1, threads), 2)]
    if request.wanted.received:
        steps.append((receive, *_tasks(texts, len(heads.sizes), 1, threads), 1))
    whole, before = sum(task.cost * weight for _, _, tasks, weight in steps for task in tasks), 0
    for run, blocks, tasks, weight in steps:
        workers = [partial(_some, bound(run, heads, space), blocks) for space in spaces]
        report = None if request.wanted.progress is None else _onwards(request.wanted.progress, before, weight, whole)
        share_out(tasks, workers, report)
        before += sum(task.cost * weight for task in tasks)
    del memory
    return results


def _some(run: Callable[[Array], None], blocks: Array, task: Task) -> None:
    run(blocks[task.first : task.last])


def _block_of(plan: Plan) -> int:
    return plan.block


def _texts(request: Request, arrays: dict[str, Array]) -> list[Plan]:
    """The plan of each text; without ``ends`` there is one."""
    plan = shared_plan(request, arrays)
    if request.ends is None:
        return [plan]
    heads, lengths = arrays["query"].shape[1], np.diff(request.ends, prepend=0).tolist()
    return [plan._replace(queries=count, keys=count, block=_block(heads, count)) for count in lengths]


def _heads(request: Request, arrays: dict[str, Array], results: dict[str, Array], texts: list[Plan]) -> Heads:
    """The heads of each text, one text after the other."""
    plan, count = texts[0], arrays["query"].shape[0] * arrays["query"].shape[1]
    one = [single_head(request, arrays, index) for index in range(count)]
    starts = np.array([0, *(request.ends or ())[:-1]])[:, None, None]
    rows = BYTES * np.array([plan.query_row, plan.key_row, plan.value_row, 0, 0])
    apart = [results[name].strides[1] if results[name].size else 0 for name in Results._fields]
    there = np.ascontiguousarray(np.transpose([_rows(results[name], count) for name in Results._fields]))
    return Heads(
        plan,
        np.repeat([each[:SIZES] for each in texts], count, axis=0),
        (np.array([each[:-1] for each in one]) + starts * rows).reshape(-1, len(rows)),
        np.array([each.slope for each in one] * len(texts)),
        (there + starts * apart).reshape(-1, ADDRESSES),
    )


def _onwards(progress: Any, before: int, weight: int, whole: int) -> Any:
    return lambda done, _: progress(before + done * weight, whole)


def arrays_of(request: Request) -> dict[str, Array]:
    """The request's arrays as NumPy arrays, without a copy where features lie next to each other."""
    found = {name: in_rows(getattr(request, name)) for name in ("query", "key", "value")}
    found["edges"] = np.minimum(np.asarray(request.wanted.edges, dtype=np.int64), 2**31 - 1).astype(np.int32)
    if request.mask is not None:
        mask = _numpy(request.mask)
        found["mask"] = mask if mask.dtype == bool else mask.astype(np.float32, copy=False)
    if request.padding is not None:
        found["padding"] = _numpy(request.padding)
    return found


def in_rows(array: Any) -> Array:
    """A NumPy array of which each row is contiguous: the same memory, if it is so there."""
    found = _numpy(array)
    return np.ascontiguousarray(found) if found.strides[-1] != found.itemsize and found.shape[-1] > 1 else found


def _numpy(array: Any) -> Array:
    return np.asarray(array.detach() if hasattr(array, "detach") else array)


def _strides(array: Array | None, axes: int) -> tuple[int, ...]:
    """In numbers; 0 along axes of one number, so that it serves for any."""
    if array is None:
        return (0,) * axes
    return tuple(0 if n == 1 else s // array.itemsize for n, s in zip(array.shape, array.strides, strict=True))


def shared_plan(request: Request, arrays: dict[str, Array]) -> Plan:
    """What all heads share, for the first pass."""
    query, key, value = arrays["query"], arrays["key"], arrays["value"]
    mask, padding, form = arrays.get("mask"), arrays.get("padding"), request.form
    _, _, mask_query, mask_key = _strides(mask, 4)
    kind = NO_MASK if mask is None else BOOLEAN if mask.dtype == bool else ADDITIVE
    return Plan(
        queries=query.shape[2], keys=key.shape[2], block=_block(query.shape[0] * query.shape[1], query.shape[2]),
        depth=query.shape[3], features=value.shape[3],
        query_row=query.strides[2] // 4, key_row=key.strides[2] // 4, value_row=value.strides[2] // 4,
        mask_kind=kind, mask_bytes=0 if mask is None else mask.itemsize, mask_query=mask_query, mask_key=mask_key,
        padded=int(padding is not None), padding_key=_strides(padding, 2)[1],
        causal=int(form.causal), window=form.window or 0, cap=float(form.softcap or 0), scale=float(request.scale),
        top=request.wanted.top, bands=request.bands, edges=arrays["edges"].ctypes.data,
    )  # fmt: skip


def _block(heads: int, tokens: int) -> int:
    """How many tokens to process at once: many share the fetched numbers, but each thread should get four blocks."""
    panels = MAX_PANELS
    while panels > 1 and heads * -(-tokens // (panels * WIDTH)) < 4 * config.NUMBA_NUM_THREADS:
        panels //= 2
    return panels * WIDTH


def single_head(request: Request, arrays: dict[str, Array], index: int) -> Head:
    """The arrays of one head; those of all examples are counted together."""
    batch, head = divmod(index, arrays["query"].shape[1])
    group = head // (arrays["query"].shape[1] // arrays["key"].shape[1])
    mask, padding = arrays.get("mask"), arrays.get("padding")
    slope = 0.0
    if request.form.alibi:
        heads = arrays["query"].shape[1]
        slope = float(alibi_slopes(np.zeros((heads, 1, 1)), heads=heads)[head])
    return Head(
        query=address(arrays["query"], batch, head),
        key=address(arrays["key"], batch, group),
        value=address(arrays["value"], batch, group),
        mask=0
        if mask is None
        else address(mask, *(min(i, n - 1) for i, n in zip((batch, head), mask.shape, strict=False))),
        padding=0 if padding is None else address(padding, batch),
        slope=slope,
    )


def address(array: Array, *place: int) -> int:
    """The address of a place in an array, given by the first of its indices."""
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
    """A thread's working space, and where its parts lie."""
    filled, listed, block = rounded_up.py_func(plan.features), room.py_func(plan.top), plan.block
    sizes = Space(
        panels=block * plan.depth, rows=TILE * rounded_up.py_func(plan.depth), value=TILE * filled,
        scores=TILE * WIDTH, largest=TILE // ROWS * WIDTH, mask=TILE * WIDTH,
        output=block * filled, peak=block, total=block, moment=block, kept=WIDTH,
        least=block, best=block * listed, best_key=block * listed, band=block * plan.bands, sink=block * SINKS,
        own=block, columns=WIDTH, ladder=LANES * plan.top, groups=GROUPS, words=2 * WORDS, word_at=WORDS,
    )  # fmt: skip
    memory, places = laid_out(sizes)
    return memory, Space(*places)


def laid_out(sizes: Sequence[int]) -> tuple[Array, list[int]]:
    """Memory for parts of these sizes, and the address of each, where a line of the cache begins."""
    lines = [-(-size // NUMBERS_IN_LINE) for size in sizes]
    memory = np.zeros((sum(lines) + 1) * NUMBERS_IN_LINE, dtype=np.float32)
    begin = -(-memory.ctypes.data // LINE) * LINE
    return memory, [begin + LINE * sum(lines[:part]) for part in range(len(lines))]


def _tasks(texts: list[Plan], heads: int, ahead: int, threads: int) -> tuple[Array, list[Task]]:
    """The blocks of all heads (block, [head, number]), of queries (``ahead`` -1) or of keys (1), and tasks of them.

    One head after the other, so that its keys and values stay in the cache; in each head the costly blocks first, so
    that the last ones are short. Short blocks are one task with their neighbours.
    """
    found = [sorted(_blocks(plan, ahead), reverse=True) for plan in texts]
    counts = np.array([len(each) for each in found])
    cost, number = np.array([row for each in found for row in each]).T
    # Each head of a text has the blocks of the text: which text, and the how many-th block of that.
    each, first = heads // len(texts), np.cumsum(counts) - counts
    text = np.repeat(np.arange(len(texts)), each * counts)
    head, block = np.divmod(np.arange(len(text)) - each * first[text], counts[text])
    cost, number = cost[first[text] + block], -number[first[text] + block]
    done = np.cumsum(cost)
    most = MAX_COST if threads == 1 else max(1, min(MAX_COST, int(done[-1]) // (TASKS * threads)))
    begin = np.flatnonzero(np.diff((done - cost) // most, prepend=-1))
    ends = [*begin[1:].tolist(), len(cost)]
    tasks = list(map(Task, np.add.reduceat(cost, begin).tolist(), begin.tolist(), ends))
    return np.stack([text * each + head, number], axis=1), tasks


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
