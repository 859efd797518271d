"""The two passes in Triton: a block of queries along its keys, a block of keys along its queries.

Each program of the grid takes one block of one head. The first pass is that of FlashAttention (Dao et al. 2022) with
more sums: scores that turn out larger than all before them scale down what was summed so far. The second works the same
scores out once more, when each query's largest score and sum are known. All sums are float32.

No tensor in registers can be indexed by a number that is known only at run time. What looks like an index here is a
comparison with ``tl.arange`` and a `where`.
"""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl

ROWS, COLUMNS = tl.constexpr(32), tl.constexpr(32)
"""Queries and keys of a tile: of those that were compiled for sm_80 (32 or 64 rows, 32 or 64 columns; top 8, 4 bands)
the largest that keeps all sums in registers up to depth 128, with the 8 warps of `OPTIONS`."""

OPTIONS = {"num_warps": 8, "num_stages": 1, "enable_fp_fusion": True}
"""How to compile. Copies ahead of their use (two stages) took so many registers that sums went to memory."""

MASKED = tl.constexpr(float("-inf"))
"""The score of a key that a query may not see."""

NO_KEY = tl.constexpr(2**31 - 1)
"""A key that comes after all others."""

SINKS = tl.constexpr(4)
"""Keys counted as the first tokens."""

BOOLEAN, ADDITIVE = tl.constexpr(1), tl.constexpr(2)
"""Kinds of masks; 0 is none."""


class How(NamedTuple):
    """What a program is compiled for.

    Widths are powers of two, at least as large as what they are named after: ``depth`` and ``features`` 16 or more;
    ``top`` and ``bands`` 0 if none are asked for.
    """

    depth: int
    features: int
    top: int
    bands: int
    mask: int
    padded: bool
    capped: bool
    alibi: bool
    causal: bool
    windowed: bool


class Sizes(NamedTuple):
    """How many there are of everything; heads are those of one example."""

    heads: int
    groups: int
    queries: int
    keys: int
    depth: int
    features: int
    top: int
    bands: int


class Given(NamedTuple):
    """The tensors of a request, None where it has none.

    Attributes:
        query: (batch, head, query, depth).
        key: (batch, group, key, depth).
        value: (batch, group, key, features).
        mask: (batch, head, query, key), bytes or float32.
        padding: (batch, key), bytes.
        edges: from where to where each band of distance goes (band + 1).
        slopes: of ALiBi (head).
    """

    query: tl.tensor
    key: tl.tensor
    value: tl.tensor
    mask: tl.tensor
    padding: tl.tensor
    edges: tl.tensor
    slopes: tl.tensor


class Steps(NamedTuple):
    """How far apart neighbours along each axis of a tensor are; 0 along axes that serve for any place."""

    query: tuple[int, ...]
    key: tuple[int, ...]
    value: tuple[int, ...]
    mask: tuple[int, ...]
    padding: tuple[int, ...]


class Numbers(NamedTuple):
    """What scores are multiplied with, how they are capped, and how far a query sees."""

    scale: float
    cap: float
    window: int


class Work(NamedTuple):
    """All that a program is told."""

    given: Given
    steps: Steps
    sizes: Sizes
    numbers: Numbers


class Place(NamedTuple):
    """The head that a program is for: among all, its example, in that example, and its group there."""

    row: tl.tensor
    batch: tl.tensor
    head: tl.tensor
    group: tl.tensor


class Told(NamedTuple):
    """The tensors to be filled, without gaps: (batch * head, query, ...) and (batch * head, key)."""

    output: tl.tensor
    logsumexp: tl.tensor
    entropy: tl.tensor
    max: tl.tensor
    inverse: tl.tensor
    top_weights: tl.tensor
    top_keys: tl.tensor
    sink: tl.tensor
    self_weight: tl.tensor
    bands: tl.tensor
    received_total: tl.tensor
    received_max: tl.tensor


@triton.jit
def place_of(program: tl.tensor, blocks: tl.tensor, sizes: Sizes) -> tl.tensor:
    """The head and the block that a program is for: the blocks of one head after the other."""
    row = (program // blocks).to(tl.int64)
    head = row % sizes.heads
    return Place(row, row // sizes.heads, head, head // (sizes.heads // sizes.groups)), program % blocks


@triton.jit
def tile_of(start: tl.tensor, rows: tl.tensor, shape: tl.tensor, steps: tl.tensor, width: tl.constexpr) -> tl.tensor:
    """Some rows of a matrix of this shape; zeros beyond it. Steps are those of its rows and columns."""
    columns = tl.arange(0, width)
    at = start + rows[:, None].to(tl.int64) * steps[0] + columns[None, :] * steps[1]
    return tl.load(at, mask=(rows < shape[0])[:, None] & (columns < shape[1])[None, :], other=0.0)


@triton.jit
def queries_at(rows: tl.tensor, place: Place, work: Work, how: tl.constexpr) -> tl.tensor:
    """Some queries of a head."""
    steps, sizes = work.steps.query, work.sizes
    start = work.given.query + place.batch * steps[0] + place.head * steps[1]
    return tile_of(start, rows, (sizes.queries, sizes.depth), (steps[2], steps[3]), how.depth)


@triton.jit
def keys_at(columns: tl.tensor, place: Place, work: Work, how: tl.constexpr) -> tl.tensor:
    """Some keys of a head."""
    steps, sizes = work.steps.key, work.sizes
    start = work.given.key + place.batch * steps[0] + place.group * steps[1]
    return tile_of(start, columns, (sizes.keys, sizes.depth), (steps[2], steps[3]), how.depth)


@triton.jit
def values_at(columns: tl.tensor, place: Place, work: Work, how: tl.constexpr) -> tl.tensor:
    """The values of some keys of a head."""
    steps, sizes = work.steps.value, work.sizes
    start = work.given.value + place.batch * steps[0] + place.group * steps[1]
    return tile_of(start, columns, (sizes.keys, sizes.features), (steps[2], steps[3]), how.features)


@triton.jit
def mask_at(
    rows: tl.tensor, columns: tl.tensor, there: tl.tensor, given: Given, steps: Steps, place: Place
) -> tl.tensor:
    """A tile of the mask, of a head."""
    start = given.mask + place.batch * steps.mask[0] + place.head * steps.mask[1]
    at = start + rows[:, None].to(tl.int64) * steps.mask[2] + columns[None, :] * steps.mask[3]
    return tl.load(at, mask=there, other=0)


@triton.jit
def tanh(x: tl.tensor) -> tl.tensor:
    """Tanh: a series where x is small, so that small numbers keep their digits, and exponentials."""
    square = x * x
    # The series of tanh(x)/x - 1 over x^2, to 1e-8 within 0.35 of 0; the same as that of the compiled kernel.
    series = -0.0088632355
    series = series * square + 0.021869488
    series = series * square - 0.053968254
    series = series * square + 0.13333334
    series = series * square - 0.33333334
    size = tl.abs(x)
    shrunk = tl.exp(-2.0 * size)
    far = (1.0 - shrunk) / (1.0 + shrunk)
    return tl.where(size > 0.35, tl.where(x < 0.0, -far, far), x * square * series + x)


@triton.jit
def shift_of(peak: tl.tensor) -> tl.tensor:
    """What to take off scores before exp: the largest, or 0 where there is none yet."""
    return tl.where(peak == MASKED, 0.0, peak)


@triton.jit
def distances(rows: tl.tensor, columns: tl.tensor, sizes: Sizes) -> tl.tensor:
    """How far each key of a tile lies before each query's own position."""
    return rows[:, None] + (sizes.keys - sizes.queries) - columns[None, :]


@triton.jit
def scores_of(
    query: tl.tensor, key: tl.tensor, rows: tl.tensor, columns: tl.tensor, place: Place, work: Work, how: tl.constexpr
) -> tl.tensor:
    """The scores of a tile, with all that is done to scores."""
    given, steps, sizes, numbers = work.given, work.steps, work.sizes, work.numbers
    score = tl.dot(query, tl.trans(key), input_precision="ieee") * numbers.scale
    distance = distances(rows, columns, sizes)
    allowed = (rows < sizes.queries)[:, None] & (columns < sizes.keys)[None, :]
    if how.capped:
        score = numbers.cap * tanh(score / numbers.cap)
    if how.alibi:
        score -= tl.load(given.slopes + place.head) * tl.abs(distance).to(tl.float32)
    if how.causal:
        allowed &= distance >= 0
    if how.windowed:
        allowed &= tl.abs(distance) < numbers.window
    if how.padded:
        at = given.padding + place.batch * steps.padding[0] + columns * steps.padding[1]
        allowed &= (tl.load(at, mask=columns < sizes.keys, other=0) != 0)[None, :]
    if how.mask == BOOLEAN:
        allowed &= mask_at(rows, columns, allowed, given, steps, place) != 0
    if how.mask == ADDITIVE:
        # A masked score may be infinite, and infinity less infinity is no number.
        mask = mask_at(rows, columns, allowed, given, steps, place)
        allowed &= mask != MASKED
        score += mask
    return tl.where(allowed, score, MASKED)


@triton.jit
def empty_lists(top: tl.tensor, width: tl.constexpr) -> tl.tensor:
    """Lists of the best, with free places in them.

    Each free place has a key of its own, after all others, by which it is found. Places beyond those that were asked
    for are never the least.
    """
    places = tl.arange(0, width)[None, :]
    best = tl.where(places < top, MASKED, float("inf"))
    return tl.zeros((ROWS, width), tl.float32) + best, tl.full((ROWS, width), NO_KEY - 1, tl.int32) - places


@triton.jit
def keep_best(score: tl.tensor, columns: tl.tensor, best: tl.tensor, best_key: tl.tensor) -> tl.tensor:
    """The lists of each row's best scores so far, in no order, joined by those of a tile.

    In each round each row's largest score takes the place of the least in its list, if it is larger. So the rounds
    are as many as join in one row: after the first tiles mostly none or one. Of equal scores the first keys stay: in
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
def tell_best(
    best: tl.tensor, best_key: tl.tensor, shift: tl.tensor, total: tl.tensor, at: tl.tensor, there: tl.tensor,
    told: Told, top: tl.tensor, width: tl.constexpr,
) -> None:  # fmt: skip
    """Writes the lists in their order, the largest first, and turns scores into weights."""
    best = tl.where((tl.arange(0, width) < top)[None, :], best, MASKED)
    for level in range(top):
        largest = tl.max(best, 1)
        key = tl.min(tl.where(best == largest[:, None], best_key, NO_KEY), 1)
        tl.store(told.top_weights + at * top + level, tl.exp(largest - shift) / total, mask=there)
        tl.store(told.top_keys + at * top + level, tl.where(largest > MASKED, key, -1).to(tl.int64), mask=there)
        best = tl.where(best_key == key[:, None], MASKED, best)


@triton.jit
def add_bands(
    band: tl.tensor, part: tl.tensor, distance: tl.tensor, edges: tl.tensor, bands: tl.tensor, width: tl.constexpr
) -> tl.tensor:
    """The sums by distance, with those of a tile; bands that it does not reach are passed over."""
    nearest, farthest = tl.min(tl.min(distance, 1), 0), tl.max(tl.max(distance, 1), 0)
    for b in range(bands):
        low, high = tl.load(edges + b), tl.load(edges + b + 1)
        if (low <= farthest) & (nearest < high):
            total = tl.sum(tl.where((low <= distance) & (distance < high), part, 0.0), 1)
            band += tl.where(tl.arange(0, width)[None, :] == b, total[:, None], 0.0)
    return band


@triton.jit
def tell_rows(
    start: tl.tensor, tile: tl.tensor, at: tl.tensor, wide: tl.tensor, there: tl.tensor, width: tl.constexpr
) -> None:
    """Writes a tile as rows of a matrix without gaps."""
    columns = tl.arange(0, width)
    tl.store(start + at[:, None] * wide + columns[None, :], tile, mask=there[:, None] & (columns < wide)[None, :])


@triton.jit
def first_of(score: tl.tensor, columns: tl.tensor, sink: tl.tensor) -> tl.tensor:
    """The scores of the first keys, out of the tile that has them."""
    for c in tl.static_range(SINKS):
        own = tl.max(tl.where(columns[None, :] == c, score, MASKED), 1)
        sink = tl.where(tl.arange(0, SINKS)[None, :] == c, own[:, None], sink)
    return sink


@triton.jit
def visible_keys(first: tl.tensor, work: Work, how: tl.constexpr) -> tl.tensor:
    """From which to which tile a block of queries looks: numbers of keys."""
    sizes = work.sizes
    begin, end, position = 0, sizes.keys, first + sizes.keys - sizes.queries
    if how.causal:
        end = min(end, position + ROWS)
    if how.windowed:
        begin = max(begin, position - work.numbers.window + 1)
        end = min(end, position + ROWS - 1 + work.numbers.window)
    return begin // COLUMNS * COLUMNS, end


@triton.jit
def visible_queries(first: tl.tensor, work: Work, how: tl.constexpr) -> tl.tensor:
    """From which to which tile a block of keys is looked at: numbers of queries."""
    sizes = work.sizes
    begin, end, position = 0, sizes.queries, first - sizes.keys + sizes.queries
    if how.causal:
        begin = max(begin, position)
    if how.windowed:
        begin = max(begin, position - work.numbers.window + 1)
        end = min(end, position + COLUMNS - 1 + work.numbers.window)
    return begin // ROWS * ROWS, end


@triton.jit
def attend(work: Work, told: Told, before: tl.tensor, how: tl.constexpr) -> None:
    """The first pass for one block of queries; ``before`` so many programs were started in other grids."""
    sizes, blocks = work.sizes, tl.cdiv(work.sizes.queries, ROWS)
    place, block = place_of(tl.program_id(0) + before, blocks, sizes)
    # The last first: if causal, they have the most keys, and the last that is left to do should be little.
    first = (blocks - 1 - block) * ROWS
    rows = first + tl.arange(0, ROWS)
    query = queries_at(rows, place, work, how)

    peak, total = tl.full((ROWS,), MASKED, tl.float32), tl.zeros((ROWS,), tl.float32)
    # The sum of exponentials times how far their scores lie below the largest: 0 or less.
    moment = tl.zeros((ROWS,), tl.float32)
    # Shapes are named: Triton 3.4 takes no number out of ``how`` as it is.
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
        higher = tl.maximum(peak, tl.max(score, 1))
        shift = shift_of(higher)
        kept, rise = tl.exp(peak - shift), tl.where(peak == MASKED, 0.0, shift - peak)
        below = score - shift[:, None]
        part = tl.exp(below)
        # Where the exponential is 0 its score may be minus infinity, and 0 times that is no number.
        moment = kept * (moment - rise * total) + tl.sum(tl.where(part == 0.0, 0.0, part * below), 1)
        total = kept * total + tl.sum(part, 1)
        if how.bands > 0:
            distance = tl.abs(distances(rows, columns, sizes))
            band = add_bands(band * kept[:, None], part, distance, work.given.edges, sizes.bands, how.bands)
        value = values_at(columns, place, work, how)
        output = output * kept[:, None] + tl.dot(part, value, input_precision="ieee")
        peak = higher

    unattended, shift, there = total == 0.0, shift_of(peak), rows < sizes.queries
    total = tl.where(unattended, 1.0, total)
    logarithm = tl.log(total)
    at = place.row * sizes.queries + rows
    tl.store(told.max + at, peak, mask=there)
    tl.store(told.inverse + at, 1.0 / total, mask=there)
    tl.store(told.logsumexp + at, tl.where(unattended, MASKED, peak + logarithm), mask=there)
    tl.store(told.entropy + at, tl.where(unattended, 0.0, logarithm - moment / total), mask=there)
    tell_rows(told.output, output / total[:, None], at, sizes.features, there, how.features)
    tl.store(told.self_weight + at, tl.exp(own - shift) / total, mask=there)
    tell_rows(told.sink, tl.exp(sink - shift[:, None]) / total[:, None], at, SINKS, there, SINKS)
    if how.bands > 0:
        tell_rows(told.bands, band / total[:, None], at, sizes.bands, there, how.bands)
    if how.top > 0:
        tell_best(best, best_key, shift, total, at, there, told, sizes.top, how.top)


@triton.jit
def receive(work: Work, told: Told, before: tl.tensor, how: tl.constexpr) -> None:
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
        shift = shift_of(tl.load(told.max + at, mask=there, other=0.0))
        inverse = tl.load(told.inverse + at, mask=there, other=0.0)
        weight = tl.exp(score - shift[:, None]) * inverse[:, None]
        total += tl.sum(weight, 0)
        largest = tl.maximum(largest, tl.max(weight, 0))

    at = place.row * sizes.keys + columns
    tl.store(told.received_total + at, total, mask=columns < sizes.keys)
    tl.store(told.received_max + at, largest, mask=columns < sizes.keys)
