"""The two passes in Triton: a block of queries along its keys, a block of keys along its queries.

Each program of the grid takes one block of one head. The first pass is that of FlashAttention (Dao et al. 2022) with
more sums: scores that turn out larger than all before them scale down what was summed so far. The second computes the
same scores once more, when each query's largest score and sum are known. All sums are float32.
"""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl

from clearhead.compiled.attention.triton_tiles import (
    COLUMNS,
    MASKED,
    NO_KEY,
    ROWS,
    SINKS,
    Results,
    Work,
    distances,
    keys_at,
    place_of,
    queries_at,
    scores_of,
    shift_of,
    values_at,
    visible_keys,
    visible_queries,
)  # fmt: skip


class Sums(NamedTuple):
    """Of each query of a block: the largest score, sums over its keys, its own score, and scores of the first keys.

    ``moment`` is the sum of exponentials times (score - largest score): 0 or less.
    """

    peak: tl.tensor
    total: tl.tensor
    moment: tl.tensor
    own: tl.tensor
    output: tl.tensor
    sink: tl.tensor


@triton.jit
def empty_lists(top: tl.tensor, width: tl.constexpr) -> tl.tensor:
    """Lists of the largest scores, with free places.

    Each free place has a separate key, after all others, by which it is found. Places beyond the requested ones are
    never the least.
    """
    places = tl.arange(0, width)[None, :]
    best = tl.where(places < top, MASKED, float("inf"))
    return tl.zeros((ROWS, width), tl.float32) + best, tl.full((ROWS, width), NO_KEY - 1, tl.int32) - places


@triton.jit
def keep_best(score: tl.tensor, columns: tl.tensor, best: tl.tensor, best_key: tl.tensor) -> tl.tensor:
    """The lists of each row's largest scores so far, unordered, merged with those of a tile.

    In each round each row's largest score replaces the least in its list, if it is larger. So there is one round for
    each score that joins in one row: after the first tiles mostly none or one. Of equal scores the first keys stay: in
    a tile they are taken first, later tiles have later keys, and of the least in a list the last key goes.
    """
    largest, least = tl.max(score, 1), tl.min(best, 1)
    while tl.max((largest > least).to(tl.int32), 0) > 0:
        joins = largest > least
        key = tl.min(tl.where(score == largest[:, None], columns[None, :], NO_KEY), 1)
        leaves = tl.max(tl.where(best == least[:, None], best_key, -1), 1)
        place = (best_key == leaves[:, None]) & joins[:, None]
        best = tl.where(place, largest[:, None], best)
        best_key = tl.where(place, key[:, None], best_key)
        score = tl.where((columns[None, :] == key[:, None]) & joins[:, None], MASKED, score)
        largest, least = tl.max(score, 1), tl.min(best, 1)
    return best, best_key


@triton.jit
def write_best(
    best: tl.tensor, best_key: tl.tensor, shift: tl.tensor, total: tl.tensor, at: tl.tensor, there: tl.tensor,
    results: Results, top: tl.tensor, width: tl.constexpr,
) -> None:  # fmt: skip
    """Writes the lists in their order, the largest first, and turns scores into weights."""
    best = tl.where((tl.arange(0, width) < top)[None, :], best, MASKED)
    for level in range(top):
        largest = tl.max(best, 1)
        key = tl.min(tl.where(best == largest[:, None], best_key, NO_KEY), 1)
        tl.store(results.top_weights + at * top + level, tl.exp(largest - shift) / total, mask=there)
        tl.store(results.top_keys + at * top + level, tl.where(largest > MASKED, key, -1).to(tl.int64), mask=there)
        best = tl.where(best_key == key[:, None], MASKED, best)


@triton.jit
def add_bands(
    band: tl.tensor, part: tl.tensor, distance: tl.tensor, edges: tl.tensor, bands: tl.tensor, width: tl.constexpr
) -> tl.tensor:
    """The sums by distance, with those of a tile; bands that it does not reach are skipped."""
    nearest, farthest = tl.min(tl.min(distance, 1), 0), tl.max(tl.max(distance, 1), 0)
    for b in range(bands):
        low, high = tl.load(edges + b), tl.load(edges + b + 1)
        if (low <= farthest) & (nearest < high):
            total = tl.sum(tl.where((low <= distance) & (distance < high), part, 0.0), 1)
            band += tl.where(tl.arange(0, width)[None, :] == b, total[:, None], 0.0)
    return band


@triton.jit
def write_rows(
    start: tl.tensor, tile: tl.tensor, at: tl.tensor, wide: tl.tensor, there: tl.tensor, width: tl.constexpr
) -> None:
    """Writes a tile as rows of a matrix without gaps."""
    columns = tl.arange(0, width)
    tl.store(start + at[:, None] * wide + columns[None, :], tile, mask=there[:, None] & (columns < wide)[None, :])


@triton.jit
def first_of(score: tl.tensor, columns: tl.tensor, sink: tl.tensor) -> tl.tensor:
    """The scores of the first keys, from the tile that has them."""
    for c in tl.static_range(SINKS):
        own = tl.max(tl.where(columns[None, :] == c, score, MASKED), 1)
        sink = tl.where(tl.arange(0, SINKS)[None, :] == c, own[:, None], sink)
    return sink


@triton.jit
def add_tile(score: tl.tensor, peak: tl.tensor, total: tl.tensor, moment: tl.tensor) -> tl.tensor:
    """The largest scores with those of a tile, the factor of earlier sums, the exponentials, and both new sums."""
    higher = tl.maximum(peak, tl.max(score, 1))
    shift = shift_of(higher)
    kept, rise = tl.exp(peak - shift), tl.where(peak == MASKED, 0.0, shift - peak)
    below = score - shift[:, None]
    part = tl.exp(below)
    # Where the exponential is 0 its score may be minus infinity, and 0 times that is NaN.
    moment = kept * (moment - rise * total) + tl.sum(tl.where(part == 0.0, 0.0, part * below), 1)
    return higher, kept, part, kept * total + tl.sum(part, 1), moment


@triton.jit
def write_sums(
    sums: Sums, at: tl.tensor, there: tl.tensor, results: Results, features: tl.tensor, how: tl.constexpr
) -> tl.tensor:
    """Writes what all requests have of each query; returns what was subtracted from scores, and the sums."""
    unattended, shift = sums.total == 0.0, shift_of(sums.peak)
    total = tl.where(unattended, 1.0, sums.total)
    logarithm = tl.log(total)
    tl.store(results.max + at, sums.peak, mask=there)
    tl.store(results.inverse + at, 1.0 / total, mask=there)
    tl.store(results.logsumexp + at, tl.where(unattended, MASKED, sums.peak + logarithm), mask=there)
    tl.store(results.entropy + at, tl.where(unattended, 0.0, logarithm - sums.moment / total), mask=there)
    write_rows(results.output, sums.output / total[:, None], at, features, there, how.features)
    tl.store(results.self_weight + at, tl.exp(sums.own - shift) / total, mask=there)
    write_rows(results.sink, tl.exp(sums.sink - shift[:, None]) / total[:, None], at, SINKS, there, SINKS)
    return shift, total


@triton.jit
def attend(work: Work, results: Results, before: tl.tensor, how: tl.constexpr) -> None:
    """The first pass for one block of queries; ``before``: the number of programs that other grids have started."""
    sizes, blocks = work.sizes, tl.cdiv(work.sizes.queries, ROWS)
    place, block = place_of(tl.program_id(0) + before, blocks, sizes)
    # The last first: if causal, they have the most keys, and the last tasks should be short.
    first = (blocks - 1 - block) * ROWS
    rows = first + tl.arange(0, ROWS)
    query = queries_at(rows, place, work, how)

    peak, total = tl.full((ROWS,), MASKED, tl.float32), tl.zeros((ROWS,), tl.float32)
    moment = tl.zeros((ROWS,), tl.float32)
    # Shapes are named: Triton 3.4 does not accept numbers of ``how`` directly.
    features: tl.constexpr = how.features
    bands: tl.constexpr = how.bands
    output = tl.zeros((ROWS, features), tl.float32)
    sink = tl.full((ROWS, SINKS), MASKED, tl.float32)
    if how.top > 0:
        best, best_key = empty_lists(sizes.top, how.top)
    if how.bands > 0:
        band = tl.zeros((ROWS, bands), tl.float32)

    own = tl.full((ROWS,), MASKED, tl.float32)
    begin, end = visible_keys(first, work, how)
    for start in range(begin, end, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        score = scores_of(query, keys_at(columns, place, work, how), rows, columns, place, work, how)
        if how.top > 0:
            best, best_key = keep_best(score, columns, best, best_key)
        if start == 0:
            sink = first_of(score, columns, sink)
        own = tl.maximum(own, tl.max(tl.where(distances(rows, columns, sizes) == 0, score, MASKED), 1))
        higher, kept, part, total, moment = add_tile(score, peak, total, moment)
        if how.bands > 0:
            distance = tl.abs(distances(rows, columns, sizes))
            band = add_bands(band * kept[:, None], part, distance, work.given.edges, sizes.bands, how.bands)
        value = values_at(columns, place, work, how)
        output = output * kept[:, None] + tl.dot(part, value, input_precision="ieee")
        peak = higher

    at, there = place.row * sizes.queries + rows, rows < sizes.queries
    sums = Sums(peak, total, moment, own, output, sink)
    shift, total = write_sums(sums, at, there, results, sizes.features, how)
    if how.bands > 0:
        write_rows(results.bands, band / total[:, None], at, sizes.bands, there, how.bands)
    if how.top > 0:
        write_best(best, best_key, shift, total, at, there, results, sizes.top, how.top)


@triton.jit
def receive(work: Work, results: Results, before: tl.tensor, how: tl.constexpr) -> None:
    """The second pass for one block of keys; the first keys come first: if causal, they have the most queries."""
    sizes = work.sizes
    place, block = place_of(tl.program_id(0) + before, tl.cdiv(sizes.keys, COLUMNS), sizes)
    first = block * COLUMNS
    columns = first + tl.arange(0, COLUMNS)
    key = keys_at(columns, place, work, how)
    total, largest = tl.zeros((COLUMNS,), tl.float32), tl.zeros((COLUMNS,), tl.float32)

    begin, end = visible_queries(first, work, how)
    for start in range(begin, end, ROWS):
        rows = start + tl.arange(0, ROWS)
        score = scores_of(queries_at(rows, place, work, how), key, rows, columns, place, work, how)
        at, there = place.row * sizes.queries + rows, rows < sizes.queries
        shift = shift_of(tl.load(results.max + at, mask=there, other=0.0))
        inverse = tl.load(results.inverse + at, mask=there, other=0.0)
        weight = tl.exp(score - shift[:, None]) * inverse[:, None]
        total += tl.sum(weight, 0)
        largest = tl.maximum(largest, tl.max(weight, 0))

    at = place.row * sizes.keys + columns
    tl.store(results.received_total + at, total, mask=columns < sizes.keys)
    tl.store(results.received_max + at, largest, mask=columns < sizes.keys)
