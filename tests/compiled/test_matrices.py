"""Products of whole matrices: the numbers of float64 within the bound for sums, whatever the sizes and strides."""

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearhead.compiled.matrices import IN_PANELS, IN_ROWS, LONG, ROOM, TURNED, routine
from clearhead.compiled.program.program import address
from clearhead.compiled.simd import LANES, ROWS, WIDTH
from clearhead.ops.panels import Panels

SIZES = st.one_of(st.integers(0, 40), st.sampled_from([WIDTH - 1, WIDTH, WIDTH + LANES + 1, 2 * WIDTH + 2, 131]))


def multiplied(a, b, order):
    """The product with a matrix that lies in one of the orders, with NaN around it that must stay."""
    rows, columns = len(a), len(b) if order == TURNED else b.shape[1]
    room = np.empty(ROOM, np.float32)
    out = np.full((rows + 2, columns + 3), np.nan, np.float32)
    own = out[1:-1, 1:-2]
    laid = Panels(b, WIDTH).numbers if order == IN_PANELS else b
    steps = [each.strides[0] // 4 for each in (a, laid, own)]
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 12)(routine())(
        rows, columns, a.shape[1], address(a), steps[0], address(laid), steps[1], order, 0,
        out.__array_interface__["data"][0] + own.strides[0] + 4, steps[2], address(room),
    )  # fmt: skip
    found = own.copy()
    own[...] = np.nan
    assert np.isnan(out).all()
    return found


def within(array, gap):
    """The same numbers as a part of something wider, which is NaN."""
    wide = np.full((len(array), array.shape[1] + gap), np.nan, np.float32)
    wide[:, : array.shape[1]] = array
    return wide[:, : array.shape[1]]


@given(
    rows=SIZES,
    columns=SIZES,
    inner=st.sampled_from([1, 2, 15, 16, 17, 100, LONG - 1, LONG, LONG + 1, 2 * LONG + 21]),
    order=st.sampled_from([IN_ROWS, TURNED, IN_PANELS]),
    gap=st.integers(0, 5),
    seed=st.integers(0, 1000),
)
def test_products_are_within_the_bound_for_sums(rows, columns, inner, order, gap, seed):
    """At most LONG additions in a row, and one for each panel: that many roundings of the sum of absolute products."""
    rows, columns = (rows + 1, columns + 1) if order == IN_PANELS else (rows + ROWS, columns + LANES)
    rng = np.random.default_rng(seed)
    a, b = (within(rng.normal(size=shape).astype(np.float32), gap) for shape in ((rows, inner), (columns, inner)))
    b = b if order == TURNED else within(np.ascontiguousarray(b.T), gap)
    exact, sizes = (
        x @ (y.T if order == TURNED else y) for x, y in ((each.astype(np.float64) for each in (a, b)), map(abs, (a, b)))
    )
    roundings = min(inner, LONG) + inner // LONG + 1
    assert (abs(multiplied(a, b, order) - exact) <= roundings * 2.0**-24 * 1.01 * sizes + 1e-30).all()


@pytest.mark.parametrize("inner", [30, LONG + 5])
@pytest.mark.parametrize("order", [IN_ROWS, TURNED, IN_PANELS])
def test_a_number_does_not_depend_on_its_neighbours(inner, order):
    """The same row of A and column of B give the same bits in a product of any size, wherever and however they lie."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(many, inner)).astype(np.float32) for many in (5 * ROWS + 3, 3 * WIDTH + 7))
    whole = multiplied(a, b, TURNED)
    for top, left in ((0, 0), (3, 5), (2 * ROWS + 1, WIDTH + 9)):
        part = b[left : left + WIDTH + LANES + 3]
        found = multiplied(a[top : top + ROWS + 5], part if order == TURNED else np.ascontiguousarray(part.T), order)
        np.testing.assert_array_equal(found, whole[top : top + ROWS + 5, left : left + WIDTH + LANES + 3])


@pytest.mark.parametrize("rows", range(1, ROWS))
def test_rows_fewer_than_a_tile_are_those_of_a_whole_one(rows):
    """One token, or a few, multiplied with weights in panels give the same bits as among others."""
    rng = np.random.default_rng(rows)
    a, b = (rng.normal(size=shape).astype(np.float32) for shape in ((ROWS, LONG + 5), (LONG + 5, WIDTH + 3)))
    np.testing.assert_array_equal(multiplied(a[:rows], b, IN_PANELS), multiplied(a, b, IN_PANELS)[:rows])


def test_what_is_no_number_stays_in_its_row_and_column():
    """NaN and infinity reach the numbers that read them, and no others."""
    a, b = np.ones((3 * ROWS + 1, LONG + 9), np.float32), np.ones((2 * WIDTH + 5, LONG + 9), np.float32)
    a[7, 3], b[50, LONG + 2] = np.nan, np.inf
    found = multiplied(a, b, TURNED)
    spoiled = np.zeros(found.shape, bool)
    spoiled[7], spoiled[:, 50] = True, True
    np.testing.assert_array_equal(~np.isfinite(found), spoiled)
