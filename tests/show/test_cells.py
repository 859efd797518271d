import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearhead.errors import visible
from clearhead.show.cells import digits, gap, one_line, positions, shown


def _written(values, decimals=3):
    values = np.asarray(values)
    return [digits(values, decimals)(value) for value in values.flat]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, -2.0, 0.0], ["1", "-2", "0"]),
        ([1.0, 0.5], ["1.0", "0.5"]),
        ([1.0, 1 + 1e-9], ["1.000", "1.000"]),
        ([1.25, -2.5], ["1.25", "-2.50"]),
        ([1.0, 1 / 3], ["1.000", "0.333"]),
        ([0.1 + 0.2, 0.3], ["0.3", "0.3"]),
        ([1.0, math.nan, -math.inf, math.inf], ["1", "NaN", "-inf", "inf"]),
        ([0.5, 0.00012, 0.0], ["0.500", "1.2e-4", "0.000"]),
        ([-0.0, 0.5], ["0.0", "0.5"]),
        ([-1e9, 0.0], ["-1e9", "0"]),
        ([12345678.0, 0.5], ["1.2e7", "0.5"]),
    ],
)
def test_the_numbers_of_a_matrix_share_their_decimals(values, expected):
    """All numbers have as many decimals as the longest needs, at most those asked for, and nothing else reads as 0."""
    assert _written(values) == expected


def test_booleans_are_words():
    """A mask reads yes and no."""
    assert _written([True, False]) == ["yes", "no"]


def test_all_digits_read_back_to_the_same_number():
    """With no limit to decimals every digit is shown."""
    assert _written([0.1, 1 / 3], None) == ["0.1", "0.3333333333333333"]


def test_float32_shows_the_digits_it_has():
    """A float32 of 0.1 is 0.1, not 0.10000000149."""
    assert _written(np.float32([0.1, 0.25])) == ["0.10", "0.25"]
    assert _written(np.float32([0.1]), None) == ["0.1"]


@given(st.integers(1, 60), st.integers(1, 30), st.sets(st.integers(0, 59), max_size=3))
def test_what_is_shown_fits_and_is_in_order(count, most, keep):
    """Never more places than asked for, in order, a gap wherever something is left out, and nothing lost count of."""
    keep = {place for place in keep if place < count}
    places = shown(count, most, keep)
    chosen = positions(places)
    assert len(places) <= most
    assert chosen == sorted(set(chosen))
    assert len(chosen) + sum(gap(places, at, count) for at, place in enumerate(places) if place is None) == count
    assert all(gap(places, at, count) > 0 for at, place in enumerate(places) if place is None)
    if count <= most:
        assert chosen == list(range(count))
    if most >= 2 * len(keep) + 1:
        assert keep <= set(chosen)


def test_first_and_last_are_shown_alike():
    """Of many, the first and the last are shown, as many of each."""
    assert shown(100, 7) == [0, 1, 2, None, 97, 98, 99]


@given(st.text())
def test_what_is_visible_can_be_printed(text):
    """No control character, escape or direction mark is left, and ordinary text is not touched."""
    seen = visible(text)
    assert all(c.isprintable() or c in "\u200c\u200d" for c in seen)
    assert visible(seen) == seen
    if text.isprintable():
        assert seen == text


def test_controls_are_spelled_out():
    """A control character appears as its escape."""
    assert visible("a\x1b[31m\t\u202e\ud800") == r"a\x1b[31m\t\u202e\ud800"
    assert one_line(" two\n lines\x07 ") == r"two lines\x07"
