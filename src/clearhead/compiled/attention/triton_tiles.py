"""The arguments of the passes in Triton, and a tile of scores: its queries, keys and masks.

Tensors in registers cannot be indexed by a number that is known only at run time. Indexing here is a comparison with
``tl.arange`` and a `where`.
"""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl

ROWS, COLUMNS = tl.constexpr(32), tl.constexpr(32)
"""Queries and keys of a tile: of those that were compiled for sm_80 (32 or 64 rows, 32 or 64 columns; top 8, 4 bands)
the largest that keeps all sums in registers up to depth 128, with the 8 warps of `OPTIONS`."""

OPTIONS = {"num_warps": 8, "num_stages": 1, "enable_fp_fusion": True}
"""How to compile. With copies ahead of their use (two stages) the sums no longer fitted into registers."""

MASKED = tl.constexpr(float("-inf"))
"""The score of a key that is masked for a query."""

NO_KEY = tl.constexpr(2**31 - 1)
"""A key that comes after all others."""

SINKS = tl.constexpr(4)
"""Keys counted as the first tokens."""

BOOLEAN, ADDITIVE = tl.constexpr(1), tl.constexpr(2)
"""Kinds of masks; 0 is none."""


class How(NamedTuple):
    """The constants for which a program is compiled.

    Widths are powers of two, at least as large as what they are named after: ``depth`` and ``features`` 16 or more;
    ``top`` and ``bands`` 0 if not requested.
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
    """The sizes of all axes; heads are those of one example."""

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
        edges: the bounds of the bands of distance (band + 1).
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
    """The strides of each tensor, in numbers; 0 along axes of one entry, which serve for any place."""

    query: tuple[int, ...]
    key: tuple[int, ...]
    value: tuple[int, ...]
    mask: tuple[int, ...]
    padding: tuple[int, ...]


class Numbers(NamedTuple):
    """The factor of scores, the soft cap, and the window."""

    scale: float
    cap: float
    window: int


class Work(NamedTuple):
    """All arguments of a program."""

    given: Given
    steps: Steps
    sizes: Sizes
    numbers: Numbers


class Place(NamedTuple):
    """The head that a program is for: its number among all, its example, its number there, and its group."""

    row: tl.tensor
    batch: tl.tensor
    head: tl.tensor
    group: tl.tensor


class Results(NamedTuple):
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
    """The number that is subtracted from scores before exp: the largest, or 0 where there is none yet."""
    return tl.where(peak == MASKED, 0.0, peak)


@triton.jit
def distances(rows: tl.tensor, columns: tl.tensor, sizes: Sizes) -> tl.tensor:
    """The distance of each key of a tile before each query's own position."""
    return rows[:, None] + (sizes.keys - sizes.queries) - columns[None, :]


@triton.jit
def scores_of(
    query: tl.tensor, key: tl.tensor, rows: tl.tensor, columns: tl.tensor, place: Place, work: Work, how: tl.constexpr
) -> tl.tensor:
    """The scores of a tile, with scale, cap, biases and masks."""
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
        # A masked score may be infinite, and infinity minus infinity is NaN.
        mask = mask_at(rows, columns, allowed, given, steps, place)
        allowed &= mask != MASKED
        score += mask
    return tl.where(allowed, score, MASKED)


@triton.jit
def visible_keys(first: tl.tensor, work: Work, how: tl.constexpr) -> tl.tensor:
    """The half-open range of keys, in whole tiles, that a block of queries may attend to."""
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
    """The half-open range of queries, in whole tiles, that may attend to a block of keys."""
    sizes = work.sizes
    begin, end, position = 0, sizes.queries, first - sizes.keys + sizes.queries
    if how.causal:
        begin = max(begin, position)
    if how.windowed:
        begin = max(begin, position - work.numbers.window + 1)
        end = min(end, position + COLUMNS - 1 + work.numbers.window)
    return begin // ROWS * ROWS, end
