"""Weights in the bits in which a checkpoint stores them: products with the same bits as from float32."""

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearhead.compiled.decoding import decoder
from clearhead.compiled.matrices import IN_PANELS, LONG, ROOM, routine
from clearhead.compiled.program.program import address
from clearhead.compiled.simd import WIDTH
from clearhead.models.quantised import KINDS
from clearhead.ops.panels import Blocks, Panels

SPLIT = [kind for kind in KINDS.values() if kind.split is not None]
TWO_BYTES = {"F16": np.float16, "BF16": np.uint16}


def product(a, panels):
    """A product with a matrix in panels."""
    out, room = np.empty((len(a), panels.shape[1]), np.float32), np.empty(ROOM, np.float32)
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 12)(routine())(
        *out.shape, a.shape[1], address(a), a.shape[1], address(panels), panels.numbers.strides[0] // 4, IN_PANELS,
        decoder(panels.coding), address(out), out.shape[1], address(room),
    )  # fmt: skip
    return out


def stored(kind, columns, inner, seed):
    """Random numbers of a type, as panels and as the float32 matrix (inner, column) that the type means."""
    data = np.random.default_rng(seed).integers(0, 256, columns * inner // kind.values * kind.bytes, dtype=np.uint8)
    matrix = kind.widen(data).reshape(columns, inner).T
    if kind.split is None:
        return Panels(data.view(TWO_BYTES[kind.name]).reshape(columns, inner).T, WIDTH), matrix
    parts = (each if each is None else each.reshape(columns, -1, *each.shape[2:]) for each in kind.split(data)[:3])
    return Panels(Blocks(*parts, kind.split(data).coding), WIDTH), matrix


def bits(array):
    """Numbers as their bits; every NaN alike."""
    return np.where(np.isnan(array), np.float32(np.nan), array).view(np.uint32)


@pytest.mark.parametrize("kind", [*SPLIT, KINDS[1], KINDS[30]], ids=lambda kind: kind.name)
@given(columns=st.integers(1, 2 * WIDTH + 3), parts=st.integers(1, 3), seed=st.integers(0, 1000))
def test_decoded_rows_are_what_the_type_means(kind, columns, parts, seed):
    """Any bytes, NaN, infinities and zeros of both signs among them: the bits of the type's float32 numbers."""
    inner = parts * max(kind.values, 32)
    panels, matrix = stored(kind, columns, inner, seed)
    assert panels.numbers.nbytes < 4 * inner * WIDTH * len(panels.numbers)
    room = np.empty((inner, WIDTH), np.float32)
    decode = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(decoder(panels.coding))
    for at in range(len(panels.numbers)):
        here = matrix[:, at * WIDTH : (at + 1) * WIDTH]
        decode(address(panels) + at * panels.numbers.strides[0], 0, inner, address(room))
        np.testing.assert_array_equal(bits(room[:, : here.shape[1]]), bits(here))
        np.testing.assert_array_equal(room[:, here.shape[1] :], 0)
    np.testing.assert_array_equal(bits(panels.matrix()), bits(matrix))


@pytest.mark.parametrize("kind", [*SPLIT, KINDS[30]], ids=lambda kind: kind.name)
@pytest.mark.parametrize("rows", [1, 21])
def test_products_have_the_bits_of_float32(kind, rows):
    """A sum over several rooms full of rows is the same, whether its weights are decoded or lie as float32."""
    inner = LONG * 4  # whole blocks of every type
    panels, matrix = stored(kind, WIDTH + 5, inner, 3)
    a = np.random.default_rng(0).normal(size=(rows, inner)).astype(np.float32)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(bits(product(a, panels)), bits(product(a, Panels(matrix, WIDTH))))


@pytest.mark.parametrize("kind", [*SPLIT, KINDS[1], KINDS[30]], ids=lambda kind: kind.name)
def test_rows_of_a_table_are_decoded_alone(kind):
    """Tokens that are looked up in a table stored in fewer bits get its rows, from either end."""
    count, inner = 2 * WIDTH + 5, 256
    data = np.random.default_rng(4).integers(0, 256, count * inner // kind.values * kind.bytes, dtype=np.uint8)
    table = kind.widen(data).reshape(count, inner)
    if kind.split is None:
        panels = Panels(data.view(TWO_BYTES[kind.name]).reshape(count, inner), WIDTH, turned=True)
    else:
        parts = (each if each is None else each.reshape(count, -1, *each.shape[2:]) for each in kind.split(data)[:3])
        panels = Panels(Blocks(*parts, kind.split(data).coding), WIDTH, turned=True)
    assert panels.shape == table.shape
    wanted = np.array([3, WIDTH, 3, count - 1, -2])
    np.testing.assert_array_equal(bits(panels[wanted]), bits(table[wanted]))
    np.testing.assert_array_equal(bits(panels.matrix()), bits(table))
    with pytest.raises(IndexError):
        panels[np.array([count])]
