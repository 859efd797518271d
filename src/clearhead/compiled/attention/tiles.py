"""Functions of one tile of scores: keys in rows, queries in lanes (or queries in rows, keys in lanes).

Masked scores are MASKED, a finite number below every shift, so that no infinity needs special care: a shift is a row's
largest score, and at least FLOOR. A score under FLOOR counts as masked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from clearhead.compiled.attention.layout import Head, Part, Plan, Results, Space
from clearhead.compiled.elementary import exp, tanh
from clearhead.compiled.simd import (
    INNER,
    LANES,
    ROWS,
    VECTORS,
    WIDTH,
    counting,
    fused,
    get_byte,
    get_float,
    get_int,
    load,
    maximum,
    put_float,
    splat,
    store,
    where_greater,
)  # fmt: skip

TILE = 128
"""Rows of a tile."""

MAX_PANELS = 16
"""The most panels that share the loaded numbers of a tile."""

SINKS = 4
"""Keys counted as the first tokens."""

FLOOR = -(2.0**126)
MASKED = -(2.0**127)
NO_MASK, BOOLEAN, ADDITIVE = 0, 1, 2


@njit(**INNER)
def rounded_up(count: int) -> int:
    """The next multiple of ROWS."""
    return (count + ROWS - 1) // ROWS * ROWS


@njit(**INNER)
def fetch_panel(source: int, stride: int, count: int, depth: int, scale: float, out: int, at: int) -> None:
    """Some rows, scaled, one in each lane: number d of row i goes to ``at + d*WIDTH + i``; missing rows give zeros."""
    factor = np.float32(scale)
    for i in range(count):
        for d in range(depth):
            put_float(out, at + d * WIDTH + i, get_float(source, i * stride + d) * factor)
    for i in range(count, WIDTH):
        for d in range(depth):
            put_float(out, at + d * WIDTH + i, np.float32(0))


@njit(**INNER)
def fetch_rows(source: int, stride: int, count: int, depth: int, scale: float, out: int, length: int) -> None:
    """Some rows, scaled, one after the other, padded with zeros to a length; and zeros up to whole ROWS."""
    factor, factors, whole = np.float32(scale), splat(scale), depth // LANES * LANES
    for i in range(count):
        for d in range(0, whole, LANES):
            store(out, i * length + d, load(source, i * stride + d) * factors)
        for d in range(whole, depth):
            put_float(out, i * length + d, get_float(source, i * stride + d) * factor)
        for d in range(depth, length):
            put_float(out, i * length + d, np.float32(0))
    for at in range(count * length, rounded_up(count) * length):
        put_float(out, at, np.float32(0))


@njit(**INNER)
def lay_rows(source: int, stride: int, count: int, depth: int, out: int) -> int:
    """The address of ``count`` contiguous rows, padded to a multiple of ROWS: in place, or a copy."""
    length = rounded_up(depth)
    if stride == length == depth and rounded_up(count) == count:
        return source
    fetch_rows(source, stride, count, depth, 1.0, out, length)
    return out


@njit(**INNER)
def fetch_mask(plan: Plan, head: Head, part: Part, keys_in_rows: bool, out: int) -> None:
    """The numbers that masks add to the scores of a tile: 0, MASKED, or others."""
    at = (part.query * plan.mask_query + part.key * plan.mask_key) * plan.mask_bytes
    mask, real = head.mask + at, head.padding + part.key * plan.padding_key
    mask_row, mask_lane, padding_row, padding_lane = plan.mask_key, plan.mask_query, plan.padding_key, 0
    if not keys_in_rows:
        mask_row, mask_lane, padding_row, padding_lane = mask_lane, mask_row, 0, padding_row
    for r in range(part.first, part.last):
        for i in range(part.lanes):
            added = np.float32(0)
            if plan.mask_kind == ADDITIVE:
                added = get_float(mask, r * mask_row + i * mask_lane)
                if added < np.float32(FLOOR):
                    added = np.float32(MASKED)
            if plan.mask_kind == BOOLEAN and not get_byte(mask, r * mask_row + i * mask_lane):
                added = np.float32(MASKED)
            if plan.padded and not get_byte(real, r * padding_row + i * padding_lane):
                added = np.float32(MASKED)
            put_float(out, r * WIDTH + i, added)
        for i in range(part.lanes, WIDTH):
            put_float(out, r * WIDTH + i, np.float32(0))


@njit(**INNER)
def fill(out: int, count: int, number: float) -> None:
    """Writes one number ``count`` times, in whole vectors."""
    for at in range(0, count, LANES):
        store(out, at, splat(number))


@njit(**INNER)
def apply_masks(plan: Plan, slope: float, distance: int, step: int, masked: bool, rows: Any, space: Space) -> None:
    """Applies soft cap, ALiBi and masks to the scores of a tile, causal mask and window included.

    ``distance`` is how far the query is from the key in row 0, lane 0 (below 0: the key is ahead); it grows by ``step``
    (1 or -1) from row to row, and falls by it from lane to lane.
    """
    first, last = rows
    scores, low, zero = space.scores, splat(MASKED), splat(0.0)
    cap, inverse = splat(plan.cap), splat(1.0 / plan.cap if plan.cap else 0.0)
    slopes, width = splat(-slope), splat(plan.window - 0.5)
    lane = counting() * splat(-step)
    placed = plan.causal or plan.window or slope != 0.0
    for r in range(first, last):
        for v in range(VECTORS):
            at = r * WIDTH + v * LANES
            s = load(scores, at)
            if plan.cap:
                s = cap * tanh(s * inverse)
            if masked:
                added = load(space.mask, at)
                # A masked score may be infinite, and minus infinity minus infinity is NaN.
                s = where_greater(splat(FLOOR), added, low, s + added)
            if placed:
                away = splat(distance + step * (r - v * LANES)) + lane
                size = maximum(away, zero - away)
                s = fused(slopes, size, s)
                if plan.causal:
                    s = where_greater(zero, away, low, s)
                if plan.window:
                    s = where_greater(size, width, low, s)
            store(scores, at, where_greater(splat(FLOOR), s, low, s))


@njit(**INNER)
def mask_rows(first: int, last: int, scores: int) -> None:
    """Masks whole rows."""
    for at in range(first * WIDTH, last * WIDTH):
        put_float(scores, at, np.float32(MASKED))


@njit(**INNER)
def find_largest(first: int, last: int, space: Space) -> None:
    """The largest score of every ROWS rows in each lane, again after scores were changed."""
    for r in range(first, last, ROWS):
        for v in range(VECTORS):
            at = v * LANES
            largest = load(space.scores, r * WIDTH + at)
            for i in range(1, ROWS):
                largest = maximum(largest, load(space.scores, (r + i) * WIDTH + at))
            store(space.largest, r // ROWS * WIDTH + at, largest)


@njit(**INNER, forceinline=True)
def find_peaks(rows: Any, space: Space) -> None:
    """Finds each lane's largest score in a tile, to ``kept``."""
    for v in range(VECTORS):
        peak = splat(FLOOR)
        for r in range(rows[0], rows[1], ROWS):
            peak = maximum(peak, load(space.largest, r // ROWS * WIDTH + v * LANES))
        store(space.kept, v * LANES, peak)


@njit(**INNER, forceinline=True)
def share(panel: int, rows: Any, space: Space) -> None:
    """Turns a tile's scores into exponentials relative to the largest so far, and adds them to the running sums.

    ``kept`` becomes the factor of earlier sums. The tile's own sums are left in ``columns``.
    """
    first, last = rows
    scores = space.scores
    for v in range(VECTORS):
        at = v * LANES
        state = panel * WIDTH + at
        before = load(space.peak, state)
        peak = maximum(before, load(space.kept, at))
        total, moment = splat(0.0), splat(0.0)
        for r in range(first, last):
            x = load(scores, r * WIDTH + at) - peak
            part = exp(x)
            store(scores, r * WIDTH + at, part)
            total = total + part
            moment = fused(part, x, moment)
        fallen = before - peak
        kept = exp(fallen)
        earlier = load(space.total, state)
        store(space.peak, state, peak)
        store(space.moment, state, fused(kept, fused(earlier, fallen, load(space.moment, state)), moment))
        store(space.total, state, fused(kept, earlier, total))
        store(space.kept, at, kept)
        store(space.columns, at, total)


@njit(**INNER)
def band_of(plan: Plan, distance: int) -> int:
    """The band of a distance."""
    band = 0
    while band < plan.bands - 1 and get_int(plan.edges, band) <= distance:
        band += 1
    return band


@njit(**INNER)
def band(plan: Plan, panel: int, distance: int, rows: Any, space: Space) -> None:
    """Adds a tile's exponentials to the sums by distance; the arguments are those of `apply_masks`, with step -1."""
    first, last = rows
    bands = plan.bands
    for b in range(bands):
        for v in range(VECTORS):
            at = (panel * bands + b) * WIDTH + v * LANES
            store(space.band, at, load(space.band, at) * load(space.kept, v * LANES))
    low, high = distance - (last - 1), distance - first + WIDTH - 1
    nearest = 0 if low <= 0 <= high else min(abs(low), abs(high))
    least, most = band_of(plan, nearest), band_of(plan, max(abs(low), abs(high)))
    for b in range(least, most + 1):
        near = splat(get_int(plan.edges, b - 1) - 0.5 if b else -1.0)
        far = splat(get_int(plan.edges, b) - 0.5 if b < bands - 1 else np.inf)
        for v in range(VECTORS):
            at = (panel * bands + b) * WIDTH + v * LANES
            if least == most:
                store(space.band, at, load(space.band, at) + load(space.columns, v * LANES))
                continue
            total = splat(0.0)
            for r in range(first, last):
                away = splat(distance - r + v * LANES) + counting()
                size = maximum(away, splat(0.0) - away)
                part = load(space.scores, r * WIDTH + v * LANES)
                part = where_greater(size, near, part, splat(0.0))
                total = total + where_greater(far, size, part, splat(0.0))
            store(space.band, at, load(space.band, at) + total)


@njit(**INNER, forceinline=True)
def receive_rows(results: Results, part: Part, space: Space) -> None:
    """Adds a tile's weights (queries in rows, keys in lanes) to the sums by key, and keeps the largest."""
    for v in range(VECTORS):
        at, state = v * LANES, part.panel * WIDTH + v * LANES
        total, largest = splat(0.0), load(space.peak, state)
        for r in range(part.first, part.last):
            below = load(space.scores, r * WIDTH + at) - splat(get_float(results.shift, part.query + r))
            weight = exp(below) * splat(get_float(results.inverse, part.query + r))
            total = total + weight
            largest = maximum(largest, weight)
        store(space.peak, state, largest)
        store(space.total, state, load(space.total, state) + total)


@njit(**INNER, forceinline=True)
def keep_own(part: Part, distance: int, space: Space) -> None:
    """Keeps each lane's score of the key at its own position, if it is in the tile; ``distance``: see `apply_masks`."""
    if distance >= part.last or distance + part.lanes <= part.first:
        return
    for lane in range(part.lanes):
        row = distance + lane
        if part.first <= row < part.last:
            put_float(space.own, part.panel * WIDTH + lane, get_float(space.scores, row * WIDTH + lane))
