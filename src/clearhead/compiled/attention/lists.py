"""The lists of each query's largest scores, brought up to date with a tile: keys in rows, queries in lanes.

A list fills whole vectors, the least first, with infinity in unused places: a new score is put in its place, and all
below it are moved down by one, without a loop or a branch. Few scores join. They are searched without a branch, which
would be mispredicted half of the time: groups of ROWS that hold one are recorded, then one bit for each of their
scores, and then one loop runs over all bits that are set.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from clearhead.compiled.attention.layout import Results, Space
from clearhead.compiled.attention.tiles import FLOOR, TILE, fill
from clearhead.compiled.elementary import exp
from clearhead.compiled.simd import (
    INNER,
    LANES,
    ROWS,
    VECTORS,
    WIDTH,
    any_greater,
    bits_greater,
    count_bits,
    counting,
    first_bit,
    first_lane,
    get_float,
    get_int,
    get_long,
    load,
    maximum,
    minimum,
    moved_down,
    put_float,
    put_int,
    put_long,
    splat,
    splat_bits,
    store,
    where_greater,
)  # fmt: skip

WORD_ROWS = 4
"""Rows whose bits are kept in one word."""

LANE_BITS = LANES.bit_length() - 1

GROUPS, WORDS = TILE // ROWS * VECTORS + 1, TILE // WORD_ROWS * VECTORS + 1
"""How many groups of ROWS scores in a vector's lanes, and words, a tile has at most; and one more that is not used."""


@njit(**INNER)
def room(top: int) -> int:
    """The size of a list: whole vectors."""
    return (top + LANES - 1) // LANES * LANES


@njit(**INNER)
def clear_lists(queries: int, top: int, space: Space) -> None:
    """Empties the lists of the first ``count`` queries."""
    length = room(top)
    fill(space.least, queries, FLOOR)
    for at in range(0, queries * length, LANES):
        listed = splat(top - at % length)
        store(space.best, at, where_greater(listed, counting(), splat(FLOOR), splat(np.inf)))
        store(space.best_key, at, splat_bits(-1))


@njit(**INNER)
def reached(at: int, top: int, rows: Any, space: Space) -> Any:
    """For each lane a number below at least ``top`` scores of the tile, from the maxima of groups only."""
    fill(space.ladder, top * LANES, FLOOR)
    for r in range(rows[0], rows[1], ROWS):
        falling = load(space.largest, r // ROWS * WIDTH + at)
        for step in range(0, top * LANES, LANES):
            held = load(space.ladder, step)
            store(space.ladder, step, maximum(held, falling))
            falling = minimum(held, falling)
    least = load(space.ladder, (top - 1) * LANES)
    return least - (maximum(least, splat(0.0) - least) * splat(2e-7) + splat(1e-37))


@njit(**INNER, forceinline=True)
def set_floors(panel: int, top: int, rows: Any, space: Space) -> None:
    """Writes to ``columns`` the floor of each lane: the number that a score must exceed to join its list."""
    for v in range(VECTORS):
        at = v * LANES
        floor = load(space.least, panel * WIDTH + at)
        if any_greater(splat(FLOOR / 2), floor):
            # Lists that are not full take everything. The tile itself shows that most scores will not stay.
            floor = maximum(floor, reached(at, top, rows, space))
        store(space.columns, at, floor)


@njit(**INNER, forceinline=True)
def find_groups(rows: Any, space: Space) -> int:
    """Records the groups of ROWS scores that hold one above its floor; returns how many."""
    found = 0
    for v in range(VECTORS):
        floor = load(space.columns, v * LANES)
        for r in range(rows[0], rows[1], ROWS):
            put_int(space.groups, found, np.int32(r * WIDTH + v * LANES))
            found += any_greater(load(space.largest, r // ROWS * WIDTH + v * LANES), floor)
    return found


@njit(**INNER, forceinline=True)
def find_scores(groups: int, space: Space) -> int:
    """Records which scores of the groups are above their floors, as bits of words; returns how many."""
    words, found = 0, 0
    for group in range(groups):
        begin = get_int(space.groups, group)
        floor = load(space.columns, begin % WIDTH)
        for at in range(begin, begin + ROWS * WIDTH, WORD_ROWS * WIDTH):
            word = 0
            for i in range(WORD_ROWS):
                word |= bits_greater(load(space.scores, at + i * WIDTH), floor) << (i * LANES)
            put_long(space.words, words, word)
            put_int(space.word_at, words, np.int32(at))
            words += word != 0
            found += count_bits(word)
    return found


@njit(**INNER, forceinline=True)
def insert(score: float, key: int, at: int, length: int, space: Space) -> Any:
    """Inserts a score, with its key, into a list; of equal ones the earlier ranks first. Returns the new least."""
    new, number = splat(score), splat_bits(key)
    after, after_key, least = splat(np.inf), number, new
    for place in range(at + length - LANES, at - LANES, -LANES):
        held, held_key = load(space.best, place), load(space.best_key, place)
        next_, next_key = moved_down(held, after), moved_down(held_key, after_key)
        # The middle one of three. As a choice it would become a masked store, which makes loads wait.
        least = minimum(next_, maximum(held, new))
        store(space.best, place, least)
        store(space.best_key, place, where_greater(new, held, where_greater(new, next_, next_key, number), held_key))
        after, after_key = held, held_key
    return first_lane(least)


@njit(**INNER, forceinline=True)
def insert_all(count: int, panel: int, first_key: int, top: int, space: Space) -> None:
    """Puts the scores that were found into their lists, row after row."""
    length, entry = room(top), 0
    word, at = get_long(space.words, 0), np.int64(get_int(space.word_at, 0))
    for _ in range(count):
        bit = first_bit(word)
        cell = at + (bit >> LANE_BITS) * WIDTH + (bit & (LANES - 1))
        row = cell // WIDTH
        query = panel * WIDTH + cell - row * WIDTH
        least = insert(get_float(space.scores, cell), first_key + row, query * length, length, space)
        put_float(space.least, query, least)
        # The next bit, or the next word: computed, without a branch.
        word &= word - 1
        done = 1 if word == 0 else 0
        word |= get_long(space.words, entry + 1) & -done
        at += (get_int(space.word_at, entry + 1) - at) & -done
        entry += done


@njit(**INNER, forceinline=True)
def rank(panel: int, first_key: int, top: int, rows: Any, space: Space) -> None:
    """Updates the lists of a panel's queries."""
    set_floors(panel, top, rows, space)
    insert_all(find_scores(find_groups(rows, space), space), panel, first_key, top, space)


@njit(**INNER)
def finish_list(query: int, top: int, sums: Any, results: Results, place: int, space: Space) -> None:
    """Writes a query's list, as weights, to its place among the results; ``sums`` are its largest score and total."""
    at, peak = query * room(top), splat(sums[0])
    # A query without a visible key has a total of 0, and weights of 0.
    total = splat(sums[1] if sums[1] != 0 else np.float32(np.inf))
    for part in range(at, at + room(top), LANES):
        store(space.best, part, exp(load(space.best, part) - peak) / total)
    for level in range(top):
        put_float(results.top_weights, place * top + level, get_float(space.best, at + top - 1 - level))
        put_long(results.top_keys, place * top + level, np.int64(get_int(space.best_key, at + top - 1 - level)))
