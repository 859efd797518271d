"""The two passes over all tiles, for a block of one head: over the keys of some queries, over the queries of some keys.

The first computes all statistics of a query in one loop: a score larger than all before it scales down the sums so far
(Milakov & Gimelshein 2018; Dao et al. 2022). The second computes the same scores again, when each query's largest score
and sum are known, and sums the weights that each key receives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from clearhead.compiled.attention.layout import Head, Part, Plan, Results, Space
from clearhead.compiled.attention.lists import clear_lists, finish_list, rank
from clearhead.compiled.attention.tiles import (
    FLOOR,
    MASKED,
    SINKS,
    TILE,
    apply_masks,
    band,
    fetch_mask,
    fetch_panel,
    fetch_rows,
    fill,
    find_largest,
    find_peaks,
    keep_own,
    lay_rows,
    mask_rows,
    receive_rows,
    rounded_up,
    share,
)  # fmt: skip
from clearhead.compiled.elementary import exp
from clearhead.compiled.products import product, product_onto
from clearhead.compiled.simd import (
    INNER,
    LANES,
    ROWS,
    VECTORS,
    WIDTH,
    get_byte,
    get_float,
    inlined,
    load,
    put_float,
    splat,
    store,
    where_greater,
)

FLOAT_BYTES = 4


@njit(**INNER)
def visible(first: int, last: int, ahead: int, window: int, count: int) -> Any:
    """Half-open range of indices visible to positions first .. last, out of ``count``.

    ``ahead`` is the visible side: -1 before (the keys of causal queries), 1 after (the queries of causal keys), 0 both.
    """
    begin, end = first - window + 1 if window else 0, last + window if window else count
    if ahead > 0:
        begin = first
    if ahead < 0:
        end = last + 1
    return max(begin, 0), min(end, count)


@njit(**INNER)
def crosses(plan: Plan, low: int, high: int) -> bool:
    """Whether some of the distances low .. high are masked, as later or outside of the window."""
    return (plan.causal != 0 and low < 0) or (plan.window > 0 and max(high, -low) >= plan.window)


@njit(**INNER)
def real_keys(plan: Plan, head: Head, first: int, count: int) -> int:
    """How many keys of a tile are real."""
    if not plan.padded:
        return count
    found = 0
    for j in range(first, first + count):
        found += 1 if get_byte(head.padding, j * plan.padding_key) else 0
    return found


@inlined
def score(plan: Plan, head: Head, part: Part, keys_in_rows: bool, changed: bool, space: Space) -> None:
    """The scores of a panel and a tile, with cap, biases and masks; ``changed`` if any of these may apply."""
    depth, length, last = plan.depth, rounded_up(plan.depth), rounded_up(part.last)
    for r in range(part.first, last, ROWS):
        product(
            part.rows, r * length, length, 1, space.panels, part.panel * depth * WIDTH,
            space.scores, r * WIDTH, space.largest, r // ROWS * WIDTH, depth,
        )  # fmt: skip
    distance, step = part.query + plan.keys - plan.queries - part.key, -1 if keys_in_rows else 1
    far, near = (part.lanes - 1, part.last - 1) if keys_in_rows else (part.last - 1, part.lanes - 1)
    changed = changed or crosses(plan, distance - near, distance + far)
    if changed:
        masked = plan.mask_kind != 0 or plan.padded != 0
        if masked:
            fetch_mask(plan, head, part, keys_in_rows, space.mask)
        apply_masks(plan, head.slope, distance, step, masked, (part.first, part.last), space)
    if part.last < last:
        mask_rows(part.last, last, space.scores)
    if changed or part.last < last:
        find_largest(part.first, last, space)


@inlined
def attend(plan: Plan, head: Head, results: Results, space: Space, block: int) -> None:
    """The first pass for one block of queries."""
    first = block * plan.block
    count = min(plan.block, plan.queries - first)
    # Called once, in a loop: of two calls with a constant each, two functions would be compiled.
    for careful in range(2):
        sweep(plan, head, first, count, careful, space)
        spoilt = np.float32(0)
        for at in range(count):
            spoilt += get_float(space.moment, at)
        if not np.isnan(spoilt):
            break
        # A score of minus infinity that no mask made: 0 times it is NaN. Masking such scores costs a comparison each.
    finish(plan, first, count, results, space)


@inlined
def sweep(plan: Plan, head: Head, first: int, count: int, careful: int, space: Space) -> None:
    """Loops over all keys that any query of a block sees."""
    start(plan, head, first, count, space)
    filled, position = rounded_up(plan.features), first + plan.keys - plan.queries
    begin, end = visible(position, position + count - 1, -1 if plan.causal else 0, plan.window, plan.keys)
    for j in range(begin // TILE * TILE, end, TILE):
        height = min(TILE, plan.keys - j)
        real = real_keys(plan, head, j, height)
        if not real:
            continue
        key, value = head.key + j * plan.key_row * FLOAT_BYTES, head.value + j * plan.value_row * FLOAT_BYTES
        rows = lay_rows(key, plan.key_row, height, plan.depth, space.rows)
        values = lay_rows(value, plan.value_row, height, plan.features, space.value)
        changed = careful != 0 or plan.mask_kind != 0 or real < height or plan.cap != 0.0 or head.slope != 0.0
        for panel in range((count + WIDTH - 1) // WIDTH):
            i = first + panel * WIDTH
            lanes, position = min(WIDTH, plan.queries - i), i + plan.keys - plan.queries
            low, high = visible(position, position + lanes - 1, -1 if plan.causal else 0, plan.window, plan.keys)
            part = Part(panel, i, j, max(low - j, 0) // ROWS * ROWS, min(high - j, height), lanes, rows, values)
            if part.first < part.last:
                score(plan, head, part, True, changed, space)
                gather(plan, part, filled, space)


@inlined
def gather(plan: Plan, part: Part, filled: int, space: Space) -> None:
    """Adds a tile's scores, and the weighted values, to the sums of a panel's queries."""
    rows = (part.first, rounded_up(part.last))
    if part.key == 0:
        for at in range(part.first * WIDTH, min(part.last, SINKS) * WIDTH):
            put_float(space.sink, part.panel * SINKS * WIDTH + at, get_float(space.scores, at))
    keep_own(part, part.query + plan.keys - plan.queries - part.key, space)
    find_peaks(rows, space)
    if plan.top:
        rank(part.panel, part.key, plan.top, rows, space)
    share(part.panel, rows, space)
    if plan.bands:
        band(plan, part.panel, part.query + plan.keys - plan.queries - part.key, rows, space)
    for e in range(0, filled, ROWS):
        product_onto(
            part.value, part.first * filled + e, 1, filled, space.scores, part.first * WIDTH,
            space.output, (part.panel * filled + e) * WIDTH, space.kept, 0, rows[1] - part.first,
        )  # fmt: skip


@njit(**INNER)
def fetch_panels(source: int, stride: int, count: int, depth: int, scale: float, space: Space) -> None:
    """A block's tokens, one in each lane."""
    for panel in range((count + WIDTH - 1) // WIDTH):
        lanes, at = min(WIDTH, count - panel * WIDTH), panel * depth * WIDTH
        fetch_panel(source + panel * WIDTH * stride * FLOAT_BYTES, stride, lanes, depth, scale, space.panels, at)


@inlined
def start(plan: Plan, head: Head, first: int, count: int, space: Space) -> None:
    """Loads a block's queries and clears their sums."""
    source = head.query + first * plan.query_row * FLOAT_BYTES
    fetch_panels(source, plan.query_row, count, plan.depth, plan.scale, space)
    fill(space.output, plan.block * rounded_up(plan.features), 0.0)
    fill(space.peak, plan.block, FLOOR)
    fill(space.total, plan.block, 0.0)
    fill(space.moment, plan.block, 0.0)
    clear_lists(plan.block, plan.top, space)
    fill(space.sink, SINKS * plan.block, MASKED)
    fill(space.own, plan.block, MASKED)
    fill(space.band, plan.bands * plan.block, 0.0)


@njit(**INNER)
def divide_rows(held: int, at: int, count: int, space: Space) -> None:
    """Divides rows of a panel by each lane's sum, which is in ``columns``."""
    for row in range(count):
        for v in range(VECTORS):
            where = at + row * WIDTH + v * LANES
            store(held, where, load(held, where) / load(space.columns, v * LANES))


@njit(**INNER)
def exponentials(held: int, at: int, count: int, panel: int, space: Space) -> None:
    """Turns rows of stored scores into exponentials relative to each lane's largest score."""
    for row in range(count):
        for v in range(VECTORS):
            where = at + row * WIDTH + v * LANES
            store(held, where, exp(load(held, where) - load(space.peak, panel * WIDTH + v * LANES)))


@inlined
def finish(plan: Plan, first: int, count: int, results: Results, space: Space) -> None:
    """Writes a block's results."""
    filled = rounded_up(plan.features)
    for panel in range((count + WIDTH - 1) // WIDTH):
        for v in range(VECTORS):
            total = load(space.total, panel * WIDTH + v * LANES)
            # A lane without a visible key is all zeros, which dividing by 1 leaves unchanged.
            store(space.columns, v * LANES, where_greater(splat(1e-30), total, splat(1.0), total))
        output, sink = panel * filled * WIDTH, panel * SINKS * WIDTH
        exponentials(space.sink, sink, SINKS, panel, space)
        exponentials(space.own, panel * WIDTH, 1, panel, space)
        divide_rows(space.output, output, filled, space)
        divide_rows(space.sink, sink, SINKS, space)
        divide_rows(space.own, panel * WIDTH, 1, space)
        divide_rows(space.band, panel * plan.bands * WIDTH, plan.bands, space)
        divide_rows(space.moment, panel * WIDTH, 1, space)
        for lane in range(min(WIDTH, count - panel * WIDTH)):
            finish_query(plan, results, first + panel * WIDTH + lane, panel, lane, space)


@njit(**INNER)
def copy_column(source: int, at: int, count: int, out: int, first: int) -> None:
    """One lane of ``count`` rows, as a row."""
    for row in range(count):
        put_float(out, first + row, get_float(source, at + row * WIDTH))


@njit(**INNER)
def finish_query(plan: Plan, results: Results, i: int, panel: int, lane: int, space: Space) -> None:
    """Writes the results of one query."""
    at = panel * WIDTH + lane
    peak, total = get_float(space.peak, at), get_float(space.total, at)
    put_float(results.shift, i, peak)
    put_float(results.inverse, i, np.float32(0) if total == 0 else np.float32(1) / total)
    # The weighted mean of the scores minus the largest: 0 or less.
    logarithm, mean = math.log(total) if total != 0 else -np.inf, get_float(space.moment, at)
    put_float(results.max, i, np.float32(-np.inf) if total == 0 else peak)
    put_float(results.logsumexp, i, np.float32(peak + logarithm))
    put_float(results.entropy, i, np.float32(0) if total == 0 else np.float32(logarithm - mean))
    copy_column(
        space.output, panel * rounded_up(plan.features) * WIDTH + lane, plan.features, results.output, i * plan.features
    )
    copy_column(space.sink, panel * SINKS * WIDTH + lane, SINKS, results.sink, i * SINKS)
    copy_column(space.band, panel * plan.bands * WIDTH + lane, plan.bands, results.bands, i * plan.bands)
    put_float(results.self_weight, i, get_float(space.own, at))
    finish_list(at, plan.top, (peak, total), results, i, space)


@inlined
def receive(plan: Plan, head: Head, results: Results, space: Space, block: int) -> None:
    """The second pass for one block of keys."""
    first = block * plan.block
    count = min(plan.block, plan.keys - first)
    source = head.key + first * plan.key_row * FLOAT_BYTES
    fetch_panels(source, plan.key_row, count, plan.depth, 1.0, space)
    fill(space.peak, plan.block, 0.0)
    fill(space.total, plan.block, 0.0)
    position = first - plan.keys + plan.queries
    begin, end = visible(position, position + count - 1, 1 if plan.causal else 0, plan.window, plan.queries)
    for i in range(begin // TILE * TILE, end, TILE):
        height = min(TILE, plan.queries - i)
        source = head.query + i * plan.query_row * FLOAT_BYTES
        fetch_rows(source, plan.query_row, height, plan.depth, plan.scale, space.rows, rounded_up(plan.depth))
        for panel in range((count + WIDTH - 1) // WIDTH):
            j = first + panel * WIDTH
            lanes, position = min(WIDTH, plan.keys - j), j - plan.keys + plan.queries
            low, high = visible(position, position + lanes - 1, 1 if plan.causal else 0, plan.window, plan.queries)
            part = Part(panel, i, j, max(low - i, 0) // ROWS * ROWS, min(high - i, height), lanes, space.rows, 0)
            real = real_keys(plan, head, j, lanes)
            if real and part.first < part.last:
                changed = plan.mask_kind != 0 or real < lanes or plan.cap != 0.0 or head.slope != 0.0
                score(plan, head, part, False, changed, space)
                receive_rows(results, part, space)
    for lane in range(count):
        put_float(results.received_total, first + lane, get_float(space.total, lane))
        put_float(results.received_max, first + lane, get_float(space.peak, lane))
