"""The backward pass for some keys of one head: gradients of queries, keys and values, without stored weights.

The weights of a tile are computed again from what the forward pass keeps of each query, its largest score and 1 over
its sum of exponentials, which are the log-sum-exp in two numbers. With P the weights, O the output and dO its gradient
(Dao et al. 2022, algorithm 4):

    dV = P^T dO        dP = dO V^T        dS = P * (dP - rowsum(dO * O))        dQ = dS K        dK = dS^T Q

Queries are in rows and keys in lanes, as in the second pass forward. So the gradients are sums of rows of dO, K and Q
as they lie, and nothing is transposed but the keys and values of a panel, once for all queries. A block of keys stays
in the cache while all its queries pass by; nobody else adds to its gradients.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import njit

from clearhead.compiled.attention.layout import Head, Part, Plan
from clearhead.compiled.attention.passes import FLOAT_BYTES, crosses, real_keys, visible
from clearhead.compiled.attention.tiles import (
    apply_masks,
    fetch_mask,
    fetch_panel,
    fetch_rows,
    mask_rows,
    rounded_up,
)  # fmt: skip
from clearhead.compiled.elementary import exp
from clearhead.compiled.matrices import one, three, two
from clearhead.compiled.simd import (
    INNER,
    LANES,
    ROWS,
    VECTORS,
    WIDTH,
    get_float,
    inlined,
    load,
    maximum,
    splat,
    store,
)  # fmt: skip

PANELS = 64 // LANES
"""Panels of keys in a block, which is 192 keys: of depth 64 all that belongs to one is 0.25 MB."""

HEIGHT = 64
"""Queries of a tile: half of what the forward pass takes, as the gradients of outputs must stay in the cache too."""


class Backward(NamedTuple):
    """The addresses of one head's arrays of the backward pass.

    ``shift``, ``inverse`` and ``mean`` have a number for each query: its largest score, 1 over its sum of exponentials,
    and the sum over features of its output times ``grad``, the gradient of that, whose rows are ``grad_row`` numbers
    apart. ``query``, ``key`` and ``value`` are the gradients to be added to: `whole` numbers in a row, whole ROWS.
    """

    grad: int
    grad_row: int
    shift: int
    inverse: int
    mean: int
    query: int
    key: int
    value: int


class BackwardSpace(NamedTuple):
    """The addresses of a thread's working space.

    ``panels`` and ``values`` are the keys and values of a block, a token in each lane; ``keys`` its keys in rows;
    ``rows`` and ``grad`` the queries of a tile and the gradients of their outputs; ``scores`` and ``change`` weights
    and their gradients, ``bent`` the derivative of the soft cap.
    """

    panels: int
    values: int
    keys: int
    rows: int
    grad: int
    scores: int
    change: int
    bent: int
    mask: int


@njit(**INNER)
def whole(count: int) -> int:
    """The next multiple of LANES: the length of a row of whole vectors."""
    return (count + LANES - 1) // LANES * LANES


@njit(**INNER)
def by_lanes(a: int, a_row: int, rows: Any, b: int, count: int, c: int) -> None:
    """C = A B for some rows of a tile; B is a panel."""
    for r in range(rows[0], rows[1], ROWS):
        three(a + r * a_row * FLOAT_BYTES, a_row, 1, b, WIDTH, c + r * WIDTH * FLOAT_BYTES, WIDTH, count, 0)


@njit(**INNER)
def add_rows(a: int, a_row: int, a_step: int, rows: int, b: int, count: int, length: int, c: int) -> None:
    """C = C + A B, where B and C have rows of one length, whole vectors; A[row, k] lies at row*a_row + k*a_step."""
    at = 0
    while at < length:
        left = (length - at) // LANES
        # Three at once where that leaves none over, else two: 64 numbers are 2 + 2, not 3 + 1.
        vectors = 3 if left % 3 == 0 else min(2, left)
        for row in range(0, rows, ROWS):
            x, y, out = a + row * a_row * FLOAT_BYTES, b + at * FLOAT_BYTES, c + (row * length + at) * FLOAT_BYTES
            if vectors == 3:
                three(x, a_row, a_step, y, length, out, length, count, 1)
            elif vectors == 2:
                two(x, a_row, a_step, y, length, out, length, count, 1)
            else:
                one(x, a_row, a_step, y, length, out, length, count, 1)
        at += vectors * LANES


@njit(**INNER)
def bend(plan: Plan, rows: Any, space: BackwardSpace) -> None:
    """The derivative of the soft cap at the scores of a tile: 1 - tanh(s/cap)^2, without the difference."""
    inverse, zero, full = splat(1.0 / plan.cap), splat(0.0), splat(1.0)
    for at in range(rows[0] * WIDTH, rows[1] * WIDTH, LANES):
        s = load(space.scores, at) * inverse
        shrunk = exp(splat(-2.0) * maximum(s, zero - s))
        store(space.bent, at, splat(4.0) * shrunk / ((full + shrunk) * (full + shrunk)))


@njit(**INNER)
def change_scores(plan: Plan, back: Backward, query: int, rows: Any, space: BackwardSpace) -> None:
    """Turns scores into weights, and the gradients of weights into those of scores."""
    for r in range(rows[0], rows[1]):
        shift = splat(get_float(back.shift, query + r))
        inverse, mean = splat(get_float(back.inverse, query + r)), splat(get_float(back.mean, query + r))
        for at in range(r * WIDTH, r * WIDTH + VECTORS * LANES, LANES):
            weight = exp(load(space.scores, at) - shift) * inverse
            change = weight * (load(space.change, at) - mean)
            store(space.scores, at, weight)
            store(space.change, at, change * load(space.bent, at) if plan.cap else change)


@inlined
def tile_back(plan: Plan, head: Head, back: Backward, part: Part, changed: bool, space: BackwardSpace) -> None:
    """Adds the gradients through a tile; ``part.panel`` is the first of its keys in their block."""
    depth, features = whole(plan.depth), whole(plan.features)
    rows = (part.first, rounded_up(part.last))
    keys, values = part.panel * plan.depth * FLOAT_BYTES, part.panel * plan.features * FLOAT_BYTES
    by_lanes(space.rows, depth, rows, space.panels + keys, plan.depth, space.scores)
    by_lanes(space.grad, features, rows, space.values + values, plan.features, space.change)
    if plan.cap:
        bend(plan, rows, space)
    distance = part.query + plan.keys - plan.queries - part.key
    if changed or crosses(plan, distance - (part.lanes - 1), distance + part.last - 1):
        masked = plan.mask_kind != 0 or plan.padded != 0
        if masked:
            fetch_mask(plan, head, part, False, space.mask)
        apply_masks(plan, head.slope, distance, 1, masked, (part.first, part.last), space)
    mask_rows(part.last, rows[1], space.scores)
    change_scores(plan, back, part.query, rows, space)
    lanes, count, begin = rounded_up(part.lanes), part.last - part.first, part.first * WIDTH * FLOAT_BYTES
    weights, change = space.scores + begin, space.change + begin
    add_rows(
        weights, 1, WIDTH, lanes, space.grad + part.first * features * FLOAT_BYTES, count, features,
        back.value + part.key * features * FLOAT_BYTES,
    )  # fmt: skip
    add_rows(
        change, 1, WIDTH, lanes, space.rows + part.first * depth * FLOAT_BYTES, count, depth,
        back.key + part.key * depth * FLOAT_BYTES,
    )  # fmt: skip
    add_rows(
        change, WIDTH, 1, rows[1] - rows[0], space.keys + part.panel * depth * FLOAT_BYTES, part.lanes, depth,
        back.query + (part.query + part.first) * depth * FLOAT_BYTES,
    )  # fmt: skip


@inlined
def fetch_block(plan: Plan, head: Head, space: BackwardSpace, first: int, count: int) -> None:
    """Loads the keys and values of a block."""
    key, value = head.key + first * plan.key_row * FLOAT_BYTES, head.value + first * plan.value_row * FLOAT_BYTES
    fetch_rows(key, plan.key_row, count, plan.depth, plan.scale, space.keys, whole(plan.depth))
    for begin in range(0, count, WIDTH):
        lanes = min(WIDTH, count - begin)
        row = key + begin * plan.key_row * FLOAT_BYTES
        fetch_panel(row, plan.key_row, lanes, plan.depth, 1.0, space.panels, begin * plan.depth)
        row = value + begin * plan.value_row * FLOAT_BYTES
        fetch_panel(row, plan.value_row, lanes, plan.features, 1.0, space.values, begin * plan.features)


@inlined
def block_back(plan: Plan, head: Head, back: Backward, space: BackwardSpace, first: int, count: int) -> None:
    """Adds the gradients through a block of keys, along all queries that see any of them."""
    fetch_block(plan, head, space, first, count)
    depth, features, ahead = whole(plan.depth), whole(plan.features), 1 if plan.causal else 0
    position = first - plan.keys + plan.queries
    low, high = visible(position, position + count - 1, ahead, plan.window, plan.queries)
    for i in range(low // HEIGHT * HEIGHT, high, HEIGHT):
        height = min(HEIGHT, plan.queries - i)
        query, grad = head.query + i * plan.query_row * FLOAT_BYTES, back.grad + i * back.grad_row * FLOAT_BYTES
        fetch_rows(query, plan.query_row, height, plan.depth, plan.scale, space.rows, depth)
        fetch_rows(grad, back.grad_row, height, plan.features, 1.0, space.grad, features)
        for begin in range(0, count, WIDTH):
            j, lanes = first + begin, min(WIDTH, count - begin)
            position = j - plan.keys + plan.queries
            near, far = visible(position, position + lanes - 1, ahead, plan.window, plan.queries)
            part = Part(begin, i, j, max(near - i, 0) // ROWS * ROWS, min(far - i, height), lanes, 0, 0)
            real = real_keys(plan, head, j, lanes)
            if real and part.first < part.last:
                changed = plan.mask_kind != 0 or real < lanes or plan.cap != 0.0 or head.slope != 0.0
                tile_back(plan, head, back, part, changed, space)


@inlined
def carry_back(plan: Plan, head: Head, back: Backward, space: BackwardSpace, begin: int, end: int) -> None:
    """Adds the gradients through the keys begin .. end - 1; ``begin`` is a multiple of WIDTH."""
    for first in range(begin, end, plan.block):
        block_back(plan, head, back, space, first, min(plan.block, end - first))
