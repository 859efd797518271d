"""Products of whole matrices: a panel of B, which a thread keeps in its cache, with all rows of A.

A tile is ROWS x WIDTH sums in registers: numbers of A times rows of a panel, which has WIDTH columns of B. B may lie in
panels already, as weights that are used again and again do (`clearhead.ops.panels`). Where it is stored transposed,
as most weights are, its panel is turned around on the way, LONG rows at a time, and serves all rows of A.

Tiles at an end begin earlier, over numbers that were computed before, so each is whole. A number of the result is the
same sum in the same order wherever its tile begins, however B lies and however the work is shared out: of LONG products
each, added up.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from llvmlite import ir
from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic

from clearhead.compiled import shipped
from clearhead.compiled.simd import (
    BITS,
    INT64,
    LANES,
    ROWS,
    VECTORS,
    WIDTH,
    Builder,
    Value,
    constant,
    digest,
    get_float,
    inlined,
    least,
    load_first,
    most,
    multiply_add,
    place,
    put_float,
    read,
    spread,
    store_first,
    within,
    write,
)  # fmt: skip

LONG = 192
"""Rows of a panel, which is 36 kB with vectors of 16: it stays in the first cache, or close to it."""

ROOM = (LONG + ROWS) * WIDTH + LONG * ROWS
"""Numbers of a panel, a tile and the rows of one, which each thread has room for."""

IN_ROWS, TURNED, IN_PANELS = range(3)
"""How B lies: row by row, transposed, or in panels of WIDTH columns, the last of which may be padded."""

BYTES = 4


def whole(number: int) -> Value:
    """A whole number, known while compiling."""
    return ir.Constant(INT64, number)


def fetch(builder: Builder, address: Value) -> None:
    """Has the line at an address brought to the second cache; it need not be memory of ours."""
    small, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer, small, small, small])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [builder.bitcast(address, pointer), *(ir.Constant(small, each) for each in (0, 2, 1))])


def loop(builder: Builder, count: Value, sums: Sequence[Value], body: Any, step: int = 1) -> list[Value]:
    """``body(k, sums)`` for each k below the count, which is not 0, in steps."""
    before, loop, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("sums")
    builder.branch(loop)
    builder.position_at_end(loop)
    k, held = builder.phi(INT64), [builder.phi(each.type) for each in sums]
    found = body(k, held)
    following = builder.add(k, whole(step))
    for phi, first, next_ in zip((k, *held), (whole(0), *sums), (following, *found), strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(next_, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    builder.position_at_end(after)
    return list(found)


def _tile(vectors: int) -> Any:
    """``tile(a, a_row, a_step, b, b_row, c, c_row, count, onto)``: addresses, strides in numbers.

    A[row, k] lies at ``row*a_row + k*a_step``; ``onto``: added to C.
    """

    @intrinsic
    def tile(
        context: Any, a: Any, a_row: Any, a_step: Any, b: Any, b_row: Any, c: Any, c_row: Any, count: Any, onto: Any
    ) -> Any:
        cells = [(row, vector) for row in range(ROWS) for vector in range(vectors)]

        def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
            a, a_row, a_step, b, b_row, c, c_row, count, onto = values
            begin, panel, out = (place(builder, each, whole(0)) for each in (a, b, c))
            rows = [builder.gep(begin, [builder.mul(a_row, whole(row))]) for row in range(ROWS)]

            def body(k: Value, sums: Sequence[Value]) -> list[Value]:
                line = builder.gep(panel, [builder.mul(k, b_row)])
                columns = [read(builder, line, vector * LANES) for vector in range(vectors)]
                at = builder.mul(k, a_step)
                factors = [spread(builder, builder.load(builder.gep(each, [at]))) for each in rows]
                return [
                    multiply_add(builder, factors[row], columns[v], held)
                    for (row, v), held in zip(cells, sums, strict=True)
                ]

            sums = loop(builder, count, [constant(0.0)] * len(cells), body)
            lines = [builder.gep(out, [builder.mul(c_row, whole(row))]) for row in range(ROWS)]
            with builder.if_else(builder.icmp_signed("!=", onto, whole(0))) as (then, otherwise):
                with then:
                    for (row, v), each in zip(cells, sums, strict=True):
                        write(builder, builder.fadd(read(builder, lines[row], v * LANES), each), lines[row], v * LANES)
                with otherwise:
                    for (row, v), each in zip(cells, sums, strict=True):
                        write(builder, each, lines[row], v * LANES)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 9), generate

    return tile


def _turned(builder: Builder, rows: Sequence[Value]) -> list[Value]:
    """As many vectors as they have lanes, as a matrix turned around: halves of pairs exchanged, then quarters ..."""
    found = list(rows)
    half = 1
    while half < LANES:
        low = [lane if not lane & half else LANES + lane - half for lane in range(LANES)]
        high = [lane + half if not lane & half else LANES + lane for lane in range(LANES)]
        for one in (each for each in range(LANES) if not each & half):
            pair = found[one], found[one + half]
            found[one] = builder.shuffle_vector(*pair, ir.Constant(BITS, low))
            found[one + half] = builder.shuffle_vector(*pair, ir.Constant(BITS, high))
        half *= 2
    return found


@intrinsic
def _turn(context: Any, b: Any, b_row: Any, panel: Any, panel_row: Any, count: Any) -> Any:
    """LANES rows as columns of a panel: ``count`` numbers of each, a whole number of vectors."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        b, b_row, panel, panel_row, count = values
        begin, out = place(builder, b, whole(0)), place(builder, panel, whole(0))
        rows = [builder.gep(begin, [builder.mul(b_row, whole(row))]) for row in range(LANES)]

        following = builder.mul(b_row, whole(LANES))

        def body(k: Value, _: Sequence[Value]) -> list[Value]:
            for row in rows:
                fetch(builder, builder.gep(row, [builder.add(k, following)]))
            for line, each in enumerate(_turned(builder, [read(builder, builder.gep(row, [k])) for row in rows])):
                write(builder, each, builder.gep(out, [builder.mul(builder.add(k, whole(line)), panel_row)]))
            return []

        loop(builder, count, [], body, LANES)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@intrinsic
def _decode(context: Any, address: Any, panel: Any, begin: Any, count: Any, room: Any) -> Any:
    """Calls what decodes rows of a panel (`clearhead.compiled.decoding`)."""

    def generate(context: Any, builder: Builder, signature: Any, values: Any) -> Value:
        kind = ir.FunctionType(ir.VoidType(), [INT64] * (len(values) - 1))
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


three, two, one = (_tile(vectors) for vectors in (VECTORS, 2, 1))
"""A tile of ROWS rows and this number of vectors: C = A B, or C = C + A B."""


@within
def _lay(width: int, count: int, b: int, b_row: int, panel: int) -> None:
    """A panel of a given number of columns from rows of B."""
    even = count // LANES * LANES
    for left in range(0, width, LANES):
        source, target = b + left * b_row * BYTES, panel + left * BYTES
        if even:
            _turn(source, b_row, target, width, even)
        for k in range(even, count):
            for lane in range(LANES):
                put_float(target, k * width + lane, get_float(source, lane * b_row + k))


@within
def _sum(
    width: int, x: int, x_row: int, lines: int, lines_row: int, out: int, out_row: int, count: int, onto: int
) -> None:
    """A tile of any width."""
    if width == WIDTH:
        three(x, x_row, 1, lines, lines_row, out, out_row, count, onto)
    elif width == 2 * LANES:
        two(x, x_row, 1, lines, lines_row, out, out_row, count, onto)
    else:
        one(x, x_row, 1, lines, lines_row, out, out_row, count, onto)


@within
def _fill_up(rows: int, count: int, a: int, a_row: int, tile_rows: int) -> None:
    """Rows of A that are fewer than a tile has, and the last of them again for each that is missing."""
    for row in range(ROWS):
        source, target = a + least(row, rows - 1) * a_row * BYTES, tile_rows + row * LONG * BYTES
        for k in range(0, count, LANES):
            many = least(LANES, count - k)
            store_first(target, k, many, load_first(source, k, many))


@within
def _join(rows: range, columns: range, tile: int, width: int, out: int, out_row: int, onto: int) -> None:
    """Puts what is new in a tile into the result, or adds it there."""
    for row in rows:
        for at in columns:
            place = row * out_row + at
            new = get_float(tile, row * width + at)
            put_float(out, place, get_float(out, place) + new if onto else new)


@inlined
def by_panels(
    rows: int,
    columns: int,
    inner: int,
    a: int,
    a_row: int,
    b: int,
    b_row: int,
    order: int,
    decoder: int,
    c: int,
    c_row: int,
    room: int,
) -> None:
    """C = A B, with room for ROOM numbers; of ROWS rows and LANES columns at least, unless B lies in panels.

    In panels ``b_row`` is from one to the next, and ``decoder`` the address of what decodes one, or 0.
    """
    left, edge = 0, room + LONG * WIDTH * BYTES
    few, lines_of_tile = edge + ROWS * WIDTH * BYTES, least(rows, ROWS)
    while left < columns:
        width, at = WIDTH, left
        if order != IN_PANELS:
            width = least(WIDTH, most(LANES, (columns - left) // LANES * LANES))
            at = least(left, columns - width)
        first, last = left - at, least(width, columns - at)
        for begin in range(0, inner, LONG):
            count = least(LONG, inner - begin)
            lines, lines_row = b + (begin * b_row + at) * BYTES, b_row
            if order == IN_PANELS:
                lines, lines_row = b + at // WIDTH * b_row * BYTES, WIDTH
                if decoder:
                    _decode(decoder, lines, begin, count, room)
                    lines = room
                else:
                    lines += begin * WIDTH * BYTES
            elif order == TURNED:
                _lay(width, count, b + (at * b_row + begin) * BYTES, b_row, room)
                lines, lines_row = room, width
            if rows < ROWS:
                _fill_up(rows, count, a + begin * BYTES, a_row, few)
            for top in range(0, rows, ROWS):
                r = most(0, least(top, rows - ROWS))
                x, x_row, out = a + (r * a_row + begin) * BYTES, a_row, c + (r * c_row + at) * BYTES
                if rows < ROWS:
                    x, x_row = few, LONG
                # Beside what is new there may be no room, or numbers that must not be added to once more.
                apart = rows < ROWS or last - first < width or (inner > LONG and r < top)
                tile, tile_row, onto = (edge, width, 0) if apart else (out, c_row, begin)
                _sum(width, x, x_row, lines, lines_row, tile, tile_row, count, onto)
                if apart:
                    _join(range(top - r, lines_of_tile), range(first, last), edge, width, out, c_row, begin)
        left = at + width


def _routine(sources: int) -> Any:
    @cfunc(types.void(*[types.int64] * 12), cache=True, error_model="numpy")
    def routine(
        rows: int, columns: int, inner: int, a: int, a_row: int, b: int, b_row: int, order: int, decoder: int, c: int,
        c_row: int, room: int,
    ) -> None:  # fmt: skip
        if sources:
            by_panels(rows, columns, inner, a, a_row, b, b_row, order, decoder, c, c_row, room)

    return routine


@cache
def sources() -> str:
    """A hash of the source that the product is compiled from."""
    return digest(sys.modules[__name__])


@cache
def routine() -> int:
    """The address of `by_panels` as a function of 64-bit numbers, compiled when it is first asked for and kept on disk.

    What is called by name Numba optimises and translates once more within each function that calls it.
    """
    return shipped.address("routine", sources()) or int(_routine(int(sources()[:15], 16)).address)
