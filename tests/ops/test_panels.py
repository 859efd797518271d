"""Matrices in panels: another order of the same numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearhead.ops.panels import Panels, plain

LAYOUTS = {
    "rows": lambda array: array,
    "transposed": lambda array: np.ascontiguousarray(array.mT).mT,
    "every other": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
}


@given(
    shape=st.one_of(st.tuples(*[st.integers(1, 40)] * 2), st.tuples(st.integers(1, 5), *[st.integers(1, 20)] * 2)),
    lanes=st.sampled_from([12, 24, 48]),
    layout=st.sampled_from(sorted(LAYOUTS)),
)
def test_a_matrix_comes_back_as_it_was(shape, lanes, layout):
    """Matrices, and those of heads, of any size and strides, come back to the bit; each panel holds its columns."""
    numbers = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    panels = Panels(LAYOUTS[layout](numbers), lanes)
    assert (panels.shape, panels.ndim, panels.size) == (numbers.shape, numbers.ndim, numbers.size)
    np.testing.assert_array_equal(plain(panels), numbers)
    assert not plain(panels).flags.writeable
    *_, inner, columns = (side := np.concatenate(numbers, axis=-1) if numbers.ndim == 3 else numbers).shape
    assert panels.numbers.shape == (-(-columns // lanes), inner, lanes)
    for column in range(columns):
        np.testing.assert_array_equal(panels.numbers[column // lanes, :, column % lanes], side[:, column])


@pytest.mark.parametrize("other", [np.ones(3), [1.0], None])
def test_what_is_not_in_panels_stays_as_it_is(other):
    """Any other array is passed on untouched."""
    assert plain(other) is other


@given(rows=st.integers(1, 60), inner=st.integers(1, 9), data=st.data())
def test_rows_of_a_turned_matrix_are_read_from_panels(rows, inner, data):
    """A table whose rows lie across panels comes back to the bit, whole or by rows; a row that is not there is none."""
    table = np.random.default_rng(1).normal(size=(rows, inner)).astype(np.float32)
    panels = Panels(table, 24, turned=True)
    np.testing.assert_array_equal(plain(panels), table)
    wanted = np.array(data.draw(st.lists(st.integers(-rows, rows - 1), min_size=1)))
    np.testing.assert_array_equal(panels[wanted], table[wanted])
    with pytest.raises(IndexError):
        panels[np.array([rows])]
