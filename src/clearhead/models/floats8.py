"""Numbers of one byte and less: tables of all their values (OCP 8-bit and MX specifications)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from clearhead.models.tensors import Bytes

Table = np.ndarray[Any, np.dtype[np.float32]]


def small_floats(exponent: int, mantissa: int, bias: int) -> Table:
    """All numbers with a sign and these bits of exponent and of mantissa, by their bits; as if no bits were special."""
    bits = np.arange(1 << (1 + exponent + mantissa))
    sign = np.where(bits >> (exponent + mantissa), -1.0, 1.0)
    power = (bits >> mantissa) & ((1 << exponent) - 1)
    fraction = (bits & ((1 << mantissa) - 1)) / (1 << mantissa)
    size = np.where(power == 0, fraction * 2.0 ** (1 - bias), (1 + fraction) * 2.0 ** (power - bias))
    return (sign * size).astype(np.float32)


def _e4m3() -> Table:
    """No infinities; only all ones are NaN."""
    values = small_floats(4, 3, 7)
    values[[0x7F, 0xFF]] = math.nan
    return values


def _e5m2() -> Table:
    """Infinities and NaN as in the larger formats."""
    values = small_floats(5, 2, 15)
    values[[0x7C, 0xFC]] = math.inf, -math.inf
    values[[0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF]] = math.nan
    return values


def _e8m0() -> Table:
    """Powers of two, no sign; all ones are NaN."""
    return np.array([*np.ldexp(1.0, np.arange(255) - 127), math.nan], np.float32)


def _with_negative_zero_as_nan(values: Table) -> Table:
    """The variants in which minus zero is NaN, without other special values."""
    values[0x80] = math.nan
    return values


E4M3, E5M2, E8M0 = _e4m3(), _e5m2(), _e8m0()
E4M3_FNUZ = _with_negative_zero_as_nan(small_floats(4, 3, 8))
E5M2_FNUZ = _with_negative_zero_as_nan(small_floats(5, 2, 16))
E2M1 = small_floats(2, 1, 1)


def two_in_a_byte(data: Bytes) -> Table:
    """Numbers of four bits, the lower half of each byte first."""
    return E2M1[np.stack([data & 15, data >> 4], axis=-1)].reshape(-1)
